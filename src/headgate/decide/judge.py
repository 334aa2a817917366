"""The verdict: every gate in every cell, missing data, one alpha."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from headgate.decide.cells import Match, cells_of, differing, matches
from headgate.decide.facts import RunFacts
from headgate.decide.metric import metric_of
from headgate.decide.missing import arm_facts, count_arm, too_many_errors
from headgate.decide.rows import Bench, Judged, check_gate, replace_row
from headgate.decide.verdict import EXIT_CODES, WORST_FIRST, Errors, MetricRow, Verdict, Word
from headgate.errors import ConfigError
from headgate.stats import holm
from headgate.suite.model import Compare, Gate, Policy, Scorer


def decide(
    candidate: RunFacts,
    baseline: RunFacts | None,
    *,
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
    found = matches(candidate, baseline, compare=compare)
    other = candidate if baseline is None and compare is not None else baseline
    bench = Bench(candidate=candidate, baseline=other, scorers=scorers, alpha=policy.alpha)
    metrics = [metric_of(gate.metric, scorers) for gate in gates]
    for gate, metric in zip(gates, metrics, strict=True):
        check_gate(gate, metric, candidate=candidate, baseline=other)
    scored = list(dict.fromkeys(metric.name for metric in metrics if not metric.built_in))
    errors = _errors(candidate, other, found, scored)
    broken = _broken(candidate, baseline, compare, scored)
    rows = [] if broken else _rows(bench, gates, found)
    if broken is None:
        broken = too_many_errors(errors, max_error_rate=policy.max_error_rate)
        rows = [replace_row(row, verdict="invalid", reason=broken) for row in rows] if broken else rows
    return _verdict(candidate, other, found, rows=rows, errors=errors, broken=broken, policy=policy)


def apply_holm(judged: Sequence[Judged], *, alpha: float) -> list[MetricRow]:
    """Correct the failures of one family of rows: each row that fails on its own must stand among all of them."""
    tests = [(index, one.ruling) for index, one in enumerate(judged) if one.ruling is not None]
    p_values = [1.0 if ruling.verdict == "pass" or ruling.p_value is None else ruling.p_value for _, ruling in tests]
    rows = [one.row for one in judged]
    for (index, ruling), p, adjusted in zip(tests, p_values, holm(p_values), strict=True):
        if ruling.verdict != "fail":
            continue
        level = alpha * p / float(adjusted)
        low, high = ruling.at(level)
        rows[index] = replace_row(rows[index], low=low, high=high, confidence=1 - level)
        if adjusted > alpha:
            reason = f"worse on its own (p = {p:.2g}), but not among {len(tests)} rows that share one alpha"
            flags = [*rows[index].flags, "holm"]
            rows[index] = replace_row(rows[index], verdict="inconclusive", reason=reason, flags=flags)
    return rows


def _rows(bench: Bench, gates: Sequence[Gate], found: Sequence[Match]) -> list[MetricRow]:
    judged = [bench.judge(gate, match) for gate in gates for match in found]
    rows: dict[int, MetricRow] = {id(one): one.row for one in judged}
    for tier in ("blocking", "warning"):
        family = [one for one in judged if one.row.tier == tier]
        rows |= zip(map(id, family), apply_holm(family, alpha=bench.alpha), strict=True)
    return [rows[id(one)] for one in judged]


def _errors(candidate: RunFacts, other: RunFacts | None, found: Sequence[Match], scored: Sequence[str]) -> Errors:
    ours, theirs = cells_of(found)
    return Errors(
        candidate=count_arm(candidate, ours, scorers=scored),
        baseline=None if other is None else count_arm(other, theirs, scorers=scored),
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
    candidate: RunFacts,
    other: RunFacts | None,
    found: Sequence[Match],
    *,
    rows: list[MetricRow],
    errors: Errors,
    broken: str | None,
    policy: Policy,
) -> Verdict:
    word, reason = _worst(rows) if broken is None else _invalid(broken)
    kept = policy.on_inconclusive == "keep" or word != "inconclusive"
    mapped: Word = "pass" if policy.on_inconclusive == "pass" else "fail"
    ours, theirs = cells_of(found)
    return Verdict(
        verdict=word,
        reason=reason,
        exit_code=EXIT_CODES[word if kept else mapped],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        alpha=policy.alpha,
        metrics=rows,
        errors=errors,
        candidate=arm_facts(candidate, ours),
        baseline=None if other is None else arm_facts(other, theirs),
    )


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
    where = " ".join(those[0].cell.values())
    return word, f"{those[0].name} on {where}: {those[0].reason}{more}"
