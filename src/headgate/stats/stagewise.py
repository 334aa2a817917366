"""What may be said of the effect once a sequential test has stopped: the plain mean is too far from 0 by then."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.bisection import bisect
from headgate.stats.brownian import Paths, as_fractions
from headgate.stats.sequential import as_boundaries
from headgate.stats.values import as_alpha


@dataclass(frozen=True, slots=True, kw_only=True)
class Stagewise:
    """Effect after stopping, by the stage-wise ordering.

    Attributes
    ----------
    p_value : float
        Probability, without drift, to stop at least as high as this.
    drift : float
        Median-unbiased estimate: the true drift lies below it half of the time.
    low, high : float
        Limits of the drift at ``confidence``; each is a one-sided limit at ``(1 - confidence) / 2``.
    confidence : float
        Two-sided level.
    """

    p_value: float
    drift: float
    low: float
    high: float
    confidence: float


def stagewise(
    z: float,
    fractions: ArrayLike,
    above: ArrayLike,
    *,
    below: ArrayLike | None = None,
    confidence: float = 0.9,
) -> Stagewise:
    """Estimate the drift of a test that stopped.

    Parameters
    ----------
    z : float
        The statistic at the look where the test stopped.
    fractions : array_like, shape (n_looks,)
        Information fractions of the looks that were made; the last one is where it stopped.
    above, below : array_like, shape (n_looks - 1,)
        z boundaries of the looks before, none of which was crossed. Default: nothing stops below.
    confidence : float
        Two-sided level.

    Returns
    -------
    Stagewise
        In units of drift, ``E[z] = drift * sqrt(fraction)``. With the standard error ``se`` of the effect at the last
        look made, an effect is ``drift * se * sqrt(fractions[-1])``.

    Raises
    ------
    StatisticsError
        If z is not finite, the fractions do not rise within (0, 1], or there is not one pair of boundaries in order
        for each look before the last.

    Notes
    -----
    Fairbanks and Madsen (1982); Tsiatis, Rosner and Mehta (1984), Exact confidence intervals following a group
    sequential test. An exit above is the higher the earlier it is, an exit below the lower; at one look z decides.
    The boundaries must be those by which the test stopped. A gate with a margin stops on either side: with boundaries c
    and z = difference / standard error, it passes above c - margin / standard error and fails below -c.

    Examples
    --------
    >>> found = stagewise(3.0, [0.2, 0.4], [4.229])
    >>> round(found.drift, 3), round(found.low, 3), round(found.high, 3)
    (4.743, 2.142, 7.344)
    """
    t = as_fractions(fractions)
    upper, lower = as_boundaries(above, below, n_looks=t.size - 1)
    if not math.isfinite(z):
        raise StatisticsError(f"z is {z}; a statistic is a finite number")
    alpha, roots = as_alpha(confidence), np.sqrt(t[:-1])
    looks = list(zip(t.tolist(), (upper * roots).tolist(), (lower * roots).tolist(), strict=False))
    last, limit = float(t[-1]), z * math.sqrt(float(t[-1]))

    def higher(drift: float) -> float:
        """Return the probability to stop at least as high as the test did."""
        paths, found = Paths.start(drift), 0.0
        for look, (time, over, under) in enumerate(looks):
            found += paths.over(time, over)
            paths = paths.onward(time, until=float(t[look + 1]), above=over, below=under)
        return found + paths.over(last, limit)

    def drift_where(share: float) -> float:
        """Return the drift with which so many stop at least as high."""
        reach = 1.0
        while higher(-reach) > share or higher(reach) < share:
            reach *= 2
        return bisect(lambda drift: higher(drift) >= share, -reach, reach)

    return Stagewise(
        p_value=higher(0.0),
        drift=drift_where(0.5),
        low=drift_where(alpha),
        high=drift_where(1 - alpha),
        confidence=confidence,
    )
