"""What workers take next."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execute_jobs import jobs
from headgate.execute.queue import JobQueue, Ticket


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
