"""A verdict that ``gate``, ``check`` or ``canary`` left in a file."""

from __future__ import annotations

from pathlib import Path

from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError
from headgate.suite.documents import read_text


def read_verdict(source: Path) -> tuple[Verdict, str]:
    """Read a verdict, and its text as it stands.

    Parameters
    ----------
    source : Path
        Run directory with ``verdict.json``, or a verdict file.

    Raises
    ------
    ConfigError
        If there is none, or it is not a verdict of this version.
    """
    path = source / "verdict.json" if source.is_dir() else source
    text = read_text(path)
    try:
        return Verdict.from_json(text), text
    except ConfigError as error:
        raise ConfigError(error.problem, file=path, field=error.field, mend="let gate or check write it") from error
