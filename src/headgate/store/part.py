"""One part: a sorted zstd Parquet file, published whole or not at all."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from headgate.errors import StoreError
from headgate.store.disk import make_folder, naming, replacing
from headgate.store.schema import RESULTS, SCHEMA_VERSION

ORDER: Final = ("item_id", "model", "seed")
"""What the rows of a part are sorted by."""

RESTORE: Final = "restore it from a copy, or remove it and run again: its jobs are then sent again"
"""How to mend a damaged part."""

ROW_GROUP_ROWS: Final = 65_536
_SETTINGS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 3,
    "write_page_index": True,
    "write_page_checksum": True,
}
_DICTIONARIES: Final = {
    "item_id", "cluster", "prompt", "prompt_digest", "model", "provider", "endpoint", "status", "error_kind",
    "stop_reason", "served_model", "system_fingerprint", "scorer", "scorer_version", "label",
}  # fmt: skip


def write_part(
    path: Path,
    batches: Iterable[pa.RecordBatch | pa.Table],
    *,
    plan: str,
    schema: pa.Schema = RESULTS,
    ordered: bool = True,
    facts: Mapping[str, str] | None = None,
) -> int:
    """Write a part and publish it: temporary file, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path : Path
        The part.
    batches : iterable of pyarrow.RecordBatch or pyarrow.Table
        Its rows; one piece is in memory at a time.
    plan : str
        Digest of the run's plan, for the footer.
    schema : pyarrow.Schema
        Columns of the batches.
    ordered : bool
        Whether the rows come sorted by ``ORDER``.
    facts : mapping, optional
        More keys of the footer.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    StoreError
        If the disk refuses; the part is then as it was before.
    """
    rows = 0
    with writing_part(path, plan=plan, schema=schema, ordered=ordered, facts=facts) as write:
        for batch in batches:
            write(batch)
            rows += batch.num_rows
    return rows


@contextlib.contextmanager
def writing_part(
    path: Path,
    *,
    plan: str,
    schema: pa.Schema = RESULTS,
    ordered: bool = True,
    facts: Mapping[str, str] | None = None,
) -> Generator[Callable[[pa.RecordBatch | pa.Table], None]]:
    """Yield a function that takes batches; the part is published when the block ends well.

    Parameters and errors are those of :func:`write_part`.
    """
    sorting = pq.SortingColumn.from_ordering(schema, [(name, "ascending") for name in ORDER]) if ordered else None
    dictionaries = [name for name in schema.names if name in _DICTIONARIES]
    options: dict[str, Any] = {**_SETTINGS, "use_dictionary": dictionaries, "sorting_columns": sorting}
    make_folder(path.parent)
    with naming(path, "write"), replacing(path) as temporary, pq.ParquetWriter(temporary, schema, **options) as writer:
        writer.add_key_value_metadata({"headgate.schema": str(SCHEMA_VERSION), "headgate.plan": plan, **(facts or {})})

        def write(batch: pa.RecordBatch | pa.Table) -> None:
            for piece in batch.to_batches() if isinstance(batch, pa.Table) else [batch]:
                writer.write_batch(piece, row_group_size=ROW_GROUP_ROWS)

        yield write


def open_part(path: Path) -> pq.ParquetFile:
    """Open a part, or a scores file, with verification of its page checksums.

    Raises
    ------
    StoreError
        If it is not a Parquet file.
    """
    try:
        return pq.ParquetFile(path, page_checksum_verification=True, memory_map=False)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def read_batches(path: Path, columns: Sequence[str] | None = None, *, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield columns (default: all) of a part, or of a scores file, some rows at a time.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    try:
        yield from open_part(path).iter_batches(
            rows, columns=None if columns is None else list(columns), use_threads=False
        )
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> StoreError:
    """Return the error for a file that does not hold what it should."""
    return StoreError(f"{path}: cannot be read: {first_line(error)}; {RESTORE}")


def first_line(error: Exception) -> str:
    """Return what an error of pyarrow says, without the traces that follow it."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def footer(file: pq.ParquetFile) -> dict[str, str]:
    """Return the ``headgate.`` keys of a part's footer."""
    pairs = (file.metadata.metadata or {}).items()
    return {key.decode(): value.decode() for key, value in pairs if key.startswith(b"headgate.")}
