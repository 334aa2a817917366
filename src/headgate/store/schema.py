"""Column types of results and scores, and the way from rows to columns and back."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from headgate.errors import StoreError
from headgate.result import COLUMNS, Result
from headgate.store.columns import TIME, make_column

SCHEMA_VERSION: Final = 4
"""Grows when a column is added; columns are never renamed, retyped or removed."""

_TIMES: Final = frozenset({"started_at", "finished_at"})
_LONG_TEXTS: Final = frozenset(
    {"output", "reasoning", "error_message", "tool_calls_json", "metadata_json", "logprobs_json"}
)


def _field(name: str, hint: Any) -> pa.Field:
    optional = type(None) in typing.get_args(hint)
    plain = next((kind for kind in typing.get_args(hint) if kind in (str, int, float)), hint)
    if name in _TIMES:
        return pa.field(name, TIME, nullable=optional)
    types: dict[Any, pa.DataType] = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    return pa.field(
        name, types.get(plain, pa.large_string() if name in _LONG_TEXTS else pa.string()), nullable=optional
    )


_HINTS: Final = typing.get_type_hints(Result)
RESULTS: Final = pa.schema([_field(name, _HINTS[name]) for name in COLUMNS])
"""Columns of ``RUN/results/*.parquet``, those of :class:`headgate.result.Result` in the same order."""


class _Column(NamedTuple):
    """A field of ``RESULTS``; asking Arrow for its parts for every batch would cost more than building it."""

    name: str
    kind: pa.DataType
    nullable: bool


_COLUMNS: Final = tuple(_Column(field.name, field.type, field.nullable) for field in RESULTS)
_MISFITS: Final = (TypeError, ValueError, OverflowError)

SCORES: Final = pa.schema(
    [
        pa.field("job_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("cluster", pa.string()),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("scorer", pa.string(), nullable=False),
        pa.field("scorer_version", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("label", pa.string()),
        pa.field("explanation", pa.large_string()),
        pa.field("human", pa.float64()),
    ]
)
"""Columns of ``RUN/scores/*.parquet``; a null ``value`` could not be scored, and a null ``human`` has no label."""


def to_batch(results: Sequence[Result]) -> pa.RecordBatch:
    """Build one record batch from one or more results.

    A lone surrogate in a text, which UTF-8 cannot hold, is stored as U+FFFD.

    Raises
    ------
    StoreError
        If a field does not fit its column; the message names the column and the first job concerned.

    Examples
    --------
    >>> row = Result(job_id="0" * 32, item_id="1", prompt="p", prompt_digest="0" * 32, model="m", provider="python",
    ...              endpoint="python", seed=1, status="ok", output="hi", started_at=0, finished_at=1)
    >>> batch = to_batch([row])
    >>> batch.num_rows, to_results(batch) == [row]
    (1, True)
    """
    columns = list(zip(*map(msgspec.structs.astuple, results), strict=True))
    try:
        arrays = [_column(values, column) for values, column in zip(columns, _COLUMNS, strict=True)]
    except _MISFITS as error:
        raise _misfit(results) from error
    return pa.RecordBatch.from_arrays(arrays, schema=RESULTS)


def to_results(batch: pa.RecordBatch) -> list[Result]:
    """Return the rows of a batch; inverse of :func:`to_batch`."""
    columns = [
        column.cast(pa.int64()).to_pylist() if name in _TIMES else column.to_pylist()
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return [Result(**dict(zip(batch.schema.names, row, strict=True))) for row in zip(*columns, strict=True)]


_ERROR: Final = make_column(["error"], pa.string())[0]


def is_answer(status: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell which rows are answers (``ok`` or ``refused``), not errors."""
    return pc.call_function("not_equal", [status, _ERROR])


def conform(batch: pa.RecordBatch, *, schema: pa.Schema = RESULTS) -> pa.RecordBatch:
    """Give a batch of an older schema the columns that came later, all null.

    Raises
    ------
    StoreError
        If a column of another name or type stands in it.
    """
    if batch.schema.equals(schema):
        return batch
    present = set(batch.schema.names)
    for name in batch.schema.names:
        if name not in schema.names or batch.schema.field(name).type != schema.field(name).type:
            raise StoreError(f"column {name!r} is not one of this version's; the file was written by another version")
    arrays = [
        batch.column(field.name) if field.name in present else pa.nulls(batch.num_rows, field.type) for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def is_readable(schema: pa.Schema) -> bool:
    """Tell whether a file with these columns holds results: each known, in order, once; only later ones missing."""
    names = set(schema.names)
    expected = [field for field in RESULTS if field.name in names or not field.nullable]
    return list(schema) == expected


def _column(values: Sequence[Any], column: _Column) -> pa.Array:
    made = make_column(values, column.kind)
    if not column.nullable and made.null_count:
        raise ValueError("it must be there")
    return made


def _misfit(results: Sequence[Result]) -> StoreError:
    """Say which is the first value that does not fit, column by column."""
    for column in _COLUMNS:
        for result in results:
            value = getattr(result, column.name)
            try:
                _column((value,), column)
            except _MISFITS as error:
                kind = "null" if value is None else type(value).__name__
                where = f"job {result.job_id}: {kind} does not fit column {column.name!r} of {column.kind}"
                return StoreError(f"{where}: {error}")
    return StoreError(f"job {results[0].job_id}: it and those after it do not fit together")
