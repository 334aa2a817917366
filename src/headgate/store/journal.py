"""The journal: results become durable in groups, on a thread of their own, and are acknowledged after that."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate.errors import StoreError
from headgate.result import Result
from headgate.store.disk import naming
from headgate.store.layout import make_stem
from headgate.store.schema import to_batch
from headgate.store.segment import SegmentWriter

_BATCH_ROWS = 256
"""Most rows in one batch; a group is larger when the disk was slow and many producers wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLimits:
    """When to commit, when to start a new segment, and how much may wait.

    Attributes
    ----------
    commit_rows, commit_s : int, float
        A commit starts at this many waiting rows, or this many seconds after the first of them, whichever comes first,
        and not before the one before it has ended.
    rotate_rows, rotate_bytes : int
        A segment is sealed when it has reached one of them. Compaction takes three times its bytes of memory, in the
        process that holds the connections.
    capacity : int
        Rows that may wait for their commit before producers are held back. Each hands over one row and then waits, so
        never more than ``capacity - 1`` rows and one for each producer are at risk.
    """

    commit_rows: int = 192
    commit_s: float = 0.2
    rotate_rows: int = 100_000
    rotate_bytes: int = 8 << 20
    capacity: int = 256


class JournalWriter:
    """Writes results durably; one per process and run directory.

    Parameters
    ----------
    folder : Path
        The journal folder; it exists, and this process holds its lock.
    generation, shard : int
        They stand in the names of the segments.
    on_commit : callable, optional
        Receives each list of results once it is durable: in the event loop when the writer was made inside a running
        one, else on the writer's thread.
    limits : JournalLimits
        Group sizes.

    Raises
    ------
    StoreError
        From :meth:`append`, from the awaitable it returned and from :meth:`close`, when the disk refused or a row does
        not fit the schema. That is final, since a failed sync may have dropped pages: nothing more is written or
        acknowledged, and the next start continues from what can be read back.

    Examples
    --------
    >>> import tempfile
    >>> from headgate.store.segment import read_segment
    >>> row = Result(job_id="0" * 32, item_id="1", prompt="p", prompt_digest="0" * 32, model="m", provider="python",
    ...              endpoint="python", seed=1, status="ok", output="hi", started_at=0, finished_at=1)
    >>> done = []
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = JournalWriter(Path(folder), generation=1, on_commit=done.extend)
    ...     writer.append(row)
    ...     writer.close()
    ...     [segment] = Path(folder).glob("*.arrows")
    ...     sum(batch.num_rows for batch in read_segment(segment))
    1
    >>> done == [row]
    True
    """

    def __init__(
        self,
        folder: Path,
        *,
        generation: int,
        shard: int = 0,
        on_commit: Callable[[list[Result]], object] | None = None,
        limits: JournalLimits | None = None,
    ) -> None:
        self.limits = limits or JournalLimits()
        self.committed = 0
        self._commit_rows = min(self.limits.commit_rows, self.limits.capacity)  # a full buffer must not wait for time
        self._folder, self._generation, self._shard = folder, generation, shard
        self._writer, self._sequence = secrets.token_hex(4), 0
        self._on_commit, self._loop = on_commit, _running_loop()
        self._lock = threading.Lock()
        self._work, self._room = threading.Condition(self._lock), threading.Condition(self._lock)
        self._buffer: list[Result] = []
        self._pending, self._first_at = 0, 0.0
        self._waiters: list[asyncio.Future[None]] = []
        self._segment: SegmentWriter | None = None
        self._failure: StoreError | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="headgate-journal", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Rows appended and not committed yet."""
        return self._pending

    @property
    def segment(self) -> Path | None:
        """The segment that is open now, if any."""
        segment = self._segment
        return None if segment is None else segment.path

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called, or the journal failed."""
        return self._closing or self._failure is not None

    def append(self, result: Result) -> Awaitable[None] | None:
        """Take one result.

        Returns
        -------
        None or awaitable
            ``None`` while there is room. Otherwise the result is taken all the same, and the producer awaits what it
            got before it makes another one. Outside the event loop in which the journal was opened, the call itself
            waits, and returns ``None``.

        Raises
        ------
        StoreError
            If the journal has failed, or is closed.
        """
        with self._lock:
            if self._failure is not None or self._closing:
                raise self._failure or StoreError(f"{self._folder}: the journal is closed")
            self._buffer.append(result)
            self._pending += 1
            waiting = len(self._buffer)
            if waiting == 1:
                self._first_at = time.monotonic()
                self._work.notify()
            elif waiting == self._commit_rows:
                self._work.notify()
            if self._pending < self.limits.capacity:
                return None
            return self._wait_for_room()

    async def drain(self) -> None:
        """Wait until every row that was appended is durable; in the event loop in which the journal was opened.

        Raises
        ------
        StoreError
            If the journal fails before.
        """
        while True:
            with self._lock:
                if self._failure is not None:
                    raise self._failure
                if not self._pending:
                    return
                assert self._loop is not None
                self._waiters.append(waiter := self._loop.create_future())
            await waiter

    def close(self) -> None:
        """Commit what waits, seal the segment and stop; blocks until it is done.

        Raises
        ------
        StoreError
            If anything could not be made durable, now or earlier.
        """
        with self._lock:
            self._closing = True
            self._work.notify()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        """Close without blocking the event loop; every ``on_commit`` has run when this returns."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def _wait_for_room(self) -> Awaitable[None] | None:
        """Return a future that the writer resolves, or block outside its event loop; the lock is held."""
        if self._loop is not None and _running_loop() is self._loop:
            self._waiters.append(future := self._loop.create_future())
            return future
        self._room.wait_for(lambda: self._failure is not None or self._pending < self.limits.capacity)
        if self._failure is not None:
            raise self._failure
        return None

    # What follows runs on the writer's thread.

    def _serve(self) -> None:
        try:
            while rows := self._take():
                self._commit(rows)
                self._acknowledge(rows)
            with naming(self._folder, "seal the journal"):
                self._seal()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must reach the producer and not die with the thread
            self._fail(error)

    def _take(self) -> list[Result]:
        """Wait for a group of rows; an empty one means that the journal closes."""
        with self._lock:
            self._work.wait_for(lambda: self._buffer or self._closing)
            deadline = self._first_at + self.limits.commit_s
            while len(self._buffer) < self._commit_rows and not self._closing:
                if not self._work.wait(deadline - time.monotonic()):
                    break
            rows, self._buffer = self._buffer, []
            return rows

    def _commit(self, rows: Sequence[Result]) -> None:
        with naming(self._folder, "write the journal"):
            segment = self._open()
            for start in range(0, len(rows), _BATCH_ROWS):
                segment.write(to_batch(rows[start : start + _BATCH_ROWS]))
            segment.sync()
            if segment.rows >= self.limits.rotate_rows or segment.size >= self.limits.rotate_bytes:
                self._seal()

    def _open(self) -> SegmentWriter:
        if self._segment is None:
            self._sequence += 1
            stem = make_stem(
                generation=self._generation, shard=self._shard, writer=self._writer, sequence=self._sequence
            )
            self._segment = SegmentWriter(self._folder / f"{stem}.arrows")
        return self._segment

    def _seal(self) -> None:
        if self._segment is not None:
            self._segment.seal()
            self._segment = None

    def _acknowledge(self, rows: list[Result]) -> None:
        with self._lock:
            self._pending -= len(rows)
            self.committed += len(rows)
            waiters = self._release() if self._pending < self.limits.capacity else []
        self._call(self._tell, rows, waiters)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, StoreError):
            error = StoreError(f"{self._folder}: the journal failed: {type(error).__name__}: {error}")
        if self._segment is not None:
            self._segment.abandon()
        with self._lock:
            self._failure = error
            waiters = self._release()
        self._call(_resolve, waiters, error)

    def _release(self) -> list[asyncio.Future[None]]:
        """Wake blocked producers and return the waiting ones; the lock is held."""
        self._room.notify_all()
        waiters, self._waiters = self._waiters, []
        return waiters

    def _call(self, function: Callable[..., object], *values: object) -> None:
        """Call in the event loop, once for a whole group: each call wakes it up."""
        if self._loop is None:
            function(*values)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more, and the rows are safe
            self._loop.call_soon_threadsafe(function, *values)

    def _tell(self, rows: list[Result], waiters: list[asyncio.Future[None]]) -> None:
        _resolve(waiters)
        if self._on_commit is not None:
            self._on_commit(rows)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _resolve(waiters: Iterable[asyncio.Future[None]], error: StoreError | None = None) -> None:
    for waiter in waiters:
        if waiter.done():  # the producer was cancelled
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
