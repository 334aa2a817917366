"""The one note of headgate on a merge request: written once, then replaced."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from headgate.ci.gitlab.api import GitLab
from headgate.errors import ConfigError
from headgate.execute.secret import Secret, resolve_secret
from headgate.identity import digest

REFERENCE: Final = "env:HEADGATE_GITLAB_TOKEN"
_PER_PAGE: Final = 100
_MOST_PAGES: Final = 100
_STRANGE: Final = "GitLab's answer is not what its API says"


class NoteRefused(Exception):
    """GitLab does not take the note; this never changes a verdict."""


def marker(*parts: str) -> str:
    """Return the hidden first line by which a note is found again; its parts may be any text.

    Examples
    --------
    >>> marker("support-bot --> @team")
    '<!-- headgate note 156eda28c3ef37d406e18ea0753a12e2 -->'
    """
    return f"<!-- headgate note {digest(list(parts))} -->"


def check_reference(reference: str) -> None:
    """Refuse a reference to a token that is not ``env:NAME``.

    Raises
    ------
    ConfigError
        Without its text, which may be the token itself.
    """
    scheme, _, name = reference.partition(":")
    if scheme != "env" or not name:
        raise ConfigError("names no variable", field="--token", mend=f"write it like {REFERENCE}")


def find_token(reference: str = REFERENCE) -> Secret | None:
    """Return the token that a reference names; None if its variable is not set, as for merge requests from forks.

    Raises
    ------
    ConfigError
        If what it names can be no token.
    """
    name = reference.removeprefix("env:")
    return resolve_secret(reference, base=Path(), field="--token") if os.environ.get(name, "").strip() else None


def merge_request(environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return project and number of the merge request that a pipeline is for; None if it is for none.

    Examples
    --------
    >>> merge_request({"CI_PROJECT_ID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "12"})
    ('5', '12')
    """
    project = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID") or ""
    number = environ.get("CI_MERGE_REQUEST_IID") or ""
    return (project, number) if project.isdecimal() and number.isdecimal() else None


async def upsert_note(gitlab: GitLab, *, project: str, number: str, mark: str, page: str) -> str:
    """Write the note, or replace the one that bears the same marker.

    Parameters
    ----------
    gitlab : GitLab
        With a token that may write notes: a job's own token may not.
    project, number : str
        Of the merge request.
    mark : str
        First line, see :func:`marker`. A note counts only if this token's user wrote it: anyone can write a marker.
    page : str
        The rest.

    Returns
    -------
    str
        ``written`` or ``replaced``.

    Raises
    ------
    NoteRefused
        If GitLab cannot be reached or does not take it.
    """
    notes = f"/projects/{project}/merge_requests/{number}/notes"
    body = {"body": f"{mark}\n{page}"}
    try:
        author = _checked(await gitlab.send("GET", "/user"))["id"]
        found = await _find(gitlab, notes, mark=mark, author=author)
        if found is None:
            _checked(await gitlab.send("POST", notes, json=body))
            return "written"
        _checked(await gitlab.send("PUT", f"{notes}/{found}", json=body))
    except httpx.HTTPError as error:
        raise NoteRefused(f"GitLab cannot be reached: {type(error).__name__}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NoteRefused(_STRANGE) from error
    return "replaced"


async def _find(gitlab: GitLab, notes: str, *, mark: str, author: object) -> int | None:
    for page in range(1, _MOST_PAGES + 1):
        params = {"per_page": _PER_PAGE, "page": page, "sort": "asc", "order_by": "created_at"}
        answer = await gitlab.send("GET", notes, params=params)
        found = _checked(answer, kind=list)
        for note in found:
            if not note.get("system") and note["author"]["id"] == author and str(note["body"]).startswith(mark):
                return int(note["id"])
        if len(found) < _PER_PAGE:
            return None
    return None


def _checked(answer: httpx.Response, *, kind: type = dict) -> Any:
    if answer.status_code in {401, 403}:
        mend = "the token may not write notes here: it needs the scope api and the role Reporter"
        raise NoteRefused(f"GitLab answers {answer.status_code}: {mend}")
    if not answer.is_success:
        raise NoteRefused(f"GitLab answers {answer.status_code}")
    try:
        data = answer.json()
    except ValueError:
        data = None
    if not isinstance(data, kind):
        raise NoteRefused(_STRANGE)
    return data
