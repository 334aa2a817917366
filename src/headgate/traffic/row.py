"""One request of live traffic, whichever log it stands in."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

Status: TypeAlias = Literal["ok", "error", "refused"]

FIELDS: Final = (
    "time",
    "id",
    "arm",
    "cluster",
    "input",
    "output",
    "target",
    "status",
    "error_kind",
    "latency_s",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "model",
    "prompt_digest",
    "stop_reason",
)
"""Fields of a row; a declaration may say in which column each stands."""

_REFUSALS: Final = {"content_filter", "content_filtered", "refusal", "safety", "prohibited_content"}
_WORDS: Final[Mapping[str, Status]] = {
    **dict.fromkeys(("ok", "success", "succeeded"), "ok"),
    **dict.fromkeys(("error", "failure", "failed"), "error"),
    **dict.fromkeys(("refused", "refusal", "content_filter"), "refused"),
}


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request.

    Attributes
    ----------
    time : float
        When it began, in seconds since 1970, UTC.
    id : str
        What tells it from every other row; a row that comes twice counts once.
    arm : str or None
        Value of the column that tells the arms apart, where there is one.
    cluster : str or None
        Conversation or user; rows of one are not independent.
    status : str
        ``ok``, ``error`` (no answer), or ``refused`` (the model or a filter declined).
    attributes : mapping
        The whole record, for the targets of scorers.
    """

    time: float
    id: str
    arm: str | None = None
    cluster: str | None = None
    input: str | None = None
    output: str | None = None
    target: str | None = None
    status: Status = "ok"
    error_kind: str | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    model: str | None = None
    prompt_digest: str | None = None
    stop_reason: str | None = None
    attributes: Mapping[str, Any] = {}


class Bad(msgspec.Struct, frozen=True):
    """What could not be read as a row, and why."""

    reason: str


Found: TypeAlias = Row | Bad
Columns: TypeAlias = Mapping[str, str]
"""In which column of a record a field stands; a dot leads into a nested one."""
Reader: TypeAlias = Callable[[Any, Columns], list[Found]]
"""A decoded record (a line of JSON, say) to the rows that it holds; other things in it are passed over."""


def lookup(record: Any, column: str) -> Any:
    """Return the value of a column, None where there is none; names that hold dots themselves are found too.

    Examples
    --------
    >>> lookup({"span": {"session.id": "a"}}, "span.session.id")
    'a'
    """
    if not isinstance(record, Mapping):
        return None
    if column in record:
        return record[column]
    at = column.find(".")
    while at > 0:
        inner = record.get(column[:at])
        if isinstance(inner, Mapping) and (found := lookup(inner, column[at + 1 :])) is not None:
            return found
        at = column.find(".", at + 1)
    return None


def make_row(fields: Mapping[str, Any], attributes: Mapping[str, Any], *, default_id: Callable[[], str]) -> Found:
    """Return the row of some fields, or what is wrong with them.

    Parameters
    ----------
    fields : mapping
        By the names of :data:`FIELDS`, as they stand in the log; what is absent or None is not known.
    attributes : mapping
        The whole record.
    default_id : callable
        Gives the id of a record without one.

    Examples
    --------
    >>> row = make_row({"time": "2026-01-01T00:00:00Z", "id": 7, "output": "hi"}, {}, default_id=str)
    >>> row.time, row.id, row.status
    (1767225600.0, '7', 'ok')
    >>> make_row({"time": "noon"}, {}, default_id=str)
    Bad(reason="time: 'noon' is no time")
    """
    get = fields.get
    try:
        stop = _text(get("stop_reason"))
        kind = _text(get("error_kind")) or None
        given = get("id")
        return Row(
            time=parse_time(get("time")),
            id=default_id() if given is None or given == "" else str(given),
            arm=_text(get("arm")),
            cluster=_text(get("cluster")) or None,
            input=_text(get("input")),
            output=_text(get("output")),
            target=_text(get("target")),
            status=_status(get("status"), kind=kind, stop=stop),
            error_kind=kind,
            latency_s=_number("latency_s", get("latency_s")),
            cost_usd=_number("cost_usd", get("cost_usd")),
            input_tokens=_number("input_tokens", get("input_tokens")),
            output_tokens=_number("output_tokens", get("output_tokens")),
            model=_text(get("model")),
            prompt_digest=_text(get("prompt_digest")),
            stop_reason=stop,
            attributes=attributes,
        )
    except ValueError as error:
        return Bad(str(error))


def parse_time(value: Any) -> float:
    """Return a time as seconds since 1970: ISO 8601 (UTC where it says no zone), or a number of s, ms, us or ns.

    Raises
    ------
    ValueError
        If it is no time.

    Examples
    --------
    >>> parse_time(1767225600000), parse_time("2026-01-01 01:00:00+01:00")
    (1767225600.0, 1767225600.0)
    """
    if isinstance(value, str) and value:
        if value[-1].isdigit() and value.isdecimal():
            return parse_time(int(value))
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"time: {value[:40]!r} is no time") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ValueError("time: is missing" if value is None else f"time: {str(value)[:40]!r} is no time")
    for unit in (1e9, 1e6, 1e3):
        if value >= 1e8 * unit:  # 1e8 s is in 1973
            return value / unit
    return float(value)


def _status(value: Any, *, kind: str | None, stop: str | None) -> Status:
    if value is None:
        refused = stop is not None and stop.lower() in _REFUSALS
        return "refused" if refused else "ok" if kind is None else "error"
    if isinstance(value, bool):
        return "ok" if value else "error"
    if isinstance(value, int | float):
        return "ok" if value < 400 else "error"
    found = _WORDS.get(str(value).lower())
    if found is None:
        raise ValueError(f"status: {str(value)[:40]!r} is none of ok, error, refused")
    return "refused" if found == "ok" and stop is not None and stop.lower() in _REFUSALS else found


def _number(name: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{name}: {str(value)[:40]!r} is no number of at least 0")
    return number


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else msgspec.json.encode(value, enc_hook=str).decode()
