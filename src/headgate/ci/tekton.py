"""A verdict as results of a Tekton TaskRun, and a plan as the shards of a matrix.

Tekton keeps all results of a TaskRun in 4,096 bytes, and puts them into other Tasks as text. So there are few of them,
each is short, and none holds a character that a shell or Tekton itself would act on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from headgate.ci.verdicts import read_verdict
from headgate.conduct.prepare import planned
from headgate.decide.verdict import EXIT_CODES, Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.store.dataset import scan
from headgate.store.disk import naming, replace_bytes
from headgate.store.layout import RunFolder
from headgate.suite.documents import read_text
from headgate.suite.files import load_suite

MOST_SHARDS: Final = 256
"""TaskRuns of a matrix, unless the cluster says otherwise (default-max-matrix-combinations-count)."""

_LONGEST: Final = 200
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 .,:%+=/_-]+")
_CODE: Final = re.compile(r"-?[0-9]{1,3}")  # -1: a signal ended the step


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a TaskRun is told.

    Attributes
    ----------
    results : mapping of str to str
        Result name to text.
    exit_code : int
        What the step leaves with: 0 when the verdict is pass, or inconclusive and not mapped to fail.
    """

    results: Mapping[str, str]
    exit_code: int


def verdict_outcome(source: Path, *, exit_code_file: Path | None = None) -> Outcome:
    """Read a verdict and say what the TaskRun is told.

    Parameters
    ----------
    source : Path
        Run directory with ``verdict.json``, or a verdict file.
    exit_code_file : Path, optional
        Where Tekton keeps the exit code of the step that judged. A verdict that does not go with it is an older one:
        then the result ``verdict`` is ``error``, and the exit code that of the step (3 for a code that would be a
        verdict).

    Raises
    ------
    ConfigError
        If there is no verdict, and no exit code that says why.
    StoreError
        If rows of the run cannot be read.
    """
    left_with = None if exit_code_file is None else _read_code(exit_code_file)
    if left_with is not None and left_with not in EXIT_CODES.values():
        return _no_verdict(left_with, f"no verdict: the judging step left with exit code {left_with}")
    try:
        verdict, text = read_verdict(source)
    except ConfigError as error:
        if left_with is None:
            raise
        return _no_verdict(left_with, f"no verdict: {error.problem}")
    if left_with is not None and left_with != verdict.exit_code:
        why = f"no verdict: the judging step left with exit code {left_with}, verdict.json says {verdict.exit_code}"
        return _no_verdict(left_with, why)
    digest = hashlib.sha256(text.encode()).hexdigest()
    cost = run_cost(source) if RunFolder(source).manifest.exists() else None
    inconclusive = verdict.exit_code == EXIT_CODES["inconclusive"]
    return Outcome(_results(verdict, digest=digest, cost=cost), 0 if inconclusive else verdict.exit_code)


def plan_results(suite: Path, *, shards: int) -> dict[str, str]:
    """Plan a suite, cut it into shards, and return that as results.

    Parameters
    ----------
    suite : Path
        Suite file.
    shards : int
        1 to 256; there are never more than items.

    Raises
    ------
    ConfigError
        If the suite is wrong, or there are too many shards.

    Examples
    --------
    >>> import tempfile
    >>> from headgate.ci.starter import write_suite
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plan_results(write_suite(Path(folder))[0], shards=2)["shards"]
    '["1/2","2/2"]'
    """
    if not 1 <= shards <= MOST_SHARDS:
        mend = f"a matrix has 1 to {MOST_SHARDS} TaskRuns; for more, use an Indexed Job"
        raise ConfigError("is no number of shards here", field="--shards", value=shards, mend=mend)
    with planned(load_suite(suite)) as plan:
        count = min(shards, len(plan.items))
        parts = [f"{index}/{count}" for index in range(1, count + 1)]
        facts = {"plan-digest": plan.digest, "n-items": str(len(plan.items)), "jobs": str(len(plan))}
    return {"shards": msgspec.json.encode(parts).decode(), **facts}


def write_results(results: Mapping[str, str], folder: Path) -> None:
    """Write results as Tekton reads them: a file for each, without a newline; the verdict last."""
    with naming(folder, "write results"):
        for name in sorted(results, key=lambda name: name == "verdict"):
            replace_bytes(folder / name, results[name].encode())


def run_cost(run: Path) -> float | None:
    """Return what the stored rows of a run cost, in USD; None where no cost is known."""
    costs = scan(run).select("cost_usd").collect().to_series().drop_nulls()
    return None if costs.is_empty() else float(costs.sum())


def plain(text: str) -> str:
    """Return text as a result: one line of at most 200 characters on which no shell, command or Tekton acts.

    Examples
    --------
    >>> plain("$(rm -rf /); ok")
    'rm -rf / ok'
    """
    return _UNSAFE.sub("", text).lstrip("- ")[:_LONGEST]


def _results(verdict: Verdict, *, digest: str, cost: float | None) -> dict[str, str]:
    undecided = [row for row in verdict.metrics if row.tier == "blocking" and row.verdict == "inconclusive"]
    known = [row.needed_items for row in undecided if row.needed_items is not None]
    needed = max(map(str, known), key=int, default="unknown") if verdict.verdict == "inconclusive" else "0"
    return {
        "verdict": verdict.verdict,
        "exit-code": str(verdict.exit_code),
        "reason": plain(verdict.reason),
        "report-digest": digest,
        "plan-digest": plain(verdict.candidate.plan_digest),
        "baseline-digest": "" if verdict.baseline is None else plain(verdict.baseline.plan_digest),
        "n-items": str(max((row.n_items for row in verdict.metrics), default=0)),
        "needed-n": needed,
        "cost-usd": "unknown" if cost is None else f"{cost:.6f}",
    }


def _no_verdict(left_with: int, reason: str) -> Outcome:
    is_verdict = left_with in EXIT_CODES.values()
    code = HeadgateError.exit_code if is_verdict or left_with < 0 else left_with
    absent = dict.fromkeys(("report-digest", "plan-digest", "baseline-digest"), "")
    counts = {"n-items": "0", "needed-n": "unknown", "cost-usd": "unknown"}
    return Outcome({"verdict": "error", "exit-code": str(code), "reason": plain(reason), **absent, **counts}, code)


def _read_code(path: Path) -> int:
    text = read_text(path).strip()
    if not _CODE.fullmatch(text):
        raise ConfigError("is not an exit code", file=path, value=text)
    return int(text)
