"""Spans of model calls in OTLP/JSON: GenAI conventions, current and older, and those of OpenInference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from headgate.traffic.litellm import last_user_text
from headgate.traffic.plain import content_id
from headgate.traffic.row import Bad, Columns, Found, lookup, make_row

MAPPING: Final = 1
"""Version of the mapping below; a state that was made with another one is not continued.

Version 1: the GenAI semantic conventions since 1.37 (``gen_ai.input.messages``), those up to 1.36 (``gen_ai.system``,
``gen_ai.usage.prompt_tokens``, events), flattened ``gen_ai.prompt.0.content``, and OpenInference 0.1 (``llm.*``).
"""

_OPERATIONS: Final = {"chat", "text_completion", "generate_content", "completion"}
_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "cluster": ("gen_ai.conversation.id", "session.id"),
    "model": ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "llm.response.model"),
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "cost_usd": ("gen_ai.usage.cost", "llm.cost.total"),
    "prompt_digest": ("headgate.prompt_digest",),
    "error_kind": ("error.type",),
}
_INPUTS: Final = ("gen_ai.input.messages", "gen_ai.prompt")
_OUTPUTS: Final = ("gen_ai.output.messages", "gen_ai.completion")


def read_otlp(record: Any, columns: Columns) -> list[Found]:
    """Return the rows of an export request (a line of the collector's file exporter): its spans of model calls.

    Tools, agents, chains and other spans are passed over. Columns are names of attributes: the span's, else the
    scope's, else the resource's, such as ``k8s.pod.label.rollouts-pod-template-hash``.

    Examples
    --------
    >>> span = {"traceId": "1", "spanId": "2", "startTimeUnixNano": "1767225600000000000",
    ...         "endTimeUnixNano": "1767225600500000000",
    ...         "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}]}
    >>> (row,) = read_otlp({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, {})
    >>> row.id, row.latency_s
    ('1:2', 0.5)
    """
    if not isinstance(record, Mapping) or not isinstance(record.get("resourceSpans"), list):
        return [Bad("is no OTLP/JSON of traces: it has no resourceSpans")]
    return [found for span, around in _spans(record) if (found := _row(span, around, columns)) is not None]


def _spans(record: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Yield the spans, each with the attributes of its resource and scope."""
    for resource in _mappings(record.get("resourceSpans")):
        outer = _attributes(lookup(resource, "resource.attributes"))
        for scope in _mappings(resource.get("scopeSpans")):
            around = {**outer, **_attributes(lookup(scope, "scope.attributes"))}
            for span in _mappings(scope.get("spans")):
                yield span, around


def _row(span: Mapping[str, Any], around: Mapping[str, Any], columns: Columns) -> Found | None:
    own = _attributes(span.get("attributes"))
    if not _is_model_call(own):
        return None
    events = [(event.get("name"), _attributes(event.get("attributes"))) for event in _mappings(span.get("events"))]
    attributes = {**around, **own}
    start, end = span.get("startTimeUnixNano"), span.get("endTimeUnixNano")
    fields: dict[str, Any] = {name: _first(attributes, names) for name, names in _NAMES.items()}
    fields |= {
        "time": start,
        "id": f"{span.get('traceId')}:{span.get('spanId')}" if span.get("spanId") else None,
        "latency_s": _seconds(start, end),
        "input": _input(own, events),
        "output": _output(own, events),
        "stop_reason": _stop(own),
    }
    if lookup(span, "status.code") in {2, "STATUS_CODE_ERROR"}:
        raised = next((found.get("exception.type") for name, found in events if name == "exception"), None)
        fields |= {"status": "error", "error_kind": fields["error_kind"] or raised or "unknown"}
    fields.update((name, attributes.get(column)) for name, column in columns.items())
    return make_row(fields, attributes, default_id=lambda: content_id(span))


def _is_model_call(own: Mapping[str, Any]) -> bool:
    kind, operation = own.get("openinference.span.kind"), own.get("gen_ai.operation.name")
    if kind is not None or operation is not None:
        return kind == "LLM" or operation in _OPERATIONS
    return "gen_ai.request.model" in own or "llm.model_name" in own


def _seconds(start: Any, end: Any) -> Any:
    """Return how long a span took; the difference of whole nanoseconds, which a float would round."""
    try:
        return (int(end) - int(start)) / 1e9
    except (TypeError, ValueError):
        return None


def _input(own: Mapping[str, Any], events: Sequence[tuple[Any, dict[str, Any]]]) -> Any:
    given = _first(own, _INPUTS)
    if given is None:
        given = next((found.get("gen_ai.prompt") for _, found in events if "gen_ai.prompt" in found), None)
    if given is not None:
        return _said(last_user_text(_decoded(given)))
    flat = [own[key] for key in own if key.startswith("gen_ai.prompt.") and key.endswith(".content")]
    inner = [own[key] for key in own if key.startswith("llm.input_messages.") and key.endswith(".message.content")]
    return (flat or inner or [own.get("input.value")])[-1]


def _output(own: Mapping[str, Any], events: Sequence[tuple[Any, dict[str, Any]]]) -> Any:
    given = _first(own, _OUTPUTS)
    if given is None:
        told = (found.get("gen_ai.completion") or found.get("message") for _, found in events)
        given = next((value for value in told if value is not None), None)
    if given is not None:
        messages = _decoded(given)
        return _said(messages[0] if isinstance(messages, list) and messages else messages)
    for key in ("gen_ai.completion.0.content", "llm.output_messages.0.message.content", "output.value"):
        if key in own:
            return own[key]
    return None


def _stop(own: Mapping[str, Any]) -> Any:
    reasons = _decoded(own.get("gen_ai.response.finish_reasons"))
    if isinstance(reasons, list) and reasons:
        return reasons[0]
    messages = _decoded(own.get("gen_ai.output.messages"))
    first = messages[0] if isinstance(messages, list) and messages else None
    return lookup(first, "finish_reason") or own.get("gen_ai.completion.0.finish_reason")


def _said(message: Any) -> Any:
    """Return the text of a message, of its content, or of its parts."""
    if isinstance(message, Mapping):
        message = message.get("content", message.get("parts"))
    if not isinstance(message, list):
        return message
    texts = [part.get("content", part.get("text")) for part in _mappings(message) if part.get("type", "text") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _decoded(value: Any) -> Any:
    """Return JSON that stands in a text; other text stays as it is."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _first(attributes: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _mappings(values: Any) -> Iterator[Mapping[str, Any]]:
    return (value for value in values if isinstance(value, Mapping)) if isinstance(values, list) else iter(())


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair["key"]: _value(pair.get("value")) for pair in _mappings(pairs) if isinstance(pair.get("key"), str)}


def _value(value: Any) -> Any:
    """Return the value of an AnyValue; 64-bit integers stand as text in OTLP/JSON."""
    if not isinstance(value, Mapping):
        return value
    for kind, inner in value.items():
        match kind:
            case "intValue":
                return int(inner) if isinstance(inner, str) and inner.lstrip("-").isdecimal() else inner
            case "arrayValue":
                return [_value(one) for one in lookup(inner, "values") or []]
            case "kvlistValue":
                return _attributes(lookup(inner, "values"))
            case _:
                return inner
    return None
