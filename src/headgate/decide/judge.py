"""The verdict: every gate in every cell, missing data, one alpha."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec
from numpy.typing import ArrayLike

from headgate.decide.cells import Cell, anchored, cells_of, differing, matches
from headgate.decide.consistency import FALSE_DISCOVERY, credible_drops
from headgate.decide.facts import RunFacts, number_items
from headgate.decide.judges import rate_judges
from headgate.decide.metric import metric_of
from headgate.decide.missing import arm_facts, count_arm, too_many_errors
from headgate.decide.questions import Found, Question, ask
from headgate.decide.reuse import reuse_drifted, reuse_rows
from headgate.decide.rows import Bench, Judged, check_gate, replace_row
from headgate.decide.serving import served_apart, serving_rows
from headgate.decide.verdict import EXIT_CODES, WORST_FIRST, Errors, ItemRow, MetricRow, Tier, Verdict, Word
from headgate.errors import ConfigError
from headgate.stats import benjamini_hochberg, holm
from headgate.stats.values import Floats
from headgate.suite.gate import Compare, Gate, Policy
from headgate.suite.scorers import Scorer

Adjust: TypeAlias = Callable[[ArrayLike], Floats]


def decide(
    candidate: RunFacts,
    baseline: RunFacts | None,
    *,
    anchor: RunFacts | None = None,
    gates: Sequence[Gate],
    scorers: Sequence[Scorer],
    compare: Compare | None,
    policy: Policy,
) -> Verdict:
    """Judge a run.

    Parameters
    ----------
    candidate : RunFacts
        The run with the candidate arm.
    baseline : RunFacts or None
        The run with the baseline arm; None: both arms are in ``candidate`` (with ``compare``), or gates are absolute.
    anchor : RunFacts, optional
        The run of the last release, for gates that are held against it.
    gates, scorers, compare, policy
        As the suite declares them.

    Returns
    -------
    Verdict
        That of the worst blocking row, in the order invalid, fail, inconclusive, pass.

    Raises
    ------
    ConfigError
        If there are no gates, a gate asks for what is not there, or cells of two runs do not pair.
    """
    if not gates:
        raise ConfigError("there is nothing to decide by", field="gates", mend="declare at least one gate")
    if not any(gate.against == "anchor" for gate in gates):
        anchor = None
    bench, found = _open(candidate, baseline, anchor, scorers=scorers, compare=compare, policy=policy)
    metrics = [metric_of(gate.metric, scorers) for gate in gates]
    for gate, metric in zip(gates, metrics, strict=True):
        check_gate(gate, metric, candidate=bench.candidate, other=bench.other(gate))
    scored = list(dict.fromkeys(metric.rows for metric in metrics if not metric.built_in))
    errors = _errors(bench, found, scored)
    arms = [(bench.candidate, cells_of(found.baseline)[0])]
    if bench.baseline is not None:
        arms.append((bench.baseline, cells_of(found.baseline)[1]))
    drift = [row for facts, cells in arms for row in reuse_rows(facts, cells, metrics)]
    serving = serving_rows(bench.candidate, bench.baseline, found.baseline, most=policy.max_error_rate)
    others = (bench.baseline, bench.anchor)
    broken = next(filter(None, (_broken(bench.candidate, other, compare, scored) for other in others)), None)
    questions = [] if broken else ask(gates, found, columns=bench.candidate.columns)
    rows = _rows(bench, questions)
    items = credible_drops(bench, questions)
    if broken is None:
        broken = too_many_errors(errors, max_error_rate=policy.max_error_rate) or served_apart(serving)
        broken = broken or reuse_drifted(drift)
        rows = [replace_row(row, verdict="invalid", reason=broken) for row in rows] if broken else rows
    verdict = _verdict(bench, found, rows=rows, items=items, errors=errors, broken=broken)
    return msgspec.structs.replace(verdict, serving=serving, drift=drift)


def judge_rows(
    candidate: RunFacts,
    baseline: RunFacts | None,
    *,
    anchor: RunFacts | None = None,
    gates: Sequence[Gate],
    scorers: Sequence[Scorer],
    compare: Compare | None,
    policy: Policy,
    cells: Container[Cell] | None = None,
) -> list[tuple[Cell, MetricRow]]:
    """Judge each row by itself, at the policy's alpha, which no family shares; return it with the candidate's cell.

    ``cells``: the candidate's cells to be judged; None: all.
    """
    bench, found = _open(candidate, baseline, anchor, scorers=scorers, compare=compare, policy=policy)
    questions = ask(gates, found, columns=bench.candidate.columns)
    wanted = [one for one in questions if cells is None or one.match.candidate in cells]
    return [(one.match.candidate, bench.judge(one).row) for one in wanted]


def _open(
    candidate: RunFacts,
    baseline: RunFacts | None,
    anchor: RunFacts | None,
    *,
    scorers: Sequence[Scorer],
    compare: Compare | None,
    policy: Policy,
) -> tuple[Bench, Found]:
    """Return the runs, their items numbered alike, and their cells in pairs; one run may hold both arms."""
    numbered = iter(number_items([run for run in (candidate, baseline, anchor) if run is not None]))
    ours = next(numbered)
    theirs, last = (None if run is None else next(numbered) for run in (baseline, anchor))
    found = Found(
        baseline=matches(ours, theirs, compare=compare),
        anchor=[] if last is None else anchored(ours, last, compare=compare),
    )
    other = ours if theirs is None and compare is not None else theirs
    return Bench(candidate=ours, baseline=other, anchor=last, scorers=scorers, policy=policy), found


def rejudge(verdict: Verdict, rows: list[MetricRow], *, policy: Policy) -> Verdict:
    """Return the verdict with other rows, and what follows from them."""
    word, reason = _worst(rows)
    return msgspec.structs.replace(
        verdict, metrics=rows, verdict=word, reason=reason, exit_code=exit_code(word, policy)
    )


def invalidate(verdict: Verdict, rows: list[MetricRow], *, reason: str) -> Verdict:
    """Return the verdict as one that nothing can be concluded from."""
    rows = [replace_row(row, verdict="invalid", reason=reason) for row in rows]
    return msgspec.structs.replace(
        verdict, metrics=rows, verdict="invalid", reason=reason, exit_code=EXIT_CODES["invalid"]
    )


def share_alpha(judged: Sequence[Judged], *, level: float, adjust: Adjust, name: str) -> list[MetricRow]:
    """Correct the failures of one family of rows: each row that fails on its own must stand among all of them.

    Parameters
    ----------
    level : float
        What the family shares: the rate of false failures, or of false ones among the failures.
    adjust : callable
        p-values to adjusted ones: Holm's, or Benjamini and Hochberg's for rows that only inform.
    name : str
        The flag of rows that do not stand.
    """
    tests = [(index, one.ruling) for index, one in enumerate(judged) if one.ruling is not None]
    p_values = [1.0 if ruling.verdict == "pass" or ruling.p_value is None else ruling.p_value for _, ruling in tests]
    rows = [one.row for one in judged]
    for (index, ruling), p, adjusted in zip(tests, p_values, adjust(p_values), strict=True):
        if ruling.verdict != "fail":
            continue
        own = level * p / float(adjusted)
        low, high = ruling.at(own)
        rows[index] = replace_row(rows[index], low=low, high=high, confidence=1 - own)
        if adjusted > level:
            reason = f"worse on its own (p = {p:.2g}), but not among {len(tests)} rows that share one level"
            flags = [*rows[index].flags, name]
            rows[index] = replace_row(rows[index], verdict="inconclusive", reason=reason, flags=flags)
    return rows


def _rows(bench: Bench, questions: Sequence[Question]) -> list[MetricRow]:
    judged = [bench.judge(question) for question in questions]
    rows: dict[int, MetricRow] = {id(one): one.row for one in judged}
    families: dict[Tier, tuple[float, Adjust, str]] = {
        "blocking": (bench.alpha, holm, "holm"),
        "warning": (bench.alpha, holm, "holm"),
        "monitor": (FALSE_DISCOVERY, benjamini_hochberg, "false_discovery"),
    }
    for tier, (level, adjust, name) in families.items():
        family = [one for one in judged if one.row.tier == tier]
        rows |= zip(map(id, family), share_alpha(family, level=level, adjust=adjust, name=name), strict=True)
    return [rows[id(one)] for one in judged]


def _errors(bench: Bench, found: Found, scored: Sequence[str]) -> Errors:
    ours, theirs = cells_of(found.baseline)
    _, anchors = cells_of(found.anchor)
    return Errors(
        candidate=count_arm(bench.candidate, ours, scorers=scored),
        baseline=None if bench.baseline is None else count_arm(bench.baseline, theirs, scorers=scored),
        anchor=None if bench.anchor is None else count_arm(bench.anchor, anchors, scorers=scored),
    )


def _broken(
    candidate: RunFacts, baseline: RunFacts | None, compare: Compare | None, scored: Sequence[str]
) -> str | None:
    """Return why two runs cannot be compared; None when they can."""
    if baseline is None:
        return None
    keys = differing(candidate, baseline, compare=compare, scorers=scored)
    return f"the runs differ in more than what is compared: {', '.join(keys)}" if keys else None


def _verdict(
    bench: Bench,
    found: Found,
    *,
    rows: list[MetricRow],
    items: list[ItemRow],
    errors: Errors,
    broken: str | None,
) -> Verdict:
    policy = bench.policy
    word, reason = _worst(rows) if broken is None else _invalid(broken)
    ours, theirs = cells_of(found.baseline)
    _, anchors = cells_of(found.anchor)
    return Verdict(
        verdict=word,
        reason=reason,
        exit_code=exit_code(word, policy),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        alpha=policy.alpha,
        metrics=rows,
        errors=errors,
        candidate=arm_facts(bench.candidate, ours),
        baseline=None if bench.baseline is None else arm_facts(bench.baseline, theirs),
        anchor=None if bench.anchor is None else arm_facts(bench.anchor, anchors),
        items=items,
        judges=rate_judges(
            [(bench.candidate, ours), *([] if bench.baseline is None else [(bench.baseline, theirs)])],
            bench.scorers,
            {row.name for row in rows},
        ),
    )


def exit_code(word: Word, policy: Policy) -> int:
    """Return what the command line leaves with."""
    if word != "inconclusive" or policy.on_inconclusive == "keep":
        return EXIT_CODES[word]
    return EXIT_CODES["pass" if policy.on_inconclusive == "pass" else "fail"]


def _invalid(reason: str) -> tuple[Word, str]:
    return "invalid", reason


def _worst(rows: Sequence[MetricRow]) -> tuple[Word, str]:
    blocking = [row for row in rows if row.tier == "blocking"]
    if not blocking:
        return "pass", "no gate of tier `blocking` stands in the way"
    words = {row.verdict for row in blocking}
    word: Word = next(filter(words.__contains__, WORST_FIRST))
    those = [row for row in blocking if row.verdict == word]
    if word == "pass":
        return word, f"all {len(those)} blocking rows pass" if len(those) > 1 else those[0].reason
    more = f" (and {len(those) - 1} more)" if len(those) > 1 else ""
    subject = " on ".join(filter(None, [those[0].name, " ".join(those[0].cell.values())]))
    return word, f"{subject}: {those[0].reason}{more}"
