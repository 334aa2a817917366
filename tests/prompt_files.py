"""Prompt files written in a test."""

from __future__ import annotations

import os
from pathlib import Path

from headgate.registry.load import read_prompt

SHARED = Path(os.environ.get("HEADGATE_SHARED", Path(__file__).parents[1].parent / "shared"))
FORMATS = SHARED / "schemas" / "prompt-formats"
ABSENT = "the formats' own files are not here; HEADGATE_SHARED names their folder"


def written(folder, name, text):
    """Write a prompt file and read it as a prompt."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return read_prompt(folder / name, name="p")
