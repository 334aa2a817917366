"""A verdict as a table of fixed width, for terminals and logs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from headgate.decide.verdict import ArmErrors, DriftRow, JudgeRow, Look, MetricRow, ServingRow, Traffic, Verdict

SHOWN_ITEMS: Final = 10
"""Items that are credibly worse of which a report shows the facts."""

_HEADS = ("verdict", "metric", "cell", "rule", "baseline", "candidate", "estimate", "interval", "items")


def one_line(text: str, *, limit: int = 120) -> str:
    r"""Return text that stays on one line and does nothing to a terminal.

    Examples
    --------
    >>> one_line("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def verdict_table(verdict: Verdict) -> str:
    """Return the verdict, one line per row, and what became of the jobs."""
    lines = [f"{verdict.verdict.upper()}: {one_line(verdict.reason, limit=400)}", ""]
    lines += _aligned([_HEADS, *map(_cells, verdict.metrics)])
    lines += [
        f"  {one_line(row.name)}: {one_line(row.reason, limit=400)}" for row in verdict.metrics if row.verdict != "pass"
    ]
    lines += _worse_items(verdict)
    lines += ["", *map(look_line, verdict.looks)] if verdict.looks else []
    lines += map(drift_line, verdict.drift)
    lines += map(serving_line, verdict.serving)
    lines += ["", *map(judge_line, verdict.judges)] if verdict.judges else []
    arms = {"candidate": verdict.errors.candidate, "baseline": verdict.errors.baseline, "anchor": verdict.errors.anchor}
    unit = "jobs" if verdict.traffic is None else "requests"
    lines += ["", *(_jobs(name, counts, unit=unit) for name, counts in arms.items() if counts is not None)]
    lines += _reused(verdict)
    return "\n".join([*lines, *([] if verdict.traffic is None else traffic_lines(verdict.traffic))])


def traffic_lines(traffic: Traffic) -> list[str]:
    """Return what live traffic was read, and what became of it."""
    arms = {"candidate": traffic.candidate, "baseline": traffic.baseline}
    lines = [
        f"{name}: {arm.units} units; in none: {arm.late} late, {arm.duplicate} duplicate, {arm.repeated} repeated, "
        f"{arm.crossed} crossed"
        for name, arm in arms.items()
    ]
    lines.append(
        f"judged until {traffic.until or '-'}; {traffic.waiting} requests wait, {traffic.unmatched} of neither arm, "
        f"{traffic.bad} bad lines"
    )
    lines += [f"  {one_line(text, limit=400)}" for text in traffic.bad_lines[:SHOWN_ITEMS]]
    return [*lines, *(f"ALARM: {one_line(text, limit=400)}" for text in traffic.alarms)]


def look_line(look: Look) -> str:
    """Return a look as one line."""
    rows = "; ".join(
        f"{one_line(row.name, limit=32)} {row.verdict} ({_number(row.low)} to {_number(row.high)})" for row in look.rows
    )
    seeds = f", {look.seeds} seeds" if look.seeds > 1 else ""
    return f"look {look.look}, {look.n_items} items{seeds}: {rows}"


def drift_line(row: DriftRow) -> str:
    """Return what came of asking a stored baseline again, as one line."""
    means = f"{_number(row.stored_mean)} -> {_number(row.drawn_mean)}"
    word = "has drifted" if row.drifted else "no drift seen"
    where = one_line(" ".join(row.cell.values()), limit=40)
    limits = f"({_number(row.low)} to {_number(row.high)})"
    return f"baseline {where}, {row.n_items} items asked again: {one_line(row.name, limit=32)} {means} {limits}, {word}"


def _reused(verdict: Verdict) -> Iterator[str]:
    """Yield how many answers of each arm are not this run's own, or not the first endpoint's."""
    for name, arm in (("candidate", verdict.candidate), ("baseline", verdict.baseline), ("anchor", verdict.anchor)):
        if arm is not None and (arm.cached or arm.fallback):
            yield f"{name}: {arm.cached} answers came from the cache, {arm.fallback} from an endpoint that stood in"


def serving_line(row: ServingRow) -> str:
    """Return in what the arms were served differently, as one line."""
    arms = (one_line(describe_shares(shares), limit=200) for shares in (row.candidate, row.baseline))
    where = one_line(" ".join(row.cell.values()), limit=40)
    word = "invalid" if row.invalid else "warning"
    return f"{word}: {row.name} on {where}: candidate {next(arms)}; baseline {next(arms)}"


def describe_shares(shares: dict[str, float]) -> str:
    """Return shares as text, the largest first.

    Examples
    --------
    >>> describe_shares({"a": 0.25, "b": 0.75})
    'b 75%, a 25%'
    """
    ordered = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {100 * share:.3g}%" for name, share in ordered)


def judge_line(row: JudgeRow) -> str:
    """Return what the judges of a metric are worth in a cell, as one line."""
    where = one_line(" ".join(row.cell.values()), limit=40)
    parts = [f"{row.n_graded} answers graded by {one_line(', '.join(row.judges), limit=60)}"]
    if row.n_labels:
        parts.append(f"{row.n_labels} labelled: bias {_number(row.bias)}, kappa {_number(row.kappa)}")
        parts.append(f"sensitivity {_number(row.sensitivity)}, specificity {_number(row.specificity)}")
    if row.panel_kappa is not None:
        limits = f"({_number(row.panel_kappa_low)} to {_number(row.panel_kappa_high)})"
        parts.append(f"panel's kappa {_number(row.panel_kappa)} {limits}")
    if row.position_bias is not None:
        limits = f"({_number(row.position_bias_low)} to {_number(row.position_bias_high)})"
        parts.append(f"first place {row.position_bias:+.4g} {limits}, {_number(row.flips)} of pairs flip")
    return f"judge of {one_line(row.name, limit=32)} on {where}: {'; '.join(parts)}"


def rule_text(row: MetricRow) -> str:
    """Return a row's rule with its declared bound.

    Examples
    --------
    ``margin 0.05``, or ``margin 0.05 to anchor``.
    """
    text = row.rule if row.margin is None else f"{row.rule} {row.margin:g}"
    return f"{text} to anchor" if row.against == "anchor" else text


def _worse_items(verdict: Verdict) -> list[str]:
    """Return the items that are credibly worse, a few of them."""
    if not verdict.items:
        return []
    shown = [
        f"  {one_line(item.item_id, limit=60)}: {one_line(item.name, limit=32)} {_number(item.baseline_mean)} -> "
        f"{_number(item.candidate_mean)} on {one_line(' '.join(item.cell.values()), limit=40)} (p = {item.p_value:.2g})"
        for item in verdict.items[:SHOWN_ITEMS]
    ]
    more = len(verdict.items) - len(shown)
    return ["", "items that are consistently worse:", *shown, *([f"  and {more} more in verdict.json"] if more else [])]


def _cells(row: MetricRow) -> tuple[str, ...]:
    cell = " ".join(one_line(value, limit=24) for value in row.cell.values())
    tier = "" if row.tier == "blocking" else f" ({row.tier})"
    interval = f"{_number(row.low)} to {_number(row.high)}"
    name = one_line(row.name, limit=32)
    means = (_number(row.baseline_mean), _number(row.candidate_mean), _number(row.estimate))
    return (row.verdict + tier, name, cell, rule_text(row), *means, interval, str(row.n_items))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(starmap(str.ljust, zip(row, widths, strict=True))).rstrip() for row in rows]


def _jobs(arm: str, counts: ArmErrors, *, unit: str = "jobs") -> str:
    kinds = ", ".join(f"{one_line(kind, limit=40)} {number}" for kind, number in sorted(counts.kinds.items()))
    text = f"{arm}: {counts.planned} {unit}, {counts.ok} ok, {counts.refused} refused, {counts.errored} errored"
    text += f" ({kinds})" if kinds else ""
    return f"{text}, {counts.not_run} not run, {counts.unscored} unscored"
