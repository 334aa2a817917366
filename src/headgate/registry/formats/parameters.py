"""Model parameters as the formats name them, and their names on OpenAI's wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from headgate.identity import canonical_json
from headgate.suite.documents import Place
from headgate.suite.problems import Problem, did_you_mean

WIRE_NAMES: Final = {
    "maxTokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "maxCompletionTokens": "max_completion_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "reasoningEffort": "reasoning_effort",
    "stop": "stop",
    "stopSequences": "stop",
    "seed": "seed",
    "allowMultipleToolCalls": "parallel_tool_calls",
}


def parameter_problems(place: Place, data: Mapping[str, Any], known: Iterable[str]) -> Iterator[Problem]:
    """Yield what is wrong with the parameters of a file."""
    yield from unknown_fields(place, data, tuple(known))
    seen: dict[str, str] = {}
    for key, value in data.items():
        twin = seen.setdefault(WIRE_NAMES.get(key, key), key)
        if twin != key:
            yield Problem((*place, key), f"is the same parameter as {twin!r}")
        try:
            canonical_json(value)
        except (TypeError, ValueError):
            yield Problem((*place, key), "is not a finite number", value)


def unknown_fields(place: Place, data: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[Problem]:
    """Yield the fields that a format does not have."""
    for key in data:
        if key not in known:
            yield Problem((*place, key), "there is no such field", mend=did_you_mean(key, known))


def wire_parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters by their names on the wire.

    Examples
    --------
    >>> wire_parameters({"maxTokens": 5, "top_p": 0.9})
    {'max_tokens': 5, 'top_p': 0.9}
    """
    return {WIRE_NAMES.get(key, key): value for key, value in data.items()}
