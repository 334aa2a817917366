"""All files of traffic as one stream of rows, merged by time, from where it was read to last."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from headgate.errors import StoreError
from headgate.traffic.cursor import Mark, Record, Unreadable, head_of, is_whole, marked, read_records
from headgate.traffic.litellm import read_litellm
from headgate.traffic.otlp import read_otlp
from headgate.traffic.plain import read_plain
from headgate.traffic.row import Bad, Columns, Reader, Row
from headgate.traffic.storage import File, Storage

Format: TypeAlias = Literal["plain", "otlp", "litellm"]
READERS: Final[Mapping[Format, Reader]] = {"plain": read_plain, "otlp": read_otlp, "litellm": read_litellm}

OPEN: Final = 256
"""Files that are read at once; more are opened by name as these end."""
_AHEAD_S: Final = 3600
"""A row this far in the future has a wrong clock: it would make all others late."""

_Key: TypeAlias = tuple[int, str]


@dataclass(slots=True, kw_only=True)
class Batch:
    """Rows that were read.

    Attributes
    ----------
    rows : list of tuple of int and Row
        Number of the storage, and the row.
    bad : list of str
        What could not be read: file, place and reason.
    more : bool
        Whether the limit ended it, not the traffic.
    """

    rows: list[tuple[int, Row]] = field(default_factory=list[tuple[int, Row]])
    bad: list[str] = field(default_factory=list[str])
    more: bool = False


class Feed:
    """Reads what is new in some storages.

    Rows of several files come in the order of their times, as far as each file is in order itself; so a backlog is
    read as it happened, whichever file a row stands in.

    Parameters
    ----------
    storages : sequence of Storage
    read : Reader
        Of the format that all files have.
    columns : mapping
        In which columns the fields stand.
    marks : mapping, optional
        :meth:`marks` of an earlier feed: reading goes on there.
    clock : callable
        Returns now, in seconds since 1970.
    """

    def __init__(
        self,
        storages: Sequence[Storage],
        read: Reader,
        *,
        columns: Columns,
        marks: Sequence[Mapping[str, Mark]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._storages, self._read, self._columns, self._clock = storages, read, columns, clock
        self._marks: dict[_Key, Mark] = {(i, name): mark for i, one in enumerate(marks) for name, mark in one.items()}
        self._heap: list[tuple[float, _Key, Record]] = []
        self._open: dict[_Key, tuple[File, Iterator[Record]]] = {}
        self._broken: dict[_Key, str] = {}
        self._touched: set[_Key] = set()

    def marks(self) -> list[dict[str, Mark]]:
        """Return how far each file of each storage was read."""
        for key in self._touched:
            mark = self._marks[key]
            if not is_whole(key[1]) and mark.head_size < 1024 and mark.head_size < mark.offset:
                try:
                    self._marks[key] = marked(self._storages[key[0]], key[1], mark.offset)
                except StoreError:  # it was renamed while it was read: its next name is read again, and is late
                    continue
        self._touched.clear()
        made: list[dict[str, Mark]] = [{} for _ in self._storages]
        for (number, name), mark in self._marks.items():
            made[number][name] = mark
        return made

    def take(self, limit: int) -> Batch:
        """Return the next rows: about ``limit`` of them, less where there are no more now.

        Raises
        ------
        StoreError
            If a storage cannot be listed; nothing is taken then.
        """
        batch = Batch()
        waiting = self._unread()
        self._refill(waiting, batch)
        while self._heap:
            if len(batch.rows) + len(batch.bad) >= limit:
                batch.more = True
                break
            _, key, record = heapq.heappop(self._heap)
            self._emit(key, record, batch)
            if not self._advance(key, batch):
                self._refill(waiting, batch)
        return batch

    def _emit(self, key: _Key, record: Record, batch: Batch) -> None:
        unit = "row" if is_whole(key[1]) else "byte"
        latest = self._clock() + _AHEAD_S
        for found in record.found:
            if isinstance(found, Bad):
                batch.bad.append(f"{key[1]}: before {unit} {record.offset}: {found.reason}")
            elif found.time > latest:
                batch.bad.append(f"{key[1]}: before {unit} {record.offset}: its time is in the future")
            else:
                batch.rows.append((key[0], found))
        mark, version = self._marks.get(key, Mark()), self._open[key][0].version if is_whole(key[1]) else ""
        self._marks[key] = Mark(record.offset, mark.head, mark.head_size, version)
        self._touched.add(key)

    def _unread(self) -> list[tuple[_Key, File]]:
        """Return the files that hold something new and are not open, the first by name last."""
        listed = [((number, file.name), file) for number, one in enumerate(self._storages) for file in one.files()]
        closed = [(key, file) for key, file in listed if key not in self._open]
        names = {key for key, _ in listed}
        left = [self._marks.pop(key) for key in list(self._marks) if key not in names and key not in self._open]
        left += [self._marks.pop(key) for key, file in closed if self._is_replaced(key, file)]
        return [(key, file) for key, file in reversed(closed) if self._is_new(key, file, left)]

    def _is_replaced(self, key: _Key, file: File) -> bool:
        """Return whether a name stands for another file than the one that was read."""
        mark = self._marks.get(key)
        if mark is None or (is_whole(file.name) and mark.version == file.version) or mark.offset == file.size:
            return False
        return is_whole(file.name) or file.size < mark.offset or not self._begins(key, mark)

    def _is_new(self, key: _Key, file: File, left: Sequence[Mark]) -> bool:
        """Return whether a file holds something unread; one that was renamed goes on where it was read to."""
        if is_whole(file.name):
            mark = self._marks.get(key)
            return (mark is None or not mark.done) and self._broken.get(key) != file.version
        if key not in self._marks:
            same = (
                mark for mark in left if 0 < mark.offset <= file.size and mark.head_size and self._begins(key, mark)
            )
            if (mark := next(same, None)) is not None:
                self._marks[key] = mark
        return self._marks.get(key, Mark()).offset < file.size

    def _begins(self, key: _Key, mark: Mark) -> bool:
        """Return whether a file of lines begins as the one that a mark is of."""
        try:
            return head_of(self._storages[key[0]], key[1], mark.head_size) == mark.head
        except StoreError:  # it has just been removed or renamed
            return False

    def _refill(self, waiting: list[tuple[_Key, File]], batch: Batch) -> None:
        while waiting and len(self._open) < OPEN:
            key, file = waiting.pop()
            start = self._marks.get(key, Mark()).offset
            records = read_records(self._storages[key[0]], file, start, self._read, self._columns)
            self._open[key] = file, records
            self._advance(key, batch)

    def _advance(self, key: _Key, batch: Batch) -> bool:
        """Put the next record of an open file on the heap; return False where there is none, and close it."""
        file, records = self._open[key]
        try:
            record = next(records, None)
        except (Unreadable, StoreError) as error:
            if isinstance(error, Unreadable):
                self._broken[key] = file.version
                batch.bad.append(f"{key[1]}: {error}")
            del self._open[key]
            return False
        if record is not None:
            heapq.heappush(self._heap, (record.time, key, record))
            return True
        del self._open[key]
        if is_whole(key[1]):
            mark = self._marks.get(key, Mark())
            self._marks[key] = Mark(mark.offset, version=file.version, done=True)
        return False
