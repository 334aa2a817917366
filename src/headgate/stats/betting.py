"""The mean of bounded values at any time: bets against every mean, and the means that no bet has ruined."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.evalues import log_e_threshold
from headgate.stats.values import UNIT, Bounds, Floats, as_bounds, as_values

BETS: Final[Floats] = np.geomspace(0.02, 0.9, 8)
"""Shares of the largest bet that cannot lose more than everything: small ones find small differences."""

Wealths = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanTest:
    """Evidence that the mean of bounded values is not a given one, at any time.

    Attributes
    ----------
    null : float
        The mean that is tested, strictly within the bounds.
    bounds : tuple of float
        Smallest and largest possible value.
    n : int
        Values seen.
    up, down : tuple of float
        Log wealth of each of eight bets that the mean is higher, and that it is lower; empty at the start.
    peak_up, peak_down : float
        Largest logarithm so far of the average wealth: the mean is higher, or lower, at level alpha once this reaches
        ``log_e_threshold(alpha)``.

    Notes
    -----
    Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, with a mixture of fixed
    bets. Wealth on "higher" is a fair game if the mean is ``null``, and a losing one if it is lower. Each value may
    depend on those before it, as long as its mean given those does not pass ``null``.

    Examples
    --------
    >>> test = MeanTest(null=0.5).update([1.0, 1.0, 0.0, 1.0] * 25)
    >>> test.peak_up >= log_e_threshold(0.01), test.peak_down >= log_e_threshold(0.5)
    (True, False)
    """

    null: float
    bounds: Bounds = UNIT
    n: int = 0
    up: Wealths = ()
    down: Wealths = ()
    peak_up: float = 0.0
    peak_down: float = 0.0

    def __post_init__(self) -> None:
        low, high = as_bounds(self.bounds)
        if not low < self.null < high:
            raise StatisticsError(f"null {self.null} is not within the bounds {low:g} to {high:g}")

    @property
    def log_e_up(self) -> float:
        """Logarithm of the e-value that the mean is higher."""
        return _average(self.up)

    @property
    def log_e_down(self) -> float:
        """Logarithm of the e-value that the mean is lower."""
        return _average(self.down)

    def update(self, values: ArrayLike) -> MeanTest:
        """Return the state after more values, in the order in which they came.

        Raises
        ------
        StatisticsError
            If a value is not finite or outside the bounds; the message names its index.
        """
        unit, null = _unit(values, self.bounds), _share(self.null, self.bounds)
        up, down = _running(self.up, unit, null), _running(self.down, 1 - unit, 1 - null)
        return replace(
            self,
            n=self.n + unit.size,
            up=tuple(up[-1].tolist()),
            down=tuple(down[-1].tolist()),
            peak_up=max(self.peak_up, _peak(up)),
            peak_down=max(self.peak_down, _peak(down)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BettingSequence:
    """Limits for the mean of bounded values that hold at all times at once.

    Attributes
    ----------
    alpha : float
        One-sided level: each limit is wrong, ever, with probability at most alpha.
    bounds : tuple of float
        Smallest and largest possible value.
    n_nulls : int
        Means that are bet against, evenly within the bounds; the limits are rounded outwards to these.
    n : int
        Values seen.
    low, high : float
        The limits: the tightest so far, each in its direction. They start at the bounds.
    up, down : tuple of tuple of float
        Log wealth of each mean and bet; empty at the start.

    Notes
    -----
    As :class:`MeanTest`, for every mean. Wealth on "higher" falls as the mean that it bets against rises, so what is
    ruled out below the lower limit has no gaps.

    Examples
    --------
    >>> found = BettingSequence(alpha=0.05).update([1.0, 1.0, 0.0, 1.0] * 100)
    >>> found.low, found.high, found.empty
    (0.67875, 0.81125, False)
    """

    alpha: float
    bounds: Bounds = UNIT
    n_nulls: int = 400
    n: int = 0
    low: float = -math.inf
    high: float = math.inf
    up: tuple[Wealths, ...] = ()
    down: tuple[Wealths, ...] = ()

    def __post_init__(self) -> None:
        low, high = as_bounds(self.bounds)
        log_e_threshold(self.alpha)
        if self.n_nulls < 2:
            raise StatisticsError(f"n_nulls is {self.n_nulls}; it must be 2 or more")
        object.__setattr__(self, "low", max(self.low, low))
        object.__setattr__(self, "high", min(self.high, high))

    @property
    def empty(self) -> bool:
        """Whether no mean is left: the mean has drifted, which no one interval can hold."""
        return self.low > self.high

    def update(self, values: ArrayLike) -> BettingSequence:
        """Return the state after more values; the limits are tightened once, after the last of them.

        Raises
        ------
        StatisticsError
            If a value is not finite or outside the bounds; the message names its index.
        """
        unit = _unit(values, self.bounds)
        nulls = (np.arange(self.n_nulls) + 0.5) / self.n_nulls
        up, down = _added(self.up, unit, nulls), _added(self.down, 1 - unit, nulls)
        low, high = self.bounds
        below, above = (self._ruled_out(wealth, nulls) for wealth in (up, down))
        return replace(
            self,
            n=self.n + unit.size,
            low=max(self.low, low + (high - low) * below),
            high=min(self.high, high - (high - low) * above),
            up=tuple(tuple(row) for row in up.tolist()),
            down=tuple(tuple(row) for row in down.tolist()),
        )

    def _ruled_out(self, wealth: Floats, nulls: Floats) -> float:
        """Return the highest mean that is bet against successfully, 0 if none is."""
        averages = np.logaddexp.reduce(wealth, axis=1) - math.log(BETS.size)
        return float(np.max(nulls, where=averages >= log_e_threshold(self.alpha), initial=0.0))


def _added(wealth: tuple[Wealths, ...], unit: Floats, nulls: Floats) -> Floats:
    """Return the log wealth of each null mean and bet after all values, shape (n_nulls, n_bets)."""
    total = np.array(wealth) if wealth else np.zeros((nulls.size, BETS.size))
    for value, count in zip(*np.unique(unit, return_counts=True), strict=True):
        total += count * np.log1p(BETS * (value / nulls[:, None] - 1))
    return total


def _running(wealth: Wealths, unit: Floats, null: float) -> Floats:
    """Return the log wealth of each bet after each value, shape (n_values, n_bets)."""
    return np.cumsum(np.log1p(BETS * (unit[:, None] / null - 1)), axis=0) + (np.array(wealth) if wealth else 0.0)


def _peak(wealth: Floats) -> float:
    return float(np.logaddexp.reduce(wealth, axis=1).max()) - math.log(BETS.size)


def _average(wealth: Wealths) -> float:
    return float(np.logaddexp.reduce(np.array(wealth))) - math.log(BETS.size) if wealth else 0.0


def _unit(values: ArrayLike, bounds: Bounds) -> Floats:
    """Return checked values on the scale of 0 to 1."""
    low, high = bounds
    return (as_values(values, bounds=bounds) - low) / (high - low)


def _share(value: float, bounds: Bounds) -> float:
    return (value - bounds[0]) / (bounds[1] - bounds[0])
