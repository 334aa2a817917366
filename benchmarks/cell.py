"""One measurement of the engine, in a process of its own: a run as the library makes it, its costs apart.

``python benchmarks/cell.py SUITE TRANSPORT [--profile]`` prints a line of JSON; ``bench_engine.py`` runs it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from profiling import Sampler, thread_seconds
from support import cpu_s, peak_rss_mb


class Compaction:
    """Takes the seconds of :meth:`RunStore.compact`, which ends ``execute``, apart from the engine's."""

    def __init__(self) -> None:
        from headgate.store.run import RunStore

        self.cpu_s = self.wall_s = 0.0
        compact = RunStore.compact

        def timed(store: RunStore) -> None:
            used, clock = cpu_s(), time.perf_counter()
            compact(store)
            self.cpu_s += cpu_s() - used
            self.wall_s += time.perf_counter() - clock

        RunStore.compact = timed  # type: ignore[method-assign]


async def measure(suite: Path, transport: str, *, profile: bool) -> dict[str, Any]:
    from null import NullTransport

    from headgate.conduct.options import RunOptions
    from headgate.conduct.prepare import prepare
    from headgate.conduct.run import Conductor
    from headgate.execute.transports import open_transport
    from headgate.suite.files import load_suite

    imported = cpu_s()
    declared = load_suite(suite)
    prepared = prepare(declared, suite.parent / "run")
    compaction = Compaction()
    connections = declared.lanes[0].concurrency
    sender = NullTransport() if transport == "null" else open_transport(transport, connections=connections)  # type: ignore[arg-type]
    conductor = Conductor(prepared, options=RunOptions(transport=sender))
    sampler = Sampler() if profile else None
    started, clock = cpu_s(), time.perf_counter()
    await conductor.execute()
    executed, wall_s = cpu_s(), time.perf_counter() - clock
    threads = thread_seconds()
    shares = None if sampler is None else sampler.stop()
    peak_mb, statistics = peak_rss_mb(), conductor.statistics()
    assert statistics is not None
    import polars as pl  # the first scorer would; it is a cost of starting

    assert pl.__version__
    loaded = cpu_s()
    summary = await conductor.finish()
    if dict(summary.counts) != {"ok": summary.planned, "error": 0, "refused": 0}:
        raise SystemExit(f"not every job is ok: {summary.counts}")
    micro = 1e6 / summary.planned
    return {
        "start_s": imported + loaded - executed,
        "prepare_us": micro * (started - imported),
        "engine_us": micro * (executed - started - compaction.cpu_s),
        "compact_us": micro * compaction.cpu_s,
        "score_us": micro * (cpu_s() - loaded),
        "jobs_per_s": summary.planned / (wall_s - compaction.wall_s),
        "peak_mb": peak_mb,
        "lag_ms": 1000 * statistics.most_lag_s,
    } | ({} if shares is None else {"threads": threads, "shares": shares, "jobs": summary.planned})


def main() -> None:
    from headgate.conduct.loop import run_loop

    suite, transport, *flags = sys.argv[1:]
    facts = run_loop(measure(Path(suite), transport, profile="--profile" in flags))
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
