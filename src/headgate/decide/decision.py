"""One rule against one interval: pass, fail or inconclusive, with the p-value and what would settle it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from headgate.stats import smallest_alpha
from headgate.stats.classification import LinearLimits
from headgate.stats.clusters import Spread
from headgate.stats.intervals import MeanLimits
from headgate.stats.paired import PairedLimits
from headgate.stats.ppi import PpiLimits

Outcome = Literal["pass", "fail", "inconclusive"]
FEW_CLUSTERS: Final = (5, 10)
"""Below the first number of effective clusters nothing is decided; below the second the row says so."""
FEW_ITEMS: Final = (10, 20)
"""The same for items of an unbounded metric, whose interval rests on its observed spread alone."""
_MOST: Final = 1e6
_Z80: Final = 0.8416212335729143  # normal quantile of 80 % power
_Z95: Final = 1.6448536269514722


AnyLimits: TypeAlias = MeanLimits | PairedLimits | PpiLimits | LinearLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a rule says, where higher is better.

    Attributes
    ----------
    verdict : str
        ``pass``, ``fail`` or ``inconclusive``, at the declared alpha.
    value, low, high : float
        Estimate and one-sided limits at alpha.
    p_value : float
        The smallest level at which the rule would fail; 1 when none up to one half does.
    flags : tuple of str
        ``improved``, ``regressed_within_margin``, ``few_clusters``, ``few_items``, ``one_item``.
    """

    verdict: Outcome
    value: float
    low: float
    high: float
    p_value: float
    flags: tuple[str, ...]
    limits: AnyLimits
    floor: float
    ceiling: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Pass above ``floor``, fail below ``ceiling``; at level alpha both.

    Attributes
    ----------
    floor, ceiling : float
        The rule passes when the lower limit lies above ``floor``, and fails when the upper one lies below ``ceiling``.
    guard : float
        p-value of a further test that a failure needs; 0 where there is none.
    clustered, bounded : bool
        What kind of interval it is read against.
    """

    floor: float
    ceiling: float
    guard: float = 0.0
    clustered: bool = False
    bounded: bool = True

    def decide(self, limits: AnyLimits, *, alpha: float) -> Decision:
        """Return the decision: pass first, then fail, else inconclusive."""
        low, high = limits.at(alpha)
        blocked, flags = self.weakness(limits.spread)
        p_value = 1.0 if blocked else self.p_value(limits)
        outcome: Outcome = "inconclusive"
        if not blocked and low > self.floor:
            outcome = "pass"
        elif p_value <= alpha:
            outcome = "fail"
        return Decision(
            verdict=outcome,
            value=limits.value,
            low=low,
            high=high,
            p_value=p_value,
            flags=(*flags, *self._direction(outcome, low, high)),
            limits=limits,
            floor=self.floor,
            ceiling=self.ceiling,
        )

    def p_value(self, limits: AnyLimits) -> float:
        """Return the smallest level at which the rule fails."""
        level = smallest_alpha(lambda alpha: alpha >= self.guard and limits.at(alpha)[1] < self.ceiling)
        return 1.0 if level < 1 and limits.at(level)[0] > self.floor else level

    def weakness(self, spread: Spread) -> tuple[bool, tuple[str, ...]]:
        """Return whether too few units stand behind the interval to decide, and the flags that say so."""
        if not spread.known:
            return True, ("few_clusters" if self.clustered else "one_item",)
        for few, flag, applies in (
            (FEW_CLUSTERS, "few_clusters", self.clustered),
            (FEW_ITEMS, "few_items", not self.bounded),
        ):
            if applies and spread.units < few[1]:
                return spread.units < few[0], (flag,)
        return False, ()

    def _direction(self, outcome: Outcome, low: float, high: float) -> tuple[str, ...]:
        if self.floor == self.ceiling or outcome != "pass":
            return ()
        if low > self.ceiling:
            return ("improved",)
        return ("regressed_within_margin",) if high < self.ceiling else ()


def needed_items(decision: Decision, *, n_items: int, alpha: float) -> int | None:
    """Return how many items would decide if the estimates stayed as they are; None where no number would."""
    if decision.verdict != "inconclusive" or not decision.limits.spread.known:
        return None

    def decides(factor: float) -> bool:
        low, high = decision.limits.scaled(factor).at(alpha)
        return low > decision.floor or high < decision.ceiling

    if not decides(_MOST):
        return None
    low, high = 0.0, math.log(_MOST)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if decides(math.exp(middle)) else (middle, high)
    return max(n_items + 1, math.ceil(n_items * math.exp(high)))


def detectable(decision: Decision) -> float:
    """Return the smallest true change that the rule would see with 80 % power: its half-width, widened."""
    if not decision.limits.spread.known:
        return math.inf
    half = max(decision.value - decision.low, decision.high - decision.value)
    return half * (1 + _Z80 / _Z95)
