"""A shard: one of n runs that together are a whole one, each in a process, a CI job or a pod of its own."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from headgate.errors import ConfigError
from headgate.suite.model import Lane

_FORM: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")

SHARD: Final = "HEADGATE_SHARD"
PAIRS: Final = (("CI_NODE_INDEX", "CI_NODE_TOTAL", 1), ("JOB_COMPLETION_INDEX", "HEADGATE_SHARDS", 0))
"""Variables for index and count of a shard, and where the index starts: GitLab, Kubernetes."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Which of a plan's items a run takes: every ``count``-th, from the ``index``-th on.

    A whole item goes to one shard, so that both arms and all its seeds meet the same machine. Items of one cluster may
    lie in several shards: nothing is judged before the shards are merged.

    Attributes
    ----------
    index : int
        From 1.
    count : int
        How many shards there are.

    Examples
    --------
    >>> shard = Shard.parse("2/4")
    >>> list(range(10)[shard.items]), str(shard)
    ([1, 5, 9], '2/4')
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ValueError(f"{self} is no shard")

    @classmethod
    def parse(cls, text: str, *, field: str = "--shard") -> Self:
        """Read ``i/n``.

        Raises
        ------
        ConfigError
            If it is anything else, or ``i`` is not one of 1 to ``n``.
        """
        form = _FORM.fullmatch(text)
        if form is None:
            raise ConfigError("is no shard", field=field, value=text, mend="write i/n, such as 1/4, or auto")
        index, count = int(form[1]), int(form[2])
        if not 1 <= index <= count:
            mend = f"count from 1/{count} to {count}/{count}" if count else "there is at least one: 1/1"
            raise ConfigError("is no shard", field=field, value=text, mend=mend)
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def items(self) -> slice:
        """The items of the shard, to slice a sequence of all items with."""
        return slice(self.index - 1, None, self.count)

    def n_items(self, total: int) -> int:
        """Return how many of ``total`` items are the shard's."""
        return len(range(total)[self.items])

    def mark_jobs(self, n_items: int, *, cells: int) -> bytearray:
        """Return one byte for each job of ``n_items`` items with ``cells`` jobs each: 1 where it is the shard's.

        Examples
        --------
        >>> list(Shard(2, 2).mark_jobs(3, cells=2))
        [0, 0, 1, 1, 0, 0]
        """
        marks = bytearray(n_items * cells)
        np.frombuffer(marks, np.uint8).reshape(n_items, cells)[self.items] = 1
        return marks

    def split_lane(self, lane: Lane) -> Lane:
        """Return the shard's part of a lane: an n-th of what is declared; what is not declared stays so.

        Examples
        --------
        >>> part = Shard(1, 4).split_lane(Lane(models=["m"], requests_per_minute=600, concurrency=10))
        >>> part.requests_per_minute, part.concurrency
        (150.0, 3)
        """
        declared = {name: getattr(lane, name) for name in lane.model_fields_set}
        part = {name: rate / self.count for name, rate in declared.items() if name.endswith("_per_minute") and rate}
        if declared.get("concurrency"):
            part["concurrency"] = math.ceil(declared["concurrency"] / self.count)
        return lane.model_copy(update=part)


WHOLE: Final = Shard(1, 1)
"""All of a plan."""


def choose_shard(text: str | None, *, environ: Mapping[str, str] = os.environ) -> Shard | None:
    """Return the shard that was asked for: ``i/n``, or ``auto`` for the one that the environment names.

    Raises
    ------
    ConfigError
        If it is no shard, or ``auto`` finds none, or half of one.

    Examples
    --------
    >>> choose_shard("auto", environ={"CI_NODE_INDEX": "3", "CI_NODE_TOTAL": "4"})
    Shard(index=3, count=4)
    >>> choose_shard("auto", environ={"JOB_COMPLETION_INDEX": "0", "HEADGATE_SHARDS": "4"})
    Shard(index=1, count=4)
    """
    if text is None:
        return None
    return _find(environ) if text == "auto" else Shard.parse(text)


def _find(environ: Mapping[str, str]) -> Shard:
    if environ.get(SHARD):
        return Shard.parse(environ[SHARD], field=SHARD)
    for index, count, first in PAIRS:
        if environ.get(index) or environ.get(count):
            return _pair(environ, index, count, first)
    pairs = ", or ".join(f"{index} and {count}" for index, count, _ in PAIRS)
    mend = f"set {SHARD} (i/n), or {pairs}; or write --shard i/n"
    raise ConfigError("finds no shard in the environment", field="--shard", value="auto", mend=mend)


def _pair(environ: Mapping[str, str], index: str, count: str, first: int) -> Shard:
    place, total = _number(environ, index, other=count), _number(environ, count, other=index)
    if not first <= place < first + total:
        mend = f"with {count}={total} it is {first} to {first + total - 1}" if total else f"{count} must be at least 1"
        raise ConfigError("is no shard", field=index, value=environ[index], mend=mend)
    return Shard(place - first + 1, total)


def _number(environ: Mapping[str, str], name: str, *, other: str) -> int:
    text = environ.get(name)
    if not text:
        mend = f"{other} is set: set both, or write --shard i/n"
        raise ConfigError(f"--shard auto: {name} is not set", mend=mend)
    if not _NUMBER.fullmatch(text):
        raise ConfigError("is not a whole number", field=name, value=text)
    return int(text)
