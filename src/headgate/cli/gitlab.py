"""What ``headgate ci gitlab`` does."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from headgate.ci.gitlab.api import GitLab
from headgate.ci.gitlab.notes import NoteRefused, check_reference, find_token, marker, merge_request, upsert_note
from headgate.ci.gitlab.reports import note_page, write_reports
from headgate.ci.stored import Stored, read_stored
from headgate.cli.commands import check_mapping, map_inconclusive
from headgate.cli.output import print_json, print_line
from headgate.decide.table import one_line
from headgate.errors import ConfigError
from headgate.execute.secret import Secret


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
