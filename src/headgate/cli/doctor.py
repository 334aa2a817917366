"""``headgate doctor``: what is wrong, and what to do, in a line each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import headgate.api as hg
from headgate.cli.output import print_json, print_line
from headgate.conduct.doctor.finding import Diagnosis, Finding
from headgate.decide.table import one_line

_LONGEST = 2000


def diagnose(suite: Path, *, options: dict[str, Any], json: bool, quiet: bool) -> int:
    """Examine a suite, tell what was found, and return the exit code; the options are keywords of :func:`hg.doctor`."""
    found = hg.doctor(suite, **options)
    if json:
        print_json(found.facts())
    elif quiet:
        for finding in found.findings:
            if finding.level == "problem":
                sys.stderr.write(f"headgate: {_line(finding)}\n")
    else:
        for line in _lines(found):
            print_line(line)
    return found.exit_code


def _lines(found: Diagnosis) -> list[str]:
    known = ", ".join(f"{name} {found.versions[name]}" for name in ("headgate", "python", "platform"))
    counts = {level: sum(one.level == level for one in found.findings) for level in ("problem", "warning")}
    said = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items() if count)
    asked = "" if found.live else "; no model was asked: --live asks each for a word"
    told = [f"{finding.level:8} {_line(finding)}" for finding in found.findings]
    return [known, *told, f"{said or 'nothing is wrong'}{asked}"]


def _line(finding: Finding) -> str:
    mend = "" if finding.mend is None else f"; {finding.mend}"
    return one_line(f"{finding.about}: {finding.said}{mend}", limit=_LONGEST)
