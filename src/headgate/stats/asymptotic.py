"""The mean of unbounded values at any time: limits that hold in the long run, such as for the log of a latency."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from numpy.typing import ArrayLike

from headgate.errors import StatisticsError
from headgate.stats.values import as_values

WARM_UP: Final = 100
"""Values that are waited for: with fewer, the limits have not settled."""
HORIZON: Final = 1000
"""Number of values at which the limits are tightest, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsymptoticSequence:
    """Limits for a mean without bounds that hold, in the long run, at all times at once.

    Attributes
    ----------
    alpha : float
        One-sided level of each limit.
    horizon : int
        Number of values at which the limits are to be tightest. It must be chosen before any is seen.
    n : int
        Values seen. For two streams, one value is the difference of a pair, or of a block of each.
    mean, squares : float
        Their mean, and the sum of their squared distances from it.
    low, high : float or None
        The limits: the tightest so far, each in its direction; None before 100 values.

    Notes
    -----
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
    sequences, in its one-sided form: ``mean -+ s sqrt(2 (n r + 1) / (n^2 r) ln(1 + sqrt(n r + 1) / (2 alpha)))`` with
    ``r`` (their rho squared) tuned to the horizon.

    Examples
    --------
    >>> found = AsymptoticSequence(alpha=0.05).update([0.0, 2.0] * 500)
    >>> round(found.low, 3), round(found.high, 3), found.empty
    (0.912, 1.088, False)
    """

    alpha: float
    horizon: int = HORIZON
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise StatisticsError(f"alpha {self.alpha} is not between 0 and 0.5")
        if self.horizon < 1:
            raise StatisticsError(f"horizon is {self.horizon}; it must be 1 or more")

    @property
    def empty(self) -> bool:
        """Whether no mean is left: the mean has drifted, which no one interval can hold."""
        return self.low is not None and self.high is not None and self.low > self.high

    def update(self, values: ArrayLike) -> AsymptoticSequence:
        """Return the state after more values; the limits are tightened once, after the last of them.

        Raises
        ------
        StatisticsError
            If a value is not finite; the message names its index.
        """
        new = as_values(values)
        n, centre = self.n + new.size, float(new.mean())
        jump = centre - self.mean
        grown = replace(
            self,
            n=n,
            mean=self.mean + jump * new.size / n,
            squares=self.squares + float(((new - centre) ** 2).sum()) + jump**2 * self.n * new.size / n,
        )
        if n < WARM_UP:
            return grown
        half = math.sqrt(grown.squares / n) * half_width(n, alpha=self.alpha, horizon=self.horizon)
        low, high = grown.mean - half, grown.mean + half
        return replace(
            grown,
            low=low if self.low is None else max(self.low, low),
            high=high if self.high is None else min(self.high, high),
        )


def half_width(n: int, *, alpha: float, horizon: int) -> float:
    """Return the half-width of the limits after ``n`` values, in standard deviations of one value.

    Examples
    --------
    >>> round(half_width(1000, alpha=0.05, horizon=1000), 4)
    0.0879
    """
    doubled = -2 * math.log(2 * alpha)
    grown = n * (doubled + math.log(doubled + 1)) / horizon + 1
    return math.sqrt(2 * grown / (n * (grown - 1)) * math.log1p(math.sqrt(grown) / (2 * alpha)))
