"""GitHub Models' prompt files with ``testData`` and ``evaluators``: a prompt, its items and scorers in one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.registry.importers.draft import Draft, ScorerDraft, safe_name
from headgate.registry.load import read_prompt
from headgate.suite.plain import canonical_form

_STRINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "equals": {"type": "exact_match"},
    "contains": {"type": "contains", "ignore_case": True},
    "startsWith": {"type": "starts_with", "ignore_case": True},
    "endsWith": {"type": "ends_with", "ignore_case": True},
}
"""Evaluators of strings as scorers, in the order in which ``gh models eval`` looks for the one that it asks."""

_SERVICE: Final = {
    "provider": "openai-compatible",
    "base_url": "https://models.github.ai/inference",
    "api_key": "env:GITHUB_TOKEN",
}


def is_prompt(data: Any) -> bool:
    """Tell whether a document is a prompt with items of its own."""
    return isinstance(data, Mapping) and "messages" in data and "testData" in data


def read_prompt_file(draft: Draft, data: Mapping[str, Any]) -> None:
    """Read a prompt file into a draft."""
    draft.add_prompt(draft.name, read_prompt(draft.source, name=draft.name).compiled(), where="messages")
    rows = data["testData"]
    for index, row in enumerate(rows if isinstance(rows, list) else [rows]):
        if isinstance(row, Mapping):
            draft.items.append(dict(row))
        else:
            draft.leave(f"testData.{index}", "item", "it is no mapping")
    model = str(data.get("model") or "openai/gpt-4o-mini")
    if "model" not in data:
        draft.notes.append(f"the file names no model: {model} stands in its place")
    draft.models.append({"id": safe_name(model, "model"), **_SERVICE, "model": model})
    for index, evaluator in enumerate(data.get("evaluators") or []):
        _add(draft, evaluator, f"evaluators.{index}")


def _add(draft: Draft, evaluator: Any, where: str) -> None:
    evaluator = evaluator if isinstance(evaluator, Mapping) else {}
    name, tests = str(evaluator.get("name") or "evaluator"), evaluator.get("string")
    if not isinstance(tests, Mapping):
        kind = "a service does it" if "uses" in evaluator else "it is judged by a model"
        draft.leave(where, f"evaluator {name}", kind)
        return
    asked = next((kind for kind in _STRINGS if tests.get(kind)), None)
    for kind in tests:
        plain = canonical_form(str(tests[kind]), "github-models")
        if kind == asked and plain is not None:
            chosen = safe_name(name, "evaluator", taken=draft.scorers)
            draft.scorers[chosen] = ScorerDraft(fields={**_STRINGS[kind], "target": plain}, expects=None)
            continue
        why = "it is a template that is not plain" if kind == asked else f"{asked} is asked in its place"
        why = why if kind in _STRINGS and asked else "no scorer does this"
        draft.leave(f"{where}.string.{kind}", f"evaluator {name}", why)
