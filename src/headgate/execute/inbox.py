"""A queue that jobs are put into while its workers run: for what is asked one by one, and not planned."""

from __future__ import annotations

from collections import deque
from typing import Self

from headgate.execute.queue import JobQueue
from headgate.plan import Job


class Inbox(JobQueue):
    """Hands out jobs as they come, each until it is done; its workers wait for more until they are cancelled.

    Parameters
    ----------
    capacity : int
        Retries that may wait, and as many deferred jobs: when that many wait, they go before new jobs.
    """

    def __init__(self, *, capacity: int) -> None:
        self._arrived: deque[Job] = deque()
        super().__init__(self, capacity=capacity)
        self._family.open = 1  # one that is never done: there may always be more

    def put(self, job: Job) -> None:
        """Let a job be attempted."""
        self._arrived.append(job)
        self.exhausted = False
        self._wake()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Job:
        if not self._arrived:
            raise StopIteration
        return self._arrived.popleft()
