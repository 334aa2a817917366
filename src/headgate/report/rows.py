"""Names of a verdict's rows that stay the same from run to run, for systems that compare reports by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from headgate.decide.table import one_line, rule_text
from headgate.decide.verdict import MetricRow


class NamedRow(NamedTuple):
    """A row, the name of its gate, and that of its cell; no two rows of a verdict share both names."""

    gate: str
    cell: str
    row: MetricRow


def named_rows(rows: Iterable[MetricRow]) -> list[NamedRow]:
    """Name the rows by what is declared: metric, rule and cell, never a number that was measured.

    Names are printable and on one line; a second row of the same name gets a number.

    Examples
    --------
    ``("correct margin 0.1", "model=small")``
    """
    seen: Counter[tuple[str, str]] = Counter()
    named: list[NamedRow] = []
    for row in rows:
        gate = one_line(f"{row.name} {rule_text(row)}")
        cell = one_line(" ".join(f"{key}={value}" for key, value in row.cell.items()))
        seen[gate, cell] += 1
        number = seen[gate, cell]
        named.append(NamedRow(gate if number == 1 else f"{gate} ({number})", cell, row))
    return named
