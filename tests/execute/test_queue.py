"""What workers take next."""

from __future__ import annotations

import asyncio
import time
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from execute_jobs import jobs
from headgate.execute.queue import JobQueue, Ticket
from virtual_clock import throughout


def test_jobs_are_pulled_one_at_a_time():
    async def main() -> None:
        pulled: list[int] = []

        def source():
            for job in jobs(10):
                pulled.append(job.index)
                yield job

        queue = JobQueue(source(), capacity=4)
        assert pulled == []
        for number in range(3):
            ticket = await queue.take()
            assert ticket is not None
            assert ticket.job.index == number
            assert pulled == list(range(number + 1))

    asyncio.run(main())


async def taken(queue: JobQueue) -> Ticket:
    ticket = await asyncio.wait_for(queue.take(), 1)
    assert ticket is not None
    return ticket


def test_a_due_retry_goes_before_new_jobs():
    async def main() -> None:
        queue = JobQueue(jobs(3), capacity=4)
        first = await taken(queue)
        queue.put_back(first, after_s=0.02)
        assert queue.in_backoff == 1
        assert (await taken(queue)).job.index == 1
        await asyncio.sleep(0.03)
        assert await taken(queue) is first
        assert (await taken(queue)).job.index == 2

    asyncio.run(main())


def test_retries_go_by_when_they_are_due():
    async def main() -> None:
        queue = JobQueue(jobs(3), capacity=4)
        tickets = [await taken(queue) for _ in range(3)]
        for ticket, after_s in zip(tickets, (0.03, 0.01, 0.02), strict=True):
            queue.put_back(ticket, after_s=after_s)
        assert [(await taken(queue)).job.index for _ in range(3)] == [1, 2, 0]

    asyncio.run(main())


def test_no_new_job_is_started_while_too_many_wait():
    async def main() -> None:
        queue = JobQueue(jobs(10), capacity=2)
        for ticket in [await taken(queue) for _ in range(2)]:
            queue.put_back(ticket, after_s=0.05)
        waiting = asyncio.create_task(queue.take())
        also = asyncio.create_task(queue.take())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        assert {(await waiting).job.index, (await also).job.index} <= {0, 1, 2}
        queue.close()

    asyncio.run(main())


def test_a_free_place_lets_another_worker_start_a_new_job():
    async def main() -> None:
        queue = JobQueue(jobs(2), capacity=1)
        first = await taken(queue)
        queue.put_back(first, after_s=0.02)
        one, two = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
        done, _ = await asyncio.wait({one, two}, timeout=1)
        assert {task.result().job.index for task in done} == {0, 1}

    asyncio.run(main())


def test_all_workers_end_when_all_jobs_are_done():
    async def main() -> None:
        queue = JobQueue(jobs(1), capacity=4)
        await taken(queue)
        idle = [asyncio.create_task(queue.take()) for _ in range(50)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in idle)  # the job may come back
        queue.done()
        assert await asyncio.wait_for(asyncio.gather(*idle), 1) == [None] * 50

    asyncio.run(main())


def test_no_jobs_at_all():
    assert asyncio.run(JobQueue(jobs(0), capacity=4).take()) is None


def test_a_cancelled_worker_takes_nothing_with_it():
    async def main() -> None:
        queue = JobQueue(jobs(1), capacity=4)
        ticket = await taken(queue)
        idle = [asyncio.create_task(queue.take()) for _ in range(3)]
        await asyncio.sleep(0)
        idle[0].cancel()
        queue.put_back(ticket, after_s=0.01)
        assert await asyncio.wait_for(idle[1], 1) is ticket
        queue.done()
        assert await asyncio.wait_for(idle[2], 1) is None

    asyncio.run(main())


