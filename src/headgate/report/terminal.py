"""Verdicts, runs and estimates as plain text for a terminal; colour only where a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from rich.console import Console
from rich.text import Text

from headgate.decide.table import one_line
from headgate.decide.verdict import Verdict
from headgate.prices import format_usd

if TYPE_CHECKING:
    from headgate.stats import Estimate

_COLOURS: Final = {"PASS": "bold green", "FAIL": "bold red", "INCONCLUSIVE": "bold yellow", "INVALID": "bold magenta"}


def print_verdict(verdict: Verdict, *, stream: TextIO) -> None:
    """Print the verdict's table, its words coloured."""
    text = Text(str(verdict))
    for word, style in _COLOURS.items():
        text.highlight_regex(rf"(?m)^(?i:{word})\b", style)
    Console(file=stream).print(text, soft_wrap=True)


def estimate_cells(estimate: Estimate | None) -> tuple[str, str, str]:
    """Return value, interval and number of items as text."""
    if estimate is None:
        return "-", "-", "0"
    return f"{estimate.value:.4g}", f"{estimate.low:.4g} to {estimate.high:.4g}", str(estimate.n_items)


def format_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a table of fixed width; every cell is one printable line.

    Examples
    --------
    >>> print(format_table(["name", "n"], [["a", "10"], ["long", "2"]]))
    name  n
    a     10
    long  2
    """
    lines = [list(heads), *([one_line(cell, limit=60) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in padded)


def format_counts(counts: Mapping[str, int], planned: int) -> str:
    """Return how many jobs have a row, by status.

    Examples
    --------
    >>> format_counts({"ok": 9, "error": 0, "refused": 1}, 12)
    '12 jobs: 9 ok, 1 refused, 0 errors, 2 not run'
    """
    ok, refused, errors = (counts.get(status, 0) for status in ("ok", "refused", "error"))
    missing = planned - ok - refused - errors
    return f"{planned:,} jobs: {ok:,} ok, {refused:,} refused, {errors:,} errors, {missing:,} not run"


def format_cost(cost_usd: float | None, unpriced: int, judges_usd: float | None = None) -> str:
    """Return what a run has cost, what of it its judges, and how much is not known; empty where nothing is.

    Examples
    --------
    >>> format_cost(1.5, 0), format_cost(1.5, 3), format_cost(None, 3)
    ('cost $1.50', 'cost $1.50 without 3 answers whose cost is not known', '')
    >>> format_cost(1.5, 0, 0.25)
    'cost $1.50, $0.250 of it for judges'
    """
    if cost_usd is None:
        return ""
    judges = "" if judges_usd is None else f", {format_usd(judges_usd)} of it for judges"
    return f"cost {format_usd(cost_usd)}{judges}" + (
        f" without {unpriced:,} answers whose cost is not known" if unpriced else ""
    )
