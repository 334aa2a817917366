"""Each type of scorer, and what it takes to score with it: one table, in place of a branch for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from headgate.score import choice, language, markup, measures, overlap, refusal, sql, structured, text, tools
from headgate.score.callables import Score
from headgate.score.direction import UNIT, Direction
from headgate.score.distance import string_similarity
from headgate.score.each import Grade, grade_each
from headgate.score.numeric import numeric
from headgate.score.targets import target_columns, target_lists
from headgate.suite import scorers as declared

if TYPE_CHECKING:
    import polars as pl

Frame: TypeAlias = "pl.DataFrame"
ScoreRows: TypeAlias = Callable[[Any, "pl.DataFrame"], "pl.DataFrame"]
"""Scorer and rows to columns ``value`` and, where there are any, ``label`` and ``explanation``."""

NO_TARGET: Final = "the item has no target to compare with"


def is_failure() -> pl.Expr:
    """Return the expression that is true where the model itself failed: it refused, or answered nothing."""
    import polars as pl

    return (pl.col("status") == "refused") | _is_empty()


def _is_empty() -> pl.Expr:
    import polars as pl

    return pl.col("output").is_null() | (pl.col("output").str.strip_chars() == "")


def is_failure_to_call() -> pl.Expr:
    """Return the expression that is true where the model refused, or neither called a tool nor answered."""
    import polars as pl

    return (pl.col("status") == "refused") | (_is_empty() & pl.col("tool_calls_json").is_null())


def never() -> pl.Expr:
    """Return the expression that is false: what is scored is there whether or not there is an answer."""
    import polars as pl

    return pl.lit(value=False)


def _unit(_: Any) -> Direction:
    return UNIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a type of scorer is to the rest.

    Attributes
    ----------
    score : callable, optional
        Scores rows; None where ``conduct`` does, as something is called, or as there are no rows.
    revision : int
        Grows when its code gives other scores for the same declaration; part of the version.
    columns : tuple of str
        Columns of the results that it reads, beside the keys, ``status`` and ``output``.
    library : str, optional
        What it needs of the extra ``scorers``.
    pinned : bool
        Whether scores depend on the library's version, which is then part of the scorer's.
    failed : callable
        Which rows are failures of the model, scored at the worst bound.
    direction : callable
        Scorer to its bounds and its good end.
    reason : str
        Why a score is null, where nothing else is said.
    """

    score: ScoreRows | None = None
    revision: int = 1
    columns: tuple[str, ...] = ()
    library: str | None = None
    pinned: bool = False
    failed: Callable[[], pl.Expr] = is_failure
    direction: Callable[[Any], Direction] = _unit
    reason: str = "could not be scored"