def test_an_error_of_the_source_is_raised():
    def broken():
        yield from jobs(1)
        raise OSError("the disk")

    async def main() -> None:
        queue = JobQueue(broken(), capacity=4)
        await taken(queue)
        with pytest.raises(OSError, match="the disk"):
            await queue.take()

    asyncio.run(main())


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 60),
    workers=st.integers(1, 20),
    capacity=st.integers(1, 8),
    failures=st.lists(st.integers(0, 3), min_size=60, max_size=60),
)
def test_every_job_is_finished_once(count: int, workers: int, capacity: int, failures: list[int]):
    async def main() -> list[int]:
        queue, finished, left = JobQueue(jobs(count), capacity=capacity), [], list(failures)

        async def work() -> None:
            while (ticket := await queue.take()) is not None:
                await asyncio.sleep(0)
                if left[ticket.job.index]:
                    left[ticket.job.index] -= 1
                    queue.put_back(ticket, after_s=0.001 * (ticket.job.index % 3))
                else:
                    finished.append(ticket.job.index)
                    queue.done()

        await asyncio.wait_for(asyncio.gather(*(work() for _ in range(workers))), 10)
        assert queue.in_backoff == 0
        return finished

    assert sorted(asyncio.run(main())) == list(range(count))


def test_idle_workers_cost_nothing_at_the_end_of_a_run():
    async def main() -> int:
        queue, turns = JobQueue(jobs(2000), capacity=4000), 0

        async def work() -> None:
            nonlocal turns
            while (ticket := await queue.take()) is not None:
                turns += 1
                if ticket.attempts == 0:
                    ticket.attempts = 1
                    queue.put_back(ticket, after_s=0.2)
                else:
                    queue.done()
                await asyncio.sleep(0)

        wakes = 0
        wake = queue._wake

        def counted() -> None:
            nonlocal wakes
            wakes += 1
            wake()

        queue._wake = counted
        await asyncio.gather(*(work() for _ in range(512)))
        assert turns == 4000
        return wakes

    assert asyncio.run(main()) < 5000  # each event wakes one worker, not all 512


def indexes(*tickets: Ticket | None) -> list[int | None]:
    return [None if ticket is None else ticket.job.index for ticket in tickets]


def test_what_is_deferred_goes_behind_all_new_jobs():
    async def main() -> None:
        queue = JobQueue(jobs(5), capacity=4)
        first = await taken(queue)
        queue.defer(first, after_s=0)
        assert (queue.in_backoff, queue.deferred, queue.next_s) == (1, 1, None)
        assert indexes(*[await taken(queue) for _ in range(5)]) == [1, 2, 3, 4, 0]
        assert (queue.in_backoff, queue.deferred) == (0, 0)
        assert not queue.finished

    throughout(main())


def test_what_is_deferred_goes_behind_retries_too():
    async def main() -> None:
        queue = JobQueue(jobs(2), capacity=4)
        first, second = await taken(queue), await taken(queue)
        queue.defer(first, after_s=0)
        queue.put_back(second, after_s=0)
        assert indexes(await taken(queue), await taken(queue)) == [1, 0]

    throughout(main())


def test_what_is_deferred_goes_not_before_its_time():
    async def main() -> None:
        queue, started = JobQueue(jobs(2), capacity=4), time.monotonic()
        first, second = await taken(queue), await taken(queue)
        queue.defer(first, after_s=30)
        queue.defer(second, after_s=20)
        assert queue.take_now() is None
        assert queue.in_backoff == 2
        assert await queue.take() is second
        assert time.monotonic() - started == pytest.approx(20, abs=0.01)
        assert await queue.take() is first
        assert time.monotonic() - started == pytest.approx(30, abs=0.01)

    throughout(main())


def test_when_as_many_as_the_capacity_are_deferred_they_go_before_new_jobs():
    async def main() -> None:
        queue = JobQueue(jobs(100), capacity=3)
        for index in range(3):
            ticket = await taken(queue)
            assert ticket.job.index == index
            queue.defer(ticket, after_s=0)
        assert indexes(*[await taken(queue) for _ in range(4)]) == [0, 3, 4, 5]

    throughout(main())


