"""CPU per admission: a lane against aiolimiter, with places free and with a crowd that waits.

``python benchmarks/bench_lanes.py [--rounds N]``. Rounds of all rows are interleaved, and the least of each is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import uvloop
from aiolimiter import AsyncLimiter

from headgate.execute.concurrency import Concurrency
from headgate.execute.lanes import Lane
from headgate.execute.quota import read_quota

FREE: Final = 50_000
WAITING: Final = 10_000
PER_SECOND: Final = 2000
TOKENS: Final = (300.0, 100.0)
HEADERS: Final = {f"x-some-header-{number}": "value" for number in range(14)} | {
    f"x-ratelimit-{what}-{field}": value
    for what, value in {"limit": "5000", "remaining": "4990", "reset": "120ms"}.items()
    for field in ("requests", "tokens")
}

Measure = Callable[[], Awaitable[float]]


async def free_lane(lane: Lane, *, settle: bool = False) -> float:
    """Return CPU microseconds per admission by the path that the engine takes."""
    started = time.process_time()
    for _ in range(FREE):
        if not lane.try_acquire(*TOKENS):
            await lane.acquire(*TOKENS)
        if settle:
            lane.settle(TOKENS, (280.0, 20.0))
    return 1e6 * (time.process_time() - started) / FREE


async def free_aiolimiter() -> float:
    limiter = AsyncLimiter(10 * FREE, 1)
    started = time.process_time()
    for _ in range(FREE):
        await limiter.acquire()
    return 1e6 * (time.process_time() - started) / FREE


async def crowd(acquire: Callable[[], Awaitable[Any]]) -> float:
    """Return CPU microseconds per admission when all wait from the start; making their tasks is in it."""
    started = time.process_time()
    await asyncio.gather(*(acquire() for _ in range(WAITING)))
    return 1e6 * (time.process_time() - started) / WAITING


async def headers() -> float:
    lane = Lane(requests_per_minute=6e6, tokens_per_minute=6e9)
    started = time.process_time()
    for _ in range(FREE):
        quota = read_quota(HEADERS)
        assert quota is not None
        lane.observe(quota)
    return 1e6 * (time.process_time() - started) / FREE


async def slot() -> float:
    concurrency = Concurrency(512)
    concurrency.limited(0)
    started = time.process_time()
    for _ in range(FREE):
        if not concurrency.try_enter():
            await concurrency.enter()
        concurrency.succeeded(concurrency.episode, 1)
        concurrency.leave()
    return 1e6 * (time.process_time() - started) / FREE


ROWS: Final[Mapping[str, Measure]] = {
    "lane without limits": lambda: free_lane(Lane()),
    "lane, requests": lambda: free_lane(Lane(requests_per_minute=6e9)),
    "lane, requests and tokens": lambda: free_lane(Lane(requests_per_minute=6e9, tokens_per_minute=6e12)),
    "the same, settled": lambda: free_lane(Lane(requests_per_minute=6e9, tokens_per_minute=6e12), settle=True),
    "lane, all four limits": lambda: free_lane(
        Lane(
            requests_per_minute=6e9,
            tokens_per_minute=6e12,
            input_tokens_per_minute=6e12,
            output_tokens_per_minute=6e12,
        )
    ),
    "aiolimiter": free_aiolimiter,
    "a slot: enter, succeed, leave": slot,
    "headers of a response: read, observe": headers,
    "tasks that do not wait": lambda: crowd(Lane().acquire),
    "10k wait, lane at 2,000/s": lambda: crowd(Lane(requests_per_minute=60 * PER_SECOND).acquire),
    "10k wait, aiolimiter at 2,000/s": lambda: crowd(AsyncLimiter(PER_SECOND, 1).acquire),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    least: dict[tuple[str, str], float] = {}
    for _ in range(options.rounds):
        for row, measure in ROWS.items():
            for name, factory in loops.items():
                gc.collect()
                with asyncio.Runner(loop_factory=factory) as runner:
                    spent = runner.run(measure())  # type: ignore[arg-type]
                least[row, name] = min(spent, least.get((row, name), spent))
    print(f"{'CPU us per admission':40}" + "".join(f"{name:>10}" for name in loops))
    for row in ROWS:
        print(f"{row:40}" + "".join(f"{least[row, name]:10.2f}" for name in loops))


if __name__ == "__main__":
    main()
