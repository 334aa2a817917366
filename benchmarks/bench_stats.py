"""Time of error bars: an exact bootstrap and shared resamples against scipy and arch; 10 million rows to a verdict.

``python benchmarks/bench_stats.py [--rounds N] [--rows N] [--loop N]``. One thread, rounds interleaved; the least of
each is printed. scipy and arch need a run for every metric: they are timed for ``--loop`` of 32, and scaled. arch is
left out where it is not installed, memory where there is no /proc.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import bootstrap

from headgate.decide.paired import decide_paired
from headgate.stats.bootstrap import bootstrap_mean
from headgate.stats.items import item_means
from headgate.stats.resample import resample_means

N: Final = 10_000
METRICS: Final = 32
ONE_THREAD: Final = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB")}
MARK: Final = Path("/proc/self/clear_refs")
Run = Callable[[], object]


def scipy_run(values: np.ndarray, method: str) -> object:
    return bootstrap((values,), np.mean, n_resamples=N, batch=100, method=method, rng=np.random.default_rng(1))


def arch_run(values: np.ndarray, method: str) -> object:
    from arch.bootstrap import IIDBootstrap

    return IIDBootstrap(values, seed=np.random.default_rng(1)).conf_int(np.mean, reps=N, method=method)


def loops(values: np.ndarray) -> dict[str, Run]:
    """Return the rivals: a run for each metric."""
    found: dict[str, Run] = {
        "scipy, percentile": partial(scipy_run, values, "percentile"),
        "scipy, BCa": partial(scipy_run, values, "BCa"),
    }
    if importlib.util.find_spec("arch"):
        found["arch, percentile"] = partial(arch_run, values, "percentile")
        found["arch, BCa"] = partial(arch_run, values, "bca")
    return found


def jointly(columns: np.ndarray) -> None:
    resampled = resample_means(columns, resamples=N)
    for index in range(columns.shape[1]):
        resampled.interval(lambda means, index=index: means[..., index])


def repeated(run: Run, times: int) -> None:
    for _ in range(times):
        run()


def least(runs: Mapping[str, Run], rounds: int) -> dict[str, float]:
    """Return the least seconds of each run; every round runs all of them."""
    found: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            gc.collect()
            started = time.perf_counter()
            run()
            spent = time.perf_counter() - started
            found[name] = min(spent, found.get(name, spent))
    return found


def show(title: str, found: Mapping[str, float], *, against: str) -> None:
    print(f"\n{title:46}{'ms':>10}{f'{against} / this':>30}")
    for name, seconds in found.items():
        print(f"{name:46}{1e3 * seconds:10.1f}{found[against] / seconds:30.1f}")


def intervals(rounds: int, loop: int) -> None:
    """Print the tables of one mean and of many metrics."""
    rng = np.random.default_rng(0)
    columns, levels = rng.lognormal(size=(N, METRICS)), rng.integers(0, 11, N) / 10
    rivals = loops(columns[:, 0])
    ours: dict[str, Run] = {
        "headgate, eleven levels": partial(bootstrap_mean, levels),
        "headgate, any values": partial(bootstrap_mean, columns[:, 0]),
        "headgate, any values, BCa": partial(bootstrap_mean, columns[:, 0], method="bca"),
    }
    print(f"n = B = {N:,}, one thread, least of {rounds} interleaved rounds; {loop} of {METRICS} metrics in loops")
    show("one mean", least(ours | rivals, rounds), against="scipy, percentile")
    many = {name: partial(repeated, run, loop) for name, run in rivals.items() if name.endswith("percentile")}
    found = least({"headgate, shared resamples": partial(jointly, columns)} | many, rounds)
    scaled = {name: spent * METRICS / loop if name in many else spent for name, spent in found.items()}
    show(f"{METRICS} metrics", scaled, against="scipy, percentile")


def peak_mb() -> float:
    """Return the most memory since the mark was put down; 0 where the system does not say."""
    if not MARK.exists():
        return 0.0
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def verdict(rows: int) -> None:
    """Print seconds, and memory above the input, from rows to item means and to a decision."""
    rng = np.random.default_rng(1)
    ordered = np.repeat(np.arange(rows // 10), 10)
    candidate, baseline = (rng.random((2, ordered.size), dtype=np.float32) < 0.9).astype(np.float32)
    print(f"\n{f'{ordered.size:,} rows of {rows // 10:,} items':46}{'ms':>10}{'MB above input':>30}")
    for order, items in (("sorted", ordered), ("shuffled", rng.permutation(ordered))):
        runs: dict[str, Run] = {
            f"item_means of one arm, {order}": partial(item_means, candidate, items),
            f"decide_paired, {order}": partial(decide_paired, candidate, baseline, margin=0.02, items=items),
        }
        for name, run in runs.items():
            gc.collect()
            if MARK.exists():
                MARK.write_text("5")
            before, started = peak_mb(), time.perf_counter()
            run()
            print(f"{name:46}{1e3 * (time.perf_counter() - started):10.0f}{peak_mb() - before:30.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--loop", type=int, default=2)
    parser.add_argument("--part", choices=("intervals", "verdict"), help="in this process, without setting threads")
    options = parser.parse_args()
    if options.part == "intervals":
        intervals(options.rounds, options.loop)
    elif options.part == "verdict":
        verdict(options.rows)
    else:
        for part in ("intervals", "verdict"):
            command = [sys.executable, __file__, *sys.argv[1:], "--part", part]
            subprocess.run(command, env=os.environ | ONE_THREAD, check=True)


if __name__ == "__main__":
    main()
