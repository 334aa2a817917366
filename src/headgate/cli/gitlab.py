"""What ``headgate ci gitlab`` does."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from headgate.ci.gitlab.api import GitLab
from headgate.ci.gitlab.notes import NoteRefused, check_reference, find_token, marker, merge_request, upsert_note
from headgate.ci.gitlab.packages import pull_run, push_run
from headgate.ci.gitlab.reports import note_page, write_reports
from headgate.ci.stored import Stored, read_stored
from headgate.cli.commands import check_mapping, map_inconclusive
from headgate.cli.output import print_json, print_line
from headgate.conduct.baselines import describe_run, suite_parts
from headgate.decide.table import one_line
from headgate.errors import BaselineMissing, ConfigError
from headgate.execute.secret import Secret
from headgate.identity import digest
from headgate.store.layout import RunFolder
from headgate.suite.files import load_suite


def report_gitlab(
    run: Path,
    *,
    out: Path,
    note: str,
    token: str,
    ended: int | None,
    on_inconclusive: str | None,
    json: bool,
    quiet: bool,
) -> int:
    """Write the reports and the note; return the verdict's exit code, which a note never changes."""
    check_mapping(on_inconclusive)
    if note not in {"auto", "never"}:
        raise ConfigError("is unknown", field="--note", value=note, mend="use auto or never")
    check_reference(token)
    stored = read_stored(run, ended=ended)
    stored = Stored(map_inconclusive(stored.verdict, on_inconclusive), stored.manifest)
    verdict, files = stored.verdict, write_reports(stored, out)
    said = "not asked for" if note == "never" else _write_note(stored, token)
    if json:
        facts = {"verdict": verdict.verdict, "exit_code": verdict.exit_code, "reason": verdict.reason}
        print_json({**facts, "reports": [str(file) for file in files], "note": said})
    elif not quiet:
        print_line(f"{verdict.verdict.upper()}: {one_line(verdict.reason, limit=400)}")
        print_line(f"reports in {one_line(str(out))}; note: {said}")
    return verdict.exit_code


def _write_note(stored: Stored, reference: str) -> str:
    """Return what became of the note, in a few words."""
    found = merge_request()
    if found is None:
        return "this pipeline is for no merge request"
    mark = marker(os.environ.get("HEADGATE_NAME") or stored.name)

    async def write(token: Secret) -> str:
        async with GitLab(os.environ.get("CI_API_V4_URL", ""), header="PRIVATE-TOKEN", token=token) as gitlab:
            project, number = found
            return await upsert_note(gitlab, project=project, number=number, mark=mark, page=note_page(stored.verdict))

    try:
        token = find_token(reference)
        return f"{reference} is not set" if token is None else asyncio.run(write(token))
    except (NoteRefused, ConfigError) as error:
        sys.stderr.write(f"headgate: warning: no note: {one_line(str(error), limit=300)}\n")
        return "refused"


def push_baseline(run: Path, *, json: bool, quiet: bool) -> None:
    """Store a finished run in the project's package registry, under the key of its baseline."""
    key = describe_run(RunFolder(run)).key

    async def push() -> bool:
        async with _as_job() as gitlab:
            return await push_run(gitlab, run, project=_project(), version=key)

    is_new = asyncio.run(push())
    if json:
        print_json({"key": key, "is_new": is_new})
    elif not quiet:
        print_line(f"baseline {key} is {'stored' if is_new else 'there already, and stays as it is'}")


def pull_baseline(suite: Path, *, out: Path, json: bool, quiet: bool) -> None:
    """Fetch the run that a suite's baseline arm was stored as; exit code 3 where there is none."""
    key = digest(suite_parts(load_suite(suite)))

    async def pull() -> bool:
        async with _as_job() as gitlab:
            return await pull_run(gitlab, out, project=_project(), version=key)

    if not asyncio.run(pull()):
        raise BaselineMissing(f"the package registry has no baseline with key {key}")
    if json:
        print_json({"key": key, "run": str(out)})
    elif not quiet:
        print_line(f"baseline {key} in {one_line(str(out))}")


def _as_job() -> GitLab:
    token = os.environ.get("CI_JOB_TOKEN")
    if not token:
        mend = "call it in a GitLab job"
        raise ConfigError("is not set, and a package registry asks for it", field="CI_JOB_TOKEN", mend=mend)
    return GitLab(os.environ.get("CI_API_V4_URL", ""), header="JOB-TOKEN", token=Secret(token))


def _project() -> str:
    return os.environ.get("CI_PROJECT_ID", "")
