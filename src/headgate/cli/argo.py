"""What ``headgate ci argo`` does."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import msgspec

from headgate.ci.argo import annotations, compare_stamps, read_manifests
from headgate.ci.verdicts import read_verdict
from headgate.cli.commands import print_json, print_line
from headgate.decide.table import one_line
from headgate.decide.verdict import EXIT_CODES

_NOTHING = EXIT_CODES["invalid"]


def print_stamp(run: Path, *, json: bool) -> None:
    """Print the annotations of a verdict; as YAML, JSON text is YAML too."""
    stamped = annotations(read_verdict(run)[0])
    if json:
        print_json(stamped)
        return
    for name, value in stamped.items():
        print_line(f"{name}: {msgspec.json.encode(value).decode()}")


def find_drift(files: list[Path], *, verdict: Path, json: bool, quiet: bool) -> int:
    """Compare stamps with a verdict; return the exit code."""
    passed, _ = read_verdict(verdict)
    stamps = compare_stamps(read_manifests(files, stdin=sys.stdin), passed)
    drifted = [stamp for stamp in stamps if stamp.drifted]
    if not stamps:
        code = _NOTHING
    else:
        code = EXIT_CODES["fail"] if drifted or passed.verdict != "pass" else EXIT_CODES["pass"]
    if json:
        facts = [{**dataclasses.asdict(stamp), "drifted": stamp.drifted} for stamp in stamps]
        print_json({"verdict": passed.verdict, "exit_code": code, "stamps": facts})
    elif not quiet:
        for stamp in drifted:
            print_line(one_line(f"{stamp.where}: {stamp.name}: {_list(stamp.deployed)} is deployed", limit=400))
            print_line(one_line(f"  what passed is {_list(stamp.gated)}", limit=400))
        print_line(f"{len(stamps)} stamps, {len(drifted)} of them of what did not pass; verdict: {passed.verdict}")
    return code


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(values) or "nothing"
