"""A file of traffic from where it was read to last: growing lines, or a whole document or Parquet file."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from headgate.identity import digest_bytes
from headgate.traffic.row import Bad, Columns, Found, Reader, Row
from headgate.traffic.storage import File, Storage

BLOCK: Final = 1 << 18
LONGEST: Final = 1 << 24
"""Bytes of the longest line that is read."""
_HEAD: Final = 1024


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far a file was read.

    Attributes
    ----------
    offset : int
        Bytes of a file of lines; rows of a whole file.
    head, head_size : str, int
        Digest of the first bytes, which stay the same as a file of lines grows or is renamed.
    version, done : str, bool
        Of a whole file, and whether it was read to its end.
    """

    offset: int = 0
    head: str = ""
    head_size: int = 0
    version: str = ""
    done: bool = False


class Record(msgspec.Struct, frozen=True, gc=False):
    """What one line, document or table row held: its time, rows, and where it ends."""

    time: float
    offset: int
    found: list[Found]


class Unreadable(Exception):
    """A whole file that cannot be read, or not yet: it may still be being written."""


def is_whole(name: str) -> bool:
    """Return whether a file is read as a whole: it is not made of lines.

    Examples
    --------
    >>> is_whole("a.parquet"), is_whole("a.json"), is_whole("a.jsonl.1")
    (True, True, False)
    """
    return re.search(r"\.(json|parquet)$", name) is not None


def head_of(storage: Storage, name: str, size: int) -> str:
    """Return the digest of the first bytes of a file."""
    return digest_bytes(storage.read(name, 0, size)) if size else ""


def marked(storage: Storage, name: str, offset: int) -> Mark:
    """Return the mark of a file of lines that was read to ``offset``."""
    size = min(offset, _HEAD)
    return Mark(offset=offset, head=head_of(storage, name, size), head_size=size)


def read_records(storage: Storage, file: File, start: int, read: Reader, columns: Columns) -> Iterator[Record]:
    """Yield what a file holds from a mark's offset on; an unfinished last line is left for the next time.

    Raises
    ------
    Unreadable
        If a whole file cannot be read.
    """
    if not is_whole(file.name):
        decode = msgspec.json.Decoder().decode
        entries: Iterator[tuple[int, Any]] = (
            (end, _decoded(line, decode)) for end, line in _lines(storage, file.name, start)
        )
    elif file.name.endswith(".parquet"):
        entries = _table(storage, file, start)
    else:
        entries = _document(storage, file, start)
    last = -math.inf
    for end, entry in entries:
        if entry is not None:
            found: list[Found] = [entry] if isinstance(entry, Bad) else read(entry, columns)
            last = min((row.time for row in found if isinstance(row, Row)), default=last)
            yield Record(last, end, found)


def _decoded(line: bytes, decode: Any) -> Any:
    if not line or line.isspace():
        return None
    if len(line) >= LONGEST:
        return Bad(f"is longer than {LONGEST:,} bytes")
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Bad(f"is not JSON: {error}")
    except RecursionError:
        return Bad("is not JSON: it is nested too deeply")


def _lines(storage: Storage, name: str, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield each whole line and where it ends."""
    rest, at = b"", start
    while block := storage.read(name, at, at + BLOCK):
        at += len(block)
        *lines, rest = (rest + block).split(b"\n")
        end = at - len(rest) - sum(map(len, lines)) - len(lines)
        for line in lines:
            end += len(line) + 1
            yield end, line
        if len(rest) >= LONGEST:
            yield at, rest
            rest = b""
        if len(block) < BLOCK:
            return


def _table(storage: Storage, file: File, start: int) -> Iterator[tuple[int, Any]]:
    try:
        table = pq.ParquetFile(io.BytesIO(storage.read(file.name, 0, file.size)))
        number = 0
        for batch in table.iter_batches(batch_size=2048):
            if number + len(batch) > start:
                for index, record in enumerate(batch.to_pylist()):
                    if number + index >= start:
                        yield number + index + 1, record
            number += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"is not Parquet, or not finished: {' '.join(str(error).split())[:100]}") from error


def _document(storage: Storage, file: File, start: int) -> Iterator[tuple[int, Any]]:
    try:
        data = msgspec.json.decode(storage.read(file.name, 0, file.size))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"is not JSON, or not finished: {error}") from error
    for index, entry in enumerate(data if isinstance(data, list) else [data]):
        if index >= start:
            yield index + 1, entry
