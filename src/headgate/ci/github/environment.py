"""What a runner says about the job: the variables GITHUB_*, and the event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from headgate.errors import ConfigError
from headgate.store.disk import naming

_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_URL: Final = re.compile(r"https://[\w.:-]+(/[\w./-]*)?|http://(localhost|127\.0\.0\.1)(:\d+)?(/[\w./-]*)?", re.ASCII)


class Owner(msgspec.Struct, frozen=True):
    """Who owns a repository."""

    login: str


class Repository(msgspec.Struct, frozen=True):
    """A repository."""

    full_name: str
    owner: Owner


class Head(msgspec.Struct, frozen=True):
    """Where a pull request comes from; its repository is null once that is deleted."""

    sha: str
    repo: Repository | None = None


class PullRequest(msgspec.Struct, frozen=True):
    """The pull request of an event."""

    number: int
    head: Head


class WorkflowRun(msgspec.Struct, frozen=True):
    """The run that an event ``workflow_run`` tells of."""

    id: int
    name: str
    event: str
    head_sha: str
    html_url: str
    head_branch: str | None = None
    head_repository: Repository | None = None


class Event(msgspec.Struct, frozen=True):
    """What headgate reads of an event."""

    pull_request: PullRequest | None = None
    workflow_run: WorkflowRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The job around a step; outside GitHub all of it is empty.

    Attributes
    ----------
    is_actions : bool
        Whether a runner is there that obeys workflow commands.
    event_name : str
        Such as ``pull_request``.
    workflow : str
        Its name; empty if it is not known.
    repository : str
        ``owner/name``; empty if it is not known.
    run_url : str
        Address of the workflow run; empty if it is not known.
    api_url : str
        Of GitHub, or of a GitHub Enterprise Server.
    workspace : Path
        The checkout.
    output, summary : Path or None
        ``$GITHUB_OUTPUT`` and ``$GITHUB_STEP_SUMMARY``.
    token : str
        From GITHUB_TOKEN or GH_TOKEN; never shown.
    """

    is_actions: bool
    event_name: str
    event: Event
    workflow: str
    repository: str
    run_url: str
    api_url: str
    workspace: Path
    output: Path | None
    summary: Path | None
    token: str = field(repr=False)


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Read the variables of the runner.

    Raises
    ------
    ConfigError
        If one of them, or the event, is not what GitHub sets.

    Examples
    --------
    >>> read_environment({}).repository
    ''
    """
    repository = _matching(environ, "GITHUB_REPOSITORY", _REPOSITORY, "")
    server = _matching(environ, "GITHUB_SERVER_URL", _URL, "https://github.com")
    number = _matching(environ, "GITHUB_RUN_ID", re.compile(r"\d+", re.ASCII), "")
    output, summary = (environ.get(f"GITHUB_{name}") for name in ("OUTPUT", "STEP_SUMMARY"))
    return Environment(
        is_actions=environ.get("GITHUB_ACTIONS") == "true",
        event_name=environ.get("GITHUB_EVENT_NAME", ""),
        event=_read_event(environ.get("GITHUB_EVENT_PATH")),
        workflow=environ.get("GITHUB_WORKFLOW", ""),
        repository=repository,
        run_url=f"{server}/{repository}/actions/runs/{number}" if repository and number else "",
        api_url=_matching(environ, "GITHUB_API_URL", _URL, "https://api.github.com"),
        workspace=Path(environ.get("GITHUB_WORKSPACE") or Path.cwd()),
        output=Path(output) if output else None,
        summary=Path(summary) if summary else None,
        token=(environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or "").strip(),
    )


def _matching(environ: Mapping[str, str], name: str, pattern: re.Pattern[str], default: str) -> str:
    value = environ.get(name) or default
    if value and pattern.fullmatch(value) is None:
        raise ConfigError("is not what GitHub sets there", field=name, value=value)
    return value


def _read_event(path: str | None) -> Event:
    if not path:
        return Event()
    with naming(Path(path), "read"):
        data = Path(path).read_bytes()
    try:
        return msgspec.json.decode(data, type=Event)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not an event of GitHub: {error}", file=path) from error
