"""Intervals for the difference of two arms on the same items."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, bdtrc

from headgate.errors import StatisticsError
from headgate.stats.clusters import Spread, cluster_means, is_flat, spread
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import (
    ROUNDING,
    Limits,
    Target,
    binary_rows,
    effective_size,
    is_suite,
    seed_noise,
    size_of,
    student,
    wilson_limits,
)
from headgate.stats.items import as_items
from headgate.stats.seeds import SeedNoise, noise_spread
from headgate.stats.sums import steady_mean, steady_square, steady_sum
from headgate.stats.values import UNIT, Bounds, Floats, Ints, Numbers, as_alpha, as_bounds, as_rows

SPARSE: Final = 30
"""Where fewer units than this differ between the arms, their spread alone does not bound what was not seen."""


def paired_interval(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    items: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    bounds: Bounds | None = UNIT,
    confidence: float = 0.95,
    target: Target = "population",
) -> Estimate:
    """Estimate candidate - baseline over items, with an interval that holds at ceilings and for few items.

    Parameters
    ----------
    candidate, baseline : array_like, shape (n_rows,)
        Scores; row j of both arms belongs to the same item.
    items : array_like, shape (n_rows,), optional
        The item of each row; rows of one item (its seeds) are averaged first. Default: each row is an item.
    cluster : array_like, shape (n_rows,), optional
        Groups of items that are not independent.
    bounds : tuple of float or None
        Smallest and largest possible score; None: unbounded, and the interval is the paired t.
    confidence : float
        Two-sided level.
    target : str
        ``population``: the items are a sample, and others like them are meant. ``suite``: exactly these items are
        meant, so that only their seeds are a sample and clusters say nothing.

    Returns
    -------
    Estimate
        The difference. One item has no standard error: the limits are then the widest.

    Raises
    ------
    StatisticsError
        If a value is not finite or outside the bounds (the message names its index), or the arms differ in length.
        If the target is the suite and an item has one seed.

    Notes
    -----
    The envelope of the paired t interval and the MOVER interval of Newcombe (1998, method 10) with effective sizes.
    Where fewer than 30 items differ, the envelope takes in a third: MOVER of the mean gain and the mean loss per item.
    Without it, rare regressions pass because none (or few) of them were seen: at temperature 0 and a baseline of 50 %,
    a true drop of 5 points would pass a margin of 5 points in 36 % of suites of 20 items, and in 19 % of 60.

    For a suite, the standard error is that of the seeds within items, ``sqrt(sum(s_c^2 / K_c + s_b^2 / K_b)) / n``,
    and the arms are independent. Where in an arm fewer than 5 items show any seed noise (and not all do), too little
    is known of it, and the limits are those of the population.

    Examples
    --------
    >>> estimate = paired_interval([1] * 40 + [0] * 10, [1] * 46 + [0] * 4)
    >>> round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)
    (-0.12, -0.243, -0.021)
    """
    ours, theirs = as_arms(candidate, baseline, bounds=bounds)
    (c, b), groups = as_items((ours, theirs), items=items, cluster=cluster)
    rows = (binary_rows(ours, bounds), binary_rows(theirs, bounds))
    within = (seed_noise(ours, items), seed_noise(theirs, items)) if is_suite(target) else None
    limits = PairedLimits.of(c, b, cluster=groups, bounds=bounds, n_rows=rows, within=within)
    low, high = limits.at(as_alpha(confidence))
    return Estimate(
        value=limits.difference.mean,
        low=low,
        high=high,
        se=limits.difference.se,
        n_items=c.size,
        n_clusters=None if groups is None else int(groups.max()) + 1,
        confidence=confidence,
        method=limits.method,
    )


def log_ratio_interval(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    items: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the geometric mean of candidate / baseline over items: Student's interval on the logarithm.

    Parameters
    ----------
    candidate, baseline : array_like, shape (n_rows,)
        Positive values such as latencies; row j of both arms belongs to the same item.
    items, cluster, confidence
        As for :func:`paired_interval`.

    Returns
    -------
    Estimate
        The ratio; its standard error is that of the logarithm.

    Raises
    ------
    StatisticsError
        If a value is not finite or not above 0.

    Examples
    --------
    >>> round(log_ratio_interval([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]).value, 3)
    2.289
    """
    ours, theirs = as_positive_arms(candidate, baseline)
    (c, b), groups = as_items((ours, theirs), items=items, cluster=cluster)
    found = paired_interval(np.log(c), np.log(b), cluster=groups, bounds=None, confidence=confidence)
    return Estimate(
        value=math.exp(found.value),
        low=exp(found.low),
        high=exp(found.high),
        se=found.se,
        n_items=found.n_items,
        n_clusters=found.n_clusters,
        confidence=confidence,
        method="t of log ratio",
    )


