"""Made runs for the tests of `decide`: facts of a run whose scores are given as arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from headgate.decide.facts import RunFacts
from headgate.suite.gate import Gate
from headgate.suite.scorers import JsonValid, Python, Scorer

CORRECT = JsonValid(name="correct", type="json_valid")
GRADE = Python(name="grade", type="python", call="m:f", bounds=(1, 5))
TOXIC = Python(name="toxic", type="python", call="m:f", higher_is_better=False)
FREE = Python(name="free", type="python", call="m:f", bounds=None)
SCORERS: list[Scorer] = [CORRECT, GRADE, TOXIC, FREE]

Cells = Mapping[tuple[str, str], np.ndarray]


def made(
    cells: Cells,
    *,
    scorer: str = "correct",
    clusters: list[str] | None = None,
    first_seed: int = 1,
    **changes: object,
) -> RunFacts:
    """A run with one scorer; each cell (prompt, model) gives scores of shape (n_items, n_seeds), nan: null."""
    prompts = list(dict.fromkeys(prompt for prompt, _ in cells))
    models = {model: f"digest of {model}" for _, model in cells}
    n_items, seeds = next(iter(cells.values())).shape
    scores = pl.concat([_rows(*cell, values, clusters, first_seed) for cell, values in cells.items()])
    scores = scores.with_columns(scorer=pl.lit(scorer), value=pl.col("value").fill_nan(None))
    results = scores.drop("scorer", "value").with_columns(
        status=pl.lit("ok"),
        error_kind=pl.lit(None, pl.String),
        stop_reason=pl.lit("stop"),
        latency_s=pl.lit(1.0),
        cost_usd=pl.lit(None, pl.Float64),
        output_tokens=pl.lit(10, pl.Int64),
        served_model=pl.col("model"),
    )
    facts = {
        "run": "runs/1",
        "suite_digest": "s" * 32,
        "plan_digest": "p" * 32,
        "items_digest": "i" * 32,
        "n_items": n_items,
        "seeds": seeds,
        "first_seed": first_seed,
        "prompts": {prompt: prompt.ljust(32, "0") for prompt in prompts},
        "models": models,
        "scorers": {scorer: "1"},
        "git": None,
        "results": results,
        "scores": scores,
    }
    return RunFacts(**{**facts, **changes})


def arms(candidate: np.ndarray, baseline: np.ndarray, **options: object) -> RunFacts:
    """A run with prompts `new` and `old` on model `m`; one-dimensional scores have one seed."""
    columns = [np.asarray(values, dtype=float).reshape(len(values), -1) for values in (candidate, baseline)]
    return made({("new", "m"): columns[0], ("old", "m"): columns[1]}, **options)


def broken(facts: RunFacts, jobs: list[str], *, kind: str = "timeout") -> RunFacts:
    """The same run, where these jobs errored."""
    hit = pl.col("job_id").is_in(jobs)
    results = facts.results.with_columns(
        status=pl.when(hit).then(pl.lit("error")).otherwise("status"),
        error_kind=pl.when(hit).then(pl.lit(kind)).otherwise("error_kind"),
        latency_s=pl.when(hit).then(None).otherwise("latency_s"),
    )
    return changed(facts, results=results, scores=facts.scores.filter(~hit))


def changed(facts: RunFacts, **changes: object) -> RunFacts:
    fields = {name: getattr(facts, name) for name in RunFacts.__slots__}
    return RunFacts(**{**fields, **changes})


def gate(metric: str = "correct", **rule: object) -> Gate:
    return Gate(metric=metric, **rule)


def _rows(prompt: str, model: str, values: np.ndarray, clusters: list[str] | None, first_seed: int) -> pl.DataFrame:
    n_items, seeds = values.shape
    item, seed = np.repeat(np.arange(n_items), seeds), np.tile(first_seed + np.arange(seeds), n_items)
    ids = [f"i{i:05d}" for i in item]
    return pl.DataFrame(
        {
            "job_id": [f"{prompt}/{model}/{i}/{s}" for i, s in zip(ids, seed, strict=True)],
            "item_id": ids,
            "cluster": None if clusters is None else [clusters[i] for i in item],
            "prompt": prompt,
            "model": model,
            "seed": seed,
            "value": values.ravel(),
        },
        schema_overrides={"cluster": pl.String, "value": pl.Float64},
    )
