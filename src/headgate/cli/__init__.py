"""The command line: argv to :mod:`headgate.api`, errors to exit codes."""

from __future__ import annotations

from headgate.cli.main import main

__all__ = ["main"]
