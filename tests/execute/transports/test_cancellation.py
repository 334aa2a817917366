"""Cancellations that nobody raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from headgate.execute.transports.cancellation import KeptCancellation


async def loses_it() -> str:
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        return "an answer"
    return "late"


async def fails_instead() -> str:
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        raise OSError("broken") from None
    return "late"


async def raises_it() -> str:
    await asyncio.sleep(5)
    return "late"


@pytest.mark.parametrize("work", [loses_it, fails_instead, raises_it])
def test_a_cancellation_within_is_raised(work: Callable[[], Awaitable[str]]):
    async def kept() -> str:
        with KeptCancellation():
            return await work()

    async def main() -> None:
        task = asyncio.create_task(kept())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_one_that_came_before_is_not_raised_again():
    async def cleans_up() -> str:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            with KeptCancellation():
                await asyncio.sleep(0)
                return "cleaned"
        return "late"

    async def main() -> str:
        task = asyncio.create_task(cleans_up())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert asyncio.run(main()) == "cleaned"


def test_an_answer_and_an_error_pass_through():
    async def main() -> str:
        with pytest.raises(OSError, match="broken"), KeptCancellation():
            raise OSError("broken")
        with KeptCancellation():
            return "an answer"

    assert asyncio.run(main()) == "an answer"
