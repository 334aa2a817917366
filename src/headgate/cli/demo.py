"""``headgate demo``: the whole job against the simulated provider, a change that may pass and one that may not."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import headgate.api as hg
from headgate.ci.starter import write_demo
from headgate.cli.commands import write_verdict
from headgate.cli.running import run_shown
from headgate.errors import HeadgateError
from headgate.report.terminal import format_counts, print_verdict

EXPECTED: Final = {"harmless": "pass", "harmful": "fail"}


def run_demo(folder: Path, *, quiet: bool) -> int:
    """Run the demo and return 0 when both verdicts came out as they should."""
    started = time.monotonic()
    suite_file = write_demo(folder)
    suite = hg.load_suite(suite_file)
    run = run_shown(suite, out=folder / "run", options={}, quiet=quiet)
    verdicts = {name: hg.gate(run, candidate=f"prompt={name}") for name in EXPECTED}
    for name, verdict in verdicts.items():
        write_verdict(verdict, folder / f"verdict-{name}.json")
    if not quiet:
        sys.stdout.write(format_counts(run.counts, run.planned) + f" in {time.monotonic() - started:.1f} s\n")
        for name, verdict in verdicts.items():
            sys.stdout.write(f"\n--- candidate: {name}\n")
            print_verdict(verdict, stream=sys.stdout)
        sys.stdout.write(_where(folder))
    right = all(verdicts[name].verdict == expected for name, expected in EXPECTED.items())
    return 0 if right else HeadgateError.exit_code


def _where(folder: Path) -> str:
    return f"""
suite     {folder}/suite.yaml (edit it, and run: headgate run {folder}/suite.yaml --out {folder}/mine)
results   {folder}/run/results/*.parquet, {folder}/run/scores/*.parquet
verdicts  {", ".join(f"{folder}/verdict-{name}.json" for name in EXPECTED)}
more      headgate show {folder}/run; headgate verify {folder}/run
"""
