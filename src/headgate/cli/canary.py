"""``headgate canary`` and ``headgate serve``."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import headgate.api as hg
from headgate.cli.commands import check_mapping, map_inconclusive, tell, write_verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.report.markdown import verdict_markdown
from headgate.store.disk import replace_bytes

if TYPE_CHECKING:
    from headgate.decide.verdict import Verdict, Word

_MEASUREMENT: Final = re.compile(r"\.([1-9]\d*)$")


def judge_canary(
    file: Path | None,
    *,
    options: Mapping[str, Any],
    watch: bool,
    max_minutes: float | None,
    on_inconclusive: str | None,
    argo_job_name: str | None,
    files: Mapping[str, Path | None],
    json: bool,
    quiet: bool,
) -> int:
    """Judge a canary as far as its traffic has come, write the verdict, and return its exit code."""
    check_mapping(on_inconclusive)
    if max_minutes is not None and not watch:
        raise ConfigError("goes with --watch", field="--max-minutes", value=max_minutes)
    wait = 0.0 if not watch else float("inf") if max_minutes is None else max_minutes
    measurement = None if argo_job_name is None else _measurement(argo_job_name)

    def written(verdict: Verdict) -> None:
        _write(map_inconclusive(verdict, on_inconclusive), files)

    try:
        declared = hg.Canary.model_validate({}) if file is None else hg.load_canary(file)
        verdict = hg.canary(declared, max_minutes=wait, on_verdict=written, **options)
    except HeadgateError as error:
        if measurement is None:
            raise
        # A fault of the judge is no verdict: the job has two exits only, and neither promotes nor rolls back by it.
        sys.stderr.write(f"headgate: {error}\n")
        return argo_exit_code("inconclusive", measurement)
    verdict = map_inconclusive(verdict, on_inconclusive)
    tell(verdict, json=json, quiet=quiet)
    if verdict.traffic is not None and (quiet or json):
        sys.stderr.writelines(f"headgate: alarm: {text}\n" for text in verdict.traffic.alarms)
    return verdict.exit_code if measurement is None else argo_exit_code(verdict.verdict, measurement)


def argo_exit_code(word: Word, measurement: int) -> int:
    """Return what a job of an Argo metric leaves with, which knows only 0 and not 0.

    With ``count: 3, failureLimit: 1, consecutiveSuccessLimit: 2`` the analysis succeeds on two successes in a row,
    fails on two failures, and is inconclusive after success, failure, success.

    Parameters
    ----------
    measurement : int
        Its number, from 1.

    Examples
    --------
    >>> [argo_exit_code("inconclusive", n) for n in (1, 2, 3)]
    [0, 1, 0]
    >>> argo_exit_code("pass", 2), argo_exit_code("fail", 1)
    (0, 1)
    """
    if word in {"pass", "fail"}:
        return 0 if word == "pass" else 1
    return 1 - measurement % 2


def serve_canaries(
    configs: Sequence[Path],
    *,
    data: Path,
    host: str,
    port: int,
    token: str | None,
    max_body: int,
    keep: int,
    quiet: bool,
) -> None:
    """Serve until a signal."""
    from headgate.serve.run import serve

    declared = [hg.load_canary(file) for file in configs]
    serve(declared, data=data, host=host, port=port, token=token, max_body=max_body, keep=keep, quiet=quiet)


def _measurement(name: str) -> int:
    """Return the number of the measurement, with which Argo ends the name of its job: UID.METRIC.NUMBER."""
    found = _MEASUREMENT.search(name)
    if found is None:
        mend = "give the label batch.kubernetes.io/job-name of the pod"
        raise ConfigError(
            "does not end with the number of a measurement", field="--argo-job-name", value=name, mend=mend
        )
    return int(found[1])


def _write(verdict: Verdict, files: Mapping[str, Path | None]) -> None:
    if files["verdict"] is not None:
        write_verdict(verdict, files["verdict"])
    if files["markdown"] is not None:
        replace_bytes(files["markdown"], verdict_markdown(verdict).encode())
