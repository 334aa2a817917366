"""promptfoo's assertions as scorers: the table, and what a line of it may take.

Whoever adds a kind of scorer adds the lines that it makes possible here; what has no line is reported by its name.
Thresholds and rules are those of promptfoo 0.121.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headgate.registry.importers import beside, judged, values
from headgate.registry.importers.values import NotCarriedError, Setting, Take


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One assertion as a scorer.

    Attributes
    ----------
    scorer : str
        The scorer's type.
    take : callable
        What it takes over of the assertion.
    expects : str or None
        Its field that takes the assertion's value; None: the assertion has none.
    per_item : bool
        Whether the field is a template over the item's columns; a field that is not holds one value for all items.
    fields : mapping
        Further fields.
    negated : mapping or None
        The fields that ``not-`` adds; None: promptfoo takes no notice of it.
    options : frozenset of str
        The assertion's options that are taken over.
    degree : bool
        Whether promptfoo's score is a degree, and only what it passes is 0 or 1, as the scorer's is.
    beside : bool
        Whether it judges what stands beside the output, so that no transform matters.
    differs : str or None
        In what the scorer does otherwise; said in the suite.
    """

    scorer: str
    take: Take = values.nothing
    expects: str | None = None
    per_item: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    negated: Mapping[str, Any] | None = field(default_factory=lambda: {"negate": True})
    options: frozenset[str] = frozenset()
    degree: bool = False
    beside: bool = False
    differs: str | None = None


_LIMIT: Final = frozenset({"threshold"})
_SQL: Final = "sqlglot parses, and not node-sql-parser: rare statements are judged otherwise"
_XML: Final = "a document type is refused, and an element may stand there several times"
_HTML: Final = "more is asked of HTML: elements that are closed, or two marks of different kinds in text"
_LOGPROBS: Final = "it needs log probabilities: `logprobs: true` in the model's params"
_TOOLS: Final = Line(scorer="tool_call_valid", take=beside.tools, negated=None)


_JUDGE: Final = frozenset({"provider"})
_DIFFERS: Final = "another prompt asks the judge; where none is named, promptfoo's default for OpenAI's key is written"
_FACTS: Final = Line(scorer="judge", take=judged.factuality, expects="target", options=_JUDGE, differs=_DIFFERS)
_JUDGED: Final[Mapping[str, Line]] = {
    "llm-rubric": Line(
        scorer="judge",
        take=judged.rubric,
        expects="target",
        options=_JUDGE,
        degree=True,
        differs=f"{_DIFFERS}; it says yes or no, and no degree",
    ),
    "model-graded-closedqa": Line(
        scorer="judge", take=judged.closed_qa, expects="target", options=_JUDGE, differs=_DIFFERS
    ),
    "factuality": _FACTS,
    "model-graded-factuality": _FACTS,
}
"""What a model judges; every answer is judged by it, so that it costs money."""


def _contains(**fields: Any) -> Line:
    return Line(scorer="contains", take=values.some_text, expects="target", fields=fields)


def _contains_several(**fields: Any) -> Line:
    return Line(scorer="contains", take=values.texts, expects="target", fields=fields)


TABLE: Final[Mapping[str, Line]] = {
    "equals": Line(scorer="exact_match", take=values.text_or_json, expects="target", fields={"strip": False}),
    "contains": _contains(),
    "icontains": _contains(ignore_case=True),
    "contains-any": _contains_several(),
    "contains-all": _contains_several(match="all"),
    "icontains-any": _contains_several(ignore_case=True),
    "icontains-all": _contains_several(match="all", ignore_case=True),
    "starts-with": Line(scorer="starts_with", take=values.some_text, expects="target", fields={"strip": False}),
    "regex": Line(scorer="regex", take=values.some_text, expects="pattern", per_item=False),
    "levenshtein": Line(
        scorer="string_similarity",
        take=values.distance,
        expects="target",
        fields={"strip": False},
        options=_LIMIT,
    ),
    "word-count": Line(scorer="length", take=beside.words),
    "is-json": Line(scorer="json_valid", take=values.schema),
    "contains-json": Line(
        scorer="json_valid",
        take=values.schema_inside,
        differs="JSON is read strictly, lists and bare values are JSON too, and only the first document is judged",
    ),
    "is-sql": Line(scorer="sql_valid", take=beside.database, differs=_SQL),
    "contains-sql": Line(scorer="sql_valid", take=beside.database, fields={"extract": True}, differs=_SQL),
    "is-xml": Line(scorer="xml_valid", take=values.elements, differs=_XML),
    "contains-xml": Line(scorer="xml_valid", take=values.elements, fields={"extract": True}, differs=_XML),
    "is-html": Line(scorer="html_valid", differs=_HTML),
    "contains-html": Line(scorer="html_valid", fields={"extract": True}, differs=_HTML),
    "is-refusal": Line(
        scorer="refusal",
        fields={"wanted": True},
        negated={"wanted": False, "negate": True},
        differs="other phrases are known as refusals",
    ),
    "bleu": Line(
        scorer="bleu",
        take=values.references,
        expects="target",
        fields={"tokenize": "none", "ignore_case": True},
        options=_LIMIT,
        degree=True,
        differs="sacrebleu scores higher where no four words in a row are shared, and joins several references",
    ),
    "gleu": Line(
        scorer="gleu",
        take=values.references,
        expects="target",
        options=_LIMIT,
        degree=True,
        differs="a full stop is part of its word",
    ),
    "rouge-n": Line(
        scorer="rouge",
        take=values.reference,
        expects="target",
        fields={"variant": "rouge1"},
        options=_LIMIT,
        degree=True,
        differs="words are runs of a to z and digits, without punctuation",
    ),
    "similar": Line(
        scorer="embedding_similarity",
        take=beside.similar,
        expects="target",
        options=_LIMIT | {"provider"},
        degree=True,
        differs="where no model is named, promptfoo's default for OpenAI's key is written",
    ),
    "perplexity": Line(scorer="perplexity", take=beside.perplexity, options=_LIMIT, beside=True, differs=_LOGPROBS),
    "perplexity-score": Line(
        scorer="perplexity",
        take=beside.perplexity_score,
        options=_LIMIT,
        degree=True,
        beside=True,
        differs=_LOGPROBS,
    ),
    "latency": Line(scorer="limit", take=beside.milliseconds, options=_LIMIT, beside=True),
    "cost": Line(scorer="limit", take=beside.dollars, options=_LIMIT, beside=True),
    "finish-reason": Line(
        scorer="stop_reason",
        take=beside.reason,
        beside=True,
        differs="a reason that is not known is no score, and not 0",
    ),
    "is-valid-function-call": _TOOLS,
    "is-valid-openai-function-call": _TOOLS,
    "is-valid-openai-tools-call": _TOOLS,
    "tool-call-f1": Line(
        scorer="tool_call",
        take=values.called_tools,
        expects="target",
        fields={"compare": "name", "measure": "f1"},
        options=_LIMIT,
        degree=True,
        differs="a tool that is called twice counts twice",
    ),
    **_JUDGED,
}
"""By promptfoo's type; ``not-`` in front of it negates the scorer."""

