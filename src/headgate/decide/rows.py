"""One row of the verdict: a gate in a cell, with what it says and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from headgate.decide.arms import Items
from headgate.decide.calibrated import CALIBRATED, calibrate
from headgate.decide.cells import Cell, Match
from headgate.decide.decision import FEW_CLUSTERS
from headgate.decide.facts import RunFacts
from headgate.decide.judges import grade_variance, most_useful, shares
from headgate.decide.metric import Metric, metric_of
from headgate.decide.missing import not_run
from headgate.decide.questions import Question
from headgate.decide.reasons import FEW_OF_A_LABEL, reason_of
from headgate.decide.rules import Ruling, margin_rule, max_ratio_rule, max_rule, min_rule
from headgate.decide.tables import items_of
from headgate.decide.tolerance import occurrences
from headgate.decide.verdict import MetricRow, Word
from headgate.errors import ConfigError, StatisticsError
from headgate.stats import between_share
from headgate.suite.gate import Gate, Policy
from headgate.suite.scorers import Scorer
from headgate.suite.scorers.judge import Judge

RELATIVE: Final = frozenset({"margin", "max_ratio"})
_SMALL_SLICE: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A row, and the ruling behind it (None: it is not a test, or nothing could be ruled)."""

    row: MetricRow
    ruling: Ruling | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where gates are judged: the runs (one and the same where both arms are in it), the scorers, and the policy."""

    candidate: RunFacts
    baseline: RunFacts | None
    anchor: RunFacts | None
    scorers: Sequence[Scorer]
    policy: Policy

    @property
    def alpha(self) -> float:
        """The declared level."""
        return self.policy.alpha

    def other(self, gate: Gate) -> RunFacts | None:
        """Return the run that a gate compares with."""
        if gate.rule not in RELATIVE:
            return None
        return self.anchor if gate.against == "anchor" else self.baseline

    def judge(self, question: Question) -> Judged:
        """Judge a gate in a cell; values that allow no estimate make the row invalid.

        Raises
        ------
        ConfigError
            If zero tolerance asks for seeds, or for a best value, that there are not.
        """
        gate, match = question.gate, question.match
        metric = metric_of(gate.metric, self.scorers)
        try:
            if gate.rule == "zero_tolerance":
                return self._tolerance(gate, match, metric)
            judged = self._test(gate, match, metric)
            return _displayed(judged) if question.is_slice and _is_small(judged.row) else judged
        except StatisticsError as error:
            row = _row(gate, match, alpha=self.alpha, verdict="invalid", reason=str(error))
            return Judged(row=row, ruling=None)

    def _test(self, gate: Gate, match: Match, metric: Metric) -> Judged:
        candidate, other = self.candidate.only(match.where), self.other(gate)
        other = None if other is None else other.only(match.where)
        items = items_of(candidate, other, metric=metric, cells=(match.candidate, match.baseline))
        items, calibrated = calibrate(items, gate, metric, self.policy)
        absent = not_run(candidate, match.candidate)
        if other is not None and match.baseline is not None:
            absent += not_run(other, match.baseline)
        ruling = _flagged(rule_on(items, gate, metric, policy=self.policy), items, metric, absent=absent)
        if other is not None and not match.where and _scores_alike(items) and _say_the_same(candidate, other, match):
            ruling = replace(ruling, flags=(*ruling.flags, "identical_responses"))
        if calibrated is not None:
            ruling = replace(ruling, flags=(*ruling.flags, calibrated))
        runs = [
            (candidate, match.candidate),
            *([] if other is None or match.baseline is None else [(other, match.baseline)]),
        ]
        judge_share = self._judge_share(gate, ruling, items, runs)
        endpoint_share = _endpoint_share(items)
        spend = most_useful(judge_share, ruling.seed_share, endpoint_share)
        reason = reason_of(gate, ruling, items=items, absent=absent, spend=spend)
        row = _row(gate, match, alpha=self.alpha, verdict=ruling.verdict, reason=reason, items=items, ruling=ruling)
        n_labels = items.n_labels if calibrated == CALIBRATED else 0
        parts = {"judge_share": judge_share, "endpoint_share": endpoint_share}
        return Judged(row=replace_row(row, **parts, n_labels=n_labels), ruling=ruling)

    def _judge_share(
        self, gate: Gate, ruling: Ruling, items: Items, runs: Sequence[tuple[RunFacts, Cell]]
    ) -> float | None:
        """Return the share of the estimate's variance that is its judges' own, where nobody corrects them."""
        judge = next((one for one in self.scorers if one.name == gate.metric), None)
        if not isinstance(judge, Judge) or gate.rule == "max_ratio" or items.candidate.human is not None:
            return None
        arms = [items.candidate] if items.baseline is None else [items.candidate, items.baseline]
        return shares(
            [grade_variance(facts, cell, judge) for facts, cell in runs],
            se=ruling.se,
            n_items=items.n_items,
            seeds=[max(arm.n_rows / items.n_items, 1.0) for arm in arms],
        )

    def _tolerance(self, gate: Gate, match: Match, metric: Metric) -> Judged:
        candidate = self.candidate.only(match.where)
        found = occurrences(candidate, metric=metric, cell=match.candidate, reproduce=gate.reproduce)
        absent = not_run(candidate, match.candidate)
        verdict = "inconclusive" if absent and found.verdict == "pass" else found.verdict
        reason = f"{found.seen} of {found.items} items show it"
        reason += f", {found.possible - found.seen} more may" if found.possible > found.seen else ""
        reason += f"; {absent} jobs were not run" if absent else ""
        row = _row(gate, match, alpha=self.alpha, verdict=verdict, reason=reason)
        low, high = found.limits(self.alpha)
        share = found.seen / found.items
        seen = {"estimate": share, "low": low, "high": high, "candidate_mean": share, "n_items": found.items}
        return Judged(row=replace_row(row, **seen, n_jobs=found.jobs, method="Clopper-Pearson"), ruling=None)


def _endpoint_share(items: Items) -> float | None:
    """Return the share of the items' variance that is between the endpoints that served them."""
    if items.endpoint is None:
        return None
    values = items.candidate.seen if items.baseline is None else items.candidate.seen - items.baseline.seen
    known = np.isfinite(values) & (items.endpoint >= 0)
    return between_share(values[known], items.endpoint[known])


