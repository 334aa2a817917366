"""What must not be stored is taken out of what came back: keys that a server repeats, and a suite's own patterns."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, get_args, get_type_hints

import msgspec

from headgate.execute.answer import Answer, Failure
from headgate.execute.secret import Secret
from headgate.execute.transport import Response

if TYPE_CHECKING:
    from headgate.execute.endpoint import Endpoint  # it uses this module
    from headgate.plan import Job

HIDDEN: Final = "***"
REDACTED: Final = "[redacted]"

SHORTEST_KEY: Final = 8
"""Shorter ones are placeholders for servers that take any key: looking for them would spoil answers."""


def _texts(kind: type[Answer | Failure]) -> tuple[str, ...]:
    """Return the fields that hold what a server says; of its headers only the request's id is among them."""
    return tuple(name for name, hint in get_type_hints(kind).items() if hint is str or str in get_args(hint))


_TEXTS: Final[Mapping[type, tuple[str, ...]]] = {kind: _texts(kind) for kind in (Answer, Failure)}

_ESCAPED: Final = "\\u00"
"""What JSON may write for any character: without a look at what follows, no key is surely absent."""

_BASE64: Final = r"[A-Za-z0-9+/=_-]{0,4}"
_Outcome = Answer | Failure


class KeyRedaction:
    """Takes keys out of what an errant server repeats of a request, however it encodes them.

    A key is found as it is, in base64 (alone or inside a longer text, such as ``user:key``), in hexadecimal, and with
    any of its characters escaped as in JSON, a URL or HTML.

    Parameters
    ----------
    secrets : iterable of Secret
        Those of fewer than 8 characters are placeholders, and are not looked for.

    Examples
    --------
    >>> keys = KeyRedaction([Secret("sk-a/b+c=d")])
    >>> keys.text("Bearer sk-a/b+c=d, sk-a%2Fb%2Bc%3Dd"), keys.text(base64.b64encode(b"user:sk-a/b+c=d").decode())
    ('Bearer ***, ***', 'dXN***')
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        keys = [key for secret in secrets if len(key := secret.reveal()) >= SHORTEST_KEY]
        # Searching for a fixed text is fast, and each form of a key has one that no escape changes.
        self._signs = tuple(dict.fromkeys(sign for key in keys for sign in _signs(key)))
        self._sign_bytes = tuple(sign.encode() for sign in (*self._signs, _ESCAPED) if keys)
        self._source = "|".join(form for key in keys for form in _forms(key))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self._source)  # milliseconds, and most servers repeat no key

    def __repr__(self) -> str:
        return "KeyRedaction(***)"

    def response(self, response: Response) -> Response:
        """Return a response without the keys: of a body that is no answer a part is quoted, perhaps cut in a key."""
        if not any(sign in response.body for sign in self._sign_bytes):
            return response
        body = re.sub(self._source.encode(), HIDDEN.encode(), response.body)
        return msgspec.structs.replace(response, body=body)

    def text(self, text: str) -> str:
        """Return a text without the keys."""
        return self._pattern.sub(HIDDEN, text) if any(sign in text for sign in self._signs) else text

    def outcome(self, outcome: _Outcome) -> _Outcome:
        """Return an outcome without the keys: some forms are seen only when the JSON around them is decoded."""
        if not self._signs:
            return outcome
        said = "\n".join(text for name in _TEXTS[type(outcome)] if (text := getattr(outcome, name)))
        return _map_texts(outcome, self.text) if any(sign in said for sign in self._signs) else outcome


class PatternRedaction:
    r"""Replaces what matches a suite's patterns by ``[redacted]``.

    Examples
    --------
    >>> said = Answer(output="write to a@b.example", tool_calls_json='[{"to":"a@b.example"}]')
    >>> changed = PatternRedaction([r"[\w.]+@[\w.]+"]).outcome(said)
    >>> changed.output, changed.tool_calls_json
    ('write to [redacted]', '[{"to":"[redacted]"}]')
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(map(re.compile, patterns))

    def text(self, text: str) -> str:
        """Return a text without what matches."""
        for pattern in self._patterns:
            text = pattern.sub(REDACTED, text)
        return text

    def outcome(self, outcome: _Outcome) -> _Outcome:
        """Return an outcome without what matches; inside JSON (tool calls) it is the texts that are looked at.

        Of an output in which something matches no log probabilities are left: their tokens would spell it out.
        """
        if isinstance(outcome, Answer) and outcome.output is not None and self.text(outcome.output) != outcome.output:
            outcome = msgspec.structs.replace(outcome, logprobs_json=None)
        return _map_texts(outcome, self.text, change_json=self._json)

    def _json(self, data: str) -> str:
        return msgspec.json.encode(self._inside(msgspec.json.decode(data))).decode()

    def _inside(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.text(name): self._inside(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._inside(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value


class RedactedEndpoint:
    """An endpoint whose outcomes are redacted before anyone sees them."""

    def __init__(self, endpoint: Endpoint, redaction: PatternRedaction) -> None:
        self.name, self.sends_seed, self.api_version = endpoint.name, endpoint.sends_seed, endpoint.api_version
        self._endpoint, self._redaction = endpoint, redaction

    def dropped(self, job: Job) -> str | None:
        """Return the parameters that are not sent; see :class:`headgate.execute.endpoint.Endpoint`."""
        return self._endpoint.dropped(job)

    async def attempt(self, job: Job, number: int, *, timeout_s: float) -> Answer | Failure:
        """Try a job once; see :class:`headgate.execute.endpoint.Endpoint`."""
        return self._redaction.outcome(await self._endpoint.attempt(job, number, timeout_s=timeout_s))


def _map_texts(
    outcome: _Outcome, change: Callable[[str], str], *, change_json: Callable[[str], str] | None = None
) -> _Outcome:
    """Return an outcome with its texts changed, those that hold JSON perhaps in another way."""
    changed: dict[str, str] = {}
    for name in _TEXTS[type(outcome)]:
        text: str | None = getattr(outcome, name)
        if text is not None:
            changed[name] = (change_json or change)(text) if name.endswith("_json") else change(text)
    return msgspec.structs.replace(outcome, **changed)


def _signs(key: str) -> Iterator[str]:
    """Yield texts of which one stands in every form of a key."""
    for text in (key, *_base64_cores(key)):
        yield max(re.findall(r"[A-Za-z0-9]*", text), key=len)
    yield from _hexadecimal(key)


def _forms(key: str) -> Iterator[str]:
    """Yield patterns for a key's forms."""
    yield "".join(map(_character, key))
    for core in _base64_cores(key):
        url_safe = "".join(_URL_SAFE.get(character) or _character(character) for character in core)
        yield f"{_BASE64}{url_safe}{_BASE64}"
    yield from _hexadecimal(key)


def _character(character: str) -> str:
    """Return a pattern for a character, escaped or not, and perhaps twice."""
    code, name = f"{ord(character):02x}", html.escape(character)
    # A letter after a backslash is an escape of its own (\n), not that letter.
    plain = re.escape(character) if character.isalnum() else rf"\\*{re.escape(character)}"
    forms = [rf"\\+u00(?i:{code})", f"%(?:25)*(?i:{code})", f"&#0*{ord(character)};", f"&#[xX]0*(?i:{code});"]
    forms += [re.escape(name)] * (name != character) + [r"\+"] * (character == " ")
    return f"(?:{'|'.join([*forms, plain])})"


_URL_SAFE: Final = {"+": f"(?:{_character('+')}|-)", "/": f"(?:{_character('/')}|_)"}


def _base64_cores(key: str) -> Iterator[str]:
    """Yield what base64 makes of a key wherever it stands in what is encoded, without the ends, which vary."""
    data = key.encode()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        yield encoded[-(-8 * before // 6) : 8 * (before + len(data)) // 6].decode()


def _hexadecimal(key: str) -> Iterator[str]:
    yield key.encode().hex()
    yield key.encode().hex().upper()
