"""What an importer has understood of another tool's suite, and what it had to leave."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from headgate.suite.prompts import Prompt

_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]+")


class Left(NamedTuple):
    """Something that was not carried over: where it stands, what it is, and why."""

    where: str
    what: str
    why: str


@dataclass(slots=True, kw_only=True)
class ScorerDraft:
    """A scorer, and what it expects of each item that it is for.

    Attributes
    ----------
    fields : mapping
        The scorer as a suite declares it, but for its name and what it expects.
    expects : str or None
        The field that takes what is expected; None: nothing is.
    gated : bool
        Whether a gate judges it; what a weighted scorer is made of is not judged by itself.
    values : dict of int to str
        What is expected, by the number of the item.
    """

    fields: Mapping[str, Any]
    expects: str | None
    gated: bool = True
    values: dict[int, str] = field(default_factory=dict[int, str])


@dataclass(slots=True, kw_only=True)
class Draft:
    """A suite that is being made.

    Attributes
    ----------
    source : Path
        The file that it is made of.
    notes : list of str
        What the importer chose where the file leaves it open.
    """

    source: Path
    name: str
    items: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    prompts: dict[str, Prompt] = field(default_factory=dict[str, Prompt])
    models: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    scorers: dict[str, ScorerDraft] = field(default_factory=dict[str, ScorerDraft])
    seeds: int = 1
    left: list[Left] = field(default_factory=list[Left])
    notes: list[str] = field(default_factory=list[str])

    def leave(self, where: str, what: str, why: str) -> None:
        """Note that something was not carried over."""
        self.left.append(Left(where, what, why))

    def note(self, text: str) -> None:
        """Note, once, what a reader of the suite should know."""
        if text not in self.notes:
            self.notes.append(text)

    def add_prompt(self, name: str, prompt: Prompt, *, where: str) -> None:
        """Add a prompt under a name of its own, unless it is one that is there."""
        twin = next((other for other, one in self.prompts.items() if one.digest == prompt.digest), None)
        if twin is not None:
            self.leave(where, "prompt", f"it is the same as {twin}")
            return
        self.prompts[safe_name(name, "prompt", taken=self.prompts)] = prompt


def safe_name(text: str, otherwise: str, *, taken: Container[str] = ()) -> str:
    """Return a name that a suite can have, and that is not taken.

    Examples
    --------
    >>> safe_name("My first prompt!", "prompt"), safe_name("...", "prompt", taken={"prompt"})
    ('My-first-prompt', 'prompt-2')
    """
    base = _UNSAFE.sub("-", text).strip("-_.")[:56].rstrip("-_.") or otherwise
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name
