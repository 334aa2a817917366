"""How answers are scored, as declared: one class per kind of scorer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headgate.suite.scorers.answers import Classification, MultipleChoice, Numeric
from headgate.suite.scorers.calls import EmbeddingSimilarity, Python
from headgate.suite.scorers.combined import F1, Derived, MatthewsCorrelation, OverLabels, PassAtK, Weighted
from headgate.suite.scorers.evaluator import Evaluator
from headgate.suite.scorers.judge import Judge
from headgate.suite.scorers.measures import Limit, Perplexity, StopReason
from headgate.suite.scorers.overlap import Bleu, Chrf, Gleu, Rouge, TokenF1
from headgate.suite.scorers.structured import (
    HtmlValid,
    JsonField,
    JsonSchema,
    JsonValid,
    SqlValid,
    ToolCall,
    ToolCallValid,
    XmlValid,
)
from headgate.suite.scorers.text import (
    Contains,
    EndsWith,
    ExactMatch,
    Language,
    Length,
    Refusal,
    Regex,
    StartsWith,
    StringSimilarity,
)

__all__ = [
    "F1",
    "Bleu",
    "Chrf",
    "Classification",
    "Contains",
    "Derived",
    "EmbeddingSimilarity",
    "EndsWith",
    "Evaluator",
    "ExactMatch",
    "Gleu",
    "HtmlValid",
    "JsonField",
    "JsonSchema",
    "JsonValid",
    "Judge",
    "Language",
    "Length",
    "Limit",
    "MatthewsCorrelation",
    "MultipleChoice",
    "Numeric",
    "OverLabels",
    "PassAtK",
    "Perplexity",
    "Python",
    "Refusal",
    "Regex",
    "Rouge",
    "Scorer",
    "SqlValid",
    "StartsWith",
    "StopReason",
    "StringSimilarity",
    "TokenF1",
    "ToolCall",
    "ToolCallValid",
    "Weighted",
    "XmlValid",
]

Scorer = Annotated[
    ExactMatch
    | Contains
    | StartsWith
    | EndsWith
    | Regex
    | StringSimilarity
    | Length
    | Language
    | Refusal
    | Numeric
    | MultipleChoice
    | Classification
    | JsonValid
    | JsonSchema
    | JsonField
    | SqlValid
    | XmlValid
    | HtmlValid
    | ToolCall
    | ToolCallValid
    | Bleu
    | Chrf
    | Gleu
    | Rouge
    | TokenF1
    | Perplexity
    | Limit
    | StopReason
    | EmbeddingSimilarity
    | Python
    | Evaluator
    | Judge
    | Weighted
    | PassAtK
    | F1
    | MatthewsCorrelation,
    Field(discriminator="type"),
]
