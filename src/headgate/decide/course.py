"""Gates judged look by look: what is settled stays so, and the run ends when nothing is open."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import msgspec

from headgate.decide.calibrated import FEW_LABELS
from headgate.decide.cells import Cell, anchored, matches
from headgate.decide.drift import DRIFT_ALPHA, drift_rows
from headgate.decide.facts import RunFacts
from headgate.decide.judge import decide, invalidate, judge_rows, rejudge
from headgate.decide.looks import LookPlan
from headgate.decide.metric import metric_of
from headgate.decide.verdict import DriftRow, Look, LookRow, MetricRow, Verdict
from headgate.suite.gate import Compare, Gate, Policy
from headgate.suite.scorers import Scorer


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
        self._open: dict[tuple[object, ...], tuple[Cell, MetricRow]] = {}
        self._drift: list[DriftRow] = []

    @property
    def over(self) -> bool:
        """Whether a row has failed, none is open, the baseline has drifted, or no look is left that could settle one.

        Once all items are seen, that is a look at more seeds of a row that they can decide.
        """
        if not self.looks:
            return False
        failed = any(row.verdict == "fail" for row in self._settled.values())
        return failed or not self._open or self._has_drifted or (self.all_seen and not self.cells_worth_seeds)

    @property
    def all_seen(self) -> bool:
        """Whether all items were looked at: what comes next are seeds."""
        return len(self.looks) >= len(self.plan.sizes)

    @property
    def cells_worth_seeds(self) -> list[Cell]:
        """The candidate's cells that more seeds should be asked of, if there are to be any.

        That is where a row is open and seeds, no more than there may be, would decide it if the estimates stayed; or
        where one seed does not tell. To leave a row open costs no alpha.
        """
        if len(self.looks) >= len(self.plan):
            return []
        return list(dict.fromkeys(cell for cell, row in self._open.values() if self._is_worth_seeds(row)))

    def _is_worth_seeds(self, row: MetricRow) -> bool:
        if row.needed_items is None:
            return False
        if self.looks[-1].seeds == 1 and row.seed_share is None:
            return True
        return row.needed_seeds is not None and row.needed_seeds <= self.plan.most_seeds

    @property
    def _has_drifted(self) -> bool:
        return any(row.drifted for row in self._drift)

    def look(self, candidate: RunFacts, baseline: RunFacts | None, anchor: RunFacts | None = None) -> Look:
        """Judge the next prefix: runs that hold its items, whole, and no others.

        A look at more seeds judges the cells that were given them (``candidate.more_seeds``).
        """
        number = len(self.looks)
        cells = self.cells_worth_seeds if self.all_seen else None
        judged = self._judge(candidate, baseline, anchor, number=number, cells=cells)
        for cell, row in judged:
            key = _key(row)
            if key in self._settled:
                continue
            # Too few labels to correct a judge by may be enough at a later look.
            early = (row.rule != "zero_tolerance" or row.verdict == "fail") and FEW_LABELS not in row.flags
            last = number + 1 >= len(self.plan.sizes)
            if row.verdict in {"pass", "fail"} and (last or early):
                self._settled[key] = row
                self._open.pop(key, None)
            else:
                self._open[key] = cell, row
        look = Look(
            look=number + 1,
            n_items=self.plan.n_items(number),
            seeds=self.plan.n_seeds(number),
            fraction=self.plan.fractions[number],
            rows=[self._shown(row) for _, row in judged],
        )
        self.looks.append(look)
        return look

    def look_for_drift(self, drawn: RunFacts, stored: RunFacts, *, cells: Sequence[Cell]) -> None:
        """Compare cells of the stored baseline with what was drawn of them again so far; drift ends the course."""
        declared = self.declared
        names = dict.fromkeys(gate.metric for gate in declared.gates if gate.rule == "margin")
        metrics = [metric for name in names if not (metric := metric_of(name, declared.scorers)).built_in]
        level = DRIFT_ALPHA / max(len(self.plan) * len(metrics) * len(cells), 1)
        self._drift = drift_rows(drawn, stored, cells=cells, metrics=metrics, level=level)

    def verdict(self, candidate: RunFacts, baseline: RunFacts | None, anchor: RunFacts | None = None) -> Verdict:
        """Return the verdict after the last look that was made, on the runs that it saw.

        Rows that only inform, counts of jobs and whether too many of them failed are those of all that was seen.
        """
        declared = self.declared
        seen = decide(
            candidate,
            baseline,
            anchor=anchor,
            gates=declared.gates,
            scorers=declared.scorers,
            compare=declared.compare,
            policy=declared.policy,
        )
        seen = msgspec.structs.replace(
            seen, looks=self.looks, look_plan=self.plan.digest, drift=[*seen.drift, *self._drift]
        )
        if seen.verdict == "invalid":
            return seen
        rows = [self._settled.get(_key(row)) or self._latest(row) for row in seen.metrics]
        if self._has_drifted:
            return invalidate(seen, rows, reason=_drifted(self._drift))
        return rejudge(seen, rows, policy=declared.policy)

    def _latest(self, row: MetricRow) -> MetricRow:
        """Return a row that is not settled as it stood at the last look that judged it."""
        return self._open[_key(row)][1] if _key(row) in self._open else row

    def _judge(
        self,
        candidate: RunFacts,
        baseline: RunFacts | None,
        anchor: RunFacts | None,
        *,
        number: int,
        cells: Container[Cell] | None,
    ) -> list[tuple[Cell, MetricRow]]:
        declared = self.declared
        blocking = [gate for gate in declared.gates if gate.tier == "blocking"]
        tests = count_tests(declared, candidate, baseline, anchor)
        level = self.plan.levels(declared.policy.alpha / max(tests, 1))[number]
        return judge_rows(
            candidate,
            baseline,
            anchor=anchor,
            gates=[gate.model_copy(update={"slices": []}) for gate in blocking],
            scorers=declared.scorers,
            compare=declared.compare,
            policy=declared.policy.model_copy(update={"alpha": level}),
            cells=cells,
        )

    def _shown(self, row: MetricRow) -> LookRow:
        settled = self._settled.get(_key(row))
        return LookRow(
            name=row.name,
            rule=row.rule,
            cell=row.cell,
            against=row.against,
            estimate=row.estimate,
            low=row.low,
            high=row.high,
            confidence=row.confidence,
            verdict=row.verdict if settled is None else settled.verdict,
            seed_share=row.seed_share,
        )


def count_tests(declared: Declared, candidate: RunFacts, baseline: RunFacts | None, anchor: RunFacts | None) -> int:
    """Return how many rows share alpha: those that can fail the verdict, and do so by a test."""
    cells = len(matches(candidate, baseline, compare=declared.compare))
    anchors = 0 if anchor is None else len(anchored(candidate, anchor, compare=declared.compare))
    tested = [gate for gate in declared.gates if gate.tier == "blocking" and gate.rule != "zero_tolerance"]
    return sum(anchors if gate.against == "anchor" else cells for gate in tested)


def _drifted(rows: Sequence[DriftRow]) -> str:
    row = next(row for row in rows if row.drifted)
    where = " ".join(row.cell.values())
    return (
        f"the stored baseline has drifted: {row.name} on {where} is {row.drawn_mean:.3g} on {row.n_items} items asked "
        f"again, and was {row.stored_mean:.3g}; draw the baseline again, or leave it out and ask both arms"
    )


def _key(row: MetricRow) -> tuple[object, ...]:
    return row.name, row.rule, row.margin, row.tier, row.against, tuple(sorted(row.cell.items()))
