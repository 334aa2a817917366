"""Measures a command with all the processes that it starts: CPU seconds, memory, wall."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

SAMPLE_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a command used.

    Attributes
    ----------
    cpu_s : float
        User and system seconds of it and of all children that were waited for, all threads.
    peak_rss_mb : float
        Most memory of all its processes together, sampled, and at least the largest one's own peak.
    started_at : float
        Seconds since the epoch.
    """

    cpu_s: float
    wall_s: float
    peak_rss_mb: float
    started_at: float


def measure(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, core: int | None) -> Used:
    """Run a command to its end on one core; its output goes to ``log.txt`` in ``cwd``.

    Raises
    ------
    SystemExit
        If it fails; the end of its output is printed.
    """

    def pin() -> None:
        if core is not None and sys.platform == "linux":
            os.sched_setaffinity(0, {core})

    log = cwd / "log.txt"
    with log.open("wb") as output:
        started_at, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=pin,  # noqa: PLW1509 - this process has one thread
        )
        sampled, status, usage = _watch(process.pid)
        wall_s = time.perf_counter() - clock
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{log.read_text()[-2000:]}")
    own = usage.ru_maxrss / 1e6 if sys.platform == "darwin" else usage.ru_maxrss * 1024 / 1e6
    cpu_s = usage.ru_utime + usage.ru_stime
    return Used(cpu_s=cpu_s, wall_s=wall_s, peak_rss_mb=max(own, sampled), started_at=started_at)


def _watch(pid: int) -> tuple[float, int, resource.struct_rusage]:
    peak, parent = 0.0, psutil.Process(pid)
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return peak, status, usage
        peak = max(peak, _tree_mb(parent))
        time.sleep(SAMPLE_S)


def _tree_mb(parent: psutil.Process) -> float:
    total = 0
    with suppress(psutil.Error):  # one of them ended meanwhile
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_info().rss
    return total / 1e6
