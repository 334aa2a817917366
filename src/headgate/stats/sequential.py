"""Looks at a growing set of items: how much of alpha each may spend, so that all of them together spend alpha."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from headgate.errors import StatisticsError
from headgate.stats.bisection import bisect
from headgate.stats.brownian import FARTHEST, Paths, as_fractions
from headgate.stats.values import Floats

Spending: TypeAlias = Literal["obrien-fleming", "pocock", "power"]
FIRST_LOOK: Final = 50
"""Items that a first look needs: with fewer, the interval's normal approximation does not reach so small a level."""
_POWER: Final = 2.0
_LOWEST_Z: Final = -8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """Where a Brownian motion stops.

    Attributes
    ----------
    above, below : ndarray, shape (n_looks,)
        Probability to stop at each look, at or above its upper boundary and at or below its lower one.
    """

    above: Floats
    below: Floats


def spending_boundaries(
    fractions: ArrayLike, *, alpha: float, kind: Spending = "obrien-fleming", clock: ArrayLike | None = None
) -> Floats:
    """Return the z boundary of each look of a one-sided group-sequential test.

    Parameters
    ----------
    fractions : array_like, shape (n_looks,)
        Share of the planned information at each look, strictly rising, in (0, 1]. Where looks were skipped or merged,
        those that were made. Where the last one is below 1, only the alpha spent so far is used.
    alpha : float
        One-sided level of all looks together, if the last one is at 1.
    kind : str
        What is spent by fraction t: ``obrien-fleming`` 2 (1 - Phi(z_{1 - alpha/2} / sqrt t)), ``pocock``
        alpha ln(1 + (e - 1) t), ``power`` alpha t^2.
    clock : array_like, shape (n_looks,), optional
        The t by which alpha is spent, strictly rising, where it is not the information: the fractions then only say
        how closely looks hang together. Fractions whose ratios are too small give boundaries that are too high, and
        so keep alpha (Slepian, 1962).

    Returns
    -------
    ndarray, shape (n_looks,)
        Look k rejects when its z statistic is at or above; infinite where nothing is spent in double precision.

    Raises
    ------
    StatisticsError
        If the fractions do not rise within (0, 1], alpha is not between 0 and 0.5, or the kind is unknown.

    Notes
    -----
    Lan and DeMets (1983), Discrete sequential boundaries for clinical trials.

    Examples
    --------
    >>> spending_boundaries([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.05).round(3).tolist()
    [4.229, 2.888, 2.298, 1.962, 1.74]
    """
    t = as_fractions(fractions)
    spent = _spent(t if clock is None else as_fractions(clock), alpha, kind)
    if spent.size != t.size:
        raise StatisticsError(f"clock must give one time for each of {t.size} looks, not {spent.size}")
    times, boundaries, paths = t.tolist(), np.empty(t.size), Paths.start()
    for look, spend in enumerate(np.diff(spent, prepend=0.0).tolist()):
        boundaries[look] = z = _boundary(paths, times[look], spend)
        if look + 1 < t.size:
            paths = paths.onward(times[look], until=times[look + 1], above=z * math.sqrt(times[look]))
    return boundaries


def look_levels(
    fractions: ArrayLike, *, alpha: float, kind: Spending = "obrien-fleming", clock: ArrayLike | None = None
) -> Floats:
    """Return the one-sided level that the interval at each look is asked for: 1 - Phi of its boundary.

    Limits at these levels are repeated confidence limits: with probability 1 - alpha they hold at all looks at once,
    and so at whichever the test stops.

    Parameters
    ----------
    fractions, alpha, kind, clock
        As for :func:`spending_boundaries`.

    Returns
    -------
    ndarray, shape (n_looks,)
        0 where nothing is spent in double precision (O'Brien-Fleming: before 0.3 % of the information); such a look
        decides nothing.

    Raises
    ------
    StatisticsError
        As :func:`spending_boundaries`.

    Notes
    -----
    Jennison and Turnbull (1989), Interim analyses: the repeated confidence interval approach.

    Examples
    --------
    >>> look_levels([0.5, 1.0], alpha=0.05).round(4).tolist()
    [0.0056, 0.0482]
    """
    levels: Floats = ndtr(-spending_boundaries(fractions, alpha=alpha, kind=kind, clock=clock))
    return levels


