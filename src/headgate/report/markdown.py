"""A verdict as Markdown, for a job summary or a comment."""

from __future__ import annotations

from headgate.decide.table import SHOWN_ITEMS, judge_line, rule_text, traffic_lines
from headgate.decide.verdict import ArmErrors, MetricRow, Verdict
from headgate.report.inert import markdown

_MARKS = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️", "invalid": "⛔"}
_HEAD = "| | metric | cell | rule | baseline | candidate | estimate | limits | items | p |"


def verdict_markdown(verdict: Verdict) -> str:
    """Return the verdict as a Markdown page: heading, one table row per gate and cell, and the counts of jobs.

    Names and reasons are inert; see :mod:`headgate.report.inert`.
    """
    lines = [
        f"## {_MARKS[verdict.verdict]} headgate: {verdict.verdict}",
        "",
        markdown(verdict.reason, limit=500),
        "",
        _HEAD,
        "|" + "---|" * 10,
        *(_row(row) for row in verdict.metrics),
        *_worse_items(verdict),
        "",
    ]
    arms = {"candidate": verdict.errors.candidate, "baseline": verdict.errors.baseline, "anchor": verdict.errors.anchor}
    unit = "jobs" if verdict.traffic is None else "requests"
    lines += [_jobs(name, counts, unit=unit) for name, counts in arms.items() if counts is not None]
    if verdict.traffic is not None:
        lines += [f"- {markdown(line.strip(), limit=400)}" for line in traffic_lines(verdict.traffic)]
    lines += [f"- {markdown(judge_line(row), limit=400)}" for row in verdict.judges]
    lines += ["", f"Error rates are held at {verdict.alpha:g}; limits are one-sided."]
    return "\n".join(lines) + "\n"


def looks_markdown(verdict: Verdict) -> str:
    """Return the looks of a check, one table row per look and gate; empty where there were none."""
    if not verdict.looks:
        return ""
    lines = ["### Looks", "", "| look | items | seeds | metric | cell | verdict | limits |", "|" + "---|" * 7]
    for look in verdict.looks:
        for row in look.rows:
            cell = markdown(" ".join(row.cell.values()))
            limits = f"{_number(row.low)} … {_number(row.high)}"
            facts = (str(look.look), str(look.n_items), str(look.seeds), markdown(row.name), cell, row.verdict, limits)
            lines.append("| " + " | ".join(facts) + " |")
    return "\n".join(lines) + "\n"


def drift_markdown(verdict: Verdict) -> str:
    """Return what came of asking a stored baseline again; empty where it was not."""
    if not verdict.drift:
        return ""
    lines = ["### The stored baseline, asked again", ""]
    for row in verdict.drift:
        where = f"{markdown(row.name)} on {markdown(' '.join(row.cell.values()))}, {row.n_items} items"
        means = f"{_number(row.stored_mean)} → {_number(row.drawn_mean)} ({_number(row.low)} … {_number(row.high)})"
        lines.append(f"- {where}: {means}, {'has drifted' if row.drifted else 'no drift seen'}")
    return "\n".join(lines) + "\n"


def _worse_items(verdict: Verdict) -> list[str]:
    if not verdict.items:
        return []
    shown = [
        f"- {markdown(item.item_id)}: {markdown(item.name)} {_number(item.baseline_mean)} → "
        f"{_number(item.candidate_mean)} on {markdown(' '.join(item.cell.values()))} (p = {item.p_value:.2g})"
        for item in verdict.items[:SHOWN_ITEMS]
    ]
    more = len(verdict.items) - len(shown)
    return ["", "Items that are consistently worse:", "", *shown, *([f"- and {more} more"] if more else [])]


def _row(row: MetricRow) -> str:
    tier = "" if row.tier == "blocking" else f" ({row.tier})"
    cells = [
        f"{_MARKS[row.verdict]} {row.verdict}{tier}",
        markdown(row.name),
        markdown(" ".join(row.cell.values())),
        markdown(rule_text(row)),
        *map(_number, (row.baseline_mean, row.candidate_mean, row.estimate)),
        f"{_number(row.low)} … {_number(row.high)}",
        str(row.n_items),
        _number(row.p_value),
    ]
    return "| " + " | ".join(cells) + " |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _jobs(arm: str, counts: ArmErrors, *, unit: str) -> str:
    kinds = ", ".join(f"{markdown(kind)} {number}" for kind, number in sorted(counts.kinds.items()))
    return (
        f"- {arm}: {counts.planned} {unit}, {counts.ok} ok, {counts.refused} refused, {counts.errored} errored"
        + (f" ({kinds})" if kinds else "")
        + f", {counts.not_run} not run, {counts.unscored} unscored"
    )
