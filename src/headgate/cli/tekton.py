"""What ``headgate ci tekton`` and ``tekton-plan`` do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headgate.ci.tekton import plan_results, verdict_outcome, write_results
from headgate.cli.output import print_json, print_line


def write_verdict_results(run: Path, *, results: Path, exit_code_file: Path | None, json: bool, quiet: bool) -> int:
    """Write a verdict as results; return what the step leaves with."""
    outcome = verdict_outcome(run, exit_code_file=exit_code_file)
    write_results(outcome.results, results)
    _tell(outcome.results, json=json, quiet=quiet)
    return outcome.exit_code


def write_plan_results(suite: Path, *, shards: int, results: Path, json: bool, quiet: bool) -> None:
    """Write the shards of a plan as results."""
    found = plan_results(suite, shards=shards)
    write_results(found, results)
    _tell(found, json=json, quiet=quiet)


def _tell(results: Mapping[str, str], *, json: bool, quiet: bool) -> None:
    if json:
        print_json(results)
    elif not quiet:
        for name, text in results.items():
            print_line(f"{name}: {text}")
