"""A prompt file as its reader sees it: its text, and the files beside it, from a folder or from a commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headgate.suite.documents import read_text
from headgate.suite.plain import unix_lines


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a prompt file.

    Attributes
    ----------
    file : Path
        What errors name.
    text : str
        Its text, with line feeds at the ends of its lines.
    beside : callable
        Returns the text of another file by its path from this one's folder; None where there is none.
    """

    file: Path
    text: str
    beside: Callable[[str], str | None]


def read_source(path: Path) -> Source:
    """Read a prompt file from the disk.

    Raises
    ------
    ConfigError
        If there is no such file, it cannot be read, or it is not UTF-8.
    """

    def beside(name: str) -> str | None:
        other = path.parent / name
        return unix_lines(read_text(other)) if other.is_file() else None

    return Source(path, unix_lines(read_text(path)), beside)
