"""What ``headgate ci argo`` does."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headgate.ci.argo import compare_stamps, drift_code, read_manifests, stamp_annotations
from headgate.ci.verdicts import read_verdict
from headgate.cli.output import print_json, print_line
from headgate.decide.table import one_line
from headgate.errors import ConfigError


def print_stamp(run: Path, *, json: bool) -> None:
    """Print the annotations of a verdict as YAML, of which JSON text is a part."""
    stamped = stamp_annotations(read_verdict(run)[0])
    if json:
        print_json(stamped)
        return
    for name, value in stamped.items():
        print_line(f"{name}: {msgspec.json.encode(value).decode()}")


def find_drift(files: Sequence[Path], *, pods: str | None, verdicts: Sequence[Path], json: bool, quiet: bool) -> int:
    """Compare what is stamped with what passed; return the exit code."""
    if not files and pods is None:
        raise ConfigError("names nothing that is deployed", field="drift", mend="give FILE, or --pods SELECTOR")
    found = read_manifests(files, stdin=sys.stdin)
    if pods is not None:
        from headgate.ci.kubernetes import list_pods

        found["pods"] = list_pods(pods)
    judged = [read_verdict(path)[0] for path in verdicts]
    stamps = compare_stamps(found, judged)
    code, drifted = drift_code(stamps), [stamp for stamp in stamps if stamp.drifted]
    if json:
        facts = [{**dataclasses.asdict(stamp), "drifted": stamp.drifted} for stamp in stamps]
        print_json({"verdicts": [verdict.verdict for verdict in judged], "exit_code": code, "stamps": facts})
    elif not quiet:
        for stamp in drifted:
            print_line(one_line(f"{stamp.where}: {stamp.name}: {_list(stamp.deployed)} is deployed", limit=400))
            print_line(one_line(f"  what passed is {_list(stamp.gated)}", limit=400))
        words = ", ".join(verdict.verdict for verdict in judged)
        print_line(f"{len(stamps)} stamps, {len(drifted)} of them of what did not pass; verdict: {words}")
    if not stamps:
        sys.stderr.write("headgate: nothing is stamped with headgate.dev/prompt-digest; see headgate ci argo stamp\n")
    return code


def _list(values: Sequence[str]) -> str:
    return ", ".join(values) or "nothing"
