"""The acceptance table, measured: ``python tests/acceptance.py [--runs N] [--only A4,A12]`` prints it as Markdown.

Each row is measured by the functions that the tests use, with more runs: what is promised, what was found, and a rival
that must break (the control). ``nox -s simulate`` runs it after the slow tests.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "stats"), str(HERE / "decide")]

import numpy as np
import test_error_rates as rates
import test_evalues as anytime
import test_sequential as looks
from scipy.special import stdtrit

import simulated
from headgate.decide.paired import decide_items
from headgate.stats import holm
from headgate.stats.clusters import spread
from headgate.stats.intervals import MeanLimits
from headgate.stats.paired import PairedLimits
from headgate.stats.pvalue import smallest_alpha

Row = tuple[str, str, str, str]
GRID = rates.GRID
SIZES, SHARES = (20, 50, 200, 1000), (0.5, 0.9, 0.98)


def percent(shares: list[float]) -> str:
    low, high = 100 * min(shares), 100 * max(shares)
    return f"{low:.1f} to {high:.1f} %, mean {100 * float(np.mean(shares)):.1f}"


def a2(runs: int) -> Row:
    rng = np.random.default_rng(2)

    def both(n: int, p: float, seeds: int) -> tuple[float, float]:
        ours = rows = 0
        for _ in range(runs):
            means = simulated.item_scores(rng, n=n, p=p, seeds=seeds, difficulty=rng.standard_normal(n))
            low, high = MeanLimits.of(means, n_rows=n * seeds).at(0.025)
            ours += low <= p <= high
            mean = float(means.mean())
            rows += abs(mean - p) <= 1.96 * (mean * (1 - mean) / (n * seeds)) ** 0.5  # rows as if independent
        return ours / runs, rows / runs

    found = [both(n, p, seeds) for n in SIZES for p in SHARES for seeds in (1, 3, 5)]
    ours, rows = zip(*found, strict=True)
    return (
        "two-sided 95 % interval of one mean, 36 cells",
        "92.5 to 99.5 % in each, 94 to 97 on average",
        percent(list(ours)),
        f"Wald on rows: {percent(list(rows))}",
    )


def a3(runs: int) -> Row:
    rng = np.random.default_rng(3)

    def passes(n: int, p: float, seeds: int) -> tuple[float, float]:
        found = np.zeros(2)
        for _ in range(runs):
            means = simulated.item_scores(rng, n=n, p=p, seeds=seeds, difficulty=rng.standard_normal(n))
            ours = MeanLimits.of(means, n_rows=n * seeds, threshold=True).at(0.05)[0] > p
            one = spread(means, None)
            found += ours, one.mean + stdtrit(one.df, 0.05) * one.se > p
        return tuple(found / runs)

    ours, plain = zip(*(passes(n, p, k) for n in (20, 50, 200) for p in (0.9, 0.98) for k in (3, 5)), strict=True)
    return (
        "absolute threshold at the truth is passed",
        "at most 6.0 %",
        percent(list(ours)),
        f"t: {percent(list(plain))}",
    )


def paired(runs: int, drop: float) -> list[tuple[float, float]]:
    rng = np.random.default_rng(4 + round(100 * drop))
    found = []
    for n, p, seeds in GRID:
        hits = np.zeros(2)
        for _ in range(runs):
            c, b = simulated.pair(rng, n=n, p=p, seeds=seeds, drop=drop)
            low, high = PairedLimits.of(c, b, n_rows=(n * seeds, n * seeds)).at(0.05)
            plain = PairedLimits.of(c, b, bounds=None).at(0.05)
            hits += (low > -0.05, plain[0] > -0.05) if drop else (high < 0, plain[1] < 0)
        found.append(tuple(hits / runs))
    return found


def a4(runs: int) -> Row:
    ours, plain = zip(*paired(runs, 0.0), strict=True)
    return (
        "nothing changed: fails (U < 0), 36 cells",
        "at most 6.5 %, mean 5.3",
        percent(list(ours)),
        f"t: {percent(list(plain))}",
    )


def a5(runs: int) -> Row:
    ours, plain = zip(*paired(runs, 0.05), strict=True)
    return (
        "worse by the margin of 5 points: passes, 36 cells",
        "at most 7.0 %, mean 5.3",
        percent(list(ours)),
        f"t: {percent(list(plain))}",
    )


def a6(runs: int) -> Row:
    rng = np.random.default_rng(6)
    cells = [(200, 1, 0.05, 57), (200, 1, 0.10, 95), (200, 3, 0.05, 90), (50, 5, 0.10, 94), (500, 1, 0.05, 89)]
    found, least = [], []
    for n, seeds, drop, wanted in cells:
        worse = sum(
            PairedLimits.of(*simulated.pair(rng, n=n, p=0.9, seeds=seeds, drop=drop), n_rows=(n * seeds,) * 2).at(0.05)[
                1
            ]
            < 0
            for _ in range(runs)
        )
        found.append(f"{100 * worse / runs:.0f}")
        least.append(str(wanted))
    return (
        "power to fail at 90 %: n/K/drop 200/1/5, 200/1/10, 200/3/5, 50/5/10, 500/1/5",
        f"at least {', '.join(least)} %",
        f"{', '.join(found)} %",
        "-",
    )


def a7(runs: int) -> Row:
    rng = np.random.default_rng(7)
    found = []
    for n, p, seeds in ((200, 0.9, 1), (200, 0.9, 3), (200, 0.98, 1)):
        passes = sum(
            PairedLimits.of(*simulated.pair(rng, n=n, p=p, seeds=seeds), n_rows=(n * seeds,) * 2).at(0.05)[0] > -0.05
            for _ in range(runs)
        )
        found.append(f"{100 * passes / runs:.0f}")
    return (
        "nothing changed: passes; 200 items at 90 % K=1, K=3, at 98 %",
        "at least 62, 93, 93 %",
        f"{', '.join(found)} %",
        "-",
    )


def verdicts(rng: np.random.Generator, runs: int, *, n: int, p: float, drop: float) -> float:
    """Share of fails by the whole rule, the guard of McNemar included."""
    fails = 0
    for _ in range(runs):
        c, b = simulated.pair(rng, n=n, p=p, seeds=1, drop=drop)
        found = decide_items(c, b, margin=0.05, alpha=0.05, cluster=None, bounds=(0, 1), n_rows=(n, n))
        fails += found.verdict == "fail"
    return fails / runs


def a9(runs: int) -> Row:
    rng = np.random.default_rng(9)
    few = max(200, runs // 8)
    found = [verdicts(rng, few, n=200, p=p, drop=0.10) for p in (0.7, 0.9, 0.98)]
    shown = ", ".join(f"{100 * share:.0f}" for share in found)
    return "consistent drop of 10 points, 200 items at 70, 90, 98 %: fails", "at least 85, 95, 99 %", f"{shown} %", "-"


def a10(runs: int) -> Row:
    rng = np.random.default_rng(10)
    ours, naive = [], []
    for clusters in (8, 12, 20, 50):
        for skew in (0.0, 1.4):
            hits = np.zeros(2)
            for _ in range(runs):
                values, cluster = simulated.clustered(rng, clusters=clusters, skew=skew)
                limits, plain = MeanLimits.of(values, cluster=cluster), spread(values, None)
                hits += (
                    limits.spread.known and limits.at(0.05)[1] < 0.5,
                    plain.mean - stdtrit(plain.df, 0.05) * plain.se < 0.5,
                )
            ours.append(hits[0] / runs)
            naive.append(hits[1] / runs)
    return (
        "one-sided error with clusters, G 8 to 50, sizes equal and skewed",
        "at most 7.5 %",
        percent(ours),
        f"items as independent: {percent(naive)}",
    )


def a12(runs: int) -> Row:
    rng = np.random.default_rng(12)
    block, passed, naive, saved = [], [], [], []
    few = max(300, runs // 2)
    for n in (200, 400, 1000):
        for p in (0.7, 0.9, 0.98):
            same, _ = looks.watched(rng, runs=few, n=n, p=p)
            worse, _ = looks.watched(rng, runs=few, n=n, p=p, drop=looks.MARGIN)
            block.append(looks.ever(same["fail"]))
            passed.append(looks.ever(worse["pass"]))
            naive.append(looks.ever(same["naive fail"]))
    said, at = looks.watched(rng, runs=few, n=400, p=0.7, drop=0.10)
    saved.append(looks.length(said, at))
    return (
        "up to five looks: ever fails, nothing changed; ever passes a drop of the margin; items used for 10 points",
        "at most 6.5 %; 6.5 %; 62 %",
        f"{percent(block)}; {percent(passed)}; {100 * saved[0]:.0f} %",
        f"five looks at 5 %: {percent(naive)}",
    )


def a13(runs: int) -> Row:
    few = max(200, runs // 5)
    found = [float(anytime.false_alarms(few, 2000, p, size=10)) for p in (0.6, 0.95)]
    rng = np.random.default_rng(43)
    pairs = ((rng.random((2, 2000)) < 0.95).astype(int) for _ in range(few))
    naive = float(np.mean([anytime.naive_peeks(*pair) for pair in pairs]))
    return (
        "two equal rates, looked at for 2,000 items: ever differ",
        "at most 6 %",
        percent(found),
        f"z at every item: {100 * naive:.0f} %",
    )


def a14(runs: int) -> Row:
    rng = np.random.default_rng(14)
    few = max(200, runs // 4)
    settings = {"runs": few, "n": 1000, "p": 0.85, "drop": looks.MARGIN, "share": 0.4}
    mean, passed = looks.completed(rng, **settings, by_completion=False)
    biased, wrong = looks.completed(rng, **settings, by_completion=True)
    return (
        "failed calls take 1.6 times as long: bias of a look; passes a drop of the margin",
        "below 0.5 points; at most 7.5 %",
        f"{100 * (mean + looks.MARGIN):+.2f} points; {100 * passed:.1f} %",
        f"whatever has completed: {100 * (biased + looks.MARGIN):+.1f} points; {100 * wrong:.0f} %",
    )


def a15(runs: int) -> Row:
    rng = np.random.default_rng(15)
    few, n = max(200, runs // 5), 200
    found, naive = [], []
    for metrics in (5, 20):
        fails = np.zeros(2)
        for _ in range(few):
            shared = rng.standard_normal((2, n))
            p_values = []
            for _ in range(metrics):
                own = rng.standard_normal((2, n))
                c, b = (0.5**0.5 * shared + 0.5**0.5 * own > -1.0).astype(float)
                limits = PairedLimits.of(c, b, n_rows=(n, n))
                p_values.append(smallest_alpha(lambda alpha, limits=limits: limits.at(alpha)[1] < 0))
            fails += min(holm(p_values)) <= 0.05, min(p_values) <= 0.05
        found.append(fails[0] / few)
        naive.append(fails[1] / few)
    return (
        "5 and 20 metrics, correlation 0.5, nothing changed: any fails",
        "at most 6 %",
        percent(found),
        f"each at 5 %: {percent(naive)}",
    )


ROWS: dict[str, Callable[[int], Row]] = {
    "A2": a2, "A3": a3, "A4": a4, "A5": a5, "A6": a6, "A7": a7, "A9": a9, "A10": a10, "A12": a12, "A13": a13,
    "A14": a14, "A15": a15,
}  # fmt: skip


def lines(wanted: list[str], runs: int) -> Iterator[str]:
    yield "| | what | promised | found | control |"
    yield "|---|---|---|---|---|"
    for name in wanted:
        started = time.perf_counter()
        yield f"| {name} | {' | '.join(ROWS[name](runs))} |"
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=4000, help="simulations of each cell")
    parser.add_argument("--only", help="rows, separated by commas")
    options = parser.parse_args()
    wanted = list(ROWS) if options.only is None else options.only.split(",")
    for line in lines(wanted, options.runs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