def _scores_alike(items: Items) -> bool:
    """Tell whether no item scores differently in the two arms."""
    return items.baseline is not None and np.array_equal(items.candidate.seen, items.baseline.seen, equal_nan=True)


def _say_the_same(candidate: RunFacts, other: RunFacts, match: Match) -> bool:
    """Tell whether every response is the same text in both arms, where a model that is not greedy would vary it."""
    if match.baseline is None or candidate.read_outputs is None or other.read_outputs is None:
        return False
    if match.candidate.model in candidate.greedy and match.baseline.model in other.greedy:
        return False
    ours = candidate.read_outputs(match.candidate.prompt, match.candidate.model)
    theirs = other.read_outputs(match.baseline.prompt, match.baseline.model)
    theirs = theirs.with_columns(theirs["seed"] - other.first_seed + candidate.first_seed)
    both = ours.join(theirs, on=["item_id", "seed"])
    return both.height > 1 and bool(both["output"].eq_missing(both["output_right"]).all())


def _is_small(row: MetricRow) -> bool:
    """Tell whether a slice holds too little to say anything of."""
    return row.n_items < _SMALL_SLICE


def _displayed(judged: Judged) -> Judged:
    """Return a slice that is shown and not tested: it takes no part in the family of its tier."""
    reason = f"shown only: a slice of fewer than {_SMALL_SLICE} items is not judged"
    flags = [*judged.row.flags, "small_slice"]
    return Judged(row=replace_row(judged.row, verdict="inconclusive", reason=reason, flags=flags), ruling=None)


def check_gate(gate: Gate, metric: Metric, *, candidate: RunFacts, other: RunFacts | None) -> None:
    """Raise ConfigError if a gate asks for a run to compare with, or for scores, that are not there."""
    if gate.rule in RELATIVE and other is None:
        anchor = gate.against == "anchor"
        raise ConfigError(
            "needs an anchor run, and there is none" if anchor else "needs a baseline, and there is none",
            field=f"gates.{gate.rule}",
            value=gate.metric,
            mend="name the last release: --anchor RUN"
            if anchor
            else "give the suite a `compare`, or name a baseline run",
        )
    if not metric.built_in and metric.rows not in candidate.scorers:
        raise ConfigError(
            f"has no scores in run {candidate.run}",
            field="gates.metric",
            value=metric.rows,
            mend="score the run first: headgate score RUN",
        )


