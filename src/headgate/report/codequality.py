"""Rows that fail as code quality issues, in the form of Code Climate that GitLab reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from headgate.decide.table import one_line
from headgate.decide.verdict import MetricRow, Tier, Verdict
from headgate.identity import digest
from headgate.report.rows import named_rows

_SEVERITIES: Final[dict[Tier, str]] = {"blocking": "critical", "warning": "minor"}


class Place(NamedTuple):
    """A line of a file; ``path`` is relative to the repository."""

    path: str
    line: int


def verdict_codequality(verdict: Verdict, *, place: Callable[[MetricRow], Place | None], suite: str = "") -> bytes:
    """Return an issue for each blocking or warning row that fails.

    Parameters
    ----------
    verdict : Verdict
        What was judged.
    place : callable
        Returns where the prompt of a row stands; a row without a place has no issue.
    suite : str
        Name of the suite; part of the fingerprints.

    Returns
    -------
    bytes
        A JSON array. Fingerprints cover suite, gate and cell and nothing that was measured: the same regression is the
        same issue in every run.
    """
    issues = [
        {
            "description": one_line(f"{gate} [{cell}]: {row.reason}", limit=500),
            "check_name": "headgate",
            "fingerprint": digest({"suite": suite, "gate": gate, "cell": cell}),
            "severity": _SEVERITIES[row.tier],
            "location": {"path": found.path, "lines": {"begin": found.line}},
        }
        for gate, cell, row in named_rows(verdict.metrics)
        if row.verdict == "fail" and row.tier in _SEVERITIES and (found := place(row)) is not None
    ]
    return msgspec.json.format(msgspec.json.encode(issues), indent=1) + b"\n"
