"""Which jobs are there: ids as 16-byte keys, duplicates, and which row of a job counts."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headgate.errors import StoreError
from headgate.store.columns import make_mask, view_bool, view_int64
from headgate.store.part import open_part, unreadable
from headgate.store.schema import RESULTS, is_answer
from headgate.store.segment import read_segment

JobKeys = npt.NDArray[np.bytes_]
"""Job ids as 16-byte keys (numpy ``S16``), sorted and without repeats: 16 bytes per job."""

Source: TypeAlias = Path | pa.Table
"""A part, a segment, or a table with the columns of results."""

_RANK: Final = ("status", "generation", "finished_at")

_ID_LENGTH: Final = 32
_NO_DIGIT: Final = 255
_HEX: Final = np.full(256, _NO_DIGIT, np.uint8)
for _index, _digit in enumerate(b"0123456789abcdef"):
    _HEX[_digit] = _index


def job_keys(ids: pa.ChunkedArray) -> JobKeys:
    r"""Turn job ids into keys, in the same order.

    Raises
    ------
    ValueError
        If one is not 32 hexadecimal characters in lower case.

    Examples
    --------
    >>> job_keys(pa.chunked_array([["00" * 15 + "ff", "61" * 16]])).tolist()
    [b'\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff', b'aaaaaaaaaaaaaaaa']
    """
    return _joined([_chunk_keys(chunk) for chunk in ids.chunks if len(chunk)], "S16")


def _chunk_keys(chunk: pa.Array) -> JobKeys:
    _, offset_buffer, data = chunk.cast(pa.string()).buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    if chunk.null_count or data is None or np.any(np.diff(offsets) != _ID_LENGTH):
        raise ValueError("a job_id is not 32 hexadecimal characters")
    digits = _HEX[np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]].reshape(-1, 2)]
    if np.any(digits == _NO_DIGIT):
        raise ValueError("a job_id is not 32 hexadecimal characters")
    return (digits[:, 0] << 4 | digits[:, 1]).view("S16")


def contains(done: JobKeys, job_ids: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Tell for each job id whether it is among the done.

    Parameters
    ----------
    done : JobKeys
        Sorted keys, as :meth:`headgate.store.run.RunStore.done_job_ids` returns them.
    job_ids : iterable of str
        Ids as 32 hexadecimal characters; give a few thousand at a time.

    Examples
    --------
    >>> done = np.sort(job_keys(pa.chunked_array([["61" * 16, "00" * 16]])))
    >>> contains(done, ["61" * 16, "62" * 16]).tolist()
    [True, False]
    """
    return _among(np.frombuffer(bytes.fromhex("".join(job_ids)), "S16"), done)


def _among(keys: JobKeys, wanted: JobKeys) -> npt.NDArray[np.bool_]:
    if not len(wanted):
        return np.zeros(len(keys), np.bool_)
    places = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    found: npt.NDArray[np.bool_] = wanted[places] == keys
    return found


def read_columns(source: Source, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a part, a segment or a table.

    Raises
    ------
    StoreError
        If the file cannot be read.
    """
    if not isinstance(source, Path):
        return source.select(columns)
    if source.suffix == ".arrows":
        batches = [batch.select(columns) for batch in read_segment(source)]
        return pa.Table.from_batches(batches, pa.schema([RESULTS.field(name) for name in columns]))
    try:
        return open_part(source).read(columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(source, error) from error


def source_keys(source: Source) -> JobKeys:
    """Return the keys of a source's rows, in their order.

    Raises
    ------
    StoreError
        If the file cannot be read, or holds something else than job ids.
    """
    ids = read_columns(source, ["job_id"])["job_id"]
    try:
        return job_keys(ids)
    except ValueError as error:
        raise StoreError(f"{source if isinstance(source, Path) else 'a table'}: {error}") from error


def done_keys(sources: Iterable[Source], *, retry_errors: bool = False) -> JobKeys:
    """Return the keys of jobs that need not run again.

    Parameters
    ----------
    sources : iterable of Path
        Parts and segments.
    retry_errors : bool
        Leave out the jobs of which there is no row but errors.
    """
    found: list[JobKeys] = []
    for source in sources:
        keys = source_keys(source)
        found.append(keys[view_bool(is_answer(read_columns(source, ["status"])["status"]))] if retry_errors else keys)
    keys = np.sort(_joined(found, "S16"))
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys


def repeated(keys: JobKeys) -> JobKeys:
    """Return the keys that stand there more than once, sorted."""
    ordered = np.sort(keys)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.unique(again)


def superseded(sources: Sequence[Source]) -> list[npt.NDArray[np.int64]]:
    """Find the rows that another row of the same job outranks.

    An answer (``ok``, ``refused``) outranks an error, then the later generation the earlier, then the later finish,
    then the later source, then the later row: exactly one row of each job remains.

    Parameters
    ----------
    sources : sequence of Path or pyarrow.Table
        Parts, segments or tables.

    Returns
    -------
    list of int64 arrays
        Row numbers that lose, ascending, one array per source.

    Notes
    -----
    32 bytes per row; more columns than the ids are read only where a job has several rows.
    """
    keys = [source_keys(source) for source in sources]
    twice = repeated(_joined(keys, "S16"))
    if not len(twice):
        return [np.empty(0, np.int64) for _ in sources]
    masks = [_among(own, twice) for own in keys]
    narrow = [read_columns(source, _RANK).filter(make_mask(mask)) for source, mask in zip(sources, masks, strict=True)]
    table_of = np.repeat(np.arange(len(sources)), [table.num_rows for table in narrow])
    row_of = _joined([np.flatnonzero(mask) for mask in masks], np.int64)
    key = _joined([own[mask] for own, mask in zip(keys, masks, strict=True)], "S16")
    ok = _joined([view_bool(is_answer(table["status"])) for table in narrow], np.bool_)
    generation = _joined([view_int64(table["generation"]) for table in narrow], np.int64)
    finished = _joined([view_int64(table["finished_at"]) for table in narrow], np.int64)
    order = np.lexsort((row_of, table_of, finished, generation, ok, key))
    loses = order[:-1][key[order[1:]] == key[order[:-1]]]
    return [np.sort(row_of[loses[table_of[loses] == index]]) for index in range(len(sources))]


def _joined(arrays: Sequence[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([*arrays, np.empty(0, dtype)])