def rule_on(items: Items, gate: Gate, metric: Metric, *, policy: Policy) -> Ruling:
    """Apply a gate's rule to item means."""
    bounds, alpha = metric.bounds, policy.alpha
    strict, fixed = policy.fail_rule == "beyond_margin", policy.target == "suite"
    if gate.margin is not None:
        better = metric.higher_is_better
        return margin_rule(
            items,
            margin=gate.margin,
            alpha=alpha,
            bounds=bounds,
            higher_is_better=better,
            strict=strict,
            fixed=fixed,
        )
    if gate.min is not None:
        return min_rule(items, least=gate.min, alpha=alpha, bounds=bounds, fixed=fixed)
    if gate.max is not None:
        return max_rule(items, most=gate.max, alpha=alpha, bounds=bounds, fixed=fixed)
    assert gate.max_ratio is not None
    return max_ratio_rule(items, most=gate.max_ratio, alpha=alpha, strict=strict)


def replace_row(row: MetricRow, **changes: object) -> MetricRow:
    """Return the row with some fields changed."""
    import msgspec

    return msgspec.structs.replace(row, **changes)


def declared(gate: Gate) -> float | None:
    """Return the declared bound of a gate; None for zero tolerance."""
    return None if gate.rule == "zero_tolerance" else float(getattr(gate, gate.rule))


def _flagged(ruling: Ruling, items: Items, metric: Metric, *, absent: int) -> Ruling:
    """Add what is missing to the flags; what was not run leaves nothing decided."""
    flags = list(ruling.flags)
    if items.n_missing:
        flags.append("complete_pairs" if metric.bounds is None else "missing_at_bounds")
    ruling = _unless_rare(ruling, items)
    if items.rarest is not None and items.rarest.units < FEW_CLUSTERS[1]:
        flags.append(FEW_OF_A_LABEL)
    if absent:
        return replace(ruling, flags=(*flags, "not_run"), verdict="inconclusive", p_value=1.0)
    return replace(ruling, flags=tuple(flags))


def _unless_rare(ruling: Ruling, items: Items) -> Ruling:
    """Return the ruling, undecided where a label has too few items to say how it is answered."""
    least = FEW_CLUSTERS[0]
    if items.rarest is None or items.rarest.units >= least:
        return ruling
    units = items.rarest.units
    needed = max(ruling.needed_items or 0, math.ceil(items.n_items * least / units)) if units else None
    return replace(ruling, verdict="inconclusive", p_value=1.0, needed_items=needed, needed_seeds=None)


def _row(
    gate: Gate,
    match: Match,
    *,
    alpha: float,
    verdict: Word,
    reason: str,
    items: Items | None = None,
    ruling: Ruling | None = None,
) -> MetricRow:
    baseline = None if items is None or items.baseline is None else items.baseline.mean
    return MetricRow(
        name=gate.metric,
        tier=gate.tier,
        rule=gate.rule,
        cell=match.name,
        against=gate.against if gate.rule in RELATIVE else None,
        margin=declared(gate),
        estimate=None if ruling is None else ruling.estimate,
        low=None if ruling is None else ruling.low,
        high=None if ruling is None else ruling.high,
        confidence=1 - alpha,
        baseline_mean=baseline,
        candidate_mean=None if items is None else items.candidate.mean,
        n_items=0 if ruling is None else ruling.n_items,
        n_clusters=None if items is None else items.n_clusters,
        n_jobs=0 if items is None else items.n_jobs,
        method="none" if ruling is None else ruling.method,
        p_value=None if ruling is None else ruling.p_value,
        verdict=verdict,
        needed_items=None if ruling is None else ruling.needed_items,
        needed_seeds=None if ruling is None else ruling.needed_seeds,
        mde=None if ruling is None else ruling.mde,
        seed_share=None if ruling is None else ruling.seed_share,
        flags=[] if ruling is None else list(ruling.flags),
        reason=reason,
    )
