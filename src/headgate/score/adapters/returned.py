"""What evaluators return, read as one score: numbers, labels, mappings, their frameworks' result objects, lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headgate.score.callables import Score

_EXPLAINS: Final = ("comment", "reasoning", "reason", "explanation")
_KEYS: Final = ("key", "name")
_SCORED: Final = ("score", "value")


@dataclass(frozen=True, slots=True)
class Part:
    """One result of an evaluator, which may return several.

    Attributes
    ----------
    key : str or None
        What the evaluator calls it.
    value : object
        A number, a Boolean, a label, or None.
    """

    key: str | None
    value: Any
    label: str | None = None
    explanation: str | None = None


def read_returned(returned: Any, *, key: str | None = None, labels: Mapping[str, float] | None = None) -> Score:
    """Read what an evaluator returned as a score; where there is none, the explanation says why.

    Parameters
    ----------
    returned : object
        A number or Boolean; a label; a mapping or an object with ``score`` or ``value`` and a reason; a list of them;
        a mapping of several results.
    key : str, optional
        Which of several results counts.
    labels : mapping of str to float, optional
        Score of each label.

    Examples
    --------
    >>> read_returned({"score": 1, "value": "Y", "reasoning": "It is short."})
    Score(value=1, label='Y', explanation='It is short.')
    >>> read_returned([{"key": "a", "score": 0.5}, {"key": "b", "score": 1}]).explanation
    "the evaluator returned several results, 'a', 'b': choose one with `key`"
    """
    if isinstance(returned, Score):
        return returned
    parts = list(_parts(returned))
    if key is not None and any(part.key is not None for part in parts):
        parts, known = [part for part in parts if part.key == key], parts
        if not parts:
            return Score(None, explanation=f"the evaluator returned {_names(known)}, and no {key!r}")
    if len(parts) > 1:
        said = f"the evaluator returned several results, {_names(parts)}: choose one with `key`"
        return Score(None, explanation=said)
    return _score(parts[0], labels or {}) if parts else Score(None, explanation="the evaluator returned no result")


def _parts(returned: Any, key: str | None = None) -> Iterator[Part]:
    """Yield the results in what an evaluator returned."""
    if isinstance(returned, list | tuple):
        for one in returned:  # pyright: ignore[reportUnknownVariableType]
            yield from _parts(one, key)
    elif isinstance(returned, Mapping):
        yield from _mapped(returned, key)
    elif any(hasattr(returned, name) for name in _SCORED):
        names = (*_KEYS, *_SCORED, *_EXPLAINS, "metadata", "error")
        yield from _mapped({name: getattr(returned, name, None) for name in names}, key)
    else:
        yield Part(key, returned)


def _mapped(returned: Mapping[Any, Any], key: str | None) -> Iterator[Part]:
    if isinstance(returned.get("results"), list | tuple):
        yield from _parts(returned["results"], key)
        return
    if not any(name in returned for name in _SCORED):
        for name, value in returned.items():
            yield from _parts(value, str(name))
        return
    score, value = returned.get("score"), returned.get("value")
    if isinstance(found := value if score is None else score, Mapping):
        for name, one in found.items():
            yield Part(str(name), one, explanation=_first(returned, _EXPLAINS))
        return
    more = returned.get("metadata")
    more = more if isinstance(more, Mapping) else {}
    label = value if isinstance(value, str) and score is not None else returned.get("label") or more.get("choice")
    reason = _first(returned, _EXPLAINS) or more.get("rationale") or returned.get("error")
    yield Part(_first(returned, _KEYS) or key, found, _text(label), _text(reason))


def _score(part: Part, labels: Mapping[str, float]) -> Score:
    if part.value is None:
        why = "" if part.explanation is None else f": {part.explanation}"
        return Score(None, part.label, f"the evaluator gave no score{why}")
    if not isinstance(part.value, str):
        return Score(part.value, part.label, part.explanation)
    if part.value in labels:
        return Score(labels[part.value], part.value, part.explanation)
    said = f"the evaluator returned the label {part.value[:100]!r}, which has no score: give it one in `labels`"
    return Score(None, part.value, said)


def _names(parts: list[Part]) -> str:
    return ", ".join(repr(part.key) for part in parts)


def _first(found: Mapping[Any, Any], names: tuple[str, ...]) -> str | None:
    return next((str(found[name]) for name in names if found.get(name) is not None), None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
