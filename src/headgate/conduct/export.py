"""A run as one file that other tools read: results with their scores side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headgate.errors import ConfigError
from headgate.result import COLUMNS
from headgate.store.dataset import scan, scan_scores
from headgate.store.disk import make_folder, replacing
from headgate.store.exporters.inspect import write_log
from headgate.store.exporters.openai_evals import write_events
from headgate.store.exporters.row import Exported, read_answers
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    import polars as pl

_ENDINGS: Final = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".eval": "inspect",
}
_WRITERS: Final = {"inspect": write_log, "openai-evals": write_events}
FORMATS: Final = ("parquet", "csv", "jsonl", *_WRITERS)
"""What a run is written as."""

_ACTS: Final = r"^[=+\-@\t\r]"
"""How a cell begins that a spreadsheet takes for a formula."""


def export_run(
    run: Path, file: Path, *, format_name: str | None = None, prompt: str | None = None, model: str | None = None
) -> int:
    """Write a run to one file, whole or not at all, and return the number of its rows.

    Parameters
    ----------
    format_name : str, optional
        One of :data:`FORMATS`; default: what the file's name ends with.
    prompt, model : str, optional
        Only rows of these; ``inspect`` and ``openai-evals`` hold one of each.

    Raises
    ------
    ConfigError
        If the format is unknown, the file is there already, or a cell must be chosen.
    """
    chosen = _format(file, format_name)
    manifest = read_manifest(RunFolder(run).manifest)
    _known("--prompt", prompt, manifest.plan.prompts)
    _known("--model", model, manifest.plan.models)
    if file.exists():
        raise ConfigError("is there already", file=file, mend="remove it, or name another")
    make_folder(file.parent)
    columns = _score_columns(manifest)
    if chosen in _WRITERS:
        prompt, model = _only("--prompt", prompt, manifest.plan.prompts), _only("--model", model, manifest.plan.models)
    frame = _wide(run, columns, prompt=prompt, model=model)
    with replacing(file) as temporary:
        if prompt is None or model is None or chosen not in _WRITERS:
            return _write_table(frame, temporary, chosen)
        rows = temporary.with_name(temporary.name + ".rows")
        try:
            count = _write_table(frame, rows, "parquet")
            complete = count == manifest.plan.items.n_items * manifest.plan.seeds
            scorers = list(columns.items())
            cell = Exported(manifest=manifest, prompt=prompt, model=model, scorers=scorers, complete=complete)
            _WRITERS[chosen](temporary, cell, read_answers(rows, RunFolder(run).items, prompt=prompt))
        finally:
            rows.unlink(missing_ok=True)
    return count


def _format(file: Path, name: str | None) -> str:
    if name is None:
        name = _ENDINGS.get(file.suffix.lower())
        if name is None:
            mend = f"end it with {', '.join(_ENDINGS)}, or choose with --format: {', '.join(FORMATS)}"
            raise ConfigError("does not say its format", file=file, mend=mend)
    if name not in FORMATS:
        raise ConfigError("is no known format", field="--format", value=name, mend=f"use {', '.join(FORMATS)}")
    return name


def _known(flag: str, name: str | None, known: Mapping[str, object]) -> None:
    if name is not None and name not in known:
        raise ConfigError("is not in the run", field=flag, value=name, mend=f"it has {', '.join(known)}")


def _score_columns(manifest: Manifest) -> dict[str, str]:
    """Return the column of each scorer: its name, unless a result has a column of that name."""
    return {name: f"score.{name}" if name in COLUMNS else name for name in manifest.scorers}


def _wide(run: Path, columns: Mapping[str, str], *, prompt: str | None, model: str | None) -> pl.LazyFrame:
    import polars as pl

    frame = scan(run).drop("run")
    for axis, name in (("prompt", prompt), ("model", model)):
        frame = frame if name is None else frame.filter(pl.col(axis) == name)
    scores = scan_scores(run)
    for scorer, column in columns.items():
        values = scores.filter(pl.col("scorer") == scorer).select("job_id", pl.col("value").alias(column))
        frame = frame.join(values, on="job_id", how="left", maintain_order="left")
    return frame


def _write_table(frame: pl.LazyFrame, path: Path, chosen: str) -> int:
    import polars as pl
    import polars.selectors as cs

    if chosen == "csv":
        acts = cs.string().str.contains(_ACTS)
        frame = frame.with_columns(pl.when(acts).then("'" + cs.string()).otherwise(cs.string()).name.keep())
    sinks: dict[str, Callable[[Path], object]] = {
        "parquet": frame.sink_parquet,
        "csv": frame.sink_csv,
        "jsonl": frame.sink_ndjson,
    }
    sinks[chosen](path)
    return int(frame.select(pl.len()).collect(engine="streaming").item())


def _only(flag: str, name: str | None, known: Mapping[str, object]) -> str:
    if name is None and len(known) > 1:
        raise ConfigError("is to be chosen: this format holds one", field=flag, mend=f"use one of {', '.join(known)}")
    return next(iter(known)) if name is None else name
