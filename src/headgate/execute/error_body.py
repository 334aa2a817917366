"""What the body of an error says, in the shapes that servers give it."""

from __future__ import annotations

import math
from typing import Final

import msgspec

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a server's bytes may raise."""

_NULL: Final = msgspec.Raw(b"null")
_TELLING: Final = frozenset({"limit_source", "flagged_input"})


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a body says of an error; nothing where it is none.

    Attributes
    ----------
    code : str, optional
        Its own code; for some servers the HTTP status.
    words : frozenset of str
        All by which it names the error: code, type, status, reasons, the keys of OpenRouter's metadata that tell one
        403 from another, and ``PerDay`` for the quota of a day.
    retry_after_s : float, optional
        What it asks to wait, where that stands in the body.
    """

    message: str | None = None
    code: str | None = None
    words: frozenset[str] = frozenset()
    retry_after_s: float | None = None


def read_error(body: bytes) -> ErrorBody:
    """Read an error body; what is none of the known shapes says nothing.

    Examples
    --------
    >>> read_error(b'{"error": {"message": "slow down", "code": 429}}').message
    'slow down'
    >>> read_error(b"<html>")
    ErrorBody(message=None, code=None, words=frozenset(), retry_after_s=None)
    """
    try:
        said = msgspec.json.decode(body, type=_Body | list[_Body])
    except MALFORMED:
        return ErrorBody()
    if isinstance(said, list):  # Gemini
        said = said[0] if said else _Body()
    if not isinstance(said.error, _Error):
        text = said.error or said.message or said.detail
        return ErrorBody(message=str(text) if text else None)
    return _read(said.error)


class _Violation(msgspec.Struct):
    quota_id: str = msgspec.field(default="", name="quotaId")


class _Detail(msgspec.Struct):
    """One of ``details``: Anthropic gives one, Gemini a list of several kinds."""

    error_code: str | None = None
    reason: str | None = None
    retry_delay: str | None = msgspec.field(default=None, name="retryDelay")
    violations: list[_Violation] = []


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    status: str | int | None = None
    details: msgspec.Raw = _NULL
    metadata: msgspec.Raw = _NULL


class _Body(msgspec.Struct):
    error: _Error | str | None = None
    message: object = None
    detail: object = None


def _read(error: _Error) -> ErrorBody:
    details, code = _details(error.details), None if error.code is None else str(error.code)
    status = error.status if isinstance(error.status, str) else None
    words = {code, error.type, status, *(each.error_code for each in details), *(each.reason for each in details)}
    if any("PerDay" in violation.quota_id for each in details for violation in each.violations):
        words.add("PerDay")
    waits = (_seconds(each.retry_delay) for each in details)
    return ErrorBody(
        message=error.message,
        code=code,
        words=frozenset(word for word in words if word) | (_TELLING & _keys(error.metadata)),
        retry_after_s=next((wait for wait in waits if wait is not None), None),
    )


def _details(details: msgspec.Raw) -> list[_Detail]:
    try:
        found = msgspec.json.decode(details, type=_Detail | list[_Detail] | None)
    except MALFORMED:
        return []
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _keys(metadata: msgspec.Raw) -> frozenset[str]:
    try:
        return frozenset(msgspec.json.decode(metadata, type=dict[str, object] | None) or ())
    except MALFORMED:
        return frozenset()


def _seconds(text: str | None) -> float | None:
    """Read Gemini's ``RetryInfo``, such as ``45.837906927s``."""
    try:
        seconds = float((text or "").removesuffix("s"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
