"""The bootstrap of a mean and of a quantile without drawing a resample: its distribution in closed form."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincinv, ndtr, ndtri

from headgate.errors import StatisticsError
from headgate.stats.clusters import is_flat
from headgate.stats.estimate import Estimate
from headgate.stats.intervals import Limits
from headgate.stats.values import Floats, as_alpha, as_values

Method: TypeAlias = Literal["percentile", "bca"]

_LEVELS: Final = 1000  # a lattice finer than this part of the range is no different from any values
_SAME: Final = 1e-7  # of the range: single precision leaves k/K this far from where it belongs
_WINDOW: Final = 24.0  # standard deviations of a sum that its distribution is computed over
_CELLS: Final = (1 << 17, 1 << 20)  # fewest and most cells of a grid for values that lie on no lattice
_PIECE: Final = 1 << 14  # values worked on at a time
_PER_SD: Final = 42.0  # such cells in one standard deviation of a value: 1,000 for 24


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDistribution:
    """Distribution of the mean of a resample: all of them, not a sample of them.

    Attributes
    ----------
    mean, sd : float
        Mean and standard deviation of the distribution.
    skew : float
        ``sum c^3 / (6 (sum c^2)^1.5)`` of the centred values: the acceleration of BCa.
    origin, step : float
        Smallest mean on the grid, and the distance to the next.
    cumulative : ndarray
        Probability of a mean up to and including each point of the grid.
    lattice : bool
        The points are all the means there can be; else each stands for a cell around it.

    Notes
    -----
    A sum of n draws has the n-th power of a draw's characteristic function, and a fast Fourier transform turns the
    values on a grid into the one and the power back into probabilities. Values on a lattice (0 and 1, grades, means
    of K seeds) are their own grid, and the result is exact. Any other value is shared by the two points beside it so
    that the mean stays, and the variance that this adds is taken out again by scale.
    """

    mean: float
    sd: float
    skew: float
    origin: float
    step: float
    cumulative: Floats
    lattice: bool

    @classmethod
    def of(cls, values: Floats) -> MeanDistribution:
        """Return the distribution for checked values.

        Raises
        ------
        StatisticsError
            If the values are all the same: resamples are too, and say nothing about the error.
        """
        points, counts = _collapsed(values)
        n, low, extent = values.size, float(points[0]), float(points[-1] - points[0])
        if is_flat(points[[0, -1]]):
            raise StatisticsError(
                f"all {n} values are {low:g}: every resample is the same, and a bootstrap sees no error; "
                "use mean_interval"
            )
        centre = low + math.fsum(c @ (x - low) for x, c in _pieces(points, counts)) / n
        variance = math.fsum(c @ (x - centre) ** 2 for x, c in _pieces(points, counts)) / n
        third = math.fsum(c @ ((x - centre) ** 2 * (x - centre)) for x, c in _pieces(points, counts)) / n
        window = min(_WINDOW * math.sqrt(n * variance), n * extent)
        levels = _levels(points, most=min(_LEVELS, int(_CELLS[1] * extent / window) - 2))
        lattice = levels is not None
        cells = _fine(n) if levels is None else _cells(window / extent * levels)
        step = extent / (int((cells - 2) / window * extent) if levels is None else levels)
        draw = _on_grid(points, counts, step, cells, lattice=lattice)
        first, cumulative = _summed(draw, n, centre=(centre - low) / step, extent=extent / step)
        scale = 1.0 if lattice else math.sqrt(variance) / (step * _sd(draw))
        return cls(
            mean=centre,
            sd=math.sqrt(variance / n),
            skew=third / (6 * variance**1.5 * math.sqrt(n)),
            origin=centre + (low + first * step / n - centre) * scale,
            step=step / n * scale,
            cumulative=cumulative,
            lattice=lattice,
        )

    def cdf(self, x: float) -> float:
        """Return the probability of a mean below ``x``, and half of that of ``x`` itself."""
        edges = np.arange(self.cumulative.size) + 0.5
        return float(np.interp((x - self.origin) / self.step, edges, self.cumulative, left=0.0))

    def quantile(self, p: float) -> float:
        """Return the smallest mean with a probability of at least ``p`` up to it."""
        position = float(np.interp(p, self.cumulative, np.arange(self.cumulative.size) + 0.5))
        return self.origin + self.step * (math.ceil(position - 0.5) if self.lattice else position)

    def limits(self, alpha: float, method: Method) -> Limits:
        """Return both one-sided limits at level ``alpha``."""
        z0, acceleration = (0.0, 0.0) if method == "percentile" else (float(ndtri(self.cdf(self.mean))), self.skew)
        low, high = bca_levels(alpha, z0=z0, acceleration=acceleration)
        return self.quantile(low), self.quantile(high)


def bootstrap_mean(
    values: ArrayLike, *, resamples: int = 10_000, confidence: float = 0.95, method: Method = "percentile"
) -> Estimate:
    """Estimate a mean with the limits that a bootstrap has after infinitely many resamples.

    Near a bound, or with few items, a bootstrap covers too little: at 98 % right answers and 20 items a third of the
    time. :func:`headgate.stats.mean_interval` holds there; this is for comparison with other tools, and for many
    items.

    Parameters
    ----------
    values : array_like, shape (n_items,)
        One value per independent item, such as the mean of its seeds.
    resamples : int
        Accepted so that a call reads as it does elsewhere, and checked. Nothing is drawn here, so it changes nothing:
        the limits of B drawn resamples lie around these, with a standard deviation of ``1 / sqrt(B)``.
    confidence : float
        Two-sided level.
    method : {"percentile", "bca"}
        Quantiles of the distribution, or corrected for bias and skewness (Efron 1987).

    Returns
    -------
    Estimate
        ``se`` is the standard deviation of the bootstrap distribution: the spread of the values over n, not n - 1.

    Raises
    ------
    StatisticsError
        If a value is not finite, or all values are the same (there a bootstrap would be certain of what it saw).

    Notes
    -----
    B. Efron (1987), Better bootstrap confidence intervals. A. C. Davison and D. V. Hinkley (1997), Bootstrap Methods
    and their Application, chapter 5.

    Examples
    --------
    >>> estimate = bootstrap_mean([1] * 45 + [0] * 5)
    >>> round(estimate.low, 6), round(estimate.high, 6)
    (0.82, 0.98)
    >>> bootstrap_mean([1, 1, 1])
    Traceback (most recent call last):
    headgate.errors.StatisticsError: all 3 values are 1: every resample is the same, and a bootstrap sees no error; \
