"""Gates judged look by look: what is settled stays so, and the run ends when nothing is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from headgate.decide.cells import matches
from headgate.decide.facts import RunFacts
from headgate.decide.judge import decide, judge_rows, rejudge
from headgate.decide.looks import LookPlan
from headgate.decide.verdict import Look, LookRow, MetricRow, Verdict
from headgate.suite.model import Compare, Gate, Policy, Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the suite declares of the decision."""

    gates: Sequence[Gate]
    scorers: Sequence[Scorer]
    compare: Compare | None
    policy: Policy


class Course:
    """Judges prefixes of a run, in order.

    Every blocking row has its share of alpha (Bonferroni), spent over the looks; the first look at which it passes or
    fails settles it. Zero tolerance is settled early only by an occurrence.

    Parameters
    ----------
    declared : Declared
        Gates, scorers, comparison, policy.
    plan : LookPlan
        The looks.

    Attributes
    ----------
    looks : list of Look
        Made so far.
    """

    def __init__(self, declared: Declared, plan: LookPlan) -> None:
        self.declared, self.plan = declared, plan
        self.looks: list[Look] = []
        self._settled: dict[tuple[object, ...], MetricRow] = {}
        self._open: list[MetricRow] = []

    @property
    def over(self) -> bool:
        """Whether a row has failed, none is open, or all looks are made."""
        if not self.looks:
            return False
        failed = any(row.verdict == "fail" for row in self._settled.values())
        return failed or not self._open or len(self.looks) == len(self.plan.sizes)

    def look(self, candidate: RunFacts, baseline: RunFacts | None) -> Look:
        """Judge the next prefix: runs that hold its items, whole, and no others."""
        number = len(self.looks)
        rows = self._judge(candidate, baseline, number)
        last = number + 1 == len(self.plan.sizes)
        self._open = []
        for row in rows:
            key = _key(row)
            if key in self._settled:
                continue
            early = row.rule != "zero_tolerance" or row.verdict == "fail"
            if row.verdict in {"pass", "fail"} and (last or early):
                self._settled[key] = row
            else:
                self._open.append(row)
        look = Look(
            look=number + 1,
            n_items=self.plan.sizes[number],
            fraction=self.plan.fractions[number],
            rows=[self._shown(row) for row in rows],
        )
        self.looks.append(look)
        return look

    def verdict(self, candidate: RunFacts, baseline: RunFacts | None) -> Verdict:
        """Return the verdict after the last look that was made, on the runs that it saw.

        Rows that only inform, counts of jobs and whether too many of them failed are those of all that was seen.
        """
        declared = self.declared
        seen = decide(
            candidate,
            baseline,
            gates=declared.gates,
            scorers=declared.scorers,
            compare=declared.compare,
            policy=declared.policy,
        )
        seen = msgspec.structs.replace(seen, looks=self.looks, look_plan=self.plan.digest)
        if seen.verdict == "invalid":
            return seen
        still = {_key(row): row for row in self._open}
        rows = [self._settled.get(_key(row)) or still.get(_key(row)) or row for row in seen.metrics]
        return rejudge(seen, rows, policy=declared.policy)

    def _judge(self, candidate: RunFacts, baseline: RunFacts | None, number: int) -> list[MetricRow]:
        declared = self.declared
        blocking = [gate for gate in declared.gates if gate.tier == "blocking"]
        gates = [gate.model_copy(update={"slices": []}) for gate in blocking]
        cells = len(matches(candidate, baseline, compare=declared.compare))
        tests = cells * sum(gate.rule != "zero_tolerance" for gate in gates)
        level = self.plan.levels(declared.policy.alpha / max(tests, 1))[number]
        return judge_rows(
            candidate,
            baseline,
            gates=gates,
            scorers=declared.scorers,
            compare=declared.compare,
            policy=declared.policy.model_copy(update={"alpha": level}),
        )

    def _shown(self, row: MetricRow) -> LookRow:
        settled = self._settled.get(_key(row))
        return LookRow(
            name=row.name,
            rule=row.rule,
            cell=row.cell,
            estimate=row.estimate,
            low=row.low,
            high=row.high,
            confidence=row.confidence,
            verdict=row.verdict if settled is None else settled.verdict,
        )


def _key(row: MetricRow) -> tuple[object, ...]:
    return row.name, row.rule, row.margin, row.tier, tuple(sorted(row.cell.items()))
