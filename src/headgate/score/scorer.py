"""What every scorer is to the rest: a version, bounds, a direction, and scores of a batch of results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from headgate.errors import ConfigError
from headgate.identity import digest
from headgate.score.callables import Score
from headgate.score.direction import Direction
from headgate.score.each import score_frame
from headgate.score.kinds import KINDS, is_failure
from headgate.score.library import library_version, load_library
from headgate.score.sql import check_dialect
from headgate.score.structured import schema_validator
from headgate.score.tools import tool_validators
from headgate.suite.callables import callable_name
from headgate.suite.scorers import Evaluator, ExactMatch, JsonSchema, Python, Regex, Scorer, SqlValid, ToolCallValid

if TYPE_CHECKING:
    import polars as pl

KEYS: Final = ("job_id", "item_id", "cluster", "prompt", "model", "seed")
"""Columns that a score row takes over from its result."""


def direction(scorer: Scorer) -> Direction:
    """Return bounds and direction of a scorer.

    Examples
    --------
    >>> from headgate.suite.scorers import JsonValid
    >>> direction(JsonValid(name="json", type="json_valid")).worst
    0.0
    """
    return KINDS[type(scorer)].direction(scorer)


def columns_of(scorer: Scorer) -> tuple[str, ...]:
    """Return the columns of the results that a scorer reads, beside the keys, ``status`` and ``output``."""
    return KINDS[type(scorer)].columns


def version(scorer: Scorer, call: Callable[..., Any] | None = None, *, parts: Mapping[str, str] | None = None) -> str:
    """Return the version of a scorer: a short digest of all that its scores depend on.

    That is what is declared and differs from the default, the revision of headgate's code for it, the library where
    it has a say, the source where it is Python, and the versions of its parts where it is made of others.
    """
    kind = KINDS[type(scorer)]
    declared = scorer.model_dump(exclude={"name", "call", "weight"}, exclude_defaults=True)
    declared |= {"revision": kind.revision, "parts": dict(parts or {})}
    if kind.pinned and kind.library is not None:
        declared["library"] = library_version(kind.library)
    if isinstance(scorer, Python | Evaluator):
        declared["call"] = scorer.call if isinstance(scorer.call, str) else callable_name(scorer.call)
        declared["source"] = _source(call or scorer.call)
    return digest(declared)[:12]


def _source(call: Any) -> str | None:
    try:
        return inspect.getsource(call if hasattr(call, "__code__") or inspect.isclass(call) else type(call))
    except (OSError, TypeError):  # defined in a prompt, or in C
        return None


def check_scorer(scorer: Scorer) -> None:
    """Raise ConfigError if a scorer's library is absent, or its pattern, schema, tools or dialect are none."""
    library = KINDS[type(scorer)].library
    if library is not None:
        load_library(library)
    if isinstance(scorer, Regex):
        _check_pattern(scorer.pattern)
    elif isinstance(scorer, ExactMatch):
        _check_pattern(scorer.pattern, groups=1)
    elif isinstance(scorer, JsonSchema):
        schema_validator(scorer.schema)
    elif isinstance(scorer, ToolCallValid):
        tool_validators(scorer.tools)
    elif isinstance(scorer, SqlValid):
        check_dialect(scorer)


def _check_pattern(pattern: str | None, *, groups: int = 0) -> None:
    import polars as pl

    if pattern is None:
        return
    try:
        found = pl.DataFrame({"output": [""]}).select(pl.col("output").str.extract_groups(pattern)).to_series().struct
    except pl.exceptions.ComputeError as error:
        raise ConfigError(
            f"is not a regular expression: {' '.join(str(error).split())[:200]}",
            field="pattern",
            value=pattern,
            mend="the syntax is that of Rust's regex crate: no look-around, no back-references",
        ) from error
    if len(found.fields) < groups:
        raise ConfigError("has no group", field="pattern", value=pattern, mend="put what is compared in ( )")


def score_columns(scorer: Scorer, results: pl.DataFrame) -> pl.DataFrame:
    """Score a batch with a scorer that calls nothing.

    Parameters
    ----------
    scorer : Scorer
        Any but a Python one, an embedding similarity, or one that is made of others.
    results : DataFrame
        Columns of :data:`KEYS`, ``status``, ``output``, those of :func:`columns_of` and, where the scorer has a
        target, ``target``: text, or lists of it. Errored rows are left out of the scores.

    Returns
    -------
    DataFrame
        :data:`KEYS`, ``value`` (float64, null: could not be scored), ``label``, ``explanation``; rows in order.
    """
    kind = KINDS[type(scorer)]
    if kind.score is None:
        raise TypeError(f"a scorer of type {scorer.type} is not made of columns")
    rows = answered(results)
    return _joined(scorer, rows, kind.score(scorer, rows.filter(~kind.failed())))


def attach_scores(scorer: Scorer, results: pl.DataFrame, scores: Sequence[Score]) -> pl.DataFrame:
    """Join the scores that a function gave: one per answered row that is no failure, in order."""
    return _joined(scorer, answered(results), score_frame(scores))


def answered(results: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in which a model answered: errored jobs never become a score."""
    import polars as pl

    return results.filter(pl.col("status") != "error")


def judged(scorer: Scorer, results: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that a scorer is asked about: answered, and no failure of the model."""
    return answered(results).filter(~KINDS[type(scorer)].failed())


def _joined(scorer: Scorer, rows: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Put scores beside their rows, in order: those of rows that failed are the worst that there is."""
    import polars as pl

    kind = KINDS[type(scorer)]
    rows = rows.with_row_index("row").with_columns(failed=kind.failed()).select("row", *KEYS, "status", "failed")
    number = pl.col("value").cast(pl.Float64)
    value = (1 - number if scorer.negate else number).alias("value")
    found = pl.concat([rows.filter(~pl.col("failed")), scores], how="horizontal").with_columns(value)
    for name in ("label", "explanation"):
        if name not in found.columns:
            found = found.with_columns(pl.lit(None, pl.String).alias(name))
    said = pl.col("explanation").fill_null(pl.lit(kind.reason))
    found = found.with_columns(
        pl.when(pl.col("value").is_null()).then(said).otherwise("explanation").alias("explanation")
    )
    if found.height < rows.height:
        lost = pl.when(pl.col("status") == "refused").then(pl.lit("refused")).otherwise(pl.lit("empty answer"))
        worst = pl.lit(kind.direction(scorer).worst, pl.Float64)
        failures = rows.filter("failed").with_columns(value=worst, label=pl.lit(None, pl.String), explanation=lost)
        found = pl.concat([found, failures.select(found.columns)]).sort("row")
    return found.select(*KEYS, "value", "label", "explanation")


__all__ = [
    "KEYS",
    "Direction",
    "answered",
    "attach_scores",
    "check_scorer",
    "columns_of",
    "direction",
    "is_failure",
    "judged",
    "score_columns",
    "version",
]
