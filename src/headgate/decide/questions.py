"""What is asked: every gate in every cell, on all items, on chosen ones, and on each of its slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headgate.decide.cells import Match
from headgate.errors import ConfigError
from headgate.suite.gate import Gate

if TYPE_CHECKING:
    import polars as pl

_MOST_SLICES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The cells that are judged, by what they are held against."""

    baseline: Sequence[Match]
    anchor: Sequence[Match]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One gate in one cell; ``is_slice``: on some of the gate's items, to inform only."""

    gate: Gate
    match: Match
    is_slice: bool = False


def ask(gates: Sequence[Gate], found: Found, *, columns: pl.DataFrame | None) -> list[Question]:
    """Return the questions in the order of the gates, each followed by its slices.

    Raises
    ------
    ConfigError
        If items have no such column, no item has the wanted values, or a column has too many to be slices.
    """
    return [question for gate in gates for question in _ask(gate, found, columns)]


def _ask(gate: Gate, found: Found, columns: pl.DataFrame | None) -> Iterator[Question]:
    for match in found.anchor if gate.against == "anchor" else found.baseline:
        yield Question(gate=gate, match=match.narrowed(gate.where))
    informs = gate.model_copy(update={"tier": "monitor"})
    for where in _slices(gate, columns):
        for match in found.anchor if gate.against == "anchor" else found.baseline:
            yield Question(gate=informs, match=match.narrowed(gate.where | where), is_slice=True)


def _slices(gate: Gate, columns: pl.DataFrame | None) -> Iterator[dict[str, str]]:
    if not gate.where and not gate.slices:
        return
    assert columns is not None
    import polars as pl

    for name in (*gate.where, *gate.slices):
        if name not in columns.columns or columns[name].null_count() == columns.height:
            raise ConfigError("is no column of the items", field="gates.slices", value=name)
    kept = columns.filter(pl.all_horizontal(pl.lit(True), *(pl.col(name) == text for name, text in gate.where.items())))
    if kept.is_empty():
        mend = "write the values as they stand in the items"
        raise ConfigError("no item has these values", field="gates.where", value=gate.where, mend=mend)
    for name in gate.slices:
        values = kept[name].drop_nulls().unique().sort().to_list()
        if len(values) > _MOST_SLICES:
            mend = f"choose a column with at most {_MOST_SLICES} of them"
            raise ConfigError(
                f"has {len(values)} values, too many for slices", field="gates.slices", value=name, mend=mend
            )
        yield from ({name: value} for value in values)
