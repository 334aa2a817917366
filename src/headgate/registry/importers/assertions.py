"""promptfoo's assertions as scorers: the table, and what a line of it may take.

Whoever adds a kind of scorer adds the lines that it makes possible here; what has no line is reported by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headgate.suite.items import column_text
from headgate.suite.plain import split_template


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One assertion as a scorer.

    Attributes
    ----------
    scorer : str
        The scorer's type.
    expects : str or None
        Its field that takes the assertion's value; None: the assertion has none.
    per_item : bool
        Whether the field is a template over the item's columns; a field that is not holds one value for all items.
    fields : mapping
        Further fields.
    """

    scorer: str
    expects: str | None = None
    per_item: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])


TABLE: Final[Mapping[str, Line]] = {
    "equals": Line(scorer="exact_match", expects="target", fields={"strip": False}),
    "contains": Line(scorer="contains", expects="target"),
    "icontains": Line(scorer="contains", expects="target", fields={"ignore_case": True}),
    "regex": Line(scorer="regex", expects="pattern", per_item=False),
    "is-json": Line(scorer="json_valid"),
}
"""By promptfoo's type; ``not-`` in front of it negates the scorer."""

JUDGES: Final = frozenset(
    {"llm-rubric", "g-eval", "factuality", "model-graded-closedqa", "model-graded-factuality", "answer-relevance"}
    | {"context-recall", "context-relevance", "context-faithfulness", "select-best", "pi", "classifier", "moderation"}
)
_PROGRAMS: Final = frozenset({"javascript", "python", "ruby", "webhook"})
_LOOKS_AROUND: Final = re.compile(r"\(\?[=!<](?![A-Za-z_])|\(\?<[=!]|\\[1-9]|\\k<")
_PLAIN_TRANSFORMS: Final = frozenset({"output", "output.trim()"})


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
    value : str or None
        What it expects, rendered for its item.
    """

    kind: str
    line: Line
    fields: Mapping[str, Any]
    value: str | None


def translate(assertion: Mapping[str, Any], variables: Mapping[str, Any], *, transform: str | None) -> Scored | Refused:
    """Return the scorer of an assertion on an item, or why there is none.

    Parameters
    ----------
    variables : mapping
        The item's columns, which the assertion's value may name.
    transform : str or None
        What promptfoo does to the output first.
    """
    kind = str(assertion.get("type"))
    negated = kind.startswith("not-")
    line = TABLE.get(kind.removeprefix("not-"))
    if line is None:
        return Refused(_why(kind.removeprefix("not-")))
    if transform is not None and transform.strip() not in _PLAIN_TRANSFORMS:
        return Refused("it judges a transformed output")
    value = assertion.get("value")
    fields = {"type": line.scorer, **line.fields}
    if transform is not None and transform.strip() != "output" and "strip" in fields:
        fields["strip"] = True
    if negated:
        fields["negate"] = True
    if line.expects is None:
        return (
            Refused("it has a value") if value is not None else Scored(kind=kind, line=line, fields=fields, value=None)
        )
    text = _text(value, variables)
    if isinstance(text, str) and not line.per_item and _LOOKS_AROUND.search(text):
        return Refused("the pattern looks around or back")
    return text if isinstance(text, Refused) else Scored(kind=kind, line=line, fields=fields, value=text)


def _why(kind: str) -> str:
    if kind in _PROGRAMS:
        return "it is a program"
    return "it is judged by a model" if kind in JUDGES else "no scorer does this"


def _text(value: Any, variables: Mapping[str, Any]) -> str | Refused:
    if isinstance(value, Mapping | list) or value is None:
        return Refused("its value is no text")
    text = column_text(value)
    assert text is not None
    return Refused("its value is a file") if text.startswith("file://") else render_plain(text, variables)


def render_plain(text: str, variables: Mapping[str, Any]) -> str | Refused:
    """Return a Nunjucks template that is plain, rendered; what Nunjucks does not know it writes as nothing."""
    found = list[str]()
    for piece in split_template(text, "nunjucks"):
        value = variables.get(piece.text, "") if piece.kind == "variable" else piece.text
        if piece.kind == "construct" or not isinstance(value, str | int) or isinstance(value, bool):
            return Refused("it is a template that is not plain")
        found.append(str(value))
    return "".join(found)
