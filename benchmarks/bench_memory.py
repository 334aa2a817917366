"""Memory of a run: 20,000 jobs through ``headgate run`` over HTTP, and 1,000,000 without a network.

``python benchmarks/bench_memory.py [--jobs N] [--null-jobs N]``. Each is a child process; its peak is what the kernel
says, its course is sampled. Both end with compaction and scores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from support import peak_rss_mb, pin_client, running_server, table, write_suite

POINTS: Final = 10
SAMPLE_S: Final = 0.05
IMPORTS: Final = ("asyncio", "uvloop", "msgspec", "pydantic", "numpy", "pyarrow.parquet", "headgate.api", "polars")
GROW: Final = """
import importlib, psutil, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(name, psutil.Process().memory_info().rss / 1e6)
"""


@dataclass(frozen=True, slots=True)
class Course:
    """Memory of a process in MB: sampled over its life, and the most it had."""

    samples: list[tuple[float, float]]
    peak: float

    def points(self) -> list[str]:
        """Return the largest sample of each tenth of the run."""
        end = self.samples[-1][0]
        tenths: list[float] = [0.0] * POINTS
        for at, rss in self.samples:
            place = min(int(POINTS * at / end), POINTS - 1)
            tenths[place] = max(tenths[place], rss)
        return [f"{rss:.0f}" for rss in tenths]


def watch(command: Sequence[str], *, env: dict[str, str] | None = None) -> Course:
    """Run a command to its end and sample its memory."""
    process = subprocess.Popen(command, env={**os.environ, **(env or {})})
    seen, started, samples = psutil.Process(process.pid), time.perf_counter(), []
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        with suppress(psutil.Error):  # it ended meanwhile
            samples.append((time.perf_counter() - started, seen.memory_info().rss / 1e6))
        time.sleep(SAMPLE_S)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Course(samples, used.ru_maxrss / 1e6 if sys.platform == "darwin" else used.ru_maxrss * 1024 / 1e6)


def over_http(folder: Path, *, jobs: int, concurrency: int) -> Course:
    """Watch the command."""
    with running_server(delay_ms=50) as server:
        suite = write_suite(folder, items=jobs, url=server.url, concurrency=concurrency)
        command = [sys.executable, "-m", "headgate", "run", str(suite), "--out", str(folder / "run"), "--quiet"]
        return watch(command)


def without_network(folder: Path, *, jobs: int, concurrency: int) -> Course:
    """Watch this script as a child: jobs are items x 2 prompts x 5 seeds."""
    url = "http://127.0.0.1:9/v1"
    suite = write_suite(folder, items=jobs // 10, prompts=2, seeds=5, url=url, concurrency=concurrency)
    pool = {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # as the command has it
    return watch([sys.executable, __file__, "--child", str(suite)], env=pool)


def run_without_network(suite: Path) -> None:
    """Do what ``headgate run`` does, with a transport that answers at once."""
    from null import NullTransport

    from headgate.conduct.loop import run_loop
    from headgate.conduct.options import RunOptions
    from headgate.conduct.prepare import prepare
    from headgate.conduct.run import Conductor
    from headgate.suite.files import load_suite

    def say(phase: str) -> None:
        now, peak = psutil.Process().memory_info().rss / 1e6, peak_rss_mb()
        print(json.dumps({"phase": phase, "rss_mb": round(now), "peak_mb": round(peak)}), file=sys.stderr)

    async def work() -> None:
        say("imported")
        prepared = prepare(load_suite(suite), suite.parent / "run")
        say("prepared")
        conductor = Conductor(prepared, options=RunOptions(transport=NullTransport()))
        await conductor.execute()
        say("executed and compacted")
        await conductor.finish()
        say("scored")

    run_loop(work())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20_000, help="over HTTP")
    parser.add_argument("--null-jobs", type=int, default=1_000_000, help="without a network")
    parser.add_argument("--concurrency", type=int, default=512)
    parser.add_argument("--child", type=Path, metavar="SUITE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_without_network(options.child)
        return
    pin_client()
    floor = subprocess.run([sys.executable, "-c", GROW, *IMPORTS], capture_output=True, text=True, check=True).stdout
    print("MB after each import, one after the other:")
    print("\n".join(f"  {name:20}{float(size):6.0f}" for name, size in map(str.split, floor.splitlines())), flush=True)
    rows = []
    for label, jobs, measure in (
        ("headgate run, HTTP, 50 ms", options.jobs, over_http),
        ("no network", options.null_jobs, without_network),
    ):
        with tempfile.TemporaryDirectory() as folder:
            course = measure(Path(folder), jobs=jobs, concurrency=options.concurrency)
        rows.append([label, f"{jobs:,}", f"{course.peak:.0f}", *course.points()])
    print("\nMB of resident memory at most, and in each tenth of the run:\n")
    print(table(["", "jobs", "peak", *(str(n) for n in range(1, POINTS + 1))], rows))


if __name__ == "__main__":
    main()
