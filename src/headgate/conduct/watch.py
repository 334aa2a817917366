"""One task beside a run: it says when nothing moves, and keeps the metrics file current."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from headgate.errors import ConfigError
from headgate.execute.statistics import EngineStatistics
from headgate.report.metrics import format_metrics
from headgate.report.stall import describe_stall

STALL_S: Final = 60.0
"""Nothing moved for so long: say what it waits for, and again as long after."""

_TICK_S: Final = 1.0
_METRICS_S: Final = 15.0
_LOG: Final = logging.getLogger("headgate.conduct")
_NOTHING: Final = EngineStatistics(
    elapsed_s=0.0, ok=0, refused=0, errors={}, failures={}, attempts=0, in_flight=0, in_backoff=0, input_tokens=0,
    output_tokens=0,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the watcher looks at.

    Attributes
    ----------
    statistics : callable
        The engine's statistics; None before it starts.
    rows_pending : callable
        Rows that are not on the disk yet.
    jobs : callable
        Jobs of this call so far: those of judges come with the answers that they grade.
    run : mapping of str to str
        What names the run in its metrics.
    """

    statistics: Callable[[], EngineStatistics | None]
    rows_pending: Callable[[], int]
    jobs: Callable[[], int]
    run: Mapping[str, str]


class Watcher:
    """Watches a run while it is entered.

    It wakes once a second, whatever the number of jobs. A stall is a warning of the logger ``headgate.conduct``; so is
    a metrics file that cannot be written any more, and neither ends the run.

    Parameters
    ----------
    watched : Watched
        The run.
    metrics_file : Path, optional
        Prometheus text for node_exporter's textfile collector: replaced whole every 15 s and at the end.
    stall_s : float
        Seconds without a job, an attempt or a commit that ended.

    Raises
    ------
    ConfigError
        On entering, if the metrics file cannot be written.
    """

    def __init__(self, watched: Watched, *, metrics_file: Path | None = None, stall_s: float = STALL_S) -> None:
        self._watched, self._metrics_file, self._stall_s = watched, metrics_file, stall_s
        self._moved: object = None
        self._moved_at = self._written_at = time.monotonic()
        self._warned = 0
        self._failing = False
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        if self._metrics_file is not None:
            try:
                await asyncio.to_thread(write_metrics, self._metrics_file, self._metrics(running=True))
            except OSError as error:
                raise _unwritable("metrics_file", self._metrics_file, error.strerror) from error
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        await self._task
        self._look()
        await self._write(running=False)

    async def _watch(self) -> None:
        while not await self._ends_within(_TICK_S):
            self._look()
            if time.monotonic() - self._written_at >= _METRICS_S:
                await self._write(running=True)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()

    def _look(self) -> None:
        """Note what moved since the last look, and warn when nothing did for too long."""
        now, pending = self._watched.statistics() or _NOTHING, self._watched.rows_pending()
        moved = (now.done, sum(now.failures.values()), pending)
        if moved != self._moved:
            if self._warned:
                _LOG.info("moving again", extra={"facts": {"idle_s": round(self._idle_s(), 1)}})
            self._moved, self._moved_at, self._warned = moved, time.monotonic(), 0
        elif (due := int(self._idle_s() / self._stall_s)) > self._warned and (
            now.done < self._watched.jobs() or pending
        ):
            self._warned = due
            self._warn(now, pending)

    def _warn(self, now: EngineStatistics, pending: int) -> None:
        idle_s, left = self._idle_s(), self._watched.jobs() - now.done
        lanes = [{"lane": "+".join(lane.models), "waits_for": lane.waits_for} for lane in now.lanes]
        facts = {
            "message": describe_stall(now, idle_s=idle_s, jobs_left=left, rows_pending=pending),
            "idle_s": round(idle_s, 1),
            "jobs_left": left,
            "rows_pending": pending,
            "lag_s": now.lag_s,
            "lanes": lanes,
        }
        _LOG.warning("stalled", extra={"facts": facts})

    def _idle_s(self) -> float:
        return time.monotonic() - self._moved_at

    async def _write(self, *, running: bool) -> None:
        self._written_at = time.monotonic()
        if self._metrics_file is None:
            return
        try:
            await asyncio.to_thread(write_metrics, self._metrics_file, self._metrics(running=running))
            self._failing = False
        except OSError as error:
            if not self._failing:
                said = f"the metrics file {self._metrics_file} cannot be written: {error.strerror}"
                _LOG.warning("metrics file failed", extra={"facts": {"message": said}})
            self._failing = True

    def _metrics(self, *, running: bool) -> str:
        watched = self._watched
        return format_metrics(
            watched.statistics() or _NOTHING,
            jobs=watched.jobs(),
            rows_pending=watched.rows_pending(),
            idle_s=self._idle_s(),
            running=running,
            run=watched.run,
        )


def write_metrics(path: Path, text: str) -> None:
    """Replace a metrics file whole: the collector, which reads ``*.prom``, sees the old one or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def check_output(path: Path, *, field: str, replaced: bool = False) -> None:
    """Refuse a file that cannot be written, before anything is made.

    Parameters
    ----------
    field : str
        The name of the option.
    replaced : bool
        The file will be replaced, so it must not be a device or a pipe.

    Raises
    ------
    ConfigError
        If it is no file, or there is no right to write it.
    """
    if path.is_dir() or (replaced and path.exists() and not path.is_file()):
        raise _unwritable(field, path, "it is no regular file")
    existing = next((part for part in (path, *path.absolute().parents) if part.exists()), path)
    if existing != path and not existing.is_dir():
        raise _unwritable(field, path, f"{existing} is no folder")
    if not os.access(existing, os.W_OK):
        raise _unwritable(field, path, f"no right to write to {existing}")
    if replaced and path.exists() and not os.access(path.absolute().parent, os.W_OK):
        raise _unwritable(field, path, f"no right to write to {path.absolute().parent}")


def _unwritable(field: str, path: Path, why: str | None) -> ConfigError:
    return ConfigError(f"cannot be written: {why}", file=path, field=field, mend="choose another file")
