"""Compaction: each sealed or torn segment becomes one sorted part, and one row per job remains.

Killed at any moment it loses nothing: a part is published before anything it replaces goes, and a segment goes last.
The order is

1. every segment becomes a part of the same stem (readers prefer the part),
2. parts with superseded rows are replaced by parts without them,
3. checksums are written,
4. the segments are unlinked.

While the journal holds a segment, parts may repeat a job (readers then choose); when it is empty, they do not.
"""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headgate.store import checksums
from headgate.store.columns import make_mask
from headgate.store.disk import TEMPORARY, naming, remove
from headgate.store.index import superseded
from headgate.store.layout import RunFolder
from headgate.store.part import ORDER, open_part, unreadable, write_part
from headgate.store.schema import RESULTS, conform
from headgate.store.seal import SEALED, sealing_of
from headgate.store.segment import read_segment

_PIECE_ROWS: Final = 4096


def compact(run: RunFolder, *, plan: str, live: Path | None = None) -> None:
    """Turn the journal of a run into parts.

    Parameters
    ----------
    run : RunFolder
        A run whose lock this process holds.
    plan : str
        Digest of the run's plan, for the footers.
    live : Path, optional
        A segment that is still being written; it is left alone.

    Raises
    ------
    StoreError
        If the disk refuses, or a part cannot be read.
    """
    with naming(run.path, "compact the journal"):
        sweep(run)
        segments = [segment for segment in run.segments() if segment != live]
        if segments:
            for segment in segments:
                if not run.part_of(segment).exists():
                    _publish(run, segment, plan=plan)
                    pa.default_memory_pool().release_unused()  # else the peaks of the segments add up
            _supersede(run, plan=plan)
        checksums.refresh(run)
        for segment in segments:
            remove(segment)


def sweep(run: RunFolder) -> None:
    """Remove the temporary files that a killed process left."""
    for folder in (run.path, run.results, run.scores):
        for stray in folder.glob(f"*{TEMPORARY}"):
            remove(stray)


def _publish(run: RunFolder, segment: Path, *, plan: str) -> None:
    # In one piece: `take` on many chunks would join them again for every few thousand rows.
    table = pa.Table.from_batches(list(read_segment(segment)), RESULTS).combine_chunks()
    [lost] = superseded([table])
    if len(lost):
        table = table.filter(make_mask(_kept(lost, table.num_rows)))
    if table.num_rows:
        write_part(run.part_of(segment), _sorted_pieces(table), plan=plan)


def _sorted_pieces(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows in order, a few thousand at a time: a second copy of the table is never there at once."""
    options = pc.SortOptions(sort_keys=[(name, "ascending") for name in ORDER])
    order = pc.call_function("sort_indices", [table], options)
    for start in range(0, table.num_rows, _PIECE_ROWS):
        yield table.take(order.slice(start, _PIECE_ROWS))


def _supersede(run: RunFolder, *, plan: str) -> None:
    parts = run.parts()
    for part, lost in zip(parts, superseded(parts), strict=True):
        if len(lost):
            checksums.forget(run, [part])
            _rewrite(part, lost, plan=plan)


def _rewrite(part: Path, lost: npt.NDArray[np.int64], *, plan: str) -> None:
    if len(lost) == open_part(part).metadata.num_rows:
        remove(part)
    else:
        how = sealing_of(part)
        write_part(part, _remaining(part, lost), plan=plan, facts=None if how is None else {SEALED: how})


def _remaining(part: Path, lost: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    file, start = open_part(part), 0
    kept = _kept(lost, file.metadata.num_rows)
    try:
        for batch in file.iter_batches(_PIECE_ROWS):
            yield conform(batch.filter(make_mask(kept[start : start + batch.num_rows])))
            start += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise unreadable(part, error) from error


def _kept(lost: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.bool_]:
    kept = np.ones(rows, np.bool_)
    kept[lost] = False
    return kept