def mcnemar_mid_p(worse: int, better: int) -> float:
    """Return the one-sided mid-p value of McNemar's test that the candidate is worse.

    Parameters
    ----------
    worse, better : int
        Items on which the candidate alone is wrong, and alone is right.

    Returns
    -------
    float
        ``P(X > worse) + P(X = worse) / 2`` with X binomial(worse + better, 1/2); 1 when no item differs.

    Notes
    -----
    Fagerland, Lydersen and Laake (2013), The McNemar test for binary matched-pairs data.

    Examples
    --------
    >>> mcnemar_mid_p(3, 0), mcnemar_mid_p(4, 0)
    (0.0625, 0.03125)
    """
    n = worse + better
    if n == 0:
        return 1.0
    above = float(bdtrc(worse, n, 0.5)) if worse < n else 0.0
    at_most = float(bdtr(worse, n, 0.5))
    below = float(bdtr(worse - 1, n, 0.5)) if worse else 0.0
    return above + (at_most - below) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A mean on the scale of 0 to 1, and its effective size."""

    mean: float
    n_eff: float

    @classmethod
    def of(cls, unit: Floats, cluster: Ints | None, *, n_rows: int | None = None) -> Share:
        """Summarise item means on the scale of 0 to 1."""
        return cls(mean=steady_mean(unit), n_eff=effective_size(unit, cluster, n_rows=n_rows))

    def scaled(self, factor: float) -> Share:
        """Return what ``factor`` times as many items like these would show."""
        return Share(mean=self.mean, n_eff=self.n_eff * factor)

    def at(self, t: float) -> Limits:
        """Return Wilson's limits at a quantile."""
        return wilson_limits(self.mean, t * t / self.n_eff)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """The difference of two correlated shares: MOVER (method of variance estimates recovery) over Wilson's limits."""

    plus: Share
    minus: Share
    correlation: float

    @classmethod
    def of(
        cls,
        plus: Floats,
        minus: Floats,
        cluster: Ints | None = None,
        n_rows: tuple[int | None, int | None] = (None, None),
    ) -> Contrast:
        """Summarise item means on the scale of 0 to 1."""
        return cls(
            plus=Share.of(plus, cluster, n_rows=n_rows[0]),
            minus=Share.of(minus, cluster, n_rows=n_rows[1]),
            correlation=_correlation(plus, minus, cluster),
        )

    @classmethod
    def of_parts(cls, gain: Floats, cluster: Ints | None = None) -> Contrast:
        """Summarise the gains of items against their losses: rounding is neither."""
        gain = np.where(np.abs(gain) > ROUNDING, gain, 0.0)
        return cls.of(np.maximum(gain, 0), np.maximum(-gain, 0), cluster)

    @property
    def value(self) -> float:
        """The difference."""
        return self.plus.mean - self.minus.mean

    def scaled(self, factor: float) -> Contrast:
        """Return what ``factor`` times as many items like these would show."""
        return Contrast(plus=self.plus.scaled(factor), minus=self.minus.scaled(factor), correlation=self.correlation)

    def at(self, t: float) -> Limits:
        """Return the limits of ``plus - minus`` at a quantile."""
        (l1, u1), (l2, u2) = self.plus.at(t), self.minus.at(t)
        p1, p2 = self.plus.mean, self.minus.mean
        return (
            p1 - p2 - hypotenuse(p1 - l1, u2 - p2, self.correlation),
            p1 - p2 + hypotenuse(u1 - p1, p2 - l2, self.correlation),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedLimits:
    """What the limits of a paired difference need, at any level: made once, asked often.

    Attributes
    ----------
    difference : Spread
        Mean difference and its standard error, in the units of the metric.
    contrasts : tuple of Contrast
        Candidate against baseline, and where few units differ also gain against loss; empty for unbounded metrics.
    scale : float
        Width of the bounds; infinite for unbounded metrics.
    suite : bool
        The items are fixed, and only their seeds are a sample.
    """

    difference: Spread
    contrasts: tuple[Contrast, ...]
    scale: float
    suite: bool = False

    @classmethod
    def of(
        cls,
        candidate: Floats,
        baseline: Floats,
        *,
        cluster: Ints | None = None,
        bounds: Bounds | None = UNIT,
        n_rows: tuple[int | None, int | None] = (None, None),
        within: tuple[SeedNoise, SeedNoise] | None = None,
    ) -> PairedLimits:
        """Summarise the item means of both arms.

        ``n_rows`` of an arm is given where its scores are binary; ``within`` where the items are fixed.
        """
        if within is not None and all(noise.known for noise in within):
            return cls._of_suite(candidate, baseline, within, bounds)
        difference = spread(candidate - baseline, cluster)
        if bounds is None:
            return cls(difference=difference, contrasts=(), scale=math.inf)
        low, high = as_bounds(bounds)
        c, b = (candidate - low) / (high - low), (baseline - low) / (high - low)
        contrasts = [Contrast.of(c, b, cluster, n_rows)]
        if _differing(c, b, cluster) < SPARSE:
            contrasts.append(Contrast.of_parts(c - b, cluster))
        return cls(difference=difference, contrasts=tuple(contrasts), scale=high - low)

    @classmethod
    def _of_suite(
        cls, candidate: Floats, baseline: Floats, within: tuple[SeedNoise, SeedNoise], bounds: Bounds | None
    ) -> PairedLimits:
        difference = noise_spread(steady_mean(candidate - baseline), within)
        if bounds is None:
            return cls(difference=difference, contrasts=(), scale=math.inf, suite=True)
        low, high = as_bounds(bounds)
        plus, minus = (
            Share(mean=(arm.mean - low) / (high - low), n_eff=size_of(arm, (low, high)))
            for arm in (
                noise_spread(steady_mean(means), (noise,))
                for means, noise in zip((candidate, baseline), within, strict=True)
            )
        )
        contrast = Contrast(plus=plus, minus=minus, correlation=0.0)
        return cls(difference=difference, contrasts=(contrast,), scale=high - low, suite=True)

    @property
    def method(self) -> str:
        """Name of the method."""
        name = "t of seeds" if self.suite else "paired t"
        return f"{name} + MOVER-Wilson(n_eff)" if self.contrasts else name

    @property
    def value(self) -> float:
        """The mean difference."""
        return self.difference.mean

    @property
    def spread(self) -> Spread:
        """The mean difference and its standard error."""
        return self.difference

    def scaled(self, factor: float) -> PairedLimits:
        """Return the limits that ``factor`` times as many items like these would have."""
        contrasts = tuple(contrast.scaled(factor) for contrast in self.contrasts)
        return replace(self, difference=self.difference.scaled(factor), contrasts=contrasts)

    def at(self, alpha: float) -> Limits:
        """Return both one-sided limits at level ``alpha``."""
        if not self.difference.known:
            return -self.scale, self.scale
        t = student(alpha, self.difference.df)
        half = t * self.difference.se
        found = [(self.difference.mean - half, self.difference.mean + half)]
        found += [(self.scale * low, self.scale * high) for low, high in (c.at(t) for c in self.contrasts)]
        lows, highs = zip(*found, strict=True)
        return max(min(lows), -self.scale), min(max(highs), self.scale)


def as_arms(candidate: ArrayLike, baseline: ArrayLike, *, bounds: Bounds | None) -> tuple[Numbers, Numbers]:
    """Return both arms as checked vectors of one length."""
    ours = as_rows(candidate, bounds=bounds, name="candidate")
    theirs = as_rows(baseline, bounds=bounds, name="baseline")
    if ours.size != theirs.size:
        raise StatisticsError(f"candidate has {ours.size} values and baseline {theirs.size}; pairs need both")
    return ours, theirs


def as_positive_arms(candidate: ArrayLike, baseline: ArrayLike) -> tuple[Floats, Floats]:
    """Return both arms as checked vectors of one length, all above 0."""
    arms = as_arms(candidate, baseline, bounds=None)
    for name, rows in zip(("candidate", "baseline"), arms, strict=True):
        if (rows <= 0).any():
            index = int(np.argmax(rows <= 0))
            raise StatisticsError(f"{name}[{index}] is {rows[index]:g}; a ratio needs values above 0")
    return arms[0].astype(np.float64, copy=False), arms[1].astype(np.float64, copy=False)


def exp(x: float) -> float:
    """Return e to the x; infinite instead of an overflow."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _correlation(x: Floats, y: Floats, cluster: Ints | None) -> float:
    if cluster is not None:
        x, y = cluster_means(x, cluster), cluster_means(y, cluster)
    if is_flat(x) or is_flat(y):
        return 0.0
    x, y = x - steady_mean(x), y - steady_mean(y)
    return float(np.clip(steady_sum(x * y) / math.sqrt(steady_square(x) * steady_square(y)), -1, 1))


def _differing(x: Floats, y: Floats, cluster: Ints | None) -> int:
    """Count the items, or the clusters, on which two arms differ."""
    different = np.abs(x - y) > ROUNDING
    return int(np.count_nonzero(different)) if cluster is None else np.unique(cluster[different]).size


def hypotenuse(a: float, b: float, correlation: float) -> float:
    """Return the length of ``a - b`` for two distances that are so correlated."""
    return math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0))
