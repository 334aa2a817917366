"""The bootstrap of what is no mean: functions of the means of columns, on resamples that all of them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from headgate.errors import StatisticsError
from headgate.stats.bootstrap import Method, as_resamples, bca_levels
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import FEW, Limits
from headgate.stats.values import Floats, Ints, as_alpha, as_labels, as_values
from headgate.stats.weights import SharedWeights, content_order

Statistic: TypeAlias = Callable[[Floats], Floats]

FEWEST: Final = 50
"""Fewer independent units than this are too few for a bootstrap."""
MOST: Final = 160_000
"""Resamples after which an adaptive limit stays as it is, unless told otherwise."""
_BITS: Final = 30  # of a value on the grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What each independent unit adds to the sum of each column, on a grid so coarse that no sum is ever rounded.

    Attributes
    ----------
    sums : ndarray, shape (n_units, n_columns + 1)
        Whole numbers; the last column counts the rows of a unit.
    offset, step : ndarray, shape (n_columns,)
        Where the grid of a column begins, and the width of its cells: 2^-30 of the column's range, or more where
        there are so many rows that sums would not fit.
    """

    sums: Floats
    offset: Floats
    step: Floats

    @classmethod
    def of(cls, columns: Floats, unit: Ints | None) -> Units:
        """Sum the rows of each unit; None: each row is one."""
        sizes = np.ones(len(columns)) if unit is None else np.bincount(unit).astype(np.float64)
        most = int(sizes.size * sizes.max())  # rows that a resample can hold
        low, high = columns.min(axis=0), columns.max(axis=0)
        offset = low + (high - low) / 2
        half = np.maximum(high - offset, offset - low)
        step = np.where(half > 0, half, 1.0) / 2 ** min(_BITS, 52 - most.bit_length())
        snapped = np.rint((columns - offset) / step)
        if unit is not None:
            snapped = np.array([np.bincount(unit, weights=column) for column in snapped.T], dtype=np.float64).T
        sums = np.column_stack([snapped, sizes])[content_order(columns, unit)]
        return cls(sums=sums, offset=offset, step=step)

    def means(self, sums: Floats) -> Floats:
        """Return the means that belong to sums over units, shape (n, n_columns + 1)."""
        return self.offset + self.step * (sums[:, :-1] / sums[:, -1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """Means of columns: as observed, and in each resample.

    Attributes
    ----------
    observed : ndarray, shape (n_columns,)
        Mean over all rows.
    means : ndarray, shape (n_resamples, n_columns)
        The same resample in one row: columns keep their correlation.
    """

    observed: Floats
    means: Floats
    units: Units
    weights: SharedWeights
    n_items: int
    n_clusters: int | None

    def extended(self, resamples: int) -> Resampled:
        """Return this with as many resamples in all; the first ones stay as they are."""
        more = _drawn(self.units, self.weights, start=len(self.means), stop=as_resamples(resamples))
        return replace(self, means=np.concatenate([self.means, more]))

    def without(self) -> Floats:
        """Return the means without each unit in turn, shape (n_units, n_columns)."""
        return self.units.means(self.units.sums.sum(axis=0) - self.units.sums)

    def interval(self, statistic: Statistic, *, confidence: float = 0.95, method: Method = "percentile") -> Estimate:
        """Estimate a function of the means.

        Parameters
        ----------
        statistic : callable
            Means, shape (..., n_columns), to values of shape (...): such as :func:`f1_score`.
        confidence : float
            Two-sided level.
        method : {"percentile", "bca"}
            BCa asks for 100 units and a value that is not near a bound.

        Returns
        -------
        Estimate
            ``se`` is the standard deviation over resamples.

        Raises
        ------
        StatisticsError
            If there are fewer than 50 units (clusters count by what they weigh), fewer than 10 of them move the
            statistic otherwise than most do (at a ceiling a bootstrap is sure of what it cannot know), or the
            statistic is not finite in some resample, or the same in all of them.

        Examples
        --------
        >>> right = np.arange(200) % 10 < 8
        >>> resampled = resample_means(np.column_stack([right, np.ones(200)]), seed=1)
        >>> print(resampled.interval(mean_ratio))
        0.8 [0.745, 0.855] (95 %, 200 items, percentile bootstrap)
        """
        alpha = as_alpha(confidence)
        value, replicates = self.values(statistic)
        low, high = (alpha, 1 - alpha) if method == "percentile" else self._bca(statistic, value, replicates, alpha)
        return Estimate(
            value=value,
            low=float(np.quantile(replicates, low)),
            high=float(np.quantile(replicates, high)),
            se=float(replicates.std()),
            n_items=self.n_items,
            n_clusters=self.n_clusters,
            confidence=confidence,
            method=f"{method} bootstrap",
        )

    def values(self, statistic: Statistic) -> tuple[float, Floats]:
        """Return a statistic as observed, and in each resample; raise StatisticsError as :meth:`interval` does."""
        check_units(self.units.sums[:, -1])
        with np.errstate(all="ignore"):  # what is not finite is refused below
            found = np.asarray(statistic(np.vstack([self.observed, self.means])), dtype=np.float64)
            left_out = np.asarray(statistic(self.without()), dtype=np.float64)
        if found.shape != (1 + len(self.means),):
            raise StatisticsError(f"the statistic has shape {found.shape} for {1 + len(self.means)} rows of means")
        value, replicates = float(found[0]), as_replicates(float(found[0]), found[1:])
        if np.isfinite(left_out).all() and (few := off_common(left_out)) < FEW:
            raise StatisticsError(
                f"only {few} of {left_out.size} units differ in what they do to the statistic; a bootstrap needs "
                f"{FEW}, as it knows nothing of what it has not seen"
            )
        return value, replicates

    def _bca(self, statistic: Statistic, value: float, replicates: Floats, alpha: float) -> Limits:
        """Return the levels of BCa: bias from the resamples, acceleration from leaving out each unit in turn."""
        below = (np.count_nonzero(replicates < value) + np.count_nonzero(replicates <= value)) / 2 / replicates.size
        if not 0 < below < 1:
            raise StatisticsError("all resamples lie on one side of the estimate; BCa has no limits there")
        left_out = statistic(self.without())
        deviations = left_out.mean() - left_out
        squares = float(deviations @ deviations)
        acceleration = 0.0 if squares == 0 else float((deviations**3).sum()) / (6 * squares**1.5)
        return bca_levels(alpha, z0=float(ndtri(below)), acceleration=acceleration)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveLimit:
    """A limit with its own error, which comes from drawing resamples and not from the data.

    Attributes
    ----------
    value : float
        The limit.
    low, high : float
        Where the limit of infinitely many resamples lies, three standard deviations to both sides.
    resamples : int
        How many it took.
    settled : bool
        Whether the decision point lies outside of ``low`` to ``high``: no other seed would decide otherwise.
    """

    value: float
    low: float
    high: float
    resamples: int
    settled: bool


def resample_means(
    columns: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    stage: int = 0,
    block: int | None = None,
    threads: int = 1,
) -> Resampled:
    """Return the means of columns in many resamples of independent units.

    All metrics, variants and slices that are columns share the weights: a matrix product does the work, and what
    depends on several of them keeps their correlation.

    Parameters
    ----------
    columns : array_like, shape (n_items,) or (n_items, n_columns)
        One row per item: values, masks of slices, indicator columns.
    cluster : array_like, shape (n_items,), optional
        Groups of items that are not independent. Whole clusters are drawn, and nothing within: drawing items or seeds
        again inside of what was drawn counts their noise twice.
    resamples : int
        How many.
    seed, stage, block, threads
        As for :class:`SharedWeights`. Block and threads change the speed and not one bit of the result, nor does the
        order of rows.

    Returns
    -------
    Resampled
        ``observed``, ``means``, and ``interval(statistic)``.

    Raises
    ------
    StatisticsError
        If a value is not finite (the message names column and row), or a length or a number is wrong.

    Examples
    --------
    >>> resampled = resample_means([[0, 1], [1, 1], [1, 0], [0, 0]], resamples=3)
    >>> resampled.observed, resampled.means.shape
    (array([0.5, 0.5]), (3, 2))
    """
    matrix = as_columns(columns)
    unit = None if cluster is None else as_labels(cluster, length=len(matrix), name="cluster")[1]
    units = Units.of(matrix, unit)
    weights = SharedWeights(n_units=len(units.sums), seed=seed, stage=stage, block=block, threads=threads)
    return Resampled(
        observed=units.means(units.sums.sum(axis=0, keepdims=True))[0],
        means=_drawn(units, weights, start=0, stop=as_resamples(resamples)),
        units=units,
        weights=weights,
        n_items=len(matrix),
        n_clusters=None if unit is None else len(units.sums),
    )


def adaptive_limit(
    resampled: Resampled,
    statistic: Statistic,
    *,
    point: float,
    side: Literal["low", "high"] = "low",
    alpha: float = 0.05,
    most: int = MOST,
) -> AdaptiveLimit:
    """Return a one-sided percentile limit, from so many resamples that its side of ``point`` is no matter of luck.

    While ``point`` lies within three standard deviations of the limit, as far as drawing resamples goes, there are
    drawn four times as many, up to ``most``. A limit of infinitely many resamples that lies closer to ``point`` than
    2.3 standard deviations of so many may still fall on either side; ``settled`` says so.

    Parameters
    ----------
    resampled : Resampled
        To begin with.
    statistic : callable
        As for :meth:`Resampled.interval`.
    point : float
        What the limit is held against.
    side : {"low", "high"}
        Which limit.
    alpha : float
        One-sided level.
    most : int
        Resamples after which the limit stays as it is.

    Raises
    ------
    StatisticsError
        As :meth:`Resampled.interval` does.

    Examples
    --------
    >>> resampled = resample_means(np.arange(100) % 10 < 9, resamples=1000)
    >>> limit = adaptive_limit(resampled, lambda means: means[..., 0], point=0.8)
    >>> limit.value, limit.resamples, limit.settled
    (0.85, 1000, True)
    """
    level = alpha if side == "low" else 1 - alpha
    while True:
        _, replicates = resampled.values(statistic)
        reach = 3 * math.sqrt(alpha * (1 - alpha) / replicates.size)
        levels = np.clip([level - reach, level, level + reach], 0.0, 1.0)
        low, value, high = (float(x) for x in np.quantile(replicates, levels))
        settled = not low <= point <= high
        if settled or replicates.size >= most:
            return AdaptiveLimit(value=value, low=low, high=high, resamples=replicates.size, settled=settled)
        resampled = resampled.extended(min(4 * replicates.size, most))


def mean_ratio(means: Floats) -> Floats:
    """Return the first mean over the second: ``sum x / sum y``, such as a cost per right answer."""
    ratio: Floats = means[..., 0] / means[..., 1]
    return ratio


def mean_difference(means: Floats) -> Floats:
    """Return the first mean less the second: candidate - baseline."""
    difference: Floats = means[..., 0] - means[..., 1]
    return difference


def f1_score(means: Floats) -> Floats:
    """Return F1 from columns of true positives, false positives and false negatives.

    Examples
    --------
    >>> float(f1_score(np.array([0.4, 0.1, 0.1])))
    0.8
    """
    double: Floats = 2 * means[..., 0]
    return double / (double + means[..., 1] + means[..., 2])


def win_rate(means: Floats) -> Floats:
    """Return the share of wins from columns of wins, losses and ties; a tie is half a win.

    Examples
    --------
    >>> float(win_rate(np.array([0.5, 0.25, 0.25])))
    0.625
    """
    wins: Floats = means[..., 0] + means[..., 2] / 2
    return wins / (means[..., 0] + means[..., 1] + means[..., 2])


def as_replicates(value: float, replicates: Floats) -> Floats:
    """Return replicates that an interval can be read from, else raise StatisticsError."""
    wrong = int(np.count_nonzero(~np.isfinite(replicates)))
    if wrong or not math.isfinite(value):
        raise StatisticsError(
            f"the statistic is {value:g} as observed, and not finite in {wrong} of {replicates.size} resamples; "
            "a bootstrap has no interval there"
        )
    if float(np.ptp(replicates)) <= 1e-12 * abs(value):
        raise StatisticsError(f"the statistic is {value:g} in every resample; a bootstrap sees no error there")
    return replicates


def check_units(sizes: Floats, least: int = FEWEST) -> None:
    """Raise StatisticsError where there are too few independent units; unequal ones count by what they weigh."""
    units = float(sizes.sum() ** 2 / (sizes**2).sum())
    if units < least * (1 - 1e-9):
        raise StatisticsError(f"{units:.4g} independent units are too few for a bootstrap; {least} are needed")


def off_common(values: Floats) -> int:
    """Return how many values are not the most common one, to a part in 2^30 of their range.

    Examples
    --------
    >>> off_common(np.array([0.0, 0.0, 1.0, 2.0]))
    2
    """
    low, extent = values.min(), np.ptp(values)
    if extent == 0:
        return 0
    return int(values.size - np.unique(np.rint((values - low) / extent * 2**_BITS), return_counts=True)[1].max())


def _drawn(units: Units, weights: SharedWeights, *, start: int, stop: int) -> Floats:
    return units.means(weights.apply(lambda block: block @ units.sums, start=start, stop=stop))


def as_columns(columns: ArrayLike) -> Floats:
    """Return columns as a float64 matrix; one vector is one column. What is not finite is refused."""
    matrix = np.asarray(columns, dtype=np.float64)
    if matrix.ndim == 1:
        matrix = matrix[:, np.newaxis]
    if matrix.ndim != 2 or matrix.size == 0:
        raise StatisticsError(f"columns must have at least one row and one column, not shape {matrix.shape}")
    for index, column in enumerate(matrix.T):
        as_values(column, name=f"columns[:, {index}]")
    return matrix
