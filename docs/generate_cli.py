"""Writes docs/cli.md from the commands' own help."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import typer

from headgate.cli.app import app
from headgate.cli.main import run_command

PAGE = Path(__file__).parent / "cli.md"
HEAD = """# Command line

Made by `python docs/generate_cli.py` from the commands' own help.

| exit code | meaning |
|---|---|
| 0 | pass; or the command did what it should |
| 1 | fail: a regression is shown |
| 2 | usage or configuration error: file, field, value and mend are named |
| 3 | invalid, or infrastructure: no verdict is possible |
| 20 | inconclusive: the evidence is short (`--on-inconclusive keep\\|pass\\|fail` maps it) |
| 130 | interrupted; the same command resumes |

2 never reads as a verdict, and a crash never leaves with 1.
"""


def commands(group: typer.Typer) -> Iterator[str]:
    """Yield the names of all commands, those of sub-commands with the name of their group."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__.replace("_", "-")
    for below in group.registered_groups:
        assert below.typer_instance is not None
        name = below.name or below.typer_instance.info.name
        yield from (f"{name} {command}" for command in commands(below.typer_instance))


def cli_page() -> str:
    """Return the page."""
    parts = [HEAD]
    for command in commands(app):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run_command([*command.split(), "--help"])
        text = "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())
        parts.append(f"\n## headgate {command}\n\n```text\n{text}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    os.environ.update(COLUMNS="100", TERMINAL_WIDTH="100")
    PAGE.write_text(cli_page())
