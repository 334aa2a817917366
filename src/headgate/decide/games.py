"""Bets that may be looked at whenever one likes: that a mean is above a floor, and that it is below a ceiling."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import msgspec

from headgate.stats.asymptotic import AsymptoticSequence
from headgate.stats.betting import BettingSequence, MeanTest
from headgate.stats.evalues import log_e_threshold
from headgate.stats.values import Bounds, Floats

Word: TypeAlias = Literal["pass", "fail", "inconclusive"]


class Bounded(msgspec.Struct, frozen=True, kw_only=True, tag="bounded"):
    """Values with bounds; higher is better. Exact at every number of values.

    Attributes
    ----------
    passing, failing : MeanTest
        Bets that the mean is above the floor, and below the ceiling.
    limits : BettingSequence
        What is shown: limits of the mean.
    """

    passing: MeanTest
    failing: MeanTest
    limits: BettingSequence

    @classmethod
    def of(cls, *, floor: float, ceiling: float, bounds: Bounds, alpha: float) -> Bounded:
        """Open a game."""
        return cls(
            passing=MeanTest(null=floor, bounds=bounds),
            failing=MeanTest(null=ceiling, bounds=bounds),
            limits=BettingSequence(alpha=alpha, bounds=bounds),
        )

    def update(self, values: Floats) -> Bounded:
        """Return the game after more values."""
        return Bounded(
            passing=self.passing.update(values),
            failing=self.failing.update(values),
            limits=self.limits.update(values),
        )

    def word(self, *, alpha: float, n_tests: int) -> Word:
        """Return what was shown: that a gate passes needs no correction for the others, that it fails does."""
        if self.passing.peak_up >= log_e_threshold(alpha):
            return "pass"
        return "fail" if self.has_failed(alpha=alpha, n_tests=n_tests) else "inconclusive"

    def has_failed(self, *, alpha: float, n_tests: int) -> bool:
        """Return whether it was shown that the mean was below the ceiling, whatever else was shown."""
        return self.failing.peak_down >= log_e_threshold(alpha, n_tests=n_tests)

    @property
    def range(self) -> tuple[float, float]:
        """Limits of the mean."""
        return self.limits.low, self.limits.high

    @property
    def has_drifted(self) -> bool:
        """Whether no mean fits all that was seen."""
        return self.limits.empty

    @property
    def p_value(self) -> float | None:
        """Smallest level at which it would have failed by now."""
        return math.exp(-self.failing.peak_down)

    @property
    def method(self) -> str:
        """Name of the method."""
        return "betting"


class Unbounded(msgspec.Struct, frozen=True, kw_only=True, tag="unbounded"):
    """Values without bounds; higher is better. Holds in the long run, from 100 values on."""

    floor: float
    ceiling: float
    passing: AsymptoticSequence
    failing: AsymptoticSequence

    @classmethod
    def of(cls, *, floor: float, ceiling: float, alpha: float, n_tests: int) -> Unbounded:
        """Open a game."""
        return cls(
            floor=floor,
            ceiling=ceiling,
            passing=AsymptoticSequence(alpha=alpha),
            failing=AsymptoticSequence(alpha=alpha / n_tests),
        )

    def update(self, values: Floats) -> Unbounded:
        """Return the game after more values."""
        passing, failing = self.passing.update(values), self.failing.update(values)
        return msgspec.structs.replace(self, passing=passing, failing=failing)

    def word(self, *, alpha: float, n_tests: int) -> Word:
        """Return what was shown, at the levels that the game was opened with."""
        if self.passing.low is not None and self.passing.low > self.floor:
            return "pass"
        return "fail" if self.has_failed(alpha=alpha, n_tests=n_tests) else "inconclusive"

    def has_failed(self, *, alpha: float, n_tests: int) -> bool:
        """Return whether it was shown that the mean was below the ceiling, whatever else was shown."""
        assert math.isclose(self.failing.alpha * n_tests, alpha)
        return self.failing.high is not None and self.failing.high < self.ceiling

    @property
    def range(self) -> tuple[float, float]:
        """Limits of the mean."""
        low, high = self.passing.low, self.passing.high
        return (-math.inf if low is None else low), (math.inf if high is None else high)

    @property
    def has_drifted(self) -> bool:
        """Whether no mean fits all that was seen."""
        return self.passing.empty

    @property
    def p_value(self) -> float | None:
        """There is none: limits are made for one level."""
        return None

    @property
    def method(self) -> str:
        """Name of the method."""
        return "asymptotic sequence"


Game: TypeAlias = Bounded | Unbounded
