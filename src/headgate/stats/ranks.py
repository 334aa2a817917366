"""Two independent arms by ranks: for scores whose order means more than their distance, and for heavy tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from headgate.errors import StatisticsError
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import Limits, student
from headgate.stats.values import Floats, as_alpha, as_values

EXACT: Final = 50
"""Arms smaller than this, without ties, are compared by the exact distribution of the statistic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTest:
    """What the ranks of two arms say.

    Attributes
    ----------
    statistic : float
        Mann and Whitney's U: pairs in which the candidate is larger, ties counted as halves.
    p_value : float
        Two-sided.
    shift : Estimate
        Hodges and Lehmann's shift: the median of all differences candidate - baseline. It has no standard error.
    superiority : Estimate
        Probability that the candidate is larger than the baseline, ties counted as halves.
    method : str
        ``exact`` or ``normal``: how the p-value and the limits of the shift were found.
    """

    statistic: float
    p_value: float
    shift: Estimate
    superiority: Estimate
    method: str


def mann_whitney(candidate: ArrayLike, baseline: ArrayLike, *, confidence: float = 0.95) -> RankTest:
    """Compare two independent arms by ranks.

    Parameters
    ----------
    candidate : array_like, shape (n_c,)
        One value per item; average the seeds of an item first.
    baseline : array_like, shape (n_b,)
        Likewise, of other items.
    confidence : float
        Two-sided level of both intervals.

    Returns
    -------
    RankTest

    Raises
    ------
    StatisticsError
        If a value is not finite (the message names its arm and index), or an arm has fewer than two items.

    Notes
    -----
    H. B. Mann and D. R. Whitney (1947): exact without ties where both arms have fewer than 50 items, else normal with
    corrections for ties and continuity. The limits of the shift invert the test (Moses 1953, Hodges and Lehmann 1963).
    Those of the probability are the envelope of Brunner and Munzel (2000), which holds when the arms differ in
    spread, and of method 5 of Newcombe (2006), which holds when the arms hardly overlap.

    Examples
    --------
    >>> found = mann_whitney([1.1, 2.2, 3.3, 4.4], [0.1, 0.2, 0.3, 1.2])
    >>> found.statistic, round(found.p_value, 4), round(found.shift.value, 2), found.superiority.value
    (15.0, 0.0571, 2.1, 0.9375)
    """
    alpha = as_alpha(confidence)
    c, b = (np.sort(as_values(arm, name=name)) for arm, name in ((candidate, "candidate"), (baseline, "baseline")))
    for name, arm in (("candidate", c), ("baseline", b)):
        if arm.size < 2:
            raise StatisticsError(f"{name} has {arm.size} value; ranks need two or more in each arm")
    wins = _wins(c, b)
    statistic, sizes = float(wins.sum()), (c.size, b.size)
    exact = max(sizes) < EXACT and np.unique(np.concatenate([c, b])).size == sum(sizes)
    p_value, critical = _exact(statistic, sizes, alpha) if exact else _normal(statistic, c, b, alpha)
    low, high = _shift_limits(c, b, critical)
    se, (below, above) = _superiority(wins, _wins(b, c), alpha)
    middle = (c.size * b.size + 1) / 2
    method = "exact" if exact else "normal"
    return RankTest(
        statistic=statistic,
        p_value=p_value,
        shift=Estimate(
            value=(_difference(c, b, math.floor(middle)) + _difference(c, b, math.ceil(middle))) / 2,
            low=low,
            high=high,
            se=math.nan,
            n_items=sum(sizes),
            n_clusters=None,
            confidence=confidence,
            method=f"Hodges-Lehmann, {method}",
        ),
        superiority=Estimate(
            value=statistic / (c.size * b.size),
            low=below,
            high=above,
            se=se,
            n_items=sum(sizes),
            n_clusters=None,
            confidence=confidence,
            method="Brunner-Munzel t + Newcombe method 5",
        ),
        method=method,
    )


def _wins(x: Floats, y: Floats) -> Floats:
    """Return for every value of ``x`` how many of the sorted ``y`` it beats; a tie is half a win."""
    return (np.searchsorted(y, x, side="left") + np.searchsorted(y, x, side="right")) / 2


