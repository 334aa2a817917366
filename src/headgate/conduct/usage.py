"""What jobs took in a stored run: the tokens of those under test, of its judges, and of what its evaluators asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from headgate.conduct.grades import judge_runs
from headgate.conduct.judges import BoundJudge
from headgate.store.dataset import scan
from headgate.store.layout import RunFolder

if TYPE_CHECKING:
    import polars as pl


class Usage(NamedTuple):
    """Mean tokens of a job: all of the input and the output; what of the input came from a cache, and went into it."""

    input_tokens: float
    output_tokens: float
    cached_tokens: float = 0.0
    cache_write_tokens: float = 0.0


Measured: TypeAlias = Mapping[tuple[str, str], Usage]
"""Prompt and model to the tokens of a job."""


def measure_usage(run: Path) -> dict[tuple[str, str], Usage]:
    """Return the mean tokens of a stored run's jobs by prompt and model, where its servers told them."""
    return _means(scan(run))


def measure_judge(run: Path, judge: BoundJudge) -> dict[tuple[str, str], Usage]:
    """Return the same of what a judge was asked about a stored run's answers, by the very models and prompts it has."""
    runs = [made.path for model in judge.models for made in judge_runs(RunFolder(run), judge, judge.key(model))]
    return _means(scan(runs)) if runs else {}


def measure_evaluator(run: Path, *, scorer: str, model: str) -> tuple[float, Usage] | None:
    """Return how often an evaluator asked a model for each answer of a stored run, and the mean tokens of a request.

    Each time that the run was scored counts. None where nothing of it is known.
    """
    import polars as pl

    files = RunFolder(run).evaluator_files()
    if not files:
        return None
    asked = pl.scan_parquet(files).filter((pl.col("prompt") == scorer) & (pl.col("model") == model))
    requests = asked.select(pl.len()).collect().item()
    answers = scan(run).filter(pl.col("status") != "error").select(pl.len()).collect(engine="streaming").item()
    usage = _means(asked).get((scorer, model))
    return None if usage is None or not answers else (requests / answers, usage)


def _means(rows: pl.LazyFrame) -> dict[tuple[str, str], Usage]:
    import polars as pl

    told = rows.filter(pl.col("input_tokens").is_not_null() & pl.col("output_tokens").is_not_null())
    means = [pl.col(name).fill_null(0).mean() for name in Usage._fields]
    found = told.group_by("prompt", "model").agg(means).collect(engine="streaming")
    return {(prompt, model): Usage(*means) for prompt, model, *means in found.iter_rows()}
