"""What commands print to stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec


def print_line(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def print_json(facts: Mapping[str, Any]) -> None:
    """Print facts."""
    print_line(msgspec.json.format(msgspec.json.encode(facts), indent=1).decode())
