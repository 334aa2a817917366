"""Text files: the whole file is the jinja2 template of one user message."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from headgate.errors import ConfigError
from headgate.suite.documents import read_text
from headgate.suite.prompts import Prompt

ENDINGS: Final = (".txt", ".md", ".jinja", ".jinja2", ".j2")


def read(path: Path, *, name: str) -> Prompt:
    """Read a prompt from a text file; line ends become line feeds, all else stays as it stands.

    Raises
    ------
    ConfigError
        If the file is missing, empty, not UTF-8, or no template (then with the line).
    """
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ConfigError("is empty", file=path, mend="write the prompt into it")
    prompt = Prompt(name=name, messages=(("user", text),), file=str(path))
    assert prompt.templates  # compiled here, so that a mistake is found before anything runs
    return prompt
