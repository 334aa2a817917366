"""How fast rows become durable, and what they cost: the writer, resuming, and compaction.

Usage: python benchmarks/bench_journal.py [--rows N]
"""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import tempfile
import time
from pathlib import Path

import uvloop

from headgate.result import Result
from headgate.store import segment
from headgate.store.compact import compact
from headgate.store.index import done_keys
from headgate.store.journal import JournalLimits, JournalWriter
from headgate.store.layout import RunFolder

ROUNDS = 3  # the cheapest counts: whatever else the machine did made it dearer
TEXT = "The quick brown fox jumps over the lazy dog, and the canal fills behind it. " * 8


def make_rows(count: int) -> list[Result]:
    return [
        Result(
            job_id=f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}", item_id=f"item-{number // 6}",
            prompt="candidate", prompt_digest="0" * 32, model="small", provider="openai",
            endpoint="https://api.example/v1", seed=1 + number % 3, status="ok", http_status=200,
            output=TEXT[number % 300 :][:260], stop_reason="stop", input_tokens=250, output_tokens=60, cached_tokens=0,
            cost_usd=0.00025, started_at=10**15 + number, finished_at=10**15 + number + 420_000, latency_s=0.42,
            queued_s=0.001, served_model="small-2026-01-01", request_id=f"req-{number:024x}",
        )
        for number in range(count)
    ]  # fmt: skip


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def produce(writer: JournalWriter | None, rows: list[Result], rate: float) -> None:
    """Hand the rows over at a rate, a few at a time as an event loop does; hold back when the journal says so."""
    start, sent = time.perf_counter(), 0
    while sent < len(rows):
        due = min(len(rows), sent + 64, int(min((time.perf_counter() - start) * rate, 1e9)))
        if due == sent:
            await asyncio.sleep(0.004)
        for row in rows[sent:due]:
            if writer is not None and (room := writer.append(row)) is not None:
                await room
        sent = due
    if writer is not None:
        await writer.aclose()


class Syncs:
    """Counts the calls of fdatasync, and the seconds they took."""

    def __init__(self) -> None:
        self.calls, self.wall_s, self._real = 0, 0.0, segment.sync_data
        segment.sync_data = self

    def __call__(self, handle: int) -> None:
        started = time.perf_counter()
        self._real(handle)
        self.calls += 1
        self.wall_s += time.perf_counter() - started

    def take(self) -> str:
        said = f"{self.calls:>6} syncs of {1e3 * self.wall_s / max(1, self.calls):.2f} ms"
        self.calls, self.wall_s = 0, 0.0
        return said


def spend(rows: list[Result], rate: float, folder: Path | None) -> tuple[float, float]:
    """Return the CPU seconds and the wall seconds of writing rows, or of handing them to nobody."""

    async def main() -> None:
        writer = None if folder is None else JournalWriter(folder, generation=1, on_commit=lambda _: None)
        await produce(writer, rows, rate)

    wall, used = time.perf_counter(), cpu()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    return cpu() - used, time.perf_counter() - wall


def write_at(rate: float, rows: list[Result], folder: Path, syncs: Syncs) -> None:
    """Print what the rows cost at the production limits, less what handing them over costs without a journal."""
    label = "journal, as fast as it goes" if rate == math.inf else f"journal at {rate:,.0f} rows/s"
    alone = min(spend(rows, rate, None)[0] for _ in range(ROUNDS))
    written = []
    for number in range(ROUNDS):
        (target := folder / str(number)).mkdir(parents=True)
        used, wall = spend(rows, rate, target)
        written.append((used - alone, wall, syncs.take()))
    used, wall, said = min(written)
    print_line(label, len(rows), wall, used, said)


def measure(label: str, rows: int, function) -> None:
    wall, used = time.perf_counter(), cpu()
    function()
    print_line(label, rows, time.perf_counter() - wall, cpu() - used)


def print_line(label: str, rows: int, wall: float, used: float, more: str = "") -> None:
    cost = f"{rows / wall:>10,.0f} rows/s  {used / rows * 1e6:>6.2f} us CPU/row  {rss():>5} MB peak"
    print(f"{label:<34} {cost}  {more}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    count = parser.parse_args().rows
    rows, syncs = make_rows(count), Syncs()
    print(f"{count:,} rows; {rss()} MB with the rows in memory; {JournalLimits()}")
    with tempfile.TemporaryDirectory(dir=".") as name:
        for rate in (1_000, 8_000, 16_000):
            write_at(rate, rows[: 5 * rate], Path(name) / str(rate), syncs)
        write_at(math.inf, rows, Path(name) / "inf", syncs)
        run = RunFolder(Path(name))
        Path(name, "inf", "0").rename(run.journal)
        size = sum(path.stat().st_size for path in run.segments())
        rows.clear()
        measure("done ids from the journal", count, lambda: done_keys(run.sources()))
        measure("compaction and checksums", count, lambda: compact(run, plan="bench"))
        measure("done ids from the parts", count, lambda: done_keys(run.sources()))
        parquet = sum(path.stat().st_size for path in run.parts())
        print(f"bytes per row: {size / count:.0f} in the journal, {parquet / count:.0f} in parts")


if __name__ == "__main__":
    main()
