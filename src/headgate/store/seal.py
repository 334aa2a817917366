"""Sealing: once a run is scored, its parts keep a hash of what models said, or nothing of it.

Killed at any moment, a part is as it was or sealed; the footer of each says which. Scores come before: what is sealed
cannot be scored again.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from headgate.store import checksums
from headgate.store.columns import make_column
from headgate.store.layout import RunFolder
from headgate.store.part import ROW_GROUP_ROWS, footer, open_part, read_batches, write_part
from headgate.store.schema import conform

SEALED: Final = "headgate.outputs"
"""Key of a part's footer that says how its outputs are kept."""

_COLUMNS: Final = ("output", "reasoning", "tool_calls_json", "logprobs_json")


def sealing_of(part: Path) -> str | None:
    """Return how a part was sealed; None for one that holds outputs as they were."""
    return footer(open_part(part)).get(SEALED)


def open_parts(run: RunFolder) -> list[Path]:
    """Return the parts that are not sealed."""
    return [part for part in run.parts() if sealing_of(part) is None]


def seal(run: RunFolder, how: str, *, plan: str) -> None:
    """Replace what models said in all parts that still hold it.

    Parameters
    ----------
    run : RunFolder
        A scored run without a journal, whose lock this process holds.
    how : {"hash", "drop"}
        Keep SHA-256 in hexadecimal, or nothing.
    plan : str
        Digest of the run's plan, for the footers.

    Raises
    ------
    StoreError
        If the disk refuses, or a part cannot be read.
    """
    parts = open_parts(run)
    checksums.forget(run, parts)
    for part in parts:
        write_part(part, _sealed(part, _WAYS[how]), plan=plan, facts={SEALED: how})
    checksums.refresh(run)


def _sealed(part: Path, way: Callable[[str], str | None]) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(part, rows=ROW_GROUP_ROWS):
        whole = conform(batch)
        for name in _COLUMNS:
            place, kind = whole.schema.get_field_index(name), whole.schema.field(name).type
            said: list[Any] = whole.column(place).to_pylist()
            changed = make_column([None if text is None else way(text) for text in said], kind)
            whole = whole.set_column(place, whole.schema.field(place), changed)
        yield whole


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _drop(_: str) -> None:
    return None


_WAYS: Final[Mapping[str, Callable[[str], str | None]]] = {"hash": _hash, "drop": _drop}
