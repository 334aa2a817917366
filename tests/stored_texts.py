"""Every text that a folder holds, also inside Parquet, Arrow and archives: to search for what must not be there."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def find(folder: Path, needles) -> list[tuple[str, str]]:
    """Return where each needle (text) stands: file and needle."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = [(path.relative_to(folder).as_posix(), text) for path in files for text in read_texts(path.read_bytes())]
    return [(name, needle) for name, text in texts for needle in needles if needle in text]


def read_texts(data: bytes) -> Iterator[str]:
    """Yield a file's bytes as text, and what it holds compressed or encoded."""
    yield data.decode("utf-8", "replace")
    if data[:2] == b"\x1f\x8b":
        yield from read_texts(gzip.decompress(data))
    elif data[:4] == b"PAR1":
        file = pq.ParquetFile(io.BytesIO(data))
        yield json.dumps({str(key): str(value) for key, value in (file.metadata.metadata or {}).items()})
        yield from _cells(file.read())
    elif data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from read_texts(archive.read(name))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    yield from read_texts(file.read())
    elif data[:4] == b"\xff\xff\xff\xff":
        for batch in _batches(data):
            yield from _cells(pa.Table.from_batches([batch]))


def _batches(data: bytes) -> Iterator[pa.RecordBatch]:
    try:
        yield from pa.ipc.open_stream(data)
    except pa.ArrowInvalid:
        return  # torn


def _cells(table: pa.Table) -> Iterator[str]:
    for name, column in zip(table.column_names, table.columns, strict=True):
        yield name
        yield "\n".join(str(value) for value in column.to_pylist())