def _expressed(make: Callable[[Any, pl.Expr, list[pl.Expr]], pl.Expr | tuple[pl.Expr, pl.Expr]]) -> ScoreRows:
    """Return the scoring by an expression of output and targets, or by two: value and label."""

    def score(spec: Any, rows: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        made = make(spec, pl.col("output"), target_columns(rows) if "target" in rows.columns else [])
        value, label = made if isinstance(made, tuple) else (made, pl.lit(None, pl.String))
        return rows.select(value=value.cast(pl.Float64), label=label)

    return score


def _computed(make: Callable[[Any], pl.Expr]) -> ScoreRows:
    """Return the scoring by an expression of the results' columns alone."""

    def score(spec: Any, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(value=make(spec))

    return score


def _graded(make: Callable[[Any], Callable[..., Grade]], *columns: str) -> ScoreRows:
    """Return the scoring by a function of a row's columns, which is made once for a batch."""

    def score(spec: Any, rows: pl.DataFrame) -> pl.DataFrame:
        return grade_each(
            make(spec), *(rows[column] for column in columns), bounds=KINDS[type(spec)].direction(spec).bounds
        )

    return score


def _against_targets(make: Callable[[Any], Callable[..., Grade]]) -> ScoreRows:
    """Return the scoring by a function of an output and its targets."""

    def score(spec: Any, rows: pl.DataFrame) -> pl.DataFrame:
        return grade_each(make(spec), rows["output"], target_lists(rows))

    return score


def _overlap(make: Callable[[Any], overlap.Overlap]) -> ScoreRows:
    def graded(spec: Any) -> Callable[..., Grade]:
        measure = make(spec)

        def grade(output: str, targets: list[str] | None) -> Grade:
            if targets is None:
                return Score(None, explanation=NO_TARGET)
            value = measure(output, targets)
            return value if spec.threshold is None else value >= spec.threshold

        return grade

    return _against_targets(graded)


def _distance(spec: Any, rows: pl.DataFrame) -> pl.DataFrame:
    return string_similarity(spec, rows).alias("value").to_frame()


def _own(spec: declared.Python | declared.Evaluator) -> Direction:
    bounds = spec.bounds
    if spec.negate and bounds is not None:
        bounds = (1 - bounds[1], 1 - bounds[0])
    return Direction(bounds=bounds, higher_is_better=spec.higher_is_better)


def _perplexed(spec: declared.Perplexity) -> Direction:
    bounded = spec.normalized or spec.max is not None
    return UNIT if bounded else Direction(bounds=None, higher_is_better=False)


def _scaled(spec: declared.Judge) -> Direction:
    """Return the scale of a judge."""
    low, high = spec.bounds
    return Direction(bounds=(1 - high, 1 - low) if spec.negate else (low, high))


def _cosine(spec: declared.EmbeddingSimilarity) -> Direction:
    return UNIT if spec.threshold is not None else Direction(bounds=(-1.0, 1.0))


def _correlated(spec: declared.MatthewsCorrelation) -> Direction:
    return Direction(bounds=(0.0, 2.0) if spec.negate else (-1.0, 1.0))


def _declining(spec: declared.Refusal) -> Direction:
    return Direction(higher_is_better=spec.wanted != spec.negate)


def _text_kind(score: ScoreRows, **options: Any) -> Kind:
    return Kind(score=score, reason=NO_TARGET, **options)


KINDS: Final[Mapping[type, Kind]] = {
    declared.ExactMatch: _text_kind(_expressed(text.exact_match)),
    declared.Contains: _text_kind(_expressed(text.contains)),
    declared.StartsWith: _text_kind(_expressed(text.starts_with)),
    declared.EndsWith: _text_kind(_expressed(text.ends_with)),
    declared.Regex: Kind(score=_computed(lambda spec: text.regex(spec, _column("output")))),
    declared.StringSimilarity: _text_kind(_distance, library="rapidfuzz"),
    declared.Length: Kind(
        score=_computed(lambda spec: text.length(spec, _column("output"), _column("output_tokens"))),
        columns=("output_tokens",),
        reason="the number of tokens is not known",
    ),
    declared.Language: Kind(score=_against_targets(language.language), library="py3langid", pinned=True),
    declared.Refusal: Kind(
        score=_computed(lambda spec: refusal.refusal(spec, _column("output"), _column("status"))),
        failed=never,
        direction=_declining,
    ),
    declared.Numeric: _text_kind(
        _expressed(lambda spec, output, targets: numeric(spec, output, targets[0])), revision=2
    ),
    declared.MultipleChoice: Kind(
        score=_expressed(lambda spec, output, targets: choice.multiple_choice(spec, output, targets[0])),
        reason="the target is no letter",
    ),
    declared.Classification: Kind(
        score=_expressed(lambda spec, output, targets: choice.classification(spec, output, targets[0])),
        reason="the target is none of the labels",
    ),
    declared.JsonValid: Kind(score=_graded(structured.json_valid, "output")),
    declared.JsonSchema: Kind(score=_graded(structured.json_schema, "output"), library="jsonschema_rs"),
    declared.JsonField: Kind(score=_graded(structured.json_field, "output", "target")),
    declared.SqlValid: Kind(score=_graded(sql.sql_valid, "output"), library="sqlglot", pinned=True),
    declared.XmlValid: Kind(score=_graded(markup.xml_valid, "output")),
    declared.HtmlValid: Kind(score=_graded(markup.html_valid, "output")),
    declared.ToolCall: Kind(
        score=_graded(tools.tool_call, "tool_calls_json", "target"),
        columns=("tool_calls_json",),
        failed=is_failure_to_call,
    ),
    declared.ToolCallValid: Kind(
        score=_graded(tools.tool_call_valid, "tool_calls_json"),
        columns=("tool_calls_json",),
        library="jsonschema_rs",
        failed=is_failure_to_call,
    ),
    declared.Bleu: Kind(score=_overlap(overlap.bleu), library="sacrebleu", pinned=True),
    declared.Chrf: Kind(score=_overlap(overlap.chrf), library="sacrebleu", pinned=True),
    declared.Gleu: Kind(score=_overlap(overlap.gleu)),
    declared.Rouge: Kind(score=_overlap(overlap.rouge), library="rapidfuzz"),
    declared.TokenF1: Kind(score=_overlap(overlap.token_f1)),
    declared.Perplexity: Kind(
        score=_graded(measures.perplexity, "logprobs_json"), columns=("logprobs_json",), direction=_perplexed
    ),
    declared.Limit: Kind(
        score=_computed(measures.limit),
        columns=(
            "latency_s",
            "ttfb_s",
            "cost_usd",
            "input_tokens",
            "output_tokens",
            "reasoning_tokens",
            "attempts",
        ),
        failed=never,
        reason="it is not known",
    ),
    declared.StopReason: Kind(
        score=_computed(measures.stop_reason),
        columns=("stop_reason",),
        failed=never,
        reason="it is not known",
    ),
    declared.EmbeddingSimilarity: Kind(direction=_cosine),
    declared.Python: Kind(direction=_own),
    declared.Weighted: Kind(),
    declared.Evaluator: Kind(direction=_own),
    declared.Judge: Kind(direction=_scaled),
    declared.PassAtK: Kind(),
    declared.F1: Kind(),
    declared.MatthewsCorrelation: Kind(direction=_correlated),
}


def _column(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name)
