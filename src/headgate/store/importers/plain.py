"""Plain tables: CSV, JSON lines, one JSON list, Parquet; a row for each item, or item and seed."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from headgate.errors import ConfigError
from headgate.store.importers.row import Row
from headgate.suite.records import check_header, read_csv, read_jsonl

_BATCH_ROWS = 8192


def read_csv_rows(path: Path, _: Collection[str] = ()) -> Iterator[Row]:
    """Read CSV with a header."""
    for line, columns in read_csv(path):
        yield Row(line, columns)


def read_jsonl_rows(path: Path, _: Collection[str] = ()) -> Iterator[Row]:
    """Read one JSON object a line."""
    for line, columns in read_jsonl(path, decode_json):
        yield Row(line, columns)


def read_json_rows(path: Path, _: Collection[str] = ()) -> Iterator[Row]:
    """Read a JSON list of objects; the whole of it is in memory."""
    data = read_json(path)
    if not isinstance(data, list):
        raise ConfigError("is no JSON list of objects", file=path)
    for number, columns in enumerate(data, 1):
        if not isinstance(columns, dict):
            raise ConfigError("is not a JSON object", file=path, field=f"row {number}", value=columns)
        yield Row(number, columns)


def read_parquet_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Read the wanted columns of a Parquet file, a batch at a time."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_header(path, names)
            # A field of a column that holds records is named `column.field`.
            chosen = [name for name in names if name in wanted or any(one.startswith(name + ".") for one in wanted)]
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=chosen or names[:1], use_threads=False):
                for columns in batch.to_pylist():
                    number += 1
                    # The first row names all columns there are, for defaults and errors; the others hold what is read.
                    yield Row(number, {**dict.fromkeys(names), **columns} if number == 1 else columns)
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"is not a Parquet file that can be read: {error}", file=path) from error


def decode_json(text: str | bytes) -> Any:
    """Decode JSON as other tools write it: Python's own spells NaN and Infinity.

    Raises
    ------
    ValueError
        If it is neither.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


def read_json(path: Path) -> Any:
    """Read a JSON file, whole.

    Raises
    ------
    ConfigError
        If it is not JSON; the line is named.
    """
    try:
        return decode_json(path.read_bytes())
    except json.JSONDecodeError as error:
        raise ConfigError(f"is not JSON: {error.msg}", file=path, line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is not JSON: {error}", file=path) from error