use mean_interval
    """
    as_resamples(resamples)
    rows, alpha = as_values(values), as_alpha(confidence)
    distribution = MeanDistribution.of(rows)
    low, high = distribution.limits(alpha, method)
    return Estimate(
        value=distribution.mean,
        low=low,
        high=high,
        se=distribution.sd,
        n_items=rows.size,
        n_clusters=None,
        confidence=confidence,
        method=f"{method} bootstrap (exact)",
    )


def bootstrap_quantile(values: ArrayLike, q: float, *, confidence: float = 0.95) -> Estimate:
    """Estimate a quantile with the percentile limits that a bootstrap has after infinitely many resamples.

    These limits cover too little for outer quantiles of few items (89 % for p95 of 50);
    :func:`headgate.stats.quantile_interval` holds there.

    Parameters
    ----------
    values : array_like, shape (n_items,)
        One value per independent item.
    q : float
        Which quantile, between 0 and 1; it is the value of rank ``ceil(q n)``.
    confidence : float
        Two-sided level.

    Returns
    -------
    Estimate
        ``se`` is the standard deviation of the quantile over all resamples.

    Raises
    ------
    StatisticsError
        If a value is not finite, all are the same, or ``q`` is not between 0 and 1.

    Notes
    -----
    The value of rank k in a resample is at most the j-th smallest of all values if at least k of n draws are among
    the j smallest: a binomial tail. Maritz and Jarrett (1978), A note on estimating the variance of the sample median.

    Examples
    --------
    >>> estimate = bootstrap_quantile(range(1, 101), 0.5)
    >>> estimate.value, estimate.low, estimate.high
    (50.0, 40.0, 60.0)
    """
    ordered, alpha = np.sort(as_values(values)), as_alpha(confidence)
    n = ordered.size
    k = quantile_rank(n, q)
    if is_flat(ordered):
        raise StatisticsError(f"all {n} values are {ordered[0]:g}: every resample is the same, and has no error")
    reach = np.clip(n * betaincinv(k, n - k + 1, [1e-15, alpha, 1 - alpha, 1 - 1e-15]), 0, n)
    first, low, high, last = np.ceil(reach).astype(np.int64)
    ranks = np.arange(max(first - 1, 0), last + 2)
    share = np.diff(betainc(k, n - k + 1, np.minimum(ranks / n, 1.0)))
    seen = ordered[np.minimum(ranks[1:], n) - 1] - ordered[k - 1]
    moment = float(share @ seen)
    return Estimate(
        value=float(ordered[k - 1]),
        low=float(ordered[max(low - 1, 0)]),
        high=float(ordered[max(high - 1, 0)]),
        se=math.sqrt(max(float(share @ seen**2) - moment**2, 0.0)),
        n_items=n,
        n_clusters=None,
        confidence=confidence,
        method="percentile bootstrap (exact)",
    )


def bca_levels(alpha: float, *, z0: float, acceleration: float) -> Limits:
    """Return the levels at which BCa reads the limits; without bias and acceleration these are alpha and 1 - alpha.

    Examples
    --------
    >>> low, high = bca_levels(0.025, z0=0.0, acceleration=0.0)
    >>> round(low, 6), round(high, 6)
    (0.025, 0.975)
    """
    shifted = z0 + ndtri(np.array([alpha, 1 - alpha]))
    low, high = ndtr(z0 + shifted / (1 - acceleration * shifted))
    return float(low), float(high)


def quantile_rank(n: int, q: float) -> int:
    """Return the rank of a quantile among ``n`` values: the smallest whose share is at least ``q``.

    Examples
    --------
    >>> quantile_rank(100, 0.95), quantile_rank(20, 0.07)
    (95, 2)
    """
    if not 0 < q < 1:
        raise StatisticsError(f"q {q} is not between 0 and 1")
    return max(math.ceil(q * n * (1 - 1e-12)), 1)  # 0.07 * 100 is 7.000000000000001


def as_resamples(resamples: int) -> int:
    """Return the number of resamples if it is at least 1, else raise StatisticsError."""
    if resamples < 1:
        raise StatisticsError(f"resamples {resamples} is not 1 or more")
    return resamples


def _collapsed(values: Floats) -> tuple[Floats, Floats]:
    """Return the points that values lie on, sorted, and how many lie on each; all of them where they are many."""
    ordered = np.sort(values)  # so that the order of rows leaves no trace
    rises = ordered[1:] != ordered[:-1]
    if np.count_nonzero(rises) > _LEVELS:
        return ordered, np.broadcast_to(np.float64(1), ordered.shape)
    starts = np.append(0, np.flatnonzero(rises) + 1)
    return ordered[starts], np.diff(np.append(starts, ordered.size)).astype(np.float64)


def _pieces(points: Floats, counts: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield so many points at a time that what is computed from them stays in the cache."""
    for start in range(0, points.size, _PIECE):
        yield points[start : start + _PIECE], counts[start : start + _PIECE]


