"""The registry's own files: JSON in one order, written whole or not at all, so that git shows what changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from headgate.errors import ConfigError
from headgate.suite.documents import parse_json


def read_json(text: str, file: Path, *, schema: str) -> dict[str, Any]:
    """Return the object of a file of ours.

    Raises
    ------
    ConfigError
        If it is not JSON, or not of this schema.
    """
    data = parse_json(text, file).data
    if not isinstance(data, dict) or data.get("schema") != schema:
        raise ConfigError(
            f"is not of the schema {schema}", file=file, field="schema", mend="update headgate, or mend it"
        )
    return data


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file of ours, durably, by temp and rename.

    Raises
    ------
    ConfigError
        If the folder cannot be written to.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"cannot be written: {error.strerror}", file=path) from error
