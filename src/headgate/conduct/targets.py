"""Targets of scorers: templates over an item's columns, or over a row of live traffic, to a column ``target``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headgate.errors import ConfigError
from headgate.suite.items import ItemFile, column_text
from headgate.suite.templates import Template
from headgate.traffic.row import Row

if TYPE_CHECKING:
    import polars as pl

_NAME: Final = re.compile(r"^\s*\{\{\s*([A-Za-z_]\w*)\s*\}\}\s*$")
Made = str | list[str] | None
"""A target, or several; None where a row has none."""


@dataclass(frozen=True, slots=True)
class Targets:
    """How the targets of a scorer are made.

    Attributes
    ----------
    templates : sequence of Template
        One for each target.
    listed : bool
        Whether a row may have several.
    several : bool
        Whether what the templates give is JSON lists, whose entries are the targets.
    """

    templates: Sequence[Template]
    listed: bool
    several: bool

    @classmethod
    def of(cls, declared: str | list[str], *, several: bool, file: str | None, field: str) -> Targets:
        """Compile what is declared; ConfigError if it is no template."""
        sources = [declared] if isinstance(declared, str) else declared
        where = [field] if isinstance(declared, str) else [f"{field}.{place}" for place in range(len(sources))]
        made = [Template(source, file=file, where=at) for source, at in zip(sources, where, strict=True)]
        return cls(templates=made, listed=several or not isinstance(declared, str), several=several)

    @property
    def plain(self) -> bool:
        """Whether the target is the item's column of that name, as it stands."""
        return not self.listed and _name(self.templates[0]) == "target"

    def made(self, render: Callable[[Template], str | None]) -> Made:
        """Return the targets that rendering gives."""
        texts = [render(template) for template in self.templates]
        if not self.listed:
            return texts[0]
        found = [one for text in texts for one in (_entries(text) if self.several else [text])]
        return [one for one in found if one is not None]


def item_targets(targets: Targets, items: ItemFile) -> pl.DataFrame:
    """Return columns ``item_id`` and ``target`` (text, or lists of it) of every item."""
    import polars as pl

    if targets.plain:
        frames = [pl.DataFrame(pl.from_arrow(batch)) for batch in items.batches(["item_id", "target"])]
        return pl.concat(frames).cast({"target": pl.String})
    rows = [(item_id, targets.made(partial(_rendered, columns, item_id))) for item_id, columns in item_columns(items)]
    kind = pl.List(pl.String) if targets.listed else pl.String
    return pl.DataFrame(rows, schema={"item_id": pl.String, "target": kind}, orient="row")


def item_columns(items: ItemFile) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the id and the columns of every item."""
    for batch in items.batches(["item_id", "target", "variables_json"]):
        for item_id, target, variables in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield item_id, {"target": target, **msgspec.json.decode(variables)}


def traffic_targets(targets: Targets, rows: Sequence[Row]) -> pl.Series:
    """Return the targets of rows of live traffic; null where a row lacks a column."""
    import polars as pl

    found = [targets.made(partial(_row_target, row)) for row in rows]
    return pl.Series(found, dtype=pl.List(pl.String) if targets.listed else pl.String)


def row_columns(row: Row) -> dict[str, Any]:
    """Return the columns that a row of live traffic has for templates and functions."""
    return {**row.attributes, "input": row.input, "output": row.output, "target": row.target}


def _row_target(row: Row, template: Template) -> str | None:
    if _name(template) == "target":
        return row.target
    try:
        return _rendered(row_columns(row) if template.variables else {}, row.id, template)
    except ConfigError:  # this row lacks a column: it cannot be scored, and others can
        return None


def _rendered(columns: Mapping[str, Any], item_id: str, template: Template) -> str | None:
    name = _name(template)
    if name is not None and columns.get(name) is None and (name == "target" or name in columns):
        return None
    if name is not None and isinstance(columns.get(name), list | dict):
        return column_text(columns[name])  # JSON, and not Python's way of writing it
    return template.render(columns, row=f"item {item_id}")


def _name(template: Template) -> str | None:
    """Return the column that a template is, where it is one and nothing else."""
    match = _NAME.match(template.source)
    return None if match is None else match[1]


def _entries(text: str | None) -> list[str | None]:
    """Return the entries of a JSON list as text; none where it is no list."""
    try:
        found = None if text is None else msgspec.json.decode(text)
    except msgspec.DecodeError:
        return []
    return [column_text(entry) for entry in found] if isinstance(found, list) else []
