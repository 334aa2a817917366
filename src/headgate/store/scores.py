"""Scores on disk: one Parquet file per scorer, named with its version, replaced whole when they are computed again."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from headgate.errors import StoreError
from headgate.store import checksums
from headgate.store.columns import make_column
from headgate.store.disk import remove
from headgate.store.layout import RunFolder
from headgate.store.part import ROW_GROUP_ROWS, writing_part
from headgate.store.schema import SCORES

_SAFE: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")


@contextlib.contextmanager
def writing_scores(
    run: RunFolder, *, scorer: str, version: str, plan: str, explained: bool = True
) -> Generator[Callable[[Any], None]]:
    """Yield a function that takes the scores of one scorer, table by table; one table is in memory at a time.

    When the block ends well they stand in the place of the scorer's earlier ones, of whichever version. A table is a
    polars.DataFrame, a pyarrow.Table, or anything with ``__arrow_c_stream__``: the columns of scores in any order; the
    scorer's own columns may be left out.

    Parameters
    ----------
    run : RunFolder
        A run that this process has open.
    scorer, version : str
        They name the file and fill the columns ``scorer`` and ``scorer_version``.
    plan : str
        Digest of the run's plan, for the footer.
    explained : bool
        Whether explanations are kept: they may quote an output.

    Raises
    ------
    StoreError
        If a column is missing or does not fit, or the disk refuses; the earlier scores are then as they were.
    """
    path = score_path(run, scorer=scorer, version=version)
    others = [file for file in run.score_files() if file != path and file.stem.rpartition("@")[0] == scorer]
    checksums.forget(run, [path, *others])
    constants: dict[str, str | None] = {"scorer": scorer, "scorer_version": version}
    if not explained:
        constants["explanation"] = None
    with writing_part(path, plan=plan, schema=SCORES, ordered=False) as write_batch:

        def write(table: Any) -> None:
            whole = _fit(path, pa.RecordBatchReader.from_stream(table).read_all(), constants)
            for start in range(0, whole.num_rows, ROW_GROUP_ROWS):
                write_batch(whole.slice(start, ROW_GROUP_ROWS))

        yield write
    for other in others:
        remove(other)
    checksums.refresh(run)


def write_scores(run: RunFolder, frame: Any, *, scorer: str, version: str, plan: str, explained: bool = True) -> Path:
    """Write the scores of one scorer from a single table, and return their file; see :func:`writing_scores`."""
    with writing_scores(run, scorer=scorer, version=version, plan=plan, explained=explained) as write:
        write(frame)
    return score_path(run, scorer=scorer, version=version)


def score_path(run: RunFolder, *, scorer: str, version: str) -> Path:
    """Return the file of a scorer's scores.

    Raises
    ------
    StoreError
        If a file cannot have that name.
    """
    if not _SAFE.match(scorer) or not _SAFE.match(version):
        mend = "use letters, digits, dots, _ and -"
        raise StoreError(f"{run.scores}: scorer {scorer!r} version {version!r} cannot name a file; {mend}")
    return run.scores / f"{scorer}@{version}.parquet"


def _fit(path: Path, table: pa.Table, constants: Mapping[str, str | None]) -> pa.Table:
    columns: list[pa.ChunkedArray] = []
    for field in SCORES:
        if field.name in constants:
            columns.append(_repeat(constants[field.name], table.num_rows, field.type))
        elif field.name == "human" and field.name not in table.column_names:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
        elif field.name not in table.column_names:
            raise StoreError(f"{path}: column {field.name!r} is missing")
        else:
            columns.append(_cast(path, table[field.name], field))
    return pa.Table.from_arrays(columns, schema=SCORES)


def _cast(path: Path, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        cast = column.cast(field.type)
    except pa.ArrowException as error:
        raise StoreError(f"{path}: column {field.name!r} does not fit {field.type}: {error}") from error
    if cast.null_count and not field.nullable:
        raise StoreError(f"{path}: column {field.name!r} has nulls")
    return cast


def _repeat(text: str | None, rows: int, kind: pa.DataType) -> pa.ChunkedArray:
    repeated = pa.nulls(rows, kind) if text is None else pa.repeat(make_column([text], kind)[0], rows)
    return pa.chunked_array([repeated])
