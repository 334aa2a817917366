"""How a run is doing: a live display on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from headgate.decide.table import one_line
from headgate.execute.statistics import EngineStatistics, LaneStatistics
from headgate.prices import format_usd
from headgate.report.terminal import format_cost

_LINE_EVERY_S: Final = 30.0
_REFRESH_PER_S: Final = 4
_LATE_S: Final = 0.1


def describe(statistics: EngineStatistics, total: int) -> str:
    """Return one line: done, rate, errors by kind, retries, lane use, tokens, cost, and the time that is left.

    A lane shows its attempts under way, of those that may be; where the server takes fewer than declared, of both. That
    the event loop is late is said when it is by more than 0.1 s. With a cap the cost is what counts against it, of all
    calls of the run.
    """
    done = statistics.done
    rate = done / statistics.elapsed_s if statistics.elapsed_s > 0 else 0.0
    parts = [
        f"{done:,}/{total:,} jobs",
        f"{rate:,.0f}/s",
        f"errors {_kinds(statistics.errors)}",
        f"retried {_kinds(statistics.failures)}",
        f"lanes {', '.join(map(_lane, statistics.lanes))}",
        f"tokens {statistics.input_tokens:,} in, {statistics.output_tokens:,} out",
        *_cost(statistics),
        f"left {_duration((total - done) / rate) if rate else 'unknown'}",
    ]
    if statistics.lag_s > _LATE_S:
        parts.append(f"event loop {statistics.lag_s:.1f} s late")
    return " | ".join(parts)


class Progress:
    """Shows statistics while it is entered: live on a terminal, else as a line every 30 s.

    Parameters
    ----------
    statistics : callable
        Asked for the state; None before the engine starts.
    total : callable
        Asked for the jobs of this call so far: those of judges come with the answers that they grade.
    stream : text stream
        Usually stderr.
    """

    def __init__(
        self, statistics: Callable[[], EngineStatistics | None], *, total: Callable[[], int], stream: TextIO
    ) -> None:
        self._statistics, self._total = statistics, total
        self._console = Console(file=stream, stderr=True)
        self._live = Live(
            console=self._console, get_renderable=self._render, refresh_per_second=_REFRESH_PER_S, transient=True
        )
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
        self._line()

    def tick(self) -> None:
        """Print a line if one is due; the live display needs no ticks."""
        if not self._console.is_terminal and time.monotonic() - self._last >= _LINE_EVERY_S:
            self._line()

    def _line(self) -> None:
        self._last = time.monotonic()
        statistics = self._statistics()
        if statistics is not None:
            self._console.print(Text(describe(statistics, self._total())), soft_wrap=True)

    def _render(self) -> Table:
        statistics = self._statistics()
        table = Table.grid(padding=(0, 1))
        if statistics is None:
            table.add_row("starting")
            return table
        total = max(1, self._total())
        bar = ProgressBar(total=total, completed=statistics.done, width=40)
        table.add_row(bar, Text(f"{statistics.done / total:.0%}"))
        body = Table.grid()
        body.add_row(table)
        for part in describe(statistics, self._total()).split(" | "):
            body.add_row(Text("  " + part))
        return body


def _cost(statistics: EngineStatistics) -> Iterator[str]:
    if statistics.max_cost_usd is not None:
        yield f"cost {format_usd(statistics.spent_usd)} of {format_usd(statistics.max_cost_usd)}"
    elif statistics.cost_usd:
        yield format_cost(statistics.cost_usd, statistics.unpriced)


def _kinds(kinds: object) -> str:
    assert isinstance(kinds, dict)
    return ", ".join(f"{kind} {number:,}" for kind, number in sorted(kinds.items())) or "0"


def _lane(lane: LaneStatistics) -> str:
    allowed = f"{lane.allowed} of " if lane.allowed < lane.concurrency else ""
    parts = [f"{one_line('+'.join(lane.models), limit=60)} {lane.in_flight}/{allowed}{lane.concurrency}"]
    if lane.waiting:
        parts.append(f"{lane.waiting} wait for the limit")
    if lane.deferred:
        parts.append(f"{lane.deferred} deferred")
    if lane.paused_s >= 1:
        parts.append(f"paused {lane.paused_s:.0f} s")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min" if whole < 7200 else f"{whole / 3600:.1f} h"
