"""What ``headgate ci github`` prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from headgate.ci.github.commands import command, quoted
from headgate.ci.github.environment import read_environment
from headgate.ci.github.report import FailOn, Report, report_artifact, report_run
from headgate.decide.table import one_line
from headgate.errors import ConfigError


def report_to_github(
    run: Path | None,
    *,
    from_artifact: Path | None,
    fail_on: str,
    comment: str,
    options: Mapping[str, Any],
    ended: int | None,
    trust_head: bool,
    json: bool,
    quiet: bool,
) -> int:
    """Report a run or an artifact, print it, and return the exit code."""
    _one_of("--fail-on", fail_on, ("inconclusive", "fail", "never"))
    _one_of("--comment", comment, ("auto", "never"))
    environment = read_environment(os.environ)
    if from_artifact is not None:
        if run is not None:
            raise ConfigError("takes no RUN beside it", field="--from-artifact")
        report = report_artifact(from_artifact, environment, **options)
    elif run is None:
        raise ConfigError("is missing", field="RUN", mend="name a run directory, a verdict file or --from-artifact DIR")
    else:
        report = report_run(
            run,
            environment,
            fail_on=cast("FailOn", fail_on),
            comment=comment == "auto",
            ended=ended,
            trust_head=trust_head,
            **options,
        )
    _print(report, is_actions=environment.is_actions, json=json, quiet=quiet)
    return report.exit_code


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError("is unknown", field=option, value=value, mend=f"use {', '.join(known)}")


def _print(report: Report, *, is_actions: bool, json: bool, quiet: bool) -> None:
    result, written = report.result, report.comment
    if json:
        # The older form of a command begins anywhere in a line, so it must not stand in the document.
        document = msgspec.json.format(msgspec.json.encode(_facts(report)), indent=1)
        sys.stdout.write(document.replace(b"##[", rb"#\u0023[").decode() + "\n")
    elif not quiet:
        table = f"no verdict: {one_line(result.missing, limit=500)}" if result.verdict is None else str(result.verdict)
        sys.stdout.write((quoted(table) if is_actions else table) + "\n")
    problem = "" if written is None or not written.problem else f"headgate: no comment was written: {written.problem}"
    if is_actions:
        commands = [*report.annotations, *([command("warning", problem)] if problem else [])]
        (sys.stderr if json else sys.stdout).writelines(f"{line}\n" for line in commands)
    elif problem:
        sys.stderr.write(f"{problem}\n")


def _facts(report: Report) -> dict[str, Any]:
    result, written = report.result, report.comment
    candidate, baseline = result.digests
    return {
        "verdict": result.word,
        "exit_code": report.exit_code,
        "reason": result.missing if result.verdict is None else result.verdict.reason,
        "digest": candidate,
        "baseline_digest": baseline,
        "cost_usd": result.cost_usd,
        "n_items": result.n_items,
        "comment": None if written is None else {"action": written.action, "problem": written.problem},
    }
