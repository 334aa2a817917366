"""Results and scores as polars LazyFrames: over parts, and over what a live run has in its journal."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from headgate.errors import ConfigError, StoreError
from headgate.store.index import read_columns, repeated, source_keys
from headgate.store.layout import RunFolder
from headgate.store.manifest import read_manifest
from headgate.store.schema import RESULTS, SCORES
from headgate.store.segment import read_segment

if TYPE_CHECKING:
    import polars as pl

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A run directory, a pattern such as ``runs/*``, or several of them."""


def scan(paths: Paths) -> pl.LazyFrame:
    """Read results lazily: one row per job and run.

    Parameters
    ----------
    paths : path, pattern, or several
        Run directories. A pattern takes the run directories among its matches.

    Returns
    -------
    polars.LazyFrame
        The columns of results, and last ``run``, the path as it was given or matched. The columns are those of this
        version, whichever wrote the run; later ones are null in older runs.

    Raises
    ------
    ConfigError
        If a path is no run directory, or a pattern matches none.
    StoreError
        If a file is damaged or of a later version.

    Notes
    -----
    Only footers are read before the frame is collected, and the job ids of a run that is not finished.
    """
    import polars as pl

    frames = [_scan_run(RunFolder(path)).with_columns(run=pl.lit(str(path))) for path in find_runs(paths)]
    return pl.concat(frames)


def scan_scores(paths: Paths) -> pl.LazyFrame:
    """Read scores lazily, in long form; parameters, last column and errors as :func:`scan`."""
    import polars as pl

    runs = [RunFolder(path) for path in find_runs(paths)]
    frames = [_scan_files(run.score_files(), SCORES).with_columns(run=pl.lit(str(run.path))) for run in runs]
    return pl.concat(frames)


def find_runs(paths: Paths) -> list[Path]:
    """Return the run directories that paths and patterns name, each once; a pattern's matches are sorted.

    Raises
    ------
    ConfigError, StoreError
        As :func:`scan`.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = [run for path in given for run in _match(os.fspath(path))]
    if not found:
        raise ConfigError("no run directory is given", mend="name one, or a pattern such as 'runs/*'")
    return list(dict.fromkeys(found))


def _match(text: str) -> list[Path]:
    path = Path(text)
    if path.exists() or not glob.has_magic(text):
        read_manifest(path / "manifest.json")
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(text))]  # noqa: PTH207 - patterns may be absolute
    runs = [match for match in matches if (match / "manifest.json").is_file()]
    if not runs:
        mend = f"of {len(matches)} matches none has a manifest.json"
        raise ConfigError("matches no run directory", value=text, mend=mend)
    for run in runs:
        read_manifest(run / "manifest.json")
    return runs


def _scan_run(run: RunFolder) -> pl.LazyFrame:
    import polars as pl

    sources = run.sources()
    segments = [source for source in sources if source.suffix == ".arrows"]
    parts = [source for source in sources if source.suffix != ".arrows"]
    frame = pl.concat([_scan_files(parts, RESULTS), *(_scan_segment(segment, run) for segment in segments)])
    # Two rows of one job exist only while the journal is not empty: see store/compact.py.
    return _one_per_job(frame, sources) if run.segments() else frame


def _scan_files(files: list[Path], schema: pa.Schema) -> pl.LazyFrame:
    import polars as pl

    columns = _polars_schema(schema)
    if not files:
        return pl.LazyFrame(schema=columns)
    return pl.scan_parquet(files, schema=dict(columns), missing_columns="insert", glob=False, hive_partitioning=False)


def _scan_segment(segment: Path, run: RunFolder) -> pl.LazyFrame:
    import polars as pl
    from polars.io.plugins import register_io_source

    def read(
        columns: list[str] | None, where: pl.Expr | None, left: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for batch in _batches(segment, run):
            frame = pl.DataFrame(pa.Table.from_batches([batch.slice(0, left)]))
            left = None if left is None else left - frame.height
            frame = frame if where is None else frame.filter(where)
            yield frame if columns is None else frame.select(columns)
            if left == 0:
                return

    return register_io_source(read, schema=_polars_schema(RESULTS))


def _batches(segment: Path, run: RunFolder) -> Iterator[pa.RecordBatch]:
    try:
        yield from read_segment(segment)
    except StoreError:
        part = run.part_of(segment)
        if not part.exists():
            raise
        yield from read_columns(part, RESULTS.names).to_batches()  # compacted since the scan was made


def _one_per_job(frame: pl.LazyFrame, sources: list[Path]) -> pl.LazyFrame:
    """Keep the row that counts; the rule is that of :func:`headgate.store.index.superseded`."""
    import polars as pl

    keys = repeated(np.concatenate([source_keys(source) for source in sources]))
    if not len(keys):
        return frame
    digits = keys.tobytes().hex()
    among = pl.col("job_id").is_in([digits[start : start + 32] for start in range(0, len(digits), 32)])
    rank = [pl.col("status") != "error", pl.col("generation"), pl.col("finished_at")]
    ranked = frame.filter(among).sort(rank, maintain_order=True)
    return pl.concat([frame.filter(~among), ranked.unique("job_id", keep="last", maintain_order=True)])


def _polars_schema(schema: pa.Schema) -> pl.Schema:
    import polars as pl

    return pl.DataFrame(pa.Table.from_batches([], schema)).schema  # `empty_table` imports pandas
