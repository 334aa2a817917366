"""When going on is no use: nothing that is still likely to come, or that can come at all, would decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from itertools import combinations_with_replacement
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from headgate.errors import StatisticsError
from headgate.stats.values import Floats

UNLIKELY: Final = 0.10
"""Conditional power below which a verdict is not waited for."""
EARLIEST: Final = 0.5
"""Information fraction before which nothing is called futile."""
MOST_COMPLETIONS: Final = 20_000
"""Completions that are tried at most."""

Verdict = TypeVar("Verdict", bound=Hashable)


def conditional_power(z: float, fraction: float, *, boundary: float, drift: float | None = None) -> float:
    """Return the probability that a test rejects at its last look, given what was seen so far.

    Parameters
    ----------
    z : float
        The statistic now.
    fraction : float
        Share of the planned information that was seen, in (0, 1).
    boundary : float
        z boundary of the last look, at full information.
    drift : float, optional
        True drift, ``E[z] = drift * sqrt(fraction)``. Default: as the data have it, ``z / sqrt(fraction)``.

    Returns
    -------
    float
        Looks between now and the last are left out; they would add a little.

    Raises
    ------
    StatisticsError
        If a number is not finite or the fraction is not in (0, 1).

    Notes
    -----
    Lan and Wittes (1988), The B-value: a tool for monitoring data.

    Examples
    --------
    >>> round(conditional_power(1.0, 0.5, boundary=1.74), 4)
    0.3225
    >>> round(conditional_power(1.0, 0.5, boundary=1.74, drift=3.0), 4)
    0.7456
    """
    for name, value in (("z", z), ("boundary", boundary), ("drift", 0.0 if drift is None else drift)):
        if not math.isfinite(value):
            raise StatisticsError(f"{name} is {value}; it must be a finite number")
    if not 0 < fraction < 1:
        raise StatisticsError(f"fraction {fraction} is not between 0 and 1")
    seen, left = math.sqrt(fraction), 1 - fraction
    onward = z / seen if drift is None else drift
    return float(ndtr((z * seen + onward * left - boundary) / math.sqrt(left)))


def futile(z_pass: float, z_fail: float, fraction: float, *, boundary: float) -> bool:
    """Tell whether, at half of the information or later, neither a pass nor a fail is likely any more.

    Stopping for it costs no alpha and binds nobody: to go on all the same keeps both error rates.

    Parameters
    ----------
    z_pass : float
        Evidence for a pass now: (difference + margin) / standard error.
    z_fail : float
        Evidence for a fail now: -difference / standard error.
    fraction : float
        Share of the planned information that was seen, in (0, 1).
    boundary : float
        z boundary of the last look, the same for both.

    Returns
    -------
    bool
        Whether the conditional power of both is below 10 % if the estimate stays as it is.

    Raises
    ------
    StatisticsError
        As :func:`conditional_power`.

    Examples
    --------
    >>> futile(0.7, 0.3, 0.8, boundary=1.74), futile(0.7, 0.3, 0.4, boundary=1.74), futile(1.4, 0.1, 0.8, boundary=1.74)
    (True, False, False)
    """
    powers = [conditional_power(z, fraction, boundary=boundary) for z in (z_pass, z_fail)]
    return fraction >= EARLIEST and max(powers) < UNLIKELY


def curtailed(
    seen: ArrayLike, n_left: int, *, outcomes: ArrayLike, decides: Callable[[Floats], Verdict]
) -> Verdict | None:
    """Return the verdict that stands whatever the items still to come will show, or None if it is still open.

    Parameters
    ----------
    seen : array_like, shape (n_items, ...)
        What is known of each item, such as (candidate, baseline).
    n_left : int
        Items still to come.
    outcomes : array_like, shape (n_outcomes, ...)
        Everything that an item can show: the four pairs of 0 and 1 for binary scores. Put the extreme ones first.
    decides : callable
        The final rule: all items to its verdict. It must not depend on the order of the items.

    Returns
    -------
    Verdict or None
        None also where more than 20,000 completions would have to be tried.

    Raises
    ------
    StatisticsError
        If there is no outcome, one does not have the shape of an item, or fewer than no items are left.

    Notes
    -----
    Exact, because every completion is tried; of each outcome only its count matters. The two extreme completions alone
    would not do: scores that differ widen an interval, so a mixed completion may leave open what both extremes settle.

    Examples
    --------
    >>> majority = lambda items: bool(items.mean() > 0.5)
    >>> curtailed([1, 1, 1, 0], 1, outcomes=[0, 1], decides=majority)
    True
    >>> curtailed([1, 1, 1, 0], 2, outcomes=[0, 1], decides=majority) is None
    True
    """
    known, possible = np.asarray(seen, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if n_left < 0:
        raise StatisticsError(f"n_left is {n_left}; it must be 0 or more")
    if possible.shape[1:] != known.shape[1:] or not possible.size:
        raise StatisticsError(f"outcomes of shape {possible.shape} do not continue items of shape {known.shape}")
    for name, found in (("seen", known), ("outcomes", possible)):
        if not np.isfinite(found).all():
            index = int(np.argwhere(~np.isfinite(found))[0][0])
            raise StatisticsError(f"{name}[{index}] is {found[index]}; it must be finite")
    if math.comb(n_left + len(possible) - 1, n_left) > MOST_COMPLETIONS:
        return None

    def verdict(completion: tuple[int, ...]) -> Verdict:
        return decides(np.concatenate([known, possible[list(completion)]]))

    first = verdict((0,) * n_left)
    pure = ((outcome,) * n_left for outcome in range(len(possible)))
    if any(verdict(completion) != first for completion in pure):
        return None
    mixed = combinations_with_replacement(range(len(possible)), n_left)
    return first if all(verdict(completion) == first for completion in mixed) else None
