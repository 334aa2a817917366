"""CPU per job of the whole engine: plan, encode, lane, HTTP, retry, decode, durable row, compaction, a cheap score.

``python benchmarks/bench_engine.py [--jobs N] [--rounds R] [--only NAME,NAME] [--profile NAME]``. Every figure is the
median of rounds that take turns; of the engine the least one stands beside it, since whatever disturbs a shared machine
only adds. Every measurement is a process of its own on one core, with a server on the other. CPU is user and system
time of all its threads. The transport ``null`` answers at once without a network.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from support import HERE, medians, pin_client, running_server, table, write_suite


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured: a transport, so many requests at once, and how long the server takes."""

    transport: str
    concurrency: int
    delay_ms: float


def cells() -> Iterator[Cell]:
    from headgate.execute.transports import TransportName

    for concurrency, delay_ms in ((64, 50.0), (512, 50.0), (2048, 200.0)):
        for transport in ("null", *get_args(TransportName)):
            yield Cell(transport, concurrency, 0.0 if transport == "null" else delay_ms)


@contextmanager
def a_suite(cell: Cell, jobs: int) -> Iterator[Path]:
    """Yield a suite file in a folder of its own; its server runs, where the transport needs one."""
    with tempfile.TemporaryDirectory() as name, running_server(delay_ms=cell.delay_ms) as server:
        yield write_suite(Path(name), items=jobs, url=server.url, concurrency=cell.concurrency)


def measure(cell: Cell, jobs: int, *flags: str) -> dict[str, Any]:
    """Run one measurement in a child process."""
    with a_suite(cell, jobs) as suite:
        command = [sys.executable, str(HERE / "cell.py"), str(suite), cell.transport, *flags]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=pin_client)
    return json.loads(done.stdout)


def row(cell: Cell, rounds: list[dict[str, Any]]) -> list[str]:
    facts = medians(rounds)
    parts = [facts[f"{name}_us"] for name in ("engine", "compact", "score")]
    return [
        cell.transport,
        f"{cell.concurrency:,}",
        f"{cell.delay_ms:g}",
        f"{min(each['engine_us'] for each in rounds):.1f}",
        *(f"{part:.1f}" for part in (*parts, sum(parts), facts["prepare_us"])),
        f"{facts['start_s']:.2f}",
        f"{facts['jobs_per_s']:,.0f}",
        f"{facts['peak_mb']:.0f}",
        f"{facts['lag_ms']:.0f}" if facts["lag_ms"] else "-",
    ]


HEADS = [
    "transport",
    "C",
    "server ms",
    "least us/job",
    "engine us/job",
    "compact",
    "score",
    "sum",
    "prepare",
    "start s",
    "jobs/s",
]
HEADS += ["peak MB", "most lag ms"]


def profile(name: str, jobs: int) -> None:
    """Print where the time goes at 512 connections: by thread, by file, by function; without a network also exactly."""
    cell = Cell(name, 512, 0.0 if name == "null" else 50.0)
    facts = measure(cell, jobs, "--profile")
    print(f"{name}, C={cell.concurrency}, {jobs:,} jobs: {facts['engine_us']:.1f} us CPU per job in the engine\n")
    threads = [[thread, f"{1e6 * seconds / jobs:.1f}"] for thread, seconds in facts["threads"].items()]
    print(table(["thread (with start-up)", "us/job"], threads))
    taken = facts["engine_us"] + facts["compact_us"]
    for title, label in (("rooms", "innermost file of headgate"), ("functions", "function")):
        shares = [[where, f"{share:.1%}", f"{share * taken:.1f}"] for where, share in facts["shares"][title].items()]
        print("\n" + table([label, "share", "us/job"], shares))
    if name == "null":
        exactly(cell, jobs)


def exactly(cell: Cell, jobs: int) -> None:
    """Print cProfile's account, which counts calls, and is dear: its times are to be compared with each other only."""
    from cell import measure as measure_here

    from headgate.conduct.loop import run_loop

    with a_suite(cell, jobs) as suite:
        profiler = cProfile.Profile()
        profiler.runcall(run_loop, measure_here(suite, cell.transport, profile=False))
    print()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", metavar="NAMES", help="transports, separated by commas")
    parser.add_argument("--profile", metavar="NAME", nargs="?", const="null", help="where the time of a transport goes")
    options = parser.parse_args()
    if options.profile:
        profile(options.profile, options.jobs)
        return
    wanted = [cell for cell in cells() if options.only is None or cell.transport in options.only.split(",")]
    taken: dict[Cell, list[dict[str, Any]]] = {cell: [] for cell in wanted}
    for _ in range(options.rounds):
        for cell in wanted:
            taken[cell].append(measure(cell, options.jobs))
    print(f"{options.jobs:,} jobs of 1 kB; medians of {options.rounds} rounds; us are CPU per job\n")
    print(table(HEADS, (row(cell, rounds) for cell, rounds in taken.items())))


if __name__ == "__main__":
    main()
