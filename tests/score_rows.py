"""Rows for scorers, and their scores as a list: what the tests of every scorer need."""

from __future__ import annotations

from typing import Any

import polars as pl

from headgate.score.scorer import score_columns
from headgate.suite.scorers import Scorer

_KINDS = {"output": pl.String, "tool_calls_json": pl.String, "logprobs_json": pl.String, "stop_reason": pl.String}
_NUMBERS = ("latency_s", "ttfb_s", "cost_usd", "input_tokens", "output_tokens", "reasoning_tokens", "attempts")


def scored(scorer: Scorer, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return value, label and explanation of rows; a row gives output and target, and any other column."""
    several = any(isinstance(row.get("target"), list) for row in rows)
    kinds = {**_KINDS, "target": pl.List(pl.String) if several else pl.String, **dict.fromkeys(_NUMBERS, pl.Float64)}
    frame = pl.DataFrame(
        {name: [row.get(name) for row in rows] for name in kinds},
        schema=kinds,
    ).with_columns(
        pl.Series("job_id", [f"j{n}" for n in range(len(rows))]),
        pl.Series("item_id", [f"i{n}" for n in range(len(rows))]),
        pl.Series("status", [row.get("status", "ok") for row in rows]),
        cluster=pl.lit(None, pl.String),
        prompt=pl.lit("p"),
        model=pl.lit("m"),
        seed=pl.lit(1),
    )
    return score_columns(scorer, frame).select("value", "label", "explanation")


def values(scorer: Scorer, *pairs: tuple[str | None, Any]) -> list[float | None]:
    """Return the scores of pairs of output and target."""
    return scored(scorer, [{"output": output, "target": target} for output, target in pairs])["value"].to_list()
