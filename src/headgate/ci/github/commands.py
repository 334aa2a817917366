"""Workflow commands: the lines on stdout that a runner obeys, and how text is kept from being one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from headgate.decide.table import one_line


def command(name: str, message: str, properties: Mapping[str, str | int] | None = None) -> str:
    r"""Return a workflow command as one line.

    Examples
    --------
    >>> command("error", "50 %\n::add-mask::a", {"file": "a,b.yml", "line": 3})
    '::error file=a%2Cb.yml,line=3::50 %25%0A::add-mask::a'
    """
    given = ",".join(f"{key}={_property(str(value))}" for key, value in (properties or {}).items())
    return f"::{name}{f' {given}' if given else ''}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def quoted(text: str) -> str:
    """Return text for the log between lines that make the runner obey nothing in it.

    ``##[`` begins a command in the runner's older form wherever it stands, and colours a line even when none is obeyed.
    """
    token = secrets.token_hex(16)
    shown = "\n".join(one_line(line, limit=10_000) for line in text.splitlines()).replace("##[", "#\u200b#[")
    return f"::stop-commands::{token}\n{shown}\n::{token}::"
