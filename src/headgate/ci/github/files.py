"""The files that a runner hands to a step: outputs and the job summary."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from headgate.store.disk import naming

MOST_SUMMARY_BYTES: Final = 900 << 10
"""A step's summary that is over 1 MiB is thrown away whole."""

_UNSAFE: Final = re.compile(r"[^\w .,:%+=/-]", re.ASCII)


def plain(text: str, *, limit: int = 300) -> str:
    """Return one line that does nothing, even where a workflow pastes the output into a script.

    Examples
    --------
    >>> plain("a $(rm -rf /)`x`; 'y' 12.5 %")
    'a __rm -rf /__x__ _y_ 12.5 %'
    """
    return _UNSAFE.sub("_", text[:limit])


def write_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Append outputs to ``$GITHUB_OUTPUT``, each between delimiters that nobody can foresee."""
    lines: list[str] = []
    for name, value in outputs.items():
        delimiter = f"headgate-{secrets.token_hex(16)}"
        lines += [f"{name}<<{delimiter}", value, delimiter]
    _append(path, "\n".join(lines) + "\n")


def write_summary(path: Path, page: str) -> None:
    """Append a page to ``$GITHUB_STEP_SUMMARY``."""
    _append(path, page + "\n")


def summary_bytes(path: Path | None) -> int:
    """Return how many bytes a step's summary may still take."""
    taken = 0 if path is None or not path.exists() else path.stat().st_size
    return max(MOST_SUMMARY_BYTES - taken, 0)


def _append(path: Path, text: str) -> None:
    with naming(path, "write"), path.open("a", encoding="utf-8") as file:
        file.write(text)
