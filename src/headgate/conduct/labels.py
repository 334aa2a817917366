"""Labels by humans: which answers they are of, and what a judge would have had to say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headgate.errors import ConfigError
from headgate.suite.scorers.judge import Judge
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    import polars as pl

_KEYS: Final = ("item_id", "prompt", "model", "seed", "output")


def read_labels(suite: Suite, spec: Judge, *, field: str) -> pl.DataFrame | None:
    """Read the labels that a judge is calibrated by.

    Returns
    -------
    DataFrame or None
        Column ``human``, in the judge's own units, and those of item_id, prompt, model, seed and output that say which
        answer it is of; several labels of one answer are averaged. None where none are declared.

    Raises
    ------
    ConfigError
        If the file is missing or broken, a label is no verdict of the judge, or an item has several answers and the
        labels do not say which they are of.
    """
    if spec.calibrate is None:
        return None
    import polars as pl

    path, field = suite.base / spec.calibrate.labels, f"{field}.calibrate.labels"
    frame = _read(path, suite, field)
    for name in ("item_id", "label"):
        if name not in frame.columns:
            mend = f"its columns are {', '.join(frame.columns)}"
            raise ConfigError("there is no such column", file=path, field=field, value=name, mend=mend)
    keys = [name for name in _KEYS if name in frame.columns]
    _check_keys(suite, keys, path, field)
    human = [_value(spec, label, path, number) for number, label in enumerate(frame["label"].to_list(), 1)]
    kinds: dict[str, type[pl.DataType]] = {name: pl.Int64 if name == "seed" else pl.String for name in keys}
    labels = frame.select(pl.col(name).cast(kind) for name, kind in kinds.items())
    labels = labels.with_columns(human=pl.Series(human, dtype=pl.Float64)).drop_nulls(["item_id", "human"])
    return labels.group_by(keys).agg(pl.col("human").mean()).sort(keys)


def attach_labels(scores: pl.DataFrame, results: pl.DataFrame, labels: pl.DataFrame | None) -> pl.DataFrame:
    """Add the column ``human`` to the scores of some results."""
    import polars as pl

    if labels is None:
        return scores.with_columns(human=pl.lit(None, pl.Float64))
    keys = [name for name in labels.columns if name != "human"]
    found = results.join(labels, on=keys).select("job_id", "human")
    return scores.join(found, on="job_id", how="left", maintain_order="left")


def _read(path: Path, suite: Suite, field: str) -> pl.DataFrame:
    import polars as pl

    readers: dict[str, Callable[..., pl.DataFrame]] = {
        ".csv": pl.read_csv,
        ".jsonl": pl.read_ndjson,
        ".ndjson": pl.read_ndjson,
        ".parquet": pl.read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        mend = "use .csv, .jsonl, .ndjson or .parquet"
        raise ConfigError("is of no format that holds labels", file=suite.file, field=field, value=str(path), mend=mend)
    if not path.is_file():
        raise ConfigError("there is no such file", file=suite.file, field=field, value=str(path))
    try:
        return reader(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ConfigError(f"cannot be read: {' '.join(str(error).split())[:200]}", file=path, field=field) from error


def _check_keys(suite: Suite, keys: Sequence[str], path: Path, field: str) -> None:
    """Refuse labels of which nobody can tell whose answer they are of."""
    if "output" in keys:
        return
    several = {"prompt": len(suite.prompts), "model": len(suite.tested), "seed": suite.seeds}
    for name, count in several.items():
        if count > 1 and name not in keys:
            mend = f"add a column {name}, or output: the text of the answer"
            raise ConfigError(
                f"the suite has {count} {name}s, and the labels name none", file=path, field=field, mend=mend
            )


def _value(spec: Judge, label: Any, path: Path, number: int) -> float | None:
    if label is None:
        return None
    text = str(label).strip()
    if spec.kind != "pairwise" and text in spec.scores:
        value = spec.scores[text]
    else:
        try:
            value = float(label)
        except (TypeError, ValueError):
            value = float("nan")
    low, high = spec.bounds
    if not low <= value <= high:
        words = ", ".join(spec.scores) if spec.kind != "pairwise" else ""
        known = f"a number from {low:g} to {high:g}" + (f", or one of {words}" if words else "")
        raise ConfigError("is no label", file=path, field=f"row {number}.label", value=label, mend=f"give {known}")
    return 1 - value if spec.negate else value
