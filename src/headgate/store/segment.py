"""One journal segment: an Arrow IPC stream in which every batch carries its own checksum."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import ipc

from headgate.errors import StoreError
from headgate.store.disk import naming, sync_data, sync_path
from headgate.store.schema import RESULTS, conform, is_readable

_CRC: Final = b"crc32"
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_DAMAGE: Final = (pa.ArrowException, ValueError, OSError, EOFError, MemoryError)
_BUFFER_BYTES: Final = 1 << 20


def crc32_of(batch: pa.RecordBatch) -> bytes:
    """Return the CRC-32 of a batch, over its row count and its body, as 8 hexadecimal characters.

    Notes
    -----
    Arrow IPC has no checksum of its own: after a power loss, pages of zeros are accepted as data. The body's layout is
    fixed by the format; the header in front of it may change between versions of Arrow and is left out.
    """
    body = ipc.read_message(batch.serialize()).body
    crc = zlib.crc32(batch.num_rows.to_bytes(8, "little"))
    return f"{zlib.crc32(body, crc):08x}".encode()


class SegmentWriter:
    """Writes one new segment; nothing is ever appended to an old one.

    Parameters
    ----------
    path : Path
        The file to create.
    schema : pyarrow.Schema
        Columns of every batch.

    Raises
    ------
    OSError
        From any method, when the disk refuses; the segment must then be abandoned.
    StoreError
        From :meth:`sync`, when the file was removed or moved.

    Attributes
    ----------
    rows, size : int
        Rows written, and bytes at the last :meth:`sync`.
    """

    def __init__(self, path: Path, *, schema: pa.Schema = RESULTS) -> None:
        self.path, self.rows, self.size = path, 0, 0
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            self._file = pa.OSFile(str(path), "wb")
            self._sink = pa.BufferedOutputStream(self._file, _BUFFER_BYTES)
            self._stream = ipc.new_stream(self._sink, schema)
            sync_path(path.parent)
        except BaseException:
            os.close(self._handle)
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; it is durable after the next :meth:`sync`."""
        self._stream.write_batch(batch, custom_metadata={_CRC: crc32_of(batch)})
        self.rows += batch.num_rows

    def sync(self) -> None:
        """Wait until all that was written is on the disk, under its name."""
        self._sink.flush()
        sync_data(self._handle)
        try:
            self.size = self.path.stat().st_size
        except FileNotFoundError:  # a file without a name takes rows as before, and is lost with the process
            mend = "move it back if it still exists, then run the same command again"
            raise StoreError(f"{self.path}: was removed or moved while the run wrote to it; {mend}") from None

    def seal(self) -> None:
        """Write the end of the stream, make it durable and close."""
        self._stream.close()
        self.sync()
        self.abandon()

    def abandon(self) -> None:
        """Close without sealing, as a crash would; errors on the way are not news."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self._sink.close()
        with contextlib.suppress(OSError):
            os.close(self._handle)


def read_segment(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a segment up to the first that is torn, damaged or not there yet.

    Parameters
    ----------
    path : Path
        A live, sealed or torn segment.

    Yields
    ------
    pyarrow.RecordBatch
        With the columns of ``RESULTS``.

    Raises
    ------
    StoreError
        If the file cannot be read at all.
    """
    return _Reader(path).batches()


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What a segment holds.

    Attributes
    ----------
    rows : int
        Rows in whole, undamaged batches.
    sealed : bool
        The stream ends as it should, right after them.
    torn : bool
        Bytes follow them that are neither a batch nor the end of the stream.
    """

    rows: int
    sealed: bool
    torn: bool


def inspect_segment(path: Path) -> SegmentState:
    """Read a whole segment and say what it holds."""
    reader = _Reader(path)
    rows = sum(batch.num_rows for batch in reader.batches())
    rest = reader.rest()
    return SegmentState(rows=rows, sealed=rest == _END, torn=rest not in (b"", _END))


class _Reader:
    """Reads from a copy in memory: a damaged length can then neither allocate nor fault beyond the file."""

    def __init__(self, path: Path) -> None:
        with naming(path, "read"):
            self._data = path.read_bytes()
        self._source = pa.BufferReader(pa.py_buffer(self._data))
        self._good = 0

    def rest(self) -> bytes:
        """Return what follows the last good batch."""
        return self._data[self._good :]

    def batches(self) -> Iterator[pa.RecordBatch]:
        stream = _open(self._source)
        if stream is None:
            return
        self._good = self._source.tell()
        while (batch := _next(stream)) is not None:
            self._good = self._source.tell()
            yield conform(batch)


def _open(source: pa.BufferReader) -> ipc.RecordBatchStreamReader | None:
    try:
        stream = ipc.open_stream(source)
        return stream if is_readable(stream.schema) else None
    except _DAMAGE:
        return None


def _next(stream: ipc.RecordBatchStreamReader) -> pa.RecordBatch | None:
    try:
        batch, metadata = stream.read_next_batch_with_custom_metadata()
        if batch is None:
            return None
        batch.validate(full=True)
        expected = None if metadata is None else metadata.to_dict().get(_CRC)
        return batch if crc32_of(batch) == expected else None
    except (StopIteration, *_DAMAGE):
        return None
