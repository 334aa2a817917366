"""Intervals for the difference of two independent arms, such as canary traffic, that share no items."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from headgate.stats.clusters import Spread
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import Limits, MeanLimits, binary_rows, student, wilson
from headgate.stats.items import as_items
from headgate.stats.values import UNIT, Bounds, as_alpha, as_values


def newcombe_interval(
    successes_c: float, n_c: float, successes_b: float, n_b: float, *, confidence: float = 0.95
) -> Limits:
    """Return Newcombe's interval for the difference of two independent proportions, candidate - baseline.

    Parameters
    ----------
    successes_c, n_c, successes_b, n_b : float
        Successes among so many independent rows of the candidate, and of the baseline.
    confidence : float
        Two-sided level.

    Returns
    -------
    tuple of float
        Lower and upper limit, on the scale of -1 to 1.

    Raises
    ------
    StatisticsError
        If a pair of counts is no proportion.

    Notes
    -----
    R. G. Newcombe (1998), Interval estimation for the difference between independent proportions, method 10.

    Examples
    --------
    >>> low, high = newcombe_interval(56, 70, 48, 80)
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    limits_c = wilson(successes_c, n_c, confidence=confidence)
    limits_b = wilson(successes_b, n_b, confidence=confidence)
    return _mover(successes_c / n_c, limits_c, successes_b / n_b, limits_b)


def unpaired_interval(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    candidate_items: ArrayLike | None = None,
    baseline_items: ArrayLike | None = None,
    candidate_cluster: ArrayLike | None = None,
    baseline_cluster: ArrayLike | None = None,
    bounds: Bounds | None = UNIT,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate candidate - baseline of two arms that share no items.

    Arms that answered the same items belong in :func:`headgate.stats.paired_interval`, which needs far fewer of them.

    Parameters
    ----------
    candidate : array_like, shape (n_rows_c,)
        Scores of the candidate.
    baseline : array_like, shape (n_rows_b,)
        Scores of the baseline.
    candidate_items, baseline_items : array_like, optional
        The item of each row of the arm; rows of one item (its seeds) are averaged first. Default: each row is an item.
    candidate_cluster, baseline_cluster : array_like, optional
        Groups of items of the arm that are not independent.
    bounds : tuple of float or None
        Smallest and largest possible score; None: unbounded, and the interval is Welch's.
    confidence : float
        Two-sided level.

    Returns
    -------
    Estimate
        The difference; ``n_items`` and ``n_clusters`` count both arms. An arm of one item has no standard error: the
        limits are then the widest.

    Raises
    ------
    StatisticsError
        If a value is not finite or outside the bounds; the message names its arm and its index.

    Notes
    -----
    The envelope of Welch's interval and the MOVER interval of Newcombe (1998, method 10) with effective sizes, as for
    paired arms.

    Examples
    --------
    >>> estimate = unpaired_interval([1] * 80 + [0] * 20, [1] * 90 + [0] * 10)
    >>> round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)
    (-0.1, -0.201, 0.002)
    """
    arm_c, n_c, clusters_c = _arm(candidate, candidate_items, candidate_cluster, bounds=bounds, name="candidate")
    arm_b, n_b, clusters_b = _arm(baseline, baseline_items, baseline_cluster, bounds=bounds, name="baseline")
    limits = UnpairedLimits(candidate=arm_c, baseline=arm_b)
    low, high = limits.at(as_alpha(confidence))
    clustered = candidate_cluster is not None or baseline_cluster is not None
    return Estimate(
        value=limits.value,
        low=low,
        high=high,
        se=limits.spread.se,
        n_items=n_c + n_b,
        n_clusters=clusters_c + clusters_b if clustered else None,
        confidence=confidence,
        method=limits.method,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpairedLimits:
    """What the limits of a difference of independent arms need, at any level: made once, asked often.

    Attributes
    ----------
    candidate, baseline : MeanLimits
        The arms, with the same bounds.
    """

    candidate: MeanLimits
    baseline: MeanLimits

    @property
    def method(self) -> str:
        """Name of the method."""
        return "Welch t" if self.candidate.bounds is None else "Welch t + MOVER-Wilson(n_eff)"

    @property
    def value(self) -> float:
        """The difference of the means."""
        return self.candidate.value - self.baseline.value

    @property
    def spread(self) -> Spread:
        """The difference, its standard error with Welch's degrees of freedom, and the units of the smaller arm."""
        c, b = self.candidate.spread, self.baseline.spread
        se, units = math.hypot(c.se, b.se), min(c.units, b.units)
        df = se**4 / (c.se**4 / c.df + b.se**4 / b.df) if se > 0 else c.df + b.df
        return Spread(mean=self.value, se=se, df=df, units=units)

    def scaled(self, factor: float) -> UnpairedLimits:
        """Return the limits that ``factor`` times as many items like these would have in both arms."""
        return UnpairedLimits(candidate=self.candidate.scaled(factor), baseline=self.baseline.scaled(factor))

    def at(self, alpha: float) -> Limits:
        """Return both one-sided limits at level ``alpha``."""
        spread, bounds = self.spread, self.candidate.bounds
        scale = math.inf if bounds is None else bounds[1] - bounds[0]
        if not spread.known:
            return -scale, scale
        half = student(alpha, spread.df) * spread.se
        low, high = spread.mean - half, spread.mean + half
        if bounds is None:
            return low, high
        c, b = self.candidate, self.baseline
        below, above = _mover(c.value, c.at(alpha), b.value, b.at(alpha))
        return max(min(low, below), -scale), min(max(high, above), scale)


def _arm(
    values: ArrayLike, items: ArrayLike | None, cluster: ArrayLike | None, *, bounds: Bounds | None, name: str
) -> tuple[MeanLimits, int, int]:
    """Return the limits of one arm, its items, and its independent groups of them."""
    rows = as_values(values, bounds=bounds, name=name)
    (means,), groups = as_items((rows,), items=items, cluster=cluster)
    limits = MeanLimits.of(means, cluster=groups, bounds=bounds, n_rows=binary_rows(rows, bounds))
    return limits, means.size, means.size if groups is None else int(groups.max()) + 1


def _mover(c: float, limits_c: Limits, b: float, limits_b: Limits) -> Limits:
    """Combine the limits of independent estimates into those of ``c - b``."""
    (low_c, high_c), (low_b, high_b) = limits_c, limits_b
    return c - b - math.hypot(c - low_c, high_b - b), c - b + math.hypot(high_c - c, b - low_b)
