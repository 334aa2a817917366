"""A family of means at once: max-T on shared resamples, which knows how far the means move together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from headgate.stats.intervals import FEW
from headgate.stats.resample import as_columns, check_units, off_common, resample_means
from headgate.stats.values import Floats, Ints, as_alpha, as_labels

Alternative: TypeAlias = Literal["less", "greater", "two-sided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Means, each with what its place in the family does to its p-value and limits.

    Attributes
    ----------
    value, se : ndarray, shape (n_columns,)
        Mean and standard error.
    statistic : ndarray, shape (n_columns,)
        Standard errors from the null hypothesis, in the direction of the alternative.
    p_values : ndarray, shape (n_columns,)
        Adjusted: those at most alpha may be rejected with a family-wise error of alpha.
    low, high : ndarray, shape (n_columns,)
        Limits that hold for all means at once at ``confidence``; infinite on the side that is not asked.
    critical : float
        Standard errors from a mean to its limit.
    confidence : float
        Of one family: that all limits hold.
    """

    value: Floats
    se: Floats
    statistic: Floats
    p_values: Floats
    low: Floats
    high: Floats
    critical: float
    confidence: float


def max_t(
    columns: ArrayLike,
    *,
    null: float = 0.0,
    alternative: Alternative = "less",
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    stage: int = 0,
    threads: int = 1,
) -> Family:
    """Test many means on the same items at once, against the largest deviation in each resample.

    Metrics that move together are corrected for less than by Holm or Bonferroni. For variants against one baseline
    (Dunnett's comparison) the columns are the differences ``variant - baseline``, item by item: the baseline in all of
    them is what correlates them. A slice is a column too, with 0 for the items outside of it.

    Parameters
    ----------
    columns : array_like, shape (n_items, n_columns)
        One row per item, such as the difference of two arms in each metric.
    null : float
        The mean of the null hypothesis; -margin for non-inferiority with ``alternative="greater"``.
    alternative : {"less", "greater", "two-sided"}
        On which side of ``null`` a mean is suspected.
    cluster, resamples, seed, stage, threads
        As for :func:`resample_means`.
    confidence : float
        Of the limits, for the whole family.

    Returns
    -------
    Family
        A column in which fewer than 10 units are off the most common value has a p-value of 1 and infinite limits: a
        bootstrap knows nothing of what it has not seen. :func:`headgate.stats.paired_interval` decides there.

    Raises
    ------
    StatisticsError
        If a value is not finite, or there are fewer than 50 independent units.

    Notes
    -----
    Romano and Wolf (2005), Exact and approximate stepdown methods for multiple hypothesis testing, with each
    resample's own standard error. Where nothing varies in a resample, the observed standard error stands in.

    Examples
    --------
    >>> item = np.arange(200)
    >>> worse, same = np.where(item % 10 == 0, -1.0, 0.0), np.where(item % 20 == 0, -1.0, item % 20 == 1)
    >>> family = max_t(np.column_stack([worse, same]), seed=1)
    >>> bool(family.p_values[0] < 0.001), bool(family.p_values[1] > 0.1)
    (True, True)
    """
    matrix = as_columns(columns)
    alpha = 2 * as_alpha(confidence)
    unit = None if cluster is None else as_labels(cluster, length=len(matrix), name="cluster")[1]
    value = _exact_means(matrix)
    sums, sizes = _unit_sums(matrix - value, unit)
    check_units(sizes)
    telling = np.array([off_common(column) >= FEW for column in (sums / sizes[:, np.newaxis]).T])
    parts = np.column_stack([sums, sums**2, sums * sizes[:, np.newaxis], sizes, sizes**2])
    resampled = resample_means(parts, resamples=resamples, seed=seed, stage=stage, threads=threads)
    _, variance = moments(resampled.observed, units=sizes.size)
    se = np.sqrt(np.maximum(variance, 0.0))
    scale = np.where(telling, se, 1.0)
    moved, variances = moments(resampled.means, units=sizes.size)
    deviations = moved / np.where(variances > 0, np.sqrt(np.maximum(variances, 0.0)), scale)
    statistic = np.where(telling, _directed((value - null) / scale, alternative), 0.0)
    replicates = np.where(telling, _directed(deviations, alternative), -math.inf)
    critical = float(np.quantile(replicates.max(axis=1), 1 - alpha)) if telling.any() else math.inf
    half = np.where(telling, critical * scale, math.inf)
    return Family(
        value=value,
        se=se,
        statistic=statistic,
        p_values=np.where(telling, step_down(statistic, replicates), 1.0),
        low=np.full(value.size, -math.inf) if alternative == "less" else value - half,
        high=np.full(value.size, math.inf) if alternative == "greater" else value + half,
        critical=critical,
        confidence=confidence,
    )


def _exact_means(matrix: Floats) -> Floats:
    """Return the mean of each column; sorted first, so that the order of rows leaves no trace."""
    means: Floats = np.sort(matrix, axis=0).mean(axis=0)
    return means


def _unit_sums(centred: Floats, unit: Ints | None) -> tuple[Floats, Floats]:
    if unit is None:
        return centred, np.ones(len(centred))
    order = np.lexsort((*centred.T, unit))
    sums = np.array([np.bincount(unit[order], weights=column[order]) for column in centred.T], dtype=np.float64)
    return sums.T, np.bincount(unit).astype(np.float64)


def moments(means: Floats, *, units: int) -> tuple[Floats, Floats]:
    """Return mean and variance of the mean, for each column, from means over units.

    Those are of the columns' sums D, of D^2, of D s, and last of the sizes s and of s^2. The variance is that of a
    ratio of sums over G units: ``sum (D - r s)^2 G / (G - 1) / (sum s)^2``.
    """
    n_columns = (means.shape[-1] - 2) // 3
    total, square, cross = (means[..., k * n_columns : (k + 1) * n_columns] for k in range(3))
    size, size_square = means[..., -2:-1], means[..., -1:]
    ratio = total / size
    variance = (square - 2 * ratio * cross + ratio**2 * size_square) / size**2 / (units - 1)
    return ratio, variance


def _directed(deviations: Floats, alternative: Alternative) -> Floats:
    if alternative == "two-sided":
        return np.abs(deviations)
    return -deviations if alternative == "less" else deviations


def step_down(statistic: Floats, replicates: Floats) -> Floats:
    """Return adjusted p-values: each against the largest among itself and those that deviate less."""
    order = np.argsort(-statistic, kind="stable")
    largest = np.maximum.accumulate(replicates[:, order[::-1]], axis=1)[:, ::-1]
    as_large = np.count_nonzero(largest >= statistic[order], axis=0)
    adjusted = np.empty(statistic.size)
    adjusted[order] = np.maximum.accumulate((1 + as_large) / (1 + len(replicates)))
    return adjusted
