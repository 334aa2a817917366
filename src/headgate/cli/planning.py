"""``headgate plan``: what a suite will take and can show, as tables or facts; a pilot first, where one is asked for."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import msgspec

import headgate.api as hg
from headgate.cli.output import print_line
from headgate.cli.running import pilot_shown
from headgate.conduct.cap import cap_suite
from headgate.conduct.outlay import JudgeForecast, LaneForecast
from headgate.conduct.planning import Forecast, forecast_suite
from headgate.decide.forecast import GateForecast
from headgate.decide.table import one_line
from headgate.decide.verdict import EXIT_CODES
from headgate.errors import ConfigError
from headgate.prices import format_usd
from headgate.report.terminal import format_cost, format_counts, format_table


def plan_suite(
    path: Path,
    *,
    stored: Path | None,
    pilot: int | None,
    pilot_out: Path | None,
    max_cost: float | None,
    allow_hosts: list[str] | None,
    json: bool,
    quiet: bool,
) -> int:
    """Say what a suite will take and can show; return the exit code.

    Parameters
    ----------
    pilot : int, optional
        Items to ask first.
    """
    if pilot is not None and stored is not None:
        raise ConfigError("goes without --pilot", field="--from", value=str(stored), mend="give one of the two")
    suite = cap_suite(hg.load_suite(path), max_cost_usd=max_cost)
    ran: hg.Run | None = None
    if pilot is not None:
        folder = pilot_out or Path("runs") / f"{suite.name}-pilot"
        ran = pilot_shown(suite, out=folder, items=pilot, allow_hosts=allow_hosts, quiet=quiet)
        stored = ran.path
    found = forecast_suite(suite, stored=stored, last=Path("runs") / suite.name)
    if json:
        print_line(msgspec.json.format(msgspec.json.encode(_facts(found, ran)), indent=1).decode())
    elif not quiet:
        for line in (*_pilot_lines(ran), *_lines(found)):
            print_line(line)
    if not quiet:
        for warning in found.warnings:
            sys.stderr.write(f"headgate: {one_line(warning, limit=4000)}\n")
    if found.refused is not None:
        return ConfigError.exit_code
    return 0 if found.is_worth_it else EXIT_CODES["inconclusive"]


def _facts(found: Forecast, pilot: hg.Run | None) -> dict[str, Any]:
    sums = {
        name: getattr(found, name)
        for name in ("requests", "tokens", "cost_usd", "unpriced", "is_measured", "is_worth_it")
    }
    asked = None if pilot is None else {**dataclasses.asdict(pilot), "path": str(pilot.path)}
    return {**dataclasses.asdict(found), **sums, "pilot": asked}


def _pilot_lines(pilot: hg.Run | None) -> list[str]:
    if pilot is None:
        return []
    cost = format_cost(pilot.cost_usd, pilot.unpriced)
    said = ", ".join(filter(None, [format_counts(pilot.counts, pilot.done), cost]))
    return [f"pilot: {said}, in {pilot.path}; it is for planning only, and no check or gate counts its rows", ""]


def _lines(found: Forecast) -> list[str]:
    judges = f" and {asked:,} of judges" if (asked := sum(judge.requests for judge in found.judges)) else ""
    lines = [f"{found.items:,} items, {found.seeds} seeds, {found.jobs:,} jobs{judges}{_cost(found)}"]
    if found.stored is not None:
        lines.append(f"spread and tokens as in {found.stored}, where it has them")
    if found.minutes is not None:
        lines.append(
            f"at the lanes' limits it takes {found.minutes:,.1f} min" + (", judges after the answers" * bool(judges))
        )
    heads = ["requests", "input tokens", "output tokens", "cost", "at its limits"]
    lines += ["", format_table(["lane", *heads], map(_lane_cells, found.lanes)), ""]
    if found.judges:
        lines += [format_table(["of these by", "asks", *heads], map(_judge_cells, found.judges)), ""]
    heads = ["gate", "cell", "tier", "passes if unchanged", "sees", "from"]
    lines.append(format_table(heads, map(_gate_cells, found.gates)))
    return lines + [f"  {one_line(gate.metric)}: {gate.advice}" for gate in found.gates if gate.advice]


def _cost(found: Forecast) -> str:
    """Return what all of it costs, and of how much that is not known."""
    share = (
        f"{found.unpriced / found.requests:.0%} of the requests are on models without a known price"
        if found.unpriced
        else ""
    )
    if found.cost_usd is None:
        return f", cost not known: {share}" if share else ""
    return f", about {format_usd(found.cost_usd)}" + (f" ({share})" if share else "")


def _lane_cells(lane: LaneForecast) -> list[str]:
    time = "no limits declared" if lane.minutes is None else f"{lane.minutes:,.1f} min"
    cost = "not known" if lane.cost_usd is None else format_usd(lane.cost_usd) + (" in part" if lane.unpriced else "")
    tokens = [f"{lane.input_tokens:,}", f"{lane.output_tokens:,}"]
    return ["+".join(lane.models), f"{lane.requests:,}", *tokens, cost, time]


def _judge_cells(judge: JudgeForecast) -> list[str]:
    return [judge.scorer, *_lane_cells(judge)]


def _gate_cells(gate: GateForecast) -> list[str]:
    rule = gate.rule if gate.bound is None else f"{gate.rule} {gate.bound:g}"
    passes = "-" if gate.passes is None else f"{gate.passes:.0%}"
    sees = "-" if gate.mde is None else f"{gate.mde:.3g}"
    return [f"{gate.metric} {rule}", " ".join(gate.cell.values()), gate.tier, passes, sees, gate.basis]
