"""Rows of a table in a file, CSV, JSON lines or Parquet, one at a time; a mistake is named with its line."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.errors import ConfigError
from headgate.suite.documents import load_json

Record = tuple[int | None, dict[str, Any]]
"""The line of a row in its file, from 1 (None: it has none), and its columns."""

_BATCH_ROWS: Final = 1024
_FORMATS: Final = ".csv, .jsonl, .ndjson or .parquet"
_LONGEST_CELL: Final = 16 * 2**20


def read_records(path: Path, *, file: Path | None = None, field: str = "items") -> Iterator[Record]:
    """Read a table whose format its name's ending says.

    Parameters
    ----------
    file, field : Path and str, optional
        The file that names it and where, for errors.

    Raises
    ------
    ConfigError
        If there is no such file, it is of another format, or broken.
    """
    if not path.is_file():
        raise ConfigError("there is no such file", file=file, field=field, value=str(path))
    readers = {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".csv": read_csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            "is of no format that holds items", file=file, field=field, value=str(path), mend=f"use {_FORMATS}"
        )
    return reader(path)


def read_jsonl(path: Path, decode: Callable[[str], Any] = load_json) -> Iterator[Record]:
    """Read one JSON object a line.

    Raises
    ------
    ConfigError
        If a line is not UTF-8, not JSON, or no object.
    """
    for number, line in enumerate(_lines(path), 1):
        text = line.strip()
        if not text:
            continue
        try:
            row = decode(text)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", error)
            raise ConfigError(f"is not JSON: {reason}", file=path, line=number, value=text) from error
        if not isinstance(row, dict):
            raise ConfigError("is not a JSON object", file=path, line=number, value=row, mend="write one {...} a line")
        yield number, row


def read_csv(path: Path) -> Iterator[Record]:
    """Read a CSV file with a header; every cell is text.

    Raises
    ------
    ConfigError
        If it is not UTF-8 or not CSV, a column has no name or a name twice, or a row is longer or shorter than it.
    """
    if csv.field_size_limit() < _LONGEST_CELL:
        csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(_lines(path), strict=True)
    line = 1
    try:
        header = next(reader, [])
        check_header(path, header)
        line = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                raise ConfigError(f"has {len(cells)} cells, the header has {len(header)}", file=path, line=line)
            if cells:
                yield line, dict(zip(header, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(f"is not CSV: {error}", file=path, line=line) from error


def check_header(path: Path, header: Sequence[str]) -> None:
    """Raise ConfigError if a column has no name, or that of another."""
    for name in header:
        if not name.strip():
            raise ConfigError("a column has no name", file=path, line=1)
        if header.count(name) > 1:
            raise ConfigError("is the name of two columns", file=path, line=1, value=name)


def _lines(path: Path) -> Iterator[str]:
    """Yield decoded lines with their ends; a mistake is found in its own line."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ConfigError("is not UTF-8", file=path, line=number, mend="save the file as UTF-8") from error


def _parquet(path: Path) -> Iterator[Record]:
    try:
        with pq.ParquetFile(path) as file:
            check_header(path, file.schema_arrow.names)
            rows = (row for batch in file.iter_batches(_BATCH_ROWS) for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                yield None, {name: _plain(value, path, f"row {number}, {name}") for name, value in row.items()}
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"is not a Parquet file that can be read: {error}", file=path) from error


def _plain(value: Any, path: Path, where: str) -> Any:
    """Return JSON data for a value of a Parquet cell; times and decimals become text, NaN becomes null."""
    if isinstance(value, dict):
        return {str(key): _plain(inner, path, where) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, path, where) for inner in value]
    if isinstance(value, bytes) or (isinstance(value, float) and math.isinf(value)):
        raise ConfigError("is not JSON data", file=path, field=where, value=value)
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
