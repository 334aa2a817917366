"""A canary against stable on live traffic: evidence that may be looked at after every request, gate by gate.

Traffic is unpaired and has no end, so there is no plan of looks. Each gate keeps a game of bets: that the canary is
worse (to roll it back), and that it is not worse by the margin (to promote it). Either is wrong, ever, with probability
at most alpha, however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from headgate.decide.games import Bounded, Game, Unbounded, Word
from headgate.decide.metric import Metric, metric_of
from headgate.decide.rows import declared
from headgate.decide.verdict import MetricRow
from headgate.errors import ConfigError, StatisticsError
from headgate.suite.gate import Gate, Policy
from headgate.suite.scorers import Scorer
from headgate.traffic.units import Units

CHUNK: Final = 25
"""Values that are judged at once: what is decided does not hang on how the traffic was cut into batches."""


class Sum(msgspec.Struct, frozen=True, gc=False):
    """Values of one arm: how many, and their sum."""

    n: int = 0
    total: float = 0.0

    def plus(self, value: float) -> Sum:
        """Return the sum with one more value."""
        return Sum(self.n + 1, self.total + value)

    @property
    def mean(self) -> float | None:
        """Mean of the values; None where there are none."""
        return self.total / self.n if self.n else None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate has seen.

    Attributes
    ----------
    canary, stable : Sum
        All values, in the units of the metric.
    waiting : Sum
        Values of one arm (``canary_waits``: the canary's) since the other was last seen.
    buffer : tuple of float
        What is not judged yet, less than :data:`CHUNK` of it.
    game : Bounded or Unbounded or None
        Bets on what was judged; None for zero tolerance.
    word : str
        ``pass`` or ``fail`` once either was shown: it stays.
    """

    canary: Sum = Sum()
    stable: Sum = Sum()
    waiting: Sum = Sum()
    canary_waits: bool = False
    buffer: tuple[float, ...] = ()
    game: Game | None = None
    word: Word = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A gate on live traffic, and the scale on which it is judged: one where higher is better.

    Attributes
    ----------
    alpha : float
        For promoting; ``n_tests`` gates share it for rolling back.
    strict : bool
        A margin fails only when the canary is surely worse by more than it.
    min_units : int
        Values of each arm before it may pass.
    """

    gate: Gate
    metric: Metric
    alpha: float
    n_tests: int
    strict: bool = False
    min_units: int = 1

    @property
    def is_relative(self) -> bool:
        """Whether it compares with stable."""
        return self.gate.rule in {"margin", "max_ratio"}

    def open(self) -> Evidence:
        """Return what is known before the first unit.

        Raises
        ------
        ConfigError
            If the declared bound can be neither kept nor broken, or zero tolerance has no best value.
        """
        if self.gate.rule == "zero_tolerance":
            if self.metric.best is None:
                raise ConfigError(
                    "has no bounds, so nothing is its best value", field="gates.zero_tolerance", value=self.metric.name
                )
            return Evidence()
        floor, ceiling = self._nulls()
        bounds = self._bounds()
        try:
            if bounds is None:
                return Evidence(game=Unbounded.of(floor=floor, ceiling=ceiling, alpha=self.alpha, n_tests=self.n_tests))
            return Evidence(game=Bounded.of(floor=floor, ceiling=ceiling, bounds=bounds, alpha=self.alpha))
        except StatisticsError as error:
            raise ConfigError(
                f"cannot be judged on live traffic: {error}",
                field=f"gates.{self.gate.rule}",
                value=declared(self.gate),
                mend="choose a bound strictly between the smallest and the largest value",
            ) from error

    def update(self, seen: Evidence, units: Units) -> Evidence:
        """Return the evidence after more units; a word that was said stays, and sums go on."""
        values = units.values.get(self.metric.name)
        if values is None:
            return seen
        pairs = zip(units.canary.tolist(), values.tolist(), strict=True)
        known = [(canary, value) for canary, value in pairs if not math.isnan(value)]
        if self.gate.rule == "zero_tolerance":
            return self._tolerate(seen, known)
        seen, found = self._games(seen, known)
        buffer = [*seen.buffer, *found]
        game, word = seen.game, seen.word
        assert game is not None
        while len(buffer) >= CHUNK:
            game = game.update(np.array(buffer[:CHUNK]))
            del buffer[:CHUNK]
            word = game.word(alpha=self.alpha, n_tests=self.n_tests) if word == "inconclusive" else word
        return msgspec.structs.replace(seen, buffer=tuple(buffer), game=game, word=word)

    def row(self, seen: Evidence) -> MetricRow:
        """Return how the gate stands."""
        low, high = self._limits(seen)
        absent = not seen.canary.n or (self.is_relative and not seen.stable.n)
        drifted = seen.game is not None and seen.game.has_drifted
        flags = (["no_data"] if absent else []) + (["drift"] if drifted else [])
        word = seen.word
        if self.gate.rule == "zero_tolerance" and word != "fail":
            word = "inconclusive" if absent else "pass"
        fewest = min(seen.canary.n, seen.stable.n) if self.is_relative else seen.canary.n
        if word == "pass" and fewest < self.min_units:
            word = "inconclusive"
        if seen.game is not None and drifted:
            # No one mean fits, so nothing is promised; that the canary was worse at a time holds all the same.
            failed = seen.game.has_failed(alpha=self.alpha, n_tests=self.n_tests)
            word = "fail" if failed else "inconclusive"
        return MetricRow(
            name=self.metric.name,
            tier=self.gate.tier,
            rule=self.gate.rule,
            cell={"arm": "canary"},
            against="baseline" if self.is_relative else None,
            margin=declared(self.gate),
            estimate=self._estimate(seen),
            low=low,
            high=high,
            confidence=1 - self.alpha,
            baseline_mean=self._shown(seen.stable.mean) if self.is_relative else None,
            candidate_mean=self._shown(seen.canary.mean),
            n_items=seen.canary.n,
            n_clusters=None,
            n_jobs=seen.canary.n + (seen.stable.n if self.is_relative else 0),
            method="none" if seen.game is None else seen.game.method,
            p_value=None if seen.game is None else seen.game.p_value,
            verdict=word,
            needed_items=None,
            needed_seeds=None,
            mde=None,
            seed_share=None,
            flags=flags,
            reason=self._reason(seen, word, flags),
        )

    @property
    def _sign(self) -> float:
        """1 where higher is better on the scale of the metric, -1 where lower is."""
        if self.gate.rule in {"min", "max"}:
            return 1.0 if self.gate.rule == "min" else -1.0
        return 1.0 if self.metric.higher_is_better and self.gate.rule != "max_ratio" else -1.0

    def _nulls(self) -> tuple[float, float]:
        """Return the value above which it passes, and the one below which it fails."""
        bound = declared(self.gate)
        assert bound is not None
        if not self.is_relative:
            return self._sign * bound, self._sign * bound
        floor = -bound if self.gate.rule == "margin" else -math.log(bound)
        return floor, floor if self.strict else 0.0

    def _bounds(self) -> tuple[float, float] | None:
        if self.metric.bounds is None or self.gate.rule == "max_ratio":
            return None
        low, high = self.metric.bounds
        if self.is_relative:
            return low - high, high - low
        return (low, high) if self._sign > 0 else (-high, -low)

    def _tolerate(self, seen: Evidence, known: Sequence[tuple[bool, float]]) -> Evidence:
        ours = [value for canary, value in known if canary]
        bad = any(value != self.metric.best for value in ours)
        total = Sum(seen.canary.n + len(ours), seen.canary.total + sum(ours))
        return msgspec.structs.replace(seen, canary=total, word="fail" if bad else seen.word)

    def _games(self, seen: Evidence, known: Sequence[tuple[bool, float]]) -> tuple[Evidence, list[float]]:
        """Return the sums, and what is to be bet on: values of the canary, or differences of neighbours in time."""
        canary, stable, waiting, canary_waits = seen.canary, seen.stable, seen.waiting, seen.canary_waits
        logs, relative, sign, found = self.gate.rule == "max_ratio", self.is_relative, self._sign, list[float]()
        for is_canary, raw in known:
            if logs and raw <= 0:
                continue  # a ratio to it is not defined
            value = math.log(raw) if logs else raw
            if is_canary:
                canary = canary.plus(value)
            else:
                stable = stable.plus(value)
            if not relative:
                if is_canary:
                    found.append(sign * value)
            elif waiting.n and canary_waits != is_canary:
                other = waiting.total / waiting.n
                found.append(sign * (value - other if is_canary else other - value))
                waiting = Sum()
            else:
                waiting, canary_waits = waiting.plus(value), is_canary
        changed = msgspec.structs.replace(
            seen, canary=canary, stable=stable, waiting=waiting, canary_waits=canary_waits
        )
        return changed, found

    def _shown(self, mean: float | None) -> float | None:
        return math.exp(mean) if mean is not None and self.gate.rule == "max_ratio" else mean

    def _estimate(self, seen: Evidence) -> float | None:
        ours, theirs = seen.canary.mean, seen.stable.mean
        if ours is None or not self.is_relative:
            return ours
        return None if theirs is None else self._shown(ours - theirs)

    def _limits(self, seen: Evidence) -> tuple[float | None, float | None]:
        if seen.game is None:
            return None, None
        low, high = sorted(self._sign * limit for limit in seen.game.range)
        if self.gate.rule != "max_ratio":
            return low, high
        return math.exp(low), math.exp(min(high, 700.0)) if math.isfinite(high) else math.inf

    def _reason(self, seen: Evidence, word: str, flags: Sequence[str]) -> str:
        if "no_data" in flags:
            arm = "the canary" if not seen.canary.n else "stable"
            return f"{arm} has no values yet"
        if "drift" in flags:
            worse = ", and the canary was shown to be worse" if word == "fail" else ""
            return f"the traffic has changed on the way: no one difference fits all of it{worse}"
        if self.gate.rule == "zero_tolerance":
            few = f"; at least {self.min_units} are wanted" if word == "inconclusive" else ""
            return "it was seen" if word == "fail" else f"not seen in {seen.canary.n} units{few}"
        if seen.word == "pass" and word == "inconclusive":
            return f"shown to keep the bound, on fewer than {self.min_units} units of an arm"
        shown = {"pass": "shown to keep the bound", "fail": "shown to be worse"}
        return shown.get(word, "not enough traffic to tell")


def questions_of(
    gates: Sequence[Gate], scorers: Sequence[Scorer], policy: Policy, *, min_units: int = 1
) -> list[Question]:
    """Return the gates as questions to live traffic.

    Raises
    ------
    ConfigError
        If a metric is unknown.
    """
    tests = sum(gate.tier == "blocking" and gate.rule != "zero_tolerance" for gate in gates)
    return [
        Question(
            gate=gate,
            metric=metric_of(gate.metric, scorers),
            alpha=policy.alpha,
            n_tests=max(tests, 1) if gate.tier == "blocking" else 1,
            strict=policy.fail_rule == "beyond_margin",
            min_units=min_units,
        )
        for gate in gates
    ]