_JUDGES: Final = frozenset(
    {"g-eval", "answer-relevance"}
    | {"context-recall", "context-relevance", "context-faithfulness", "conversation-relevance", "select-best"}
    | {"agent-rubric", "search-rubric", "trajectory:goal-success", "pi", "classifier", "moderation"}
)
_PROGRAMS: Final = frozenset({"javascript", "python", "ruby", "webhook"})
_OTHERS: Final = frozenset({"meteor", "guardrails", "max-score"})
_LOOKS_AROUND: Final = re.compile(r"\(\?[=!<](?![A-Za-z_])|\(\?<[=!]|\\[1-9]|\\k<")
_PLAIN_TRANSFORMS: Final = frozenset({"output", "output.trim()"})
_PARSED: Final = re.compile(r"JSON\.parse\(output\)((?:\.[A-Za-z_]\w*)*)")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an assertion is not carried over."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """An assertion as a scorer.

    Attributes
    ----------
    kind : str
        promptfoo's type, for the scorer's name.
    fields : mapping
        The scorer's fields, its type among them.
    value : str or None
        What it expects, rendered for its item; None: nothing.
    judge : mapping or None
        The model that judges, but for its id.
    """

    kind: str
    line: Line
    fields: Mapping[str, Any]
    value: str | None
    judge: Mapping[str, Any] | None = None


def translate(assertion: Mapping[str, Any], setting: Setting) -> Scored | Refused:
    """Return the scorer of an assertion on an item, or why there is none.

    Examples
    --------
    >>> translate({"type": "not-icontains", "value": "{{q}}?"}, Setting(variables={"q": "why"})).value
    'why?'
    """
    try:
        return _scored(str(assertion.get("type")), assertion, setting)
    except NotCarriedError as error:
        return Refused(str(error))


def _scored(kind: str, assertion: Mapping[str, Any], setting: Setting) -> Scored:
    line = TABLE.get(kind.removeprefix("not-"))
    if line is None:
        raise NotCarriedError(_why(kind.removeprefix("not-")))
    if kind.startswith("not-") and line.negated is None:
        raise NotCarriedError("promptfoo takes no notice of its not-")
    taken = line.take(assertion, setting)
    fields = {**({} if "type" in taken.fields else {"type": line.scorer, **line.fields}), **taken.fields}
    if not line.beside:
        fields = _transformed(kind, fields, setting.transforms)
    if kind.startswith("not-"):
        fields |= line.negated or {}
    if fields.get("strip") and taken.value != (taken.value or "").strip():
        raise NotCarriedError("white space around its value counts")
    if taken.value is not None and not line.per_item and _LOOKS_AROUND.search(taken.value):
        raise NotCarriedError("the pattern looks around or back")
    return Scored(kind=kind, line=line, fields=fields, value=taken.value, judge=taken.judge)


def _transformed(kind: str, fields: dict[str, Any], transforms: Sequence[str]) -> dict[str, Any]:
    """Return the fields of the scorer that judges a transformed output: one without white space, or a field of JSON."""
    others = [one for one in transforms if one not in _PLAIN_TRANSFORMS]
    if not others:
        trimmed = "output.trim()" in transforms and "strip" in fields
        return fields | {"strip": True} if trimmed else fields
    parsed = _PARSED.fullmatch(others[0])
    if len(transforms) == 1 and parsed is not None:  # where it throws, promptfoo's test fails, even with `not-`
        path = parsed[1].removeprefix(".")
        if not path and (kind == "is-json" or (kind == "equals" and fields["type"] == "json_schema")):
            return fields
        if path and "length" not in path.split(".") and kind == "equals" and fields["type"] == "exact_match":
            return {"type": "json_field", "path": path}
    raise NotCarriedError("it judges a transformed output")


def is_type(name: str) -> bool:
    """Tell whether promptfoo has an assertion of this name."""
    base = name.removeprefix("not-")
    return base in TABLE or base in _JUDGES | _PROGRAMS | _OTHERS


def _why(kind: str) -> str:
    if kind in _PROGRAMS:
        return "it is a program"
    if kind in _JUDGES:
        return "it is judged by a model"
    return "a run has no traces" if kind.startswith(("trace-", "trajectory:", "skill-")) else "no scorer does this"
