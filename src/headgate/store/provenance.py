"""Where a run comes from: git, CI, versions and the command line, with secrets left out."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from headgate.suite.secret import SECRET_NAME

_GIT_TIMEOUT_S: Final = 5.0
_PACKAGES: Final = ("headgate", "pyarrow", "polars", "numpy", "aiohttp", "httpx")
_SECRET_VALUE: Final = re.compile(
    r"\b(sk-|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|AKIA|AIza|hf_|Bearer\s|eyJ)[\w\-.=+/]{6,}"
)
_URL_LOGIN: Final = re.compile(r"(?<=://)[^/@\s]+@")
_REFERENCE: Final = re.compile(r"^(env|file|keyring):")
_QUERY: Final = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]+)")
_HIDDEN: Final = "***"


class Git(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the working tree: commit, branch (null when detached), and whether files differ from the commit."""

    commit: str
    branch: str | None
    dirty: bool


def git_state(folder: Path) -> Git | None:
    """Return the state of the repository around a folder; None without git, a repository or a commit.

    Examples
    --------
    >>> git_state(Path("/")) is None
    True
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return Git(commit=commit, branch=branch, dirty=changes != "")


def _git(folder: Path, *arguments: str) -> str | None:
    environ = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            command, capture_output=True, text=True, errors="replace", timeout=_GIT_TIMEOUT_S, check=False, env=environ
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def ci_url(environ: Mapping[str, str]) -> str | None:
    """Return the address of the CI job this process runs in, if it says so.

    Examples
    --------
    >>> ci_url({"CI_JOB_URL": "https://gitlab.example/a/-/jobs/7"})
    'https://gitlab.example/a/-/jobs/7'
    >>> ci_url({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "7"})
    'https://github.com/a/b/actions/runs/7'
    """
    github = [environ.get(name) for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    if all(github):
        return "{}/{}/actions/runs/{}".format(*github)
    given = (environ.get(name) for name in ("HEADGATE_CI_URL", "CI_JOB_URL", "BUILD_URL"))
    url = next((value for value in given if value), None)
    return None if url is None else hide_login(url)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape results."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def hide_login(url: str) -> str:
    """Drop user and password from a URL, and the values of its query that are named like a secret.

    Examples
    --------
    >>> hide_login("https://me:secret@host/v1?api-key=abc&api-version=1")
    'https://host/v1?api-key=***&api-version=1'
    """
    return _QUERY.sub(_without_secret, _URL_LOGIN.sub("", url))


def _without_secret(pair: re.Match[str]) -> str:
    return f"{pair[1]}={_HIDDEN}" if SECRET_NAME.search(pair[1]) else pair[0]


def hide_secrets(argv: Sequence[str]) -> list[str]:
    """Return a command line without secrets: what is named or looks like one is replaced, references to keys stay.

    Examples
    --------
    >>> hide_secrets(["run", "suite.yaml", "--api-key=abc", "--token", "abc", "--set", "api_key=env:KEY", "http://a:b@c/"])
    ['run', 'suite.yaml', '--api-key=***', '--token', '***', '--set', 'api_key=env:KEY', 'http://c/']
    """
    shown: list[str] = []
    named = False
    for argument in argv:
        name, equals, value = argument.partition("=")
        if named and not argument.startswith("-"):
            shown.append(_hide(argument))
        elif equals and SECRET_NAME.search(name):
            shown.append(f"{name}={_hide(value)}")
        else:
            shown.append(hide_login(_SECRET_VALUE.sub(_HIDDEN, argument)))
        named = argument.startswith("-") and not equals and SECRET_NAME.search(name) is not None
    return shown


def _hide(value: str) -> str:
    return value if _REFERENCE.match(value) else _HIDDEN
