"""How fast rows become durable, and what they cost: the writer, resuming, and compaction.

Usage: python benchmarks/bench_journal.py [--rows N]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from functools import partial
from pathlib import Path

from headgate.result import Result
from headgate.store.compact import compact
from headgate.store.index import done_keys
from headgate.store.journal import JournalLimits, JournalWriter
from headgate.store.layout import RunFolder

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


async def produce(writer: JournalWriter, rows: list[Result]) -> None:
    for number, row in enumerate(rows):
        if (room := writer.append(row)) is not None:
            await room
        elif number % 64 == 0:
            await asyncio.sleep(0)
    await writer.aclose()


def write_all(folder: Path, rows: list[Result], limits: JournalLimits) -> None:
    async def main() -> None:
        await produce(JournalWriter(folder, generation=1, on_commit=lambda _: None, limits=limits), rows)

    asyncio.run(main())


def measure(label: str, rows: int, function) -> None:
    wall, used = time.perf_counter(), cpu()
    function()
    wall, used = time.perf_counter() - wall, cpu() - used
    print(f"{label:<34} {rows / wall:>10,.0f} rows/s  {used / rows * 1e6:>6.2f} us CPU/row  {rss():>5} MB peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    count = parser.parse_args().rows
    rows = make_rows(count)
    print(f"{count:,} rows; {rss()} MB with the rows in memory")
    with tempfile.TemporaryDirectory(dir=".") as name:
        for commit_rows in (64, 256, 1024):
            folder = Path(name) / str(commit_rows)
            folder.mkdir()
            limits = JournalLimits(commit_rows=commit_rows, capacity=4 * commit_rows)
            measure(f"journal, {commit_rows} rows per commit", count, partial(write_all, folder, rows, limits))
        run = RunFolder(Path(name))
        Path(name, "256").rename(run.journal)
        size = sum(path.stat().st_size for path in run.segments())
        rows.clear()
        measure("done ids from the journal", count, lambda: done_keys(run.sources()))
        measure("compaction and checksums", count, lambda: compact(run, plan="bench"))
        measure("done ids from the parts", count, lambda: done_keys(run.sources()))
        parquet = sum(path.stat().st_size for path in run.parts())
        print(f"bytes per row: {size / count:.0f} in the journal, {parquet / count:.0f} in parts")


if __name__ == "__main__":
    main()
