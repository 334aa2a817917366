"""Intervals for one mean: Wilson and Clopper-Pearson for counts, Wilson(n_eff) for item means, t without bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

from headgate.errors import StatisticsError
from headgate.stats.clusters import Spread, spread
from headgate.stats.estimate import Estimate
from headgate.stats.items import as_items
from headgate.stats.seeds import SeedNoise, by_item, noise_spread
from headgate.stats.sums import steady_mean
from headgate.stats.values import UNIT, Bounds, Floats, Ints, Numbers, as_alpha, as_bounds, as_rows

Limits = tuple[float, float]
Target = Literal["population", "suite"]
ROUNDING: Final = 1e-9
"""Differences below this, on the scale of 0 to 1, are rounding of item means."""
FEW: Final = 10
"""Fewer items than this off the bound: they say too little about their own spread."""


def wilson(successes: float, n: float, *, confidence: float = 0.95) -> Limits:
    """Return Wilson's score interval for a proportion.

    Parameters
    ----------
    successes, n : float
        Successes in ``n`` independent rows.

    Notes
    -----
    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference.

    Examples
    --------
    >>> low, high = wilson(8, 10)
    >>> round(low, 6), round(high, 6)
    (0.490162, 0.943318)
    """
    _count(successes, n)
    z = -float(ndtri(as_alpha(confidence)))
    return wilson_limits(successes / n, z * z / n)


def clopper_pearson(successes: float, n: float, *, confidence: float = 0.95) -> Limits:
    """Return Clopper and Pearson's exact interval for a proportion; it never covers less than declared.

    Examples
    --------
    >>> low, high = clopper_pearson(20, 20, confidence=0.9)
    >>> round(low, 6) == round(0.05 ** (1 / 20), 6), high
    (True, 1.0)
    """
    _count(successes, n)
    return exact_limits(successes / n, n, as_alpha(confidence))


def mean_interval(
    values: ArrayLike,
    *,
    items: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    bounds: Bounds | None = UNIT,
    confidence: float = 0.95,
    threshold: bool = False,
    target: Target = "population",
) -> Estimate:
    """Estimate the mean over items, with an interval that holds with seeds, clusters and ceilings.

    Parameters
    ----------
    values : array_like, shape (n_rows,)
        Scores.
    items : array_like, shape (n_rows,), optional
        The item of each row; rows of one item (its seeds) are averaged first. Default: each row is an item.
    cluster : array_like, shape (n_rows,), optional
        Groups of items that are not independent.
    bounds : tuple of float or None
        Smallest and largest possible value; None: unbounded, and the interval is Student's.
    confidence : float
        Two-sided level.
    threshold : bool
        The limits will be held against an absolute threshold: they are then the envelope of Wilson's and the exact
        ones, and where fewer than 10 items are off the bound, seeds do not count as more than items.
    target : str
        ``population``: the items are a sample, and others like them are meant. ``suite``: exactly these items are
        meant, so that only their seeds are a sample and clusters say nothing.

    Returns
    -------
    Estimate
        One item has no standard error: the limits are then the bounds.

    Raises
    ------
    StatisticsError
        If a value is not finite or outside the bounds; the message names its index. If the target is the suite and an
        item has one seed.

    Notes
    -----
    Effective size ``n_eff = p (1 - p) / se^2`` after Korn and Graubard (1998), adjusted for the degrees of freedom,
    in Wilson's interval. Where most clusters are perfect and fewer than 10 are not, these cannot tell how alike the
    items of a cluster are, and clusters count in place of items. For a suite, the standard error is that of the seeds
    within items; where fewer than 5 items show any seed noise (and not all do), too little is known of it, and the
    limits are those of the population, which are wider.

    Examples
    --------
    >>> estimate = mean_interval([1] * 45 + [0] * 5)
    >>> round(estimate.low, 4), round(estimate.high, 4)
    (0.7813, 0.9577)
    """
    rows = as_rows(values, bounds=bounds)
    (means,), groups = as_items((rows,), items=items, cluster=cluster)
    limits = MeanLimits.of(
        means,
        cluster=groups,
        bounds=bounds,
        n_rows=binary_rows(rows, bounds),
        threshold=threshold,
        within=seed_noise(rows, items) if is_suite(target) else None,
    )
    low, high = limits.at(as_alpha(confidence))
    return Estimate(
        value=limits.spread.mean,
        low=low,
        high=high,
        se=limits.spread.se,
        n_items=means.size,
        n_clusters=None if groups is None else int(groups.max()) + 1,
        confidence=confidence,
        method=limits.method,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLimits:
    """What the limits of one mean need, at any level: made once, asked often.

    Attributes
    ----------
    spread : Spread
        Mean and standard error, in the units of the metric.
    n_eff : float
        Effective size on the scale of 0 to 1; nan for unbounded metrics.
    bounds : tuple of float or None
        The metric's bounds.
    threshold : bool
        The limits are held against an absolute threshold; see :func:`mean_interval`.
    suite : bool
        The items are fixed, and only their seeds are a sample.
    """

    spread: Spread
    n_eff: float
    bounds: Bounds | None
    threshold: bool = False
    suite: bool = False

    @classmethod
    def of(
        cls,
        means: Floats,
        *,
        cluster: Ints | None = None,
        bounds: Bounds | None = UNIT,
        n_rows: int | None = None,
        threshold: bool = False,
        within: SeedNoise | None = None,
    ) -> MeanLimits:
        """Summarise item means.

        ``n_rows`` is given for binary scores and bounds the effective size; ``within`` where the items are fixed.
        """
        suite = within is not None and within.known
        whole = noise_spread(steady_mean(means), (within,)) if within is not None and suite else spread(means, cluster)
        if bounds is None:
            return cls(spread=whole, n_eff=math.nan, bounds=None, suite=suite)
        low, high = as_bounds(bounds)
        unit = (means - low) / (high - low)
        n_eff = size_of(whole, (low, high)) if suite else effective_size(unit, cluster, n_rows=n_rows)
        off_bound = min(np.count_nonzero(unit < 1), np.count_nonzero(unit > 0))
        if threshold and off_bound < FEW:
            n_eff = min(n_eff, float(means.size))
        return cls(spread=whole, n_eff=n_eff, bounds=(low, high), threshold=threshold, suite=suite)

    @property
    def method(self) -> str:
        """Name of the method."""
        name = "Wilson + Clopper-Pearson(n_eff)" if self.threshold else "Wilson(n_eff)"
        name = "t" if self.bounds is None else name
        return f"{name} of seeds" if self.suite else name

    @property
    def value(self) -> float:
        """The mean."""
        return self.spread.mean

    def scaled(self, factor: float) -> MeanLimits:
        """Return the limits that ``factor`` times as many items like these would have."""
        return replace(self, spread=self.spread.scaled(factor), n_eff=self.n_eff * factor)

    def at(self, alpha: float) -> Limits:
        """Return both one-sided limits at level ``alpha``."""
        if not self.spread.known:
            return (-math.inf, math.inf) if self.bounds is None else self.bounds
        t = student(alpha, self.spread.df)
        if self.bounds is None:
            return self.spread.mean - t * self.spread.se, self.spread.mean + t * self.spread.se
        low, high = self.bounds
        share = (self.spread.mean - low) / (high - low)
        below, above = wilson_limits(share, t * t / self.n_eff)
        if self.threshold:
            exact = exact_limits(share, self._exact_size(share, alpha, t), alpha)
            below, above = min(below, exact[0]), max(above, exact[1])
        return low + (high - low) * below, low + (high - low) * above

    def _exact_size(self, share: float, alpha: float, t: float) -> float:
        """Return the size for the exact limits; where every item stands at the bound, no variance was estimated."""
        if share in {0.0, 1.0} or t == 0:
            return self.n_eff
        return self.n_eff * (float(ndtri(alpha)) / t) ** 2


def effective_size(unit: Floats, cluster: Ints | None, *, n_rows: int | None) -> float:
    """Return ``p (1 - p) / se^2`` of item means on the scale of 0 to 1; the units themselves where nothing varies."""
    found = spread(unit, cluster)
    if not found.known or found.se < ROUNDING:
        return found.units
    n_eff = found.mean * (1 - found.mean) / found.se**2
    if cluster is not None and _few_tell(unit, cluster):
        n_eff = min(n_eff, found.units)
    if n_rows is None:
        return n_eff
    # Seeds that never disagree are one answer, however often it was asked.
    most = unit.size if bool(np.isin(unit, (0.0, 1.0)).all()) else n_rows
    return min(n_eff, float(most))


def size_of(found: Spread, bounds: Bounds) -> float:
    """Return ``p (1 - p) / se^2`` of a mean within bounds."""
    return (found.mean - bounds[0]) * (bounds[1] - found.mean) / found.se**2


def is_suite(target: Target) -> bool:
    """Tell whether exactly these items are meant; refuse a target that is none."""
    if target not in {"population", "suite"}:
        raise StatisticsError(f"target {target!r} is neither 'population' nor 'suite'")
    return target == "suite"


def seed_noise(rows: Numbers, items: ArrayLike | None) -> SeedNoise:
    """Return the noise of the seeds of each item, in the order of their means; refuse an item of one seed."""
    noise = by_item(rows, np.arange(rows.size) if items is None else items)[2]
    noise.sampling()
    return noise


def _few_tell(unit: Floats, cluster: Ints) -> bool:
    """Tell whether so many clusters are perfect that the others cannot say how alike the items of a cluster are."""
    clusters = int(cluster.max()) + 1
    off = min(np.unique(cluster[unit < 1]).size, np.unique(cluster[unit > 0]).size)
    return clusters < unit.size and off < min(FEW, clusters / 2)


def exact_limits(p: float, n: float, alpha: float) -> Limits:
    """Return Clopper and Pearson's limits, each at level ``alpha``; ``n`` need not be whole."""
    hits, misses = p * n, (1 - p) * n
    low = 0.0 if hits <= 0 else float(betaincinv(hits, misses + 1, alpha))
    high = 1.0 if misses <= 0 else float(betaincinv(hits + 1, misses, 1 - alpha))
    return low, high


def wilson_limits(p: float, k: float) -> Limits:
    """Return Wilson's limits for a share ``p``, where ``k`` is the squared quantile over the size."""
    p = min(max(p, 0.0), 1.0)
    centre = (p + k / 2) / (1 + k)
    half = math.sqrt(k * (p * (1 - p) + k / 4)) / (1 + k)
    return (0.0 if p == 0 else centre - half), (1.0 if p == 1 else centre + half)


def student(alpha: float, df: float) -> float:
    """Return the upper one-sided Student quantile."""
    return -float(stdtrit(df, alpha))


def binary_rows(rows: Numbers, bounds: Bounds | None) -> int | None:
    """Return the number of rows if every row stands at a bound, else None."""
    if bounds is None:
        return None
    return rows.size if bool(((rows == bounds[0]) | (rows == bounds[1])).all()) else None


def _count(successes: float, n: float) -> None:
    if not (math.isfinite(n) and n > 0 and 0 <= successes <= n):
        raise StatisticsError(f"{successes} successes of {n} is no proportion")