def test_a_worker_that_waits_takes_what_is_deferred():
    async def main() -> None:
        queue, started = JobQueue(jobs(1), capacity=4), time.monotonic()
        ticket = await taken(queue)
        idle = [asyncio.create_task(queue.take()) for _ in range(3)]
        await asyncio.sleep(1)
        queue.defer(ticket, after_s=5)
        done, _ = await asyncio.wait(idle, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [ticket]
        assert time.monotonic() - started == pytest.approx(6, abs=0.01)
        queue.done()
        await asyncio.wait(idle)
        assert queue.finished

    throughout(main())


class Queues(RuleBasedStateMachine):
    """Workers take jobs and give them back in every way, while a clock runs; a list knows where each job is."""

    TOTAL, CAPACITY = 25, 3

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        patch = mock.patch.object(time, "monotonic", self.clock)
        patch.start()
        self.teardown = patch.stop
        self.queue = JobQueue(jobs(self.TOTAL), capacity=self.CAPACITY)
        self.pulled = 0
        self.held: list[Ticket] = []
        self.retries: dict[Ticket, float] = {}
        self.deferred: dict[Ticket, float] = {}
        self.had_turn: set[Ticket] = set()
        self.finished: list[int] = []

    def clock(self) -> float:
        return self.now

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        due = [ticket for ticket, at in self.retries.items() if at <= self.now]
        due_deferred = [ticket for ticket, at in self.deferred.items() if at <= self.now]
        waiting = len(self.retries) + len(self.deferred)
        if self.pulled == self.TOTAL or waiting >= self.CAPACITY:
            self.had_turn |= set(self.deferred)
        ticket = self.queue.take_now()
        if ticket is None:
            assert not due
            assert not due_deferred
            assert self.pulled == self.TOTAL or waiting >= self.CAPACITY, "a new job could have gone"
        elif ticket in self.retries:
            assert ticket in due, "before its time"
            assert self.retries[ticket] == min(self.retries.values()), "before another"
            del self.retries[ticket]
            self.held.append(ticket)
        elif ticket in self.deferred:
            assert ticket in due_deferred, "before its time"
            assert ticket in self.had_turn, "before new jobs"
            del self.deferred[ticket]
            self.had_turn.remove(ticket)
            self.held.append(ticket)
        else:
            assert ticket.job.index == self.pulled, "not the next new job"
            assert not due, "before a due retry"
            assert waiting < 2 * self.CAPACITY, "while too many wait"
            self.pulled += 1
            self.held.append(ticket)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), after_s=st.floats(0, 10), how=st.sampled_from(["put_back", "defer", "done"]))
    def give(self, data: st.DataObject, after_s: float, how: str) -> None:
        ticket = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if how == "put_back":
            self.queue.put_back(ticket, after_s=after_s)
            self.retries[ticket] = self.now + after_s
        elif how == "defer":
            self.queue.defer(ticket, after_s=after_s)
            self.deferred[ticket] = self.now + after_s
        else:
            self.queue.done()
            self.finished.append(ticket.job.index)

    @invariant()
    def every_job_is_in_one_place(self) -> None:
        assert self.queue.in_backoff == len(self.retries) + len(self.deferred)
        assert self.queue.deferred <= len(self.deferred)
        known = [ticket.job.index for ticket in (*self.held, *self.retries, *self.deferred)]
        assert sorted([*known, *self.finished]) == list(range(self.pulled))
        assert len(self.retries) + len(self.deferred) + len(self.held) <= self.TOTAL


TestQueues = Queues.TestCase


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 60),
    workers=st.integers(1, 20),
    capacity=st.integers(1, 8),
    scripts=st.lists(st.lists(st.sampled_from([-40.0, -1.0, 0.0, 0.5, 30.0]), max_size=4), min_size=60, max_size=60),
)
def test_every_job_is_finished_once_whether_put_back_or_deferred(
    count: int, workers: int, capacity: int, scripts: list[list[float]]
):
    """On a virtual loop, which says so when all workers wait for nothing; below zero stands for a deferral."""

    async def main() -> list[int]:
        queue, finished = JobQueue(jobs(count), capacity=capacity), list[int]()
        most = 0

        async def work() -> None:
            nonlocal most
            while (ticket := queue.take_now() or await queue.take()) is not None:
                await asyncio.sleep(0.1 * (ticket.job.index % 3))
                script = scripts[ticket.job.index]
                if ticket.attempts < len(script):
                    after_s, ticket.attempts = script[ticket.attempts], ticket.attempts + 1
                    (queue.defer if after_s < 0 else queue.put_back)(ticket, after_s=abs(after_s))
                    most = max(most, queue.in_backoff)
                else:
                    finished.append(ticket.job.index)
                    queue.done()

        await asyncio.gather(*(work() for _ in range(workers)))
        assert queue.finished
        assert queue.in_backoff == queue.deferred == 0
        assert most <= 2 * capacity + workers
        return finished

    assert sorted(throughout(main())) == list(range(count))
