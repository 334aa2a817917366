"""Runs headgate and its peers on the same prompts against the same server, in turns, and prints what each costs.

``python benchmarks/peers/compare.py [--jobs N] [--rounds R] [--only NAME,NAME] [--json FILE]``. Every peer has a venv
(or a node_modules) of its own under ``--home``, is run by its normal command in its normal configuration, without
display and telemetry, on one core; the server (``benchmarks/server.py``) has the other. A round runs every peer with
N / 5 and with N jobs: the difference is what a further job costs when all have started. Figures are medians of rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from catalogue import QUIET, Job, Peer, peers
from measure import measure
from support import CLIENT_CORE, SERVER_CORE, medians, running_server, table, write_items

HOME: Final = Path(__file__).resolve().parent / ".venvs"
BASE: Final = "headgate"
WARM_UP: Final = 20
Facts = dict[str, float]


def run_once(peer: Peer, home: Path, *, jobs: int, concurrency: int, delay_ms: float) -> Facts:
    """Let a peer do so many jobs against a fresh server, and return what it took.

    Raises
    ------
    SystemExit
        If it fails, or an answer is not scored as right.
    """
    with tempfile.TemporaryDirectory() as name, running_server(delay_ms=delay_ms) as server:
        folder = Path(name)
        items = write_items(folder / "items.jsonl", jobs)
        job = Job(folder=folder, items=items, jobs=jobs, url=server.url, concurrency=concurrency)
        place = peer.install(home)
        command = peer.command(place, job)
        given = {name: text.format(url=job.url, items=items, folder=folder) for name, text in peer.env.items()}
        env = {"HOME": str(folder), "PATH": os.environ["PATH"], **QUIET, **given}
        used = measure(command, env=env, cwd=folder, core=CLIENT_CORE)
        seen = server.statistics()
        right = peer.right(place, job)
    if right != jobs:
        raise SystemExit(f"{' '.join(command)}: {right} of {jobs} answers are right")
    return asdict(used) | {
        "jobs": jobs,
        "requests": seen["requests"],
        "connections": seen["connections"],
        "in_flight_peak": seen["in_flight_peak"],
        "first_request_s": seen["first_request_at"] - used.started_at,
        "requests_per_s": seen["requests"] / (seen["last_answer_at"] - seen["first_request_at"]),
        "server_cpu_s": seen["server_cpu_s"],
    }


def summarize(small: list[Facts], large: list[Facts]) -> Facts:
    """Return the medians at N jobs, and what a further job costs, in ms of CPU."""
    few, many = medians(small), medians(large)
    further = 1000 * (many["cpu_s"] - few["cpu_s"]) / (many["jobs"] - few["jobs"])
    return many | {"cpu_ms_per_job": 1000 * many["cpu_s"] / many["jobs"], "further_ms": further}


def show(summaries: Mapping[str, Facts]) -> str:
    """Return the table; ratios are to headgate with its default transport."""
    base = summaries.get(BASE) or next(iter(summaries.values()))
    heads = ["", "CPU ms/job", "x", "further ms/job", "x", "wall s", "req/s", "peak RSS MB", "first request s", "conns"]
    rows = [
        [
            name,
            f"{facts['cpu_ms_per_job']:.3f}",
            f"{facts['cpu_ms_per_job'] / base['cpu_ms_per_job']:.1f}",
            f"{facts['further_ms']:.3f}",
            f"{facts['further_ms'] / base['further_ms']:.1f}",
            f"{facts['wall_s']:.1f}",
            f"{facts['requests_per_s']:.0f}",
            f"{facts['peak_rss_mb']:.0f}",
            f"{facts['first_request_s']:.2f}",
            f"{facts['connections']:.0f}",
        ]
        for name, facts in summaries.items()
    ]
    return table(heads, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=512)
    parser.add_argument("--delay-ms", type=float, default=50.0)
    parser.add_argument("--only", metavar="NAMES", help="separated by commas; `headgate` means all its transports")
    parser.add_argument("--home", type=Path, default=HOME, help="where peers are installed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single measurement there")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> dict[str, Peer]:
    """Return the peers that are asked for."""
    known = peers(options.home)
    if options.only is None:
        return known
    wanted = {name.strip() for name in options.only.split(",")}
    found = {name: peer for name, peer in known.items() if name in wanted or name.split()[0] in wanted}
    if not found:
        raise SystemExit(f"--only {options.only}: known are {', '.join(known)}")
    return found


class Rounds:
    """Lets peers take turns; one that fails is out, and the others go on."""

    def __init__(self, competing: Mapping[str, Peer], options: argparse.Namespace) -> None:
        self.taken: dict[str, dict[int, list[Facts]]] = {name: {} for name in competing}
        self.failed: list[str] = []
        self._competing, self._options = competing, options

    def run(self, label: str, jobs: int, *, keep: bool = True) -> None:
        """Let every peer do so many jobs."""
        for name, peer in self._competing.items():
            if name in self.failed:
                continue
            try:
                facts = self._run(peer, jobs)
            except (SystemExit, subprocess.CalledProcessError) as error:
                self.failed.append(name)
                print(f"{label}: {name} failed: {error}", file=sys.stderr, flush=True)
                continue
            told = f"{label}: {name}, {jobs} jobs: {facts['cpu_s']:.2f} s CPU, {facts['wall_s']:.1f} s"
            print(told, file=sys.stderr, flush=True)
            if keep:
                self.taken[name].setdefault(jobs, []).append(facts)
        if self._options.json is not None:
            self._options.json.write_text(json.dumps(self.taken, indent=1))

    def _run(self, peer: Peer, jobs: int) -> Facts:
        options = self._options
        return run_once(peer, options.home, jobs=jobs, concurrency=options.concurrency, delay_ms=options.delay_ms)


def main() -> None:
    options = arguments()
    options.home.mkdir(parents=True, exist_ok=True)
    competing = chosen(options)
    if SERVER_CORE is not None and sys.platform == "linux":
        os.sched_setaffinity(0, {SERVER_CORE})  # this process only looks on; its children are pinned themselves
    rounds = Rounds(competing, options)
    rounds.run("warm-up", WARM_UP, keep=False)
    for number in range(options.rounds):
        for jobs in (options.jobs // 5, options.jobs):
            rounds.run(f"round {number + 1}", jobs)
    whole = {name: sizes for name, sizes in rounds.taken.items() if len(sizes) == 2}
    summaries = {name: summarize(sizes[options.jobs // 5], sizes[options.jobs]) for name, sizes in whole.items()}
    print(f"{options.jobs} jobs at {options.concurrency} in flight, a {options.delay_ms:g} ms server, ", end="")
    print(f"{options.rounds} rounds, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}\n")
    print(show(summaries))
    print("\nwhat they do more of:")
    print("\n".join(f"- {name} ({competing[name].version}): {competing[name].more}" for name in summaries))
    if rounds.failed:
        raise SystemExit(f"failed: {', '.join(rounds.failed)}")


if __name__ == "__main__":
    main()
