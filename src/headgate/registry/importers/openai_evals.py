"""JSON lines of openai/evals: ``input``, the messages or a text, and ``ideal``, the answer or several.

A line holds whole messages, so the prompt is one of placeholders: its roles are those of most lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from headgate.registry.importers.draft import Draft, ScorerDraft
from headgate.registry.importers.providers import PLACEHOLDER
from headgate.suite.prompts import Prompt
from headgate.suite.records import read_jsonl

_ROLES: Final = frozenset({"system", "user", "assistant", "developer"})
_KEYS: Final = frozenset({"input", "ideal"})


def is_line(data: Any) -> bool:
    """Tell whether a JSON line is one of theirs."""
    return isinstance(data, Mapping) and set(data) >= _KEYS


def read_lines(draft: Draft) -> None:
    """Read the lines into a draft."""
    rows = [(f"line {line}", row) for line, row in read_jsonl(draft.source)]
    shapes = Counter(shape for _, row in rows if (shape := _shape(row.get("input"))) is not None)
    roles = shapes.most_common(1)[0][0] if shapes else ()
    for where, row in rows:
        _add(draft, row, where, roles)
    names = _names(roles)
    messages = tuple((role, f"{{{{ {name} }}}}") for role, name in zip(roles, names, strict=True))
    if messages:
        draft.add_prompt("prompt", Prompt(name="prompt", messages=messages, language="nunjucks"), where="input")
    values = dict.fromkeys(range(len(draft.items)), "")
    if values:
        draft.scorers["match"] = ScorerDraft(
            fields={"type": "exact_match", "target": "{{ target }}"}, expects=None, values=values
        )
    draft.models.append(dict(PLACEHOLDER))
    draft.notes.append("the file names no model: a simulated one stands in its place")
    draft.notes.append("the file does not say how it is scored (Match, Includes, a model): exact_match is written")


def _shape(asked: Any) -> tuple[str, ...] | None:
    """Return the roles of the messages; None where they are no messages of text."""
    if isinstance(asked, str):
        return ("user",)
    if not isinstance(asked, list) or not asked:
        return None
    roles = [str(one.get("role")) for one in asked if isinstance(one, Mapping) and isinstance(one.get("content"), str)]
    return tuple(roles) if len(roles) == len(asked) and _ROLES.issuperset(roles) else None


def _names(roles: tuple[str, ...]) -> list[str]:
    return ["input"] if len(roles) == 1 else [f"{role}_{number}" for number, role in enumerate(roles, 1)]


def _add(draft: Draft, row: Mapping[str, Any], where: str, roles: tuple[str, ...]) -> None:
    asked, ideal = row.get("input"), row.get("ideal")
    if _shape(asked) != roles:
        draft.leave(where, "item", f"its messages are not those of most lines ({', '.join(roles)}), or no text")
        return
    answers = ideal if isinstance(ideal, list) else [ideal]
    if len(answers) != 1 or not isinstance(answers[0], str):
        draft.leave(where, "item", "it has several right answers, or none, or one that is no text")
        return
    texts = [asked] if isinstance(asked, str) else [one["content"] for one in asked or ()]
    extra = {key: value for key, value in row.items() if key not in _KEYS}
    draft.items.append({**extra, **dict(zip(_names(roles), texts, strict=True)), "target": answers[0]})
    if isinstance(asked, list) and any("name" in one for one in asked):
        draft.leave(where, "names of messages", "a message has a role and a content")
