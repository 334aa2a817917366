"""Intervals for quantiles: distribution-free for one, and for the ratio of two arms on the same items."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, bdtrc

from headgate.stats.bootstrap import as_resamples, quantile_rank
from headgate.stats.estimate import Estimate
from headgate.stats.items import cluster_of_items
from headgate.stats.paired import as_positive_arms
from headgate.stats.resample import FEWEST, as_replicates, check_units
from headgate.stats.values import Floats, Ints, as_alpha, as_labels, as_values
from headgate.stats.weights import SharedWeights, content_order, fitting_block

_BEYOND: Final = 2.5  # units that are expected beyond a quantile, for a bootstrap of it: p95 of 50


def quantile_interval(values: ArrayLike, q: float, *, confidence: float = 0.95) -> Estimate:
    """Estimate a quantile with limits that are values of the sample and hold for any distribution.

    Parameters
    ----------
    values : array_like, shape (n_items,)
        One value per independent item.
    q : float
        Which quantile, between 0 and 1; it is the value of rank ``ceil(q n)``.
    confidence : float
        Two-sided level; each limit holds at ``(1 - confidence) / 2``.

    Returns
    -------
    Estimate
        A limit is infinite where no value of the sample is sure enough: the upper one of p95 for fewer than 59 items
        at ``confidence=0.9``. There is no standard error, and ``se`` is nan.

    Raises
    ------
    StatisticsError
        If a value is not finite, or ``q`` is not between 0 and 1.

    Notes
    -----
    As many values lie below the quantile as a binomial count says; W. R. Thompson (1936), On confidence ranges for the
    median and other expectation distributions. With ties the interval covers more, never less.

    Examples
    --------
    >>> estimate = quantile_interval(range(1, 101), 0.5)
    >>> estimate.value, estimate.low, estimate.high
    (50.0, 40.0, 61.0)
    >>> quantile_interval(range(58), 0.95, confidence=0.9).high, quantile_interval(range(59), 0.95, confidence=0.9).high
    (inf, 58.0)
    """
    rows, alpha = as_values(values), as_alpha(confidence)
    n = rows.size
    rank = quantile_rank(n, q)
    below = bisect_left(range(1, n + 1), True, key=lambda k: float(bdtr(k - 1, n, q)) > alpha)
    above = bisect_left(range(1, n + 1), True, key=lambda k: float(bdtrc(k - 1, n, q)) <= alpha)
    ordered = np.sort(rows)
    return Estimate(
        value=float(ordered[rank - 1]),
        low=float(ordered[below - 1]) if below else -math.inf,
        high=float(ordered[above]) if above < n else math.inf,
        se=math.nan,
        n_items=n,
        n_clusters=None,
        confidence=confidence,
        method="order statistics",
    )


def quantile_ratio_interval(
    candidate: ArrayLike,
    baseline: ArrayLike,
    q: float,
    *,
    items: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    threads: int = 1,
) -> Estimate:
    """Estimate the ratio of a quantile of two arms, candidate / baseline, such as that of p95 latencies.

    Parameters
    ----------
    candidate, baseline : array_like, shape (n_rows,)
        Positive values; row j of both arms belongs to the same item.
    q : float
        Which quantile of the rows, between 0 and 1.
    items : array_like, shape (n_rows,), optional
        The item of each row; the rows of an item are drawn together, and not averaged: the mean of slow and fast
        calls is no call. Default: each row is an item.
    cluster : array_like, shape (n_rows,), optional
        Groups of items that are not independent; whole clusters are drawn.
    confidence : float
        Two-sided level.
    resamples, seed, threads
        As for :func:`headgate.stats.resample_means`.

    Returns
    -------
    Estimate
        The ratio; its standard error is that of the logarithm.

    Raises
    ------
    StatisticsError
        If a value is not finite or not above 0, there are fewer than 50 independent units or than 2.5 expected beyond
        the quantile (p99 needs 250), or ties make the ratio the same in every resample.

    Notes
    -----
    Percentile bootstrap of the log ratio; both arms share the weights of a resample.

    Examples
    --------
    >>> item = np.arange(200)
    >>> estimate = quantile_ratio_interval(1.2 + item % 100, 1 + item % 100, 0.5)
    >>> round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)
    (1.004, 1.004, 1.005)
    """
    quantile_rank(1, q)
    arms = as_positive_arms(candidate, baseline)
    unit, n_items = _units(arms[0].size, items, cluster)
    sizes = np.bincount(unit)
    check_units(sizes.astype(np.float64), max(FEWEST, math.ceil(_BEYOND / min(q, 1 - q) * (1 - 1e-12))))
    place = np.empty(sizes.size, dtype=np.int64)
    place[content_order(np.column_stack(arms), unit)] = np.arange(sizes.size)
    sorted_arms = [_SortedArm.of(rows, place[unit]) for rows in arms]
    weights = SharedWeights(n_units=sizes.size, seed=seed, block=fitting_block(arms[0].size), threads=threads)

    def log_ratio(block: Floats) -> Floats:
        c, b = (arm.quantile(q, block) for arm in sorted_arms)
        return np.log(c) - np.log(b)

    value = float(log_ratio(np.ones((1, sizes.size)))[0])
    replicates = as_replicates(value, weights.apply(log_ratio, start=0, stop=as_resamples(resamples)))
    alpha = as_alpha(confidence)
    low, high = np.exp(np.quantile(replicates, [alpha, 1 - alpha]))
    return Estimate(
        value=math.exp(value),
        low=float(low),
        high=float(high),
        se=float(replicates.std()),
        n_items=n_items,
        n_clusters=None if cluster is None else sizes.size,
        confidence=confidence,
        method="percentile bootstrap of log ratio",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _SortedArm:
    """Values in order, and the unit of each."""

    values: Floats
    unit: Ints

    @classmethod
    def of(cls, values: Floats, unit: Ints) -> _SortedArm:
        order = np.argsort(values, kind="stable")
        return cls(values=values[order], unit=unit[order])

    def quantile(self, q: float, weights: Floats) -> Floats:
        """Return the quantile in each resample: the first value whose rank reaches it."""
        reached = np.cumsum(weights[:, self.unit], axis=1)
        rank = np.ceil(q * reached[:, -1:] * (1 - 1e-12))
        found: Floats = self.values[np.count_nonzero(reached < rank, axis=1)]
        return found


def _units(n_rows: int, items: ArrayLike | None, cluster: ArrayLike | None) -> tuple[Ints, int]:
    """Return the unit of each row, its cluster or else its item, and the number of items."""
    codes = np.arange(n_rows) if items is None else as_labels(items, length=n_rows, name="items")[1]
    n_items = int(codes.max()) + 1
    if cluster is None:
        return codes, n_items
    return cluster_of_items(cluster, codes, n_items=n_items)[codes], n_items
