"""The one comment of a run on a pull request: found by a hidden marker, and written anew in its place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from headgate.ci.github.environment import WorkflowRun
from headgate.ci.github.rest import Client, Refused

MOST_BYTES: Final = 60_000
"""GitHub takes 65,536 characters; no text has more characters than bytes."""


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a comment: ``problem`` says why it was not written, and is empty otherwise."""

    action: Literal["created", "updated", "skipped", "refused"]
    problem: str = ""


def marker(key: str) -> str:
    """Return the first line of the comment with a key.

    Examples
    --------
    >>> marker("support-bot")
    '<!-- headgate fd825d2dc3d5d8c6 -->'
    """
    return f"<!-- headgate {hashlib.sha256(key.encode()).hexdigest()[:16]} -->"


async def upsert(client: Client, *, repository: str, number: int, key: str, page: str) -> Written:
    """Write a page as the comment with a key, over the earlier one if there is one.

    Parameters
    ----------
    repository : str
        ``owner/name``.
    number : int
        Of the pull request.
    key : str
        What tells this comment from others of headgate.
    page : str
        Markdown in which nothing acts.
    """
    body = {"body": f"{marker(key)}\n{page}"}
    comments = f"/repos/{repository}/issues/{number}/comments"

    async def write() -> Written:
        found = await _find(client, comments, marker(key))
        if found is not None:
            try:
                await client.call("PATCH", f"/repos/{repository}/issues/comments/{found}", body)
                return Written("updated")
            except Refused as error:
                if error.status != 404:  # 404: somebody has deleted it meanwhile
                    raise
        await client.call("POST", comments, body)
        return Written("created")

    try:
        return await client.retried(write)
    except Refused as error:
        return Written("refused", _explained(error))


def _explained(error: Refused) -> str:
    if error.status in {401, 403, 404}:
        return f"{error}: the token may not write comments here, as on a pull request from a fork"
    return str(error)


async def _find(client: Client, comments: str, wanted: str) -> int | None:
    """Return the id of the first comment that begins with the marker and is ours."""
    login = await _login(client)
    async for comment in client.pages(comments):
        if _is_ours(comment, login) and str(comment.get("body") or "").startswith(wanted):
            return int(comment["id"])
    return None


async def _login(client: Client) -> str | None:
    """Return whose token it is; a workflow's own token may not ask, and writes as a bot."""
    try:
        return str((await client.call("GET", "/user"))["login"])
    except Refused as error:
        if error.status in {401, 403, 404}:
            return None
        raise


def _is_ours(comment: Any, login: str | None) -> bool:
    user = comment.get("user") or {}
    return user.get("type") == "Bot" if login is None else user.get("login") == login


async def find_pull(client: Client, *, repository: str, run: WorkflowRun) -> int | None:
    """Return the number of the open pull request whose head is the commit of a workflow run.

    GitHub is asked; nothing that the run itself made is believed.

    Raises
    ------
    Refused
        If GitHub does not answer.
    """
    if run.head_repository is None or run.head_branch is None:
        return None
    params = {"state": "open", "head": f"{run.head_repository.owner.login}:{run.head_branch}"}

    async def find() -> int | None:
        async for pull in client.pages(f"/repos/{repository}/pulls", params):
            head = pull["head"]
            same = (head.get("repo") or {}).get("full_name") == run.head_repository.full_name  # type: ignore[union-attr]
            if same and head["sha"] == run.head_sha:
                return int(pull["number"])
        return None

    return await client.retried(find)
