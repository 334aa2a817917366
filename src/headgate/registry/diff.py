"""What differs between two versions of a prompt, part by part: messages, parameters, tools, defaults, partials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headgate.suite.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Difference:
    """One part that differs; None where a side does not have it."""

    place: str
    before: Any
    after: Any


def diff_prompts(before: Prompt, after: Prompt) -> list[Difference]:
    """Return what differs between two prompts; nothing where their digests are equal.

    Examples
    --------
    >>> old = Prompt(name="a", messages=(("user", "Hi {{ who }}"),), params={"temperature": 0})
    >>> new = Prompt(name="b", messages=(("user", "Hi {{who}}!"),), params={"temperature": 0, "max_tokens": 5})
    >>> [(part.place, part.before, part.after) for part in diff_prompts(old, new)]
    [('messages.0.content', 'Hi {{ who }}', 'Hi {{ who }}!'), ('params.max_tokens', None, 5)]
    """
    return list(_differences("", before.content, after.content))


def _differences(place: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = [(key, before.get(key), after.get(key)) for key in before | after]
    elif isinstance(before, list) and isinstance(after, list):
        length = max(len(before), len(after))
        padded = ([*side, *[None] * (length - len(side))] for side in (before, after))
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(*padded, strict=True))]
    else:
        if before != after or isinstance(before, bool) != isinstance(after, bool):
            yield Difference(place, before, after)
        return
    for key, one, other in pairs:
        yield from _differences(f"{place}.{key}" if place else key, one, other)