def _levels(points: Floats, *, most: int) -> int | None:
    """Return the fewest equal steps from the first point to the last that meet them all; None where ``most`` do not."""
    if points.size > most + 1:
        return None
    unit = (points - points[0]) / (points[-1] - points[0])
    for levels in range(points.size - 1, most + 1):
        scaled = unit * levels
        if float(np.abs(scaled - np.rint(scaled)).max()) <= _SAME * levels:
            return levels
    return None


def _cells(steps: float) -> int:
    return 1 << math.ceil(math.log2(steps + 2))


def _fine(n: int) -> int:
    return min(max(_cells(_WINDOW * _PER_SD * math.sqrt(n)), _CELLS[0]), _CELLS[1])


def _on_grid(points: Floats, counts: Floats, step: float, cells: int, *, lattice: bool) -> Floats:
    """Return the probability of each grid point in one draw."""
    draw = np.zeros(cells)
    for some, weights in _pieces(points, counts):
        positions = (some - points[0]) / step
        below = np.rint(positions) if lattice else np.floor(positions)
        above = np.zeros_like(below) if lattice else positions - below
        index = below.astype(np.int64)
        np.add.at(draw, index % cells, weights * (1 - above))
        np.add.at(draw, (index + 1) % cells, weights * above)
    draw /= draw.sum()
    return draw


def _sd(draw: Floats) -> float:
    index = np.arange(draw.size, dtype=np.float64)
    centred = index - float(draw @ index)
    return math.sqrt(float(draw @ centred**2))


def _summed(draw: Floats, n: int, *, centre: float, extent: float) -> tuple[int, Floats]:
    """Return the first grid point of the sum of ``n`` draws, and its cumulative probability from there."""
    sums = np.fft.irfft(np.fft.rfft(draw) ** n, draw.size)
    # The transform is circular: what lies outside the window, if anything, comes in again at the other end.
    first = 0 if n * extent < draw.size else round(n * centre) - draw.size // 2
    cumulative = np.cumsum(np.maximum(np.roll(sums, -(first % draw.size)), 0.0))
    return first, cumulative / cumulative[-1]