def exit_probabilities(
    fractions: ArrayLike, above: ArrayLike, *, below: ArrayLike | None = None, drift: float = 0.0
) -> Exits:
    """Return the probability to stop at each look: error rates without drift, power and expected length with it.

    Parameters
    ----------
    fractions : array_like, shape (n_looks,)
        Information fractions of the looks.
    above, below : array_like, shape (n_looks,)
        z boundaries; infinite ones stop nothing. Default: nothing stops below.
    drift : float
        ``E[z] = drift * sqrt(fraction)``: the true effect over its standard error at full information.

    Returns
    -------
    Exits

    Raises
    ------
    StatisticsError
        If the fractions do not rise within (0, 1], or there is not one pair of boundaries in order for each look.

    Examples
    --------
    >>> exits = exit_probabilities([0.5, 1.0], [2.538, 1.662], drift=2.5)
    >>> exits.above.round(3).tolist()
    [0.221, 0.58]
    """
    t = as_fractions(fractions)
    upper, lower = as_boundaries(above, below, n_looks=t.size)
    found, paths = [], Paths.start(drift)
    for look, time in enumerate(t.tolist()):
        low, high = (float(z) * math.sqrt(time) for z in (lower[look], upper[look]))
        found.append((paths.over(time, high), paths.under(time, low)))
        if look + 1 < t.size:
            paths = paths.onward(time, until=float(t[look + 1]), above=high, below=low)
    over, under = np.array(found).T
    return Exits(above=over, below=under)


def default_looks(n_items: int) -> tuple[int, ...]:
    """Return how many items each look waits for.

    Below 100 items there is one look, below 200 there are two; else five, the first at 20 % but at no fewer than 50
    items, the others evenly after it.

    Raises
    ------
    StatisticsError
        If there is no item.

    Examples
    --------
    >>> default_looks(60), default_looks(150), default_looks(1000)
    ((60,), (75, 150), (200, 400, 600, 800, 1000))
    >>> default_looks(200)
    (50, 88, 125, 163, 200)
    """
    if n_items < 1:
        raise StatisticsError(f"n_items is {n_items}; a look needs an item")
    if n_items < 2 * FIRST_LOOK:
        return (n_items,)
    if n_items < 4 * FIRST_LOOK:
        return -(-n_items // 2), n_items
    first = max(FIRST_LOOK, -(-n_items // 5))
    return tuple(first + -(-(n_items - first) * step // 4) for step in range(5))


def as_boundaries(above: ArrayLike, below: ArrayLike | None, *, n_looks: int) -> tuple[Floats, Floats]:
    """Return upper and lower z boundaries, one of each for every look."""
    upper = np.asarray(above, dtype=np.float64)
    lower = np.full(n_looks, -np.inf) if below is None else np.asarray(below, dtype=np.float64)
    for name, found in (("above", upper), ("below", lower)):
        if found.shape != (n_looks,):
            raise StatisticsError(f"{name} must give one boundary for each of {n_looks} looks, not shape {found.shape}")
    wrong = ~(lower <= upper)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise StatisticsError(f"above[{index}] is {upper[index]:g} and below[{index}] {lower[index]:g}, not in order")
    return upper, lower


def _spent(t: Floats, alpha: float, kind: Spending) -> Floats:
    """Return the alpha spent by each fraction."""
    if not 0 < alpha < 0.5:
        raise StatisticsError(f"alpha {alpha} is not between 0 and 0.5")
    if kind == "obrien-fleming":
        spent: Floats = 2 * ndtr(ndtri(alpha / 2) / np.sqrt(t))
    elif kind == "pocock":
        spent = alpha * np.log1p((math.e - 1) * t)
    elif kind == "power":
        spent = alpha * t**_POWER
    else:
        raise StatisticsError(f"kind {kind!r} is not one of 'obrien-fleming', 'pocock', 'power'")
    return spent


def _boundary(paths: Paths, time: float, spend: float) -> float:
    """Return the z above which unstopped paths stand with probability ``spend``."""
    sd = math.sqrt(time)
    if paths.over(time, FARTHEST * sd) >= spend:
        return math.inf
    return bisect(lambda z: paths.over(time, z * sd) <= spend, _LOWEST_Z, FARTHEST)
