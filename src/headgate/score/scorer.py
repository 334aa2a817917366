"""What every scorer is to the rest: a version, bounds, a direction, and scores of a batch of results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from headgate.errors import ConfigError
from headgate.identity import digest
from headgate.score.callables import Score
from headgate.score.numeric import numeric
from headgate.score.structured import json_valid
from headgate.score.text import contains, exact_match, regex
from headgate.suite.model import (
    Contains,
    Evaluator,
    ExactMatch,
    JsonValid,
    Numeric,
    Python,
    Regex,
    Scorer,
    callable_name,
)

if TYPE_CHECKING:
    import polars as pl

KEYS: Final = ("job_id", "item_id", "cluster", "prompt", "model", "seed")
"""Columns that a score row takes over from its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """How scores of a scorer read: the smallest and largest value, and which end is good."""

    bounds: tuple[float, float] | None = (0.0, 1.0)
    higher_is_better: bool = True

    @property
    def worst(self) -> float | None:
        """The value of an answer that failed (refusal, empty answer); None when the scorer has no bound there."""
        return None if self.bounds is None else self.bounds[0 if self.higher_is_better else 1]


def direction(scorer: Scorer) -> Direction:
    """Return bounds and direction of a scorer.

    Examples
    --------
    >>> direction(JsonValid(name="json", type="json_valid")).worst
    0.0
    """
    if not isinstance(scorer, Python | Evaluator):
        return Direction()
    bounds = scorer.bounds
    if scorer.negate and bounds is not None:
        bounds = (1 - bounds[1], 1 - bounds[0])
    return Direction(bounds=bounds, higher_is_better=scorer.higher_is_better)


def version(scorer: Scorer, call: Callable[..., Any] | None = None) -> str:
    """Return the version of a scorer: a short digest of its declaration, and of its source if it is Python."""
    declared = scorer.model_dump(exclude={"name", "call"})
    if isinstance(scorer, Python | Evaluator):
        declared["call"] = scorer.call if isinstance(scorer.call, str) else callable_name(scorer.call)
        declared["source"] = _source(call or scorer.call)
    return digest(declared)[:12]


def _source(call: Any) -> str | None:
    try:
        return inspect.getsource(call if hasattr(call, "__code__") or inspect.isclass(call) else type(call))
    except (OSError, TypeError):  # defined in a prompt, or in C
        return None


def check_pattern(scorer: Regex, *, field: str) -> None:
    """Raise ConfigError if the pattern of a regex scorer is not one that polars can run."""
    import polars as pl

    try:
        pl.DataFrame({"output": [""]}).select(regex(scorer, pl.col("output")))
    except pl.exceptions.ComputeError as error:
        raise ConfigError(
            f"is not a regular expression: {' '.join(str(error).split())[:200]}",
            field=field,
            value=scorer.pattern,
            mend="the syntax is that of Rust's regex crate: no look-around, no back-references",
        ) from error


def score_columns(scorer: Scorer, results: pl.DataFrame) -> pl.DataFrame:
    """Score a batch with a scorer that is made of column expressions (every type that calls nothing).

    Parameters
    ----------
    scorer : Scorer
        Any but a Python one or an evaluator.
    results : DataFrame
        Columns of :data:`KEYS`, ``status``, ``output`` and, where the scorer has a target, ``target``. Errored rows
        are left out of the scores.

    Returns
    -------
    DataFrame
        :data:`KEYS`, ``value`` (float64, null: could not be scored), ``label``, ``explanation``.
    """
    import polars as pl

    output, target = pl.col("output"), pl.col("target")
    match scorer:
        case ExactMatch():
            right = exact_match(scorer, output, target)
        case Contains():
            right = contains(scorer, output, target)
        case Regex():
            right = regex(scorer, output)
        case Numeric():
            right = numeric(scorer, output, target)
        case JsonValid():
            right = json_valid(output)
        case Python() | Evaluator():
            raise TypeError(f"a scorer of type {scorer.type} is not made of column expressions")
    value = right.cast(pl.Float64)
    reason = pl.lit("the item has no target to compare with" if hasattr(scorer, "target") else "could not be scored")
    return _finish(scorer, answered(results).with_columns(value=1 - value if scorer.negate else value), reason)


def attach_scores(scorer: Python | Evaluator, results: pl.DataFrame, scores: Sequence[Score]) -> pl.DataFrame:
    """Join the scores that a function gave: one per answered row that is no failure, in order."""
    import polars as pl

    given = pl.DataFrame(
        {
            "value": [None if s.value is None else (1 - s.value if scorer.negate else s.value) for s in scores],
            "label": [s.label for s in scores],
            "explanation": [s.explanation for s in scores],
        },
        schema={"value": pl.Float64, "label": pl.String, "explanation": pl.String},
    )
    rows = answered(results)
    judged = rows.filter(~is_failure()).hstack(given)
    failures = rows.filter(is_failure()).with_columns(
        value=pl.lit(None, pl.Float64), label=pl.lit(None, pl.String), explanation=pl.lit(None, pl.String)
    )
    return _finish(scorer, pl.concat([judged, failures]), pl.lit("could not be scored"))


def answered(results: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in which a model answered: errored jobs never become a score."""
    import polars as pl

    return results.filter(pl.col("status") != "error")


def is_failure() -> pl.Expr:
    """Return the expression that is true where the model itself failed: it refused, or answered nothing."""
    import polars as pl

    empty = pl.col("output").is_null() | (pl.col("output").str.strip_chars() == "")
    return (pl.col("status") == "refused") | empty


def _finish(scorer: Scorer, rows: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    import polars as pl

    present = set(rows.columns)
    label = pl.col("label") if "label" in present else pl.lit(None, pl.String)
    said = pl.col("explanation") if "explanation" in present else pl.lit(None, pl.String)
    failure = pl.when(pl.col("status") == "refused").then(pl.lit("refused")).otherwise(pl.lit("empty answer"))
    value = pl.when(is_failure()).then(pl.lit(direction(scorer).worst, pl.Float64)).otherwise(pl.col("value"))
    return rows.select(
        *KEYS,
        value.alias("value"),
        label.alias("label"),
        pl.when(is_failure())
        .then(failure)
        .when(pl.col("value").is_null())
        .then(said.fill_null(reason))
        .otherwise(said)
        .alias("explanation"),
    )
