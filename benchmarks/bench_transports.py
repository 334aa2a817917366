"""CPU per request of each transport, without an engine around it.

``python benchmarks/bench_transports.py [--rounds N] [--requests N]``. Each measurement is a process of its own on one
core, the server runs on the other, and the transports take turns. What a request costs once its connection stands is
counted; the least and the median of the rounds are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import uvloop
from support import cpu_s, peak_rss_mb, pin_client, question, running_server, table

from headgate.execute.transport import Request, Target, Transport
from headgate.execute.transports import TRANSPORTS, TransportName, open_transport

CELLS = ((64, 50), (512, 50), (512, 100), (2048, 500))
"""Requests in flight, and the server's delay in milliseconds."""

HEADERS = {"content-type": "application/json", "accept": "application/json", "authorization": "Bearer sk-0123456789"}
BODY = json.dumps({"model": "bench", "messages": [{"role": "user", "content": question(1)}]}).encode()


async def send_all(transport: Transport, target: Target, *, requests: int, concurrency: int) -> None:
    pending = iter(range(requests))

    async def work() -> None:
        for _ in pending:
            response = await transport.send(Request(target, BODY), timeout_s=60.0)
            assert response.status == 200

    await asyncio.gather(*(work() for _ in range(concurrency)))


async def measure(name: TransportName, url: str, *, requests: int, concurrency: int) -> dict[str, float]:
    """Return CPU microseconds per request, and the most memory."""
    transport, target = open_transport(name, connections=concurrency), Target(url + "/chat/completions", HEADERS)
    await send_all(transport, target, requests=3 * concurrency, concurrency=concurrency)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # as in a run
    before = cpu_s()
    await send_all(transport, target, requests=requests, concurrency=concurrency)
    spent = cpu_s() - before
    await transport.aclose()
    return {"us": 1e6 * spent / requests, "mb": peak_rss_mb()}


def in_a_process(name: str, url: str, *, requests: int, concurrency: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", name, url, str(concurrency), "--requests", str(requests)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def row(name: str, concurrency: int, delay_ms: int, rounds: list[Mapping[str, float]]) -> list[str]:
    costs = [each["us"] for each in rounds]
    numbers = (min(costs), statistics.median(costs), max(each["mb"] for each in rounds))
    return [name, str(concurrency), str(delay_ms), *(f"{number:.0f}" for number in numbers)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--one", nargs=3, metavar=("NAME", "URL", "C"), help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.one:
        name, url, concurrency = options.one
        pin_client()
        said = uvloop.run(measure(name, url, requests=options.requests, concurrency=int(concurrency)))
        print(json.dumps(said))
        return
    rows: list[list[str]] = []
    for concurrency, delay_ms in CELLS:
        found: dict[str, list[Mapping[str, float]]] = {name: [] for name in TRANSPORTS}
        with running_server(delay_ms=delay_ms) as server:
            for _ in range(options.rounds):
                for name, rounds in found.items():
                    each = in_a_process(name, server.url, requests=options.requests, concurrency=concurrency)
                    rounds.append(each)
        rows += [row(name, concurrency, delay_ms, rounds) for name, rounds in found.items()]
    print(table(["transport", "in flight", "delay ms", "least us", "median us", "peak MB"], rows))


if __name__ == "__main__":
    main()
