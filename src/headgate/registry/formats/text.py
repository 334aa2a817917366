"""Text files: the whole file is the jinja2 template of one user message."""

from __future__ import annotations

from typing import Final

from headgate.errors import ConfigError
from headgate.registry.source import Source
from headgate.suite.prompts import Prompt

ENDINGS: Final = (".txt", ".md", ".jinja", ".jinja2", ".j2")
TITLE: Final = "text"


def read(source: Source, *, name: str) -> Prompt:
    """Read a prompt from a text file, as it stands.

    Raises
    ------
    ConfigError
        If the file is empty.
    """
    if not source.text.strip():
        raise ConfigError("is empty", file=source.file, mend="write the prompt into it")
    return Prompt(name=name, messages=(("user", source.text),), file=str(source.file))
