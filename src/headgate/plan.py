"""From suite to jobs: a lazy, ordered, index-addressable sequence of item x prompt x model x seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from headgate.suite.items import Item, ItemFile
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Job:
    """One cell: item x prompt x model x seed; the unit that is planned, run, stored and resumed.

    Attributes
    ----------
    job_id : str
        Content id, 32 hexadecimal characters.
    item : Item
        The dataset row, shared by all its jobs.
    seed : int
        Replicate number, from 1.
    messages : bytes
        The rendered chat messages as a JSON array.
    """

    index: int
    job_id: str
    item: Item
    prompt: Prompt
    model: Model
    seed: int

    @property
    def messages(self) -> bytes:
        return self.item.messages[self.prompt.name]
