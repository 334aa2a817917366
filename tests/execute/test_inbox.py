"""A queue that is filled while its workers wait."""

from __future__ import annotations

import asyncio

from execute_jobs import a_job
from headgate.execute.inbox import Inbox


def test_workers_wait_for_what_comes_and_take_it_in_order():
    async def main() -> list[int]:
        inbox, found = Inbox(capacity=4), []

        async def work() -> None:
            while (ticket := await inbox.take()) is not None:
                found.append(ticket.job.index)
                inbox.done()

        workers = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(worker.done() for worker in workers)
        for start in (0, 5):
            for index in range(start, start + 5):
                inbox.put(a_job(index))
            await asyncio.sleep(0.01)
        assert not any(worker.done() for worker in workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return found

    assert asyncio.run(main()) == list(range(10))


def test_a_retry_goes_before_what_comes_later():
    async def main() -> list[int]:
        inbox = Inbox(capacity=4)
        inbox.put(a_job(0))
        ticket = await inbox.take()
        assert ticket is not None
        inbox.put_back(ticket, after_s=0.0)
        inbox.put(a_job(1))
        taken = [await asyncio.wait_for(inbox.take(), 1) for _ in range(2)]
        inbox.close()
        return [one.job.index for one in taken if one is not None]

    assert asyncio.run(main()) == [0, 1]
