"""Where CPU time goes: by thread, and by samples of the main thread's Python stack. Standard library only.

A sample is taken for every millisecond of CPU that the process uses, whichever thread uses it. C code counts for the
Python function that called it; what the event loop does by itself (waiting, reading sockets) counts for its ``run``.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

SAMPLE_S = 0.001


class Sampler:
    """Counts which functions run, from its making until :meth:`stop`."""

    def __init__(self) -> None:
        self._leaves: Counter[str] = Counter()
        self._rooms: Counter[str] = Counter()
        signal.signal(signal.SIGPROF, self._take)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)

    def _take(self, _: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self._leaves[_name(frame)] += 1
        room = next((found for found in map(_room, _callers(frame)) if found is not None), "event loop and the rest")
        self._rooms[room] += 1

    def stop(self) -> dict[str, dict[str, float]]:
        """Return shares of the samples: by file of headgate (innermost on the stack), and by function."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        total = sum(self._leaves.values()) or 1
        return {
            "rooms": {name: count / total for name, count in self._rooms.most_common()},
            "functions": {name: count / total for name, count in self._leaves.most_common(30)},
        }


def _callers(frame: FrameType | None) -> Any:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _room(frame: FrameType) -> str | None:
    """Return the file of headgate that a frame stands in."""
    _, found, inside = frame.f_code.co_filename.rpartition("/headgate/")
    return inside if found else None


def _name(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{'/'.join(path.parts[-2:])}:{frame.f_code.co_qualname}"


def thread_seconds() -> dict[str, float]:
    """Return the CPU seconds of every thread so far, the same names added up; empty where there is no /proc."""
    seconds: Counter[str] = Counter()
    for stat in Path("/proc/self/task").glob("*/stat"):
        head, _, rest = stat.read_text().rpartition(")")
        name, fields = head.partition("(")[2], rest.split()
        label = "main" if stat.parent.name == str(os.getpid()) else name
        seconds[label] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return dict(seconds.most_common())