def _exact(statistic: float, sizes: tuple[int, int], alpha: float) -> tuple[float, int]:
    """Return the p-value, and the largest ``k`` with ``P(U < k) <= alpha``."""
    at_most = np.cumsum(_distribution(*sizes))
    tail = at_most[int(min(statistic, sizes[0] * sizes[1] - statistic))]
    return min(1.0, 2 * float(tail)), int(np.searchsorted(at_most, alpha, side="right"))


def _distribution(n: int, m: int) -> Floats:
    """Return the probability of every U from 0 to ``n m``: the largest value of all belongs to either arm."""
    row = [np.ones(1) for _ in range(m + 1)]
    for i in range(1, n + 1):
        new = [np.ones(1)]
        for j in range(1, m + 1):
            found = np.zeros(i * j + 1)
            found[j:] += i / (i + j) * row[j]
            found[: i * (j - 1) + 1] += j / (i + j) * new[j - 1]
            new.append(found)
        row = new
    return row[m]


def _normal(statistic: float, c: Floats, b: Floats, alpha: float) -> tuple[float, int]:
    """Return the p-value and the critical ``k`` as :func:`_exact` does, by the normal approximation."""
    n = c.size + b.size
    _, ties = np.unique(np.concatenate([c, b]), return_counts=True)
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (n * (n - 1))
    middle, sd = c.size * b.size / 2, math.sqrt(c.size * b.size / 12 * (n + 1 - tied))
    if sd == 0:
        return 1.0, 0
    z = max(abs(statistic - middle) - 0.5, 0.0) / sd
    return min(1.0, 2 * float(ndtr(-z))), max(0, math.floor(middle + 0.5 + float(ndtri(alpha)) * sd))


def _shift_limits(c: Floats, b: Floats, critical: int) -> Limits:
    """Return the ``critical``-th smallest and largest difference; none where too few items can reach the level."""
    if critical == 0:
        return -math.inf, math.inf
    return _difference(c, b, critical), _difference(c, b, c.size * b.size + 1 - critical)


def _difference(c: Floats, b: Floats, k: int) -> float:
    """Return the ``k``-th smallest of all differences of two sorted arms, without making them all."""
    low, high = float(c[0] - b[-1]), float(c[-1] - b[0])
    if k == 1:
        return low
    # The k-th smallest lies in (low, high]: a difference is at most x where the baseline is at least c - x.
    while low < (middle := (low + high) / 2) < high:
        at_most = c.size * b.size - int(np.searchsorted(b, c - middle, side="left").sum())
        low, high = (low, middle) if at_most >= k else (middle, high)
    place = np.searchsorted(b, c - high, side="left")
    near = np.concatenate([c - b[np.clip(place - step, 0, b.size - 1)] for step in (0, 1)])
    return float(near[np.argmin(np.abs(near - high))])


def _superiority(wins: Floats, losses: Floats, alpha: float) -> tuple[float, Limits]:
    """Return the standard error and the limits of the probability that the candidate is larger."""
    n, m = wins.size, losses.size
    theta = float(wins.sum()) / (n * m)
    parts = (float(wins.var(ddof=1)) / (m * m * n), float(losses.var(ddof=1)) / (n * n * m))
    se = math.sqrt(sum(parts))
    half = 0.0
    if se > 0:
        df = sum(parts) ** 2 / (parts[0] ** 2 / (n - 1) + parts[1] ** 2 / (m - 1))
        half = student(alpha, df) * se
    low = min(theta - half, _newcombe_5(theta, n, m, alpha))
    high = max(theta + half, 1 - _newcombe_5(1 - theta, n, m, alpha))
    return se, (max(low, 0.0), min(high, 1.0))


def _newcombe_5(theta: float, n: int, m: int, alpha: float) -> float:
    """Return the lower limit: the smallest probability that is not too far below what was seen."""
    z, more = -float(ndtri(alpha)), (n + m) / 2 - 1
    low, high = 0.0, theta
    while low < (middle := (low + high) / 2) < high:
        variance = middle * (1 - middle) / (n * m) * (1 + more * ((1 - middle) / (2 - middle) + middle / (1 + middle)))
        low, high = (middle, high) if theta - middle > z * math.sqrt(variance) else (low, middle)
    return high
