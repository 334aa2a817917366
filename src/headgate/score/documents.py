"""Documents inside of text: in a code fence, or wherever they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import msgspec

_BRACKET: Final = re.compile(r"[{\[]")
_PLACES: Final = 200  # brackets of a text that are tried as the beginning of a document


def fenced(text: str) -> Iterator[str]:
    r"""Yield what stands in the code fences of a text.

    Examples
    --------
    >>> list(fenced("Here:\n```sql\nSELECT 1\n```\n"))
    ['SELECT 1\n']
    """
    return (part.partition("\n")[2] for part in text.split("```")[1::2])  # behind the name of the language


class NoDocument(ValueError):
    """A text holds no such document."""


def read_json(text: str, *, extract: bool = False) -> Any:
    """Return the JSON document that a text is, or with ``extract`` the first object or list that it holds.

    Raises
    ------
    NoDocument
        If there is none.

    Examples
    --------
    >>> read_json('Sure! {"a": [1]} Anything else?', extract=True)
    {'a': [1]}
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        if not extract:
            raise NoDocument("the output is no JSON document") from None
    for inner in (*fenced(text), text):
        for found in _documents(inner):
            return found
    raise NoDocument("there is no JSON document in the output")


def _documents(text: str) -> Iterator[Any]:
    """Yield the objects and lists of a text, each read to its end before the next is looked for."""
    place, tried = 0, 0
    while tried < _PLACES and (match := _BRACKET.search(text, place)):
        tried += 1
        try:
            document, place = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            place = match.end()
        else:
            yield document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
