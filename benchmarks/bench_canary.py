"""Canaries: rows a second that one core takes in, how long a drop goes unseen, and what peeking would do.

``python benchmarks/bench_canary.py [--rows N] [--trials N] [--horizon N] [--share X]``.

Rows are read from JSONL, half of them of
each arm and a little out of order, scored by a text scorer, and judged by three gates. The simulations look after every
request; a word that was said stays, so a false one counts whenever it was said.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from scipy.special import ndtri

from headgate.conduct.canary import Watcher
from headgate.decide.canary import questions_of
from headgate.suite.canary import Canary
from headgate.suite.gate import Gate, Policy
from headgate.suite.scorers import Contains
from headgate.traffic.units import Units

STABLE, MARGIN, ALPHA = 0.9, 0.05, 0.05
DROPS: Final = (0.0, 0.02, 0.05, 0.10, 0.20)
BLOCK: Final = 50
TEXT: Final = "Your parcel left the depot this morning and should be with you by Thursday, yes. " * 3


def write_logs(folder: Path, n: int) -> None:
    """Write ``n`` rows of 400 bytes, in two files."""
    rng = np.random.default_rng(0)
    times = 1.76e9 + np.arange(n) / 100 + rng.random(n) * 5
    arms, good, seconds = rng.random(n) < 0.5, rng.random(n) < STABLE, rng.lognormal(0, 0.5, n)
    with (folder / "stable.jsonl").open("w") as stable, (folder / "canary.jsonl").open("w") as canary:
        for k in range(n):
            row = {"time": times[k], "id": f"request-{k}", "user": f"user-{k // 3}", "status": "ok", "model": "small"}
            row |= {"latency_s": seconds[k], "output_tokens": 60, "output": TEXT if good[k] else "I cannot say."}
            (canary if arms[k] else stable).write(json.dumps(row) + "\n")


def ingest(n: int) -> dict[str, float]:
    """Return rows per CPU second, with and without clusters; the state is kept on the way."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_logs(folder, n)
        for cluster in (None, "user"):
            declared = Canary.model_validate(
                {
                    "traffic": {arm: str(folder / f"{arm}.jsonl") for arm in ("stable", "canary")},
                    "cluster": cluster,
                    "scorers": [{"name": "good", "type": "contains", "target": "yes"}],
                    "gates": [
                        {"metric": "good", "margin": MARGIN},
                        {"metric": "error_rate", "margin": 0.02},
                        {"metric": "latency_s", "max_ratio": 1.2},
                    ],
                }
            )
            asyncio.run(drain(Watcher(declared)))  # imports, and the disk's cache
            watcher = Watcher(declared, state=folder / f"state-{cluster}")
            start = time.process_time()
            asyncio.run(drain(watcher))
            found["users" if cluster else "rows"] = n / (time.process_time() - start)
            traffic = watcher.verdict().traffic
            assert traffic is not None
            assert traffic.candidate.rows + traffic.baseline.rows == n
            assert traffic.candidate.late + traffic.baseline.late == 0
            watcher.close()
    return found


async def drain(watcher: Watcher) -> None:
    steps = 0
    while await watcher.step():
        steps += 1
        if steps % 10 == 0:
            watcher.save()
    watcher.save()


def arrivals(seed: list[int], n: int, drop: float, share: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    for _ in range(n // BLOCK):
        canary = rng.random(BLOCK) < share
        yield canary, (rng.random(BLOCK) < STABLE - drop * canary).astype(float)


def watched(drop: float, trial: int, horizon: int, share: float) -> tuple[str, int]:
    """Return the first word of a canary, and after how many requests it was said."""
    (asked,) = questions_of([Gate(metric="good", margin=MARGIN)], [Contains(name="good", type="contains")], Policy())
    seen, n = asked.open(), 0
    for canary, values in arrivals([1, trial], horizon, drop, share):
        seen, n = asked.update(seen, Units(canary=canary, values={"good": values})), n + BLOCK
        if seen.word != "inconclusive":
            break
    return seen.word, n


def peeked(drop: float, trial: int, horizon: int, share: float) -> bool:
    """Return whether a test at 5 %, looked at after every request, ever calls the canary worse."""
    blocks = list(arrivals([1, trial], horizon, drop, share))
    canary, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    n1, n0 = np.cumsum(canary), np.cumsum(~canary)
    s1, s0 = np.cumsum(values * canary), np.cumsum(values * ~canary)
    there = (n1 >= 30) & (n0 >= 30)
    p1, p0 = s1[there] / n1[there], s0[there] / n0[there]
    se = np.sqrt(p1 * (1 - p1) / n1[there] + p0 * (1 - p0) / n0[there])
    return bool(((p1 - p0) < ndtri(ALPHA) * se).any())


def delays(trials: int, horizon: int, share: float) -> None:
    print(
        f"\np = {STABLE}, margin {MARGIN}, alpha {ALPHA}, {trials} canaries, up to {horizon:,} requests of both arms\n"
    )
    print(
        "| drop | rolled back | promoted | neither | requests until then, median (90 %) | peeking at 5 % rolls back |"
    )
    print("|---|---|---|---|---|---|")
    for drop in DROPS:
        found = [watched(drop, trial, horizon, share) for trial in range(trials)]
        words, settled = [word for word, _ in found], [n for word, n in found if word != "inconclusive"]
        shares = " | ".join(f"{words.count(word) / trials:.1%}" for word in ("fail", "pass", "inconclusive"))
        delay = f"{np.median(settled):,.0f} ({np.quantile(settled, 0.9):,.0f})" if settled else "-"
        peeks = np.mean([peeked(drop, trial, horizon, share) for trial in range(trials)])
        print(f"| {drop:g} | {shares} | {delay} | {peeks:.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--horizon", type=int, default=10_000)
    parser.add_argument("--share", type=float, default=0.5, help="of the traffic that the canary gets")
    options = parser.parse_args()
    for kind, rate in ingest(options.rows).items():
        print(f"{options.rows:,} rows, units are {kind}: {rate:,.0f} rows per CPU second")
    delays(options.trials, options.horizon, options.share)


if __name__ == "__main__":
    main()
