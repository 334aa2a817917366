"""``headgate ci github``: a result goes to all places where a reader of GitHub looks."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from headgate.ci.github.annotations import annotate
from headgate.ci.github.comment import MOST_BYTES, Written, find_pull, upsert
from headgate.ci.github.environment import Environment, PullRequest, WorkflowRun
from headgate.ci.github.files import plain, summary_bytes, write_outputs, write_summary
from headgate.ci.github.page import result_page
from headgate.ci.github.rest import Client, Refused
from headgate.ci.result import Result, read_result, read_verdict
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.store.disk import replace_bytes

FailOn = Literal["fail", "inconclusive", "never"]
_NOTHING: Final = "the run left no verdict.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was reported.

    Attributes
    ----------
    result : Result
        The verdict, or why there is none.
    exit_code : int
        What the step is to leave with.
    annotations : list of str
        Workflow commands, to be printed.
    comment : Written or None
        What came of the comment; None where none was to be written.
    summary_file : Path or None
        Where the page stands.
    """

    result: Result
    exit_code: int
    annotations: list[str]
    comment: Written | None
    summary_file: Path | None


def report_run(
    run: Path,
    environment: Environment,
    *,
    fail_on: FailOn = "inconclusive",
    comment: bool = True,
    key: str | None = None,
    ended: int | None = None,
    summary: Path | None = None,
    trust_head: bool = False,
) -> Report:
    """Report a run: outputs, job summary, annotations, and the comment where the event is a pull request's.

    Parameters
    ----------
    run : Path
        A run directory, or a verdict file.
    environment : Environment
        The job.
    fail_on : str
        ``inconclusive`` leaves with the verdict's own exit code, ``fail`` with 0 where it is 20, ``never`` with 0
        whatever it is. Without a verdict it is 3 in any case.
    comment : bool
        Whether to write the comment.
    key : str, optional
        What tells the comment from others; default: the workflow and ``run``, which a run that crashed has too.
    ended : int, optional
        Exit code of the command that should have written the verdict.
    summary : Path, optional
        A file for the page too.
    trust_head : bool
        Go on where the job has secrets and runs the code of a pull request.

    Raises
    ------
    HeadgateError
        In a job ``pull_request_target`` that has checked out the pull request, unless ``trust_head``.
    StoreError
        If the summary or the outputs cannot be written.
    """
    if not trust_head:
        refuse_checkout_of_head(environment)
    result = read_result(run, ended=ended)
    page = result_page(result, run_url=environment.run_url, most_bytes=summary_bytes(environment.summary))
    file = _write_page(page, environment, summary)
    pull = environment.event.pull_request
    written = None
    if comment and pull is not None:
        written = _comment(result, environment, pull=pull, key=key or f"{environment.workflow} {run.as_posix()}")
    code = exit_code(result.verdict, fail_on)
    report = Report(
        result=result,
        exit_code=code,
        annotations=annotate(result, workspace=environment.workspace),
        comment=written,
        summary_file=file,
    )
    _write_outputs(report, environment)
    return report


def report_artifact(
    folder: Path, environment: Environment, *, key: str | None = None, summary: Path | None = None
) -> Report:
    """Report what a pull request's own run has left as an artifact: the second half of the pair for forks.

    The artifact is a stranger's: only ``verdict.json`` is read, and it must be a verdict. Which pull request it is
    comes from GitHub. The exit code says whether the comment stands, not what the verdict is: the first half says that.

    Parameters
    ----------
    folder : Path
        Where the artifact was unpacked.
    environment : Environment
        The job.
    key : str, optional
        What tells the comment from others; default: the name of the workflow that has run.
    summary : Path, optional
        A file for the page too.

    Raises
    ------
    ConfigError
        If the event is not ``workflow_run``, there is no token, or the artifact holds something else than a verdict.
    """
    run = environment.event.workflow_run
    if environment.event_name != "workflow_run" or run is None:
        mend = "run it in a workflow that is triggered by `workflow_run`, or report the run itself"
        raise ConfigError("is not workflow_run", field="GITHUB_EVENT_NAME", value=environment.event_name, mend=mend)
    if run.event != "pull_request":
        raise ConfigError("is not pull_request", field="workflow_run.event", value=run.event)
    if not environment.token or not environment.repository:
        raise ConfigError("is not set", field="GITHUB_TOKEN" if environment.repository else "GITHUB_REPOSITORY")
    file = folder / "verdict.json"
    verdict = read_verdict(file) if file.is_symlink() or file.exists() else None
    result = Result(verdict=verdict, missing="" if verdict else _NOTHING, verdict_file=file)
    origin = "This is what the pull request's own run reports; whoever opened it could change it."
    page = result_page(result, run_url=run.html_url, most_bytes=MOST_BYTES, origin=origin)
    where = _write_page(page, environment, summary)
    written = asyncio.run(_comment_on_head(environment, run, key=key or run.name, page=page))
    code = HeadgateError.exit_code if written.action == "refused" else 0
    report = Report(result=result, exit_code=code, annotations=[], comment=written, summary_file=where)
    _write_outputs(report, environment)
    return report


