"""CPU per job of the engine: alone, and over each transport against simulated models in another process.

``python benchmarks/bench_engine.py [--jobs N] [--profile]``. The durable store has a benchmark of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from headgate.execute.answer import Answer
from headgate.execute.endpoint import Endpoint, HttpEndpoint
from headgate.execute.engine import Engine
from headgate.execute.lanes import Lane
from headgate.execute.pool import Work
from headgate.execute.transports import open_transport
from headgate.plan import Plan
from headgate.result import Result
from headgate.suite.items import ItemFile, Row, write_items
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

ANSWER = Answer(output="42", http_status=200, input_tokens=250, output_tokens=1, latency_s=0.05, ttfb_s=0.05)
PROMPTS = [Prompt(name=name, messages=(("user", name + " {{ q }}"),)) for name in ("baseline", "candidate")]


class NullEndpoint:
    """Answers at once, or lets the loop go round first."""

    name = "null"
    sends_seed = True

    def __init__(self, *, yields: bool) -> None:
        self._yields = yields

    async def attempt(self, job: Any, number: int) -> Answer:  # noqa: ARG002 - it answers anything
        if self._yields:
            await asyncio.sleep(0)
        return ANSWER


@contextmanager
def a_plan(jobs: int, model: Model) -> Iterator[Plan]:
    """Yield a plan of two prompts of 1 kB over items in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.parquet"
        rows = (
            Row(number=n, line=n, item_id=f"item-{n}", cluster=None, target=str(n), variables={"q": "word " * 200})
            for n in range(1, jobs // 2 + 1)
        )
        write_items(rows, PROMPTS, path)
        yield Plan(ItemFile(path), prompts=PROMPTS, models=[model], seeds=1)


async def run(source: Iterator[Any], endpoint: Endpoint, *, concurrency: int, lane: Lane) -> float:
    """Return the CPU seconds of a run."""
    kept: list[Result] = []
    work = Work(models=("small",), jobs=source, endpoints={"small": endpoint}, lane=lane, concurrency=concurrency)
    gc.collect()
    started = time.process_time()
    engine = Engine([work], sink=kept.append)
    await engine.run()
    spent = time.process_time() - started
    assert engine.statistics().ok == len(kept)
    return spent


def in_process(plan: Plan, *, concurrency: int, yields: bool, ready: bool, limited: bool = False) -> float:
    """Return CPU microseconds per job without HTTP; ``ready`` leaves out making the jobs from the file of items."""
    lane = Lane(requests_per_minute=6e9, tokens_per_minute=6e12) if limited else Lane()
    source = iter(list(plan)) if ready else iter(plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        spent = runner.run(run(source, NullEndpoint(yields=yields), concurrency=concurrency, lane=lane))
    return 1e6 * spent / len(plan)


@contextmanager
def a_server(simulation: dict[str, Any]) -> Iterator[str]:
    command = [sys.executable, "-m", "headgate.simulate", json.dumps({"small": simulation})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def over_http(plan: Plan, url: str, *, name: Any, concurrency: int) -> tuple[float, float]:
    """Return CPU microseconds per job, and jobs per second."""

    async def main() -> float:
        transport = open_transport(name, connections=concurrency)
        endpoint = HttpEndpoint(url, transport=transport, simulated=True)
        try:
            return await run(iter(plan), endpoint, concurrency=concurrency, lane=Lane())
        finally:
            await transport.aclose()

    started = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        spent = runner.run(main())
    return 1e6 * spent / len(plan), len(plan) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--profile", action="store_true", help="where the time goes without HTTP")
    options = parser.parse_args()
    model = Model(id="small", provider="simulated")
    with a_plan(options.jobs, model) as plan:
        if options.profile:
            profile = cProfile.Profile()
            profile.runcall(in_process, plan, concurrency=64, yields=False, ready=False)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            return
        rows = [
            ("engine, jobs made beforehand", {"ready": True, "yields": False}),
            ("engine and plan", {"ready": False, "yields": False}),
            ("engine and plan, one turn of the loop", {"ready": False, "yields": True}),
            ("the same with both limits", {"ready": False, "yields": True, "limited": True}),
        ]
        print(f"{'':40}{'C':>5}{'CPU us/job':>12}{'jobs/s':>9}")
        for concurrency in (64, 512):
            for label, how in rows:
                best = min(in_process(plan, concurrency=concurrency, **how) for _ in range(3))
                print(f"{label:40}{concurrency:5}{best:12.1f}", flush=True)
        with a_server({"accuracy": 0.9, "latency_s": 0.05, "latency_spread": 0.0}) as url:
            for name in ("aiohttp", "httpx"):
                for concurrency in (64, 512):
                    spent, rate = over_http(plan, url, name=name, concurrency=concurrency)
                    print(
                        f"{name + ', simulated server at 50 ms':40}{concurrency:5}{spent:12.1f}{rate:9.0f}", flush=True
                    )


if __name__ == "__main__":
    main()
