"""What a LiteLLM proxy logs of a call: its StandardLoggingPayload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.traffic.plain import content_id
from headgate.traffic.row import Bad, Columns, Found, lookup, make_row

_POLICY: Final = "ContentPolicyViolationError"


def read_litellm(record: Any, columns: Columns) -> list[Found]:
    """Return the row of a payload.

    Its end user, else its trace, is the cluster. Times without a zone, which LiteLLM writes, are taken as UTC.

    Examples
    --------
    >>> payload = {"id": "a", "status": "success", "startTime": 1767225600.0, "response_time": 0.5, "model": "m",
    ...            "response": {"choices": [{"finish_reason": "stop", "message": {"content": "hi"}}]}}
    >>> (row,) = read_litellm(payload, {})
    >>> row.output, row.latency_s, row.status
    ('hi', 0.5, 'ok')
    """
    if not isinstance(record, Mapping) or "startTime" not in record:
        return [Bad("is no StandardLoggingPayload: it has no startTime")]
    choice = _first(lookup(record, "response.choices"))
    error = record.get("error_information") or {}
    kind = error.get("error_class") if isinstance(error, Mapping) else None
    status = record.get("status")
    fields: dict[str, Any] = {
        "time": record["startTime"],
        "id": record.get("id"),
        "cluster": record.get("end_user") or record.get("trace_id"),
        "input": last_user_text(record.get("messages")),
        "output": lookup(choice, "message.content") or lookup(choice, "text"),
        "status": "refused" if lookup(choice, "message.refusal") or kind == _POLICY else status,
        "error_kind": kind or ("unknown" if status == "failure" else None),
        "latency_s": record.get("response_time"),
        "cost_usd": record.get("response_cost"),
        "input_tokens": record.get("prompt_tokens"),
        "output_tokens": record.get("completion_tokens"),
        "model": record.get("model"),
        "stop_reason": lookup(choice, "finish_reason"),
    }
    fields.update((name, lookup(record, column)) for name, column in columns.items())
    return [make_row(fields, record, default_id=lambda: content_id(record))]


def last_user_text(messages: Any) -> Any:
    """Return the content of the last message that a user wrote; what is no list of messages stays as it is."""
    if not isinstance(messages, list):
        return messages
    told = [m for m in messages if isinstance(m, Mapping)]
    said = [m for m in told if m.get("role") == "user"] or told
    return said[-1].get("content", said[-1].get("parts")) if said else None


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None