def exit_code(verdict: Verdict | None, fail_on: FailOn) -> int:
    """Return what a step leaves with.

    Examples
    --------
    >>> exit_code(None, "never")
    3
    """
    if verdict is None:
        return HeadgateError.exit_code
    if fail_on == "never" or (fail_on == "fail" and verdict.exit_code == 20):
        return 0
    return verdict.exit_code


def refuse_checkout_of_head(environment: Environment) -> None:
    """Refuse to go on where a stranger's code runs beside secrets.

    Raises
    ------
    HeadgateError
        If the event is ``pull_request_target`` and the checkout is the pull request's head, or a merge of it.
    """
    pull = environment.event.pull_request
    if environment.event_name != "pull_request_target" or pull is None:
        return
    if pull.head.sha in _commits(environment.workspace):
        raise HeadgateError(
            "pull_request_target: the checkout is the pull request's own code, and this job has the secrets of the "
            "repository; use `pull_request`, and `workflow_run` for the comment (--i-know goes on)"
        )


def _commits(workspace: Path) -> set[str]:
    """Return HEAD and its parents; a shallow clone names them too."""
    command = ["git", "-C", str(workspace), "cat-file", "-p", "HEAD"]
    head = ["git", "-C", str(workspace), "rev-parse", "HEAD"]
    body, name = (_output(words) for words in (command, head))
    parents = [line.removeprefix("parent ") for line in body.partition("\n\n")[0].splitlines() if line[:7] == "parent "]
    return {name.strip(), *parents}


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False)  # noqa: S603 - a fixed program
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _write_page(page: str, environment: Environment, summary: Path | None) -> Path | None:
    if environment.summary is not None:
        write_summary(environment.summary, page)
    if summary is not None:
        replace_bytes(summary, page.encode())
    return summary or environment.summary


def _comment(result: Result, environment: Environment, *, pull: PullRequest, key: str) -> Written:
    if not environment.token or not environment.repository:
        return Written("refused", "there is no token in GITHUB_TOKEN")
    page = result_page(result, run_url=environment.run_url, most_bytes=MOST_BYTES)

    async def write() -> Written:
        async with Client(environment.api_url, environment.token) as client:
            return await upsert(client, repository=environment.repository, number=pull.number, key=key, page=page)

    return asyncio.run(write())


async def _comment_on_head(environment: Environment, run: WorkflowRun, *, key: str, page: str) -> Written:
    async with Client(environment.api_url, environment.token) as client:
        try:
            number = await find_pull(client, repository=environment.repository, run=run)
        except Refused as error:
            return Written("refused", str(error))
        if number is None:
            return Written("skipped", "no open pull request has this head any more")
        return await upsert(client, repository=environment.repository, number=number, key=key, page=page)


def _write_outputs(report: Report, environment: Environment) -> None:
    if environment.output is None:
        return
    result = report.result
    candidate, baseline = result.digests
    outputs = {
        "verdict": result.word,
        "exit-code": str(report.exit_code),
        "reason": plain(result.missing if result.verdict is None else result.verdict.reason),
        "report": _path(result.verdict_file if result.verdict is not None else None),
        "summary": _path(report.summary_file),
        "digest": plain(candidate),
        "baseline-digest": plain(baseline),
        "cost-usd": "" if result.cost_usd is None else f"{result.cost_usd:.6f}",
        "n": str(result.n_items),
    }
    write_outputs(environment.output, outputs)


def _path(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())
