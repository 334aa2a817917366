"""One row of another tool's results, and how its columns are named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

ABSENT: Final = object()
"""What :func:`lookup` returns where there is no such column."""


class Row(NamedTuple):
    """One row: its columns, and what a format knows beyond them.

    Attributes
    ----------
    line : int or None
        Line, or number of the row, in the file, from 1.
    columns : mapping
        Values by the names that a user gives.
    metrics : tuple of str
        The columns that hold scores, where the format says so.
    prompt, model : str
        Its cell; empty where the format has no such thing.
    failed : str or None
        Kind of the error that left it without a result.
    content : str or None
        Digest of what was asked: items of one id are the same only if it is the same.
    """

    line: int | None
    columns: Mapping[str, Any]
    metrics: tuple[str, ...] = ()
    prompt: str = ""
    model: str = ""
    failed: str | None = None
    content: str | None = None


class Format(NamedTuple):
    """How a file is read.

    Attributes
    ----------
    name : str
        As ``--format`` has it.
    read : callable
        A path and the names of the columns that are wanted to rows.
    seed : str or None
        Column that tells repeats apart, where the format has one.
    texts : bool
        Whether every value is text, numbers included.
    partial : bool
        Whether a score may be one that some items have and others do not: a row without it is none of its rows.
    """

    name: str
    read: Callable[[Path, Collection[str]], Iterator[Row]]
    seed: str | None = None
    texts: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns mean what.

    Attributes
    ----------
    item : str or None
        Identifies an item; default: ``item_id``, else ``id``, else the number of the row.
    score : str or None
        The score; default: ``score``, or the only one that the format has.
    seed : str or None
        Tells repeats of an item apart.
    cluster : str or None
        Groups items that are not independent.
    where : mapping of str to str
        Only rows whose columns have these values.
    """

    item: str | None = None
    score: str | None = None
    seed: str | None = None
    cluster: str | None = None
    where: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def names(self) -> set[str]:
        """The columns that are named."""
        return {name for name in (self.item, self.score, self.seed, self.cluster, *self.where) if name is not None}


def lookup(columns: Mapping[str, Any], name: str) -> Any:
    """Return a column's value; ``a.b`` is the field b of the column a, where no column has that very name.

    Examples
    --------
    >>> lookup({"a": {"b": 1}}, "a.b"), lookup({"a.b": 2}, "a.b"), lookup({}, "a") is ABSENT
    (1, 2, True)
    """
    if name in columns:
        return columns[name]
    value: Any = columns
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value
