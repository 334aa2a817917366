"""Rows that arrive in any order to independent units in the order of time."""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = list[float]
Event: TypeAlias = tuple[float, int, bool, int | None, Values]
"""A row as far as it is judged: time, key of its id, whether it met the canary, key of its cluster, its metrics.

Scores may be filled in after it was added, before units are released.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Independent units of traffic (requests, or conversations), in the order of time.

    Attributes
    ----------
    canary : ndarray of bool, shape (n_units,)
        Whether the unit met the canary.
    values : mapping of str to ndarray, shape (n_units,)
        By metric; nan where a unit has no value.
    """

    canary: NDArray[np.bool_]
    values: Mapping[str, NDArray[np.float64]]


class Open(msgspec.Struct, array_like=True):
    """A cluster whose window has not ended: the sums of its rows' metrics, and how many rows have each."""

    end: float
    key: int
    canary: bool
    sums: list[float]
    counts: list[int]

    def add(self, values: Values) -> None:
        """Count a row in."""
        for index, value in enumerate(values):
            if value == value:  # noqa: PLR0124  # not nan, at a tenth of the cost of asking
                self.sums[index] += value
                self.counts[index] += 1

    @property
    def means(self) -> Values:
        """Means of the metrics; nan where no row has one."""
        return [s / n if n else math.nan for s, n in zip(self.sums, self.counts, strict=True)]


class Passed(msgspec.Struct):
    """Rows of one arm that make no unit, and why; ``units`` are those that were made.

    Attributes
    ----------
    late : int
        Older than the lateness allows.
    duplicate : int
        An id that had come already.
    repeated : int
        Of a cluster that has had its unit: it is not independent of it.
    crossed : int
        Of a cluster that met the other arm first.
    """

    units: int = 0
    late: int = 0
    duplicate: int = 0
    repeated: int = 0
    crossed: int = 0


class FlowState(msgspec.Struct, kw_only=True):
    """Everything that a :class:`Flow` knows, as data."""

    latest: float | None = None
    waiting: list[Event] = []
    clusters: list[Open] = []
    seen: set[int] = set()
    passed: tuple[Passed, Passed] = msgspec.field(default_factory=lambda: (Passed(), Passed()))


class Flow:
    """Makes units of rows.

    A row waits until rows that are ``lateness_s`` younger have come; then it is judged, in the order of time. What it
    comes to does not hang on the order in which rows arrive within that time, nor on how they are cut into batches.
    The rows of a cluster within a window from its first one make a unit, their mean; its later ones are left out.

    Parameters
    ----------
    metrics : sequence of str
        Names of the values that events have.
    window_s, lateness_s : float
        Length of a cluster's window; how late rows may come.
    state : FlowState, optional
        To go on from.

    Examples
    --------
    >>> flow = Flow(["x"], window_s=0, lateness_s=10)
    >>> for second in (3, 1, 2, 20):
    ...     flow.add((second, second, False, None, [float(second)]))
    >>> flow.release().values["x"]
    array([1., 2., 3.])
    """

    def __init__(
        self, metrics: Sequence[str], *, window_s: float, lateness_s: float, state: FlowState | None = None
    ) -> None:
        self.metrics, self.window_s, self.lateness_s = tuple(metrics), window_s, lateness_s
        self.state = state or FlowState(waiting=[], clusters=[], seen=set())
        heapq.heapify(self.state.waiting)
        self._ids = {event[1] for event in self.state.waiting}
        self._open = {cluster.key: cluster for cluster in self.state.clusters}
        self._ends = [(cluster.end, cluster.key) for cluster in self.state.clusters]
        heapq.heapify(self._ends)

    @property
    def watermark(self) -> float:
        """Time before which everything is judged."""
        return -math.inf if self.state.latest is None else self.state.latest - self.lateness_s

    def expects(self, time: float, key: int, *, canary: bool) -> bool:
        """Return whether a row is neither late nor a duplicate; count it if it is."""
        if time < self.watermark:
            self.state.passed[canary].late += 1
        elif key in self._ids:
            self.state.passed[canary].duplicate += 1
        else:
            return True
        return False

    def add(self, event: Event) -> None:
        """Take a row in that is expected."""
        heapq.heappush(self.state.waiting, event)
        self._ids.add(event[1])
        if self.state.latest is None or event[0] > self.state.latest:
            self.state.latest = event[0]

    def release(self) -> Units:
        """Return the units that are complete by now."""
        made: list[tuple[bool, Values]] = []
        waiting, watermark = self.state.waiting, self.watermark
        while waiting and waiting[0][0] < watermark:
            time, key, canary, cluster, values = heapq.heappop(waiting)
            self._ids.discard(key)
            self._close(time, made)
            if cluster is None:
                made.append((canary, values))
                self.state.passed[canary].units += 1
            else:
                self._join(time, canary, cluster, values)
        self._close(watermark, made)
        self.state.clusters = list(self._open.values())
        table = np.array([values for _, values in made], np.float64).reshape(len(made), len(self.metrics))
        arms = np.fromiter((canary for canary, _ in made), np.bool_, len(made))
        return Units(canary=arms, values=dict(zip(self.metrics, table.T, strict=True)))

    def _join(self, time: float, canary: bool, key: int, values: Values) -> None:
        cluster = self._open.get(key)
        if cluster is None:
            if key in self.state.seen:
                self.state.passed[canary].repeated += 1
                return
            none = len(self.metrics)
            cluster = Open(time + self.window_s, key, canary, [0.0] * none, [0] * none)
            self._open[key] = cluster
            self.state.seen.add(key)
            heapq.heappush(self._ends, (cluster.end, key))
        if cluster.canary != canary:
            self.state.passed[canary].crossed += 1
        else:
            cluster.add(values)

    def _close(self, time: float, made: list[tuple[bool, Values]]) -> None:
        """Make units of the clusters whose window ended before a time."""
        while self._ends and self._ends[0][0] < time:
            cluster = self._open.pop(heapq.heappop(self._ends)[1])
            made.append((cluster.canary, cluster.means))
            self.state.passed[cluster.canary].units += 1


_WORD: Final = 1 << 64


def key_of(text: str) -> int:
    """Return 64 bits that stand for an id: no text of a user is kept.

    Examples
    --------
    >>> key_of("a") == key_of("a"), 0 <= key_of("b") < 2**64
    (True, True)
    """
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def is_sampled(key: int, share: float) -> bool:
    """Return whether an id is in the share of them that is scored; the same for both arms.

    Examples
    --------
    >>> sum(is_sampled(key_of(str(n)), 0.1) for n in range(10_000)) // 100
    10
    """
    return key < share * _WORD
