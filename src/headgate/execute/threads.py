"""Threads for calls that may never return."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Threads:
    """A pool of daemon threads: a call that hangs holds back neither the other calls nor the end of the process.

    Parameters
    ----------
    limit : int
        Most threads. A call that was cancelled keeps its thread until it returns.

    Examples
    --------
    >>> asyncio.run(Threads(1).run(str.upper, "hi"))
    'HI'
    """

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._idle: list[SimpleQueue[Callable[[], None] | None]] = []

    async def run(self, call: Callable[[Any], Any], argument: Any) -> Any:
        """Call in a thread, and return what it returns or raise what it raises."""
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        inbox = self._idle.pop() if self._idle else _start()

        def finish(value: Any, error: BaseException | None) -> None:
            self._idle.append(inbox)
            self._slots.release()
            if future.done():
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(RuntimeError(repr(error)) if isinstance(error, StopIteration) else error)

        inbox.put(lambda: _report(loop, finish, call, argument))
        return await future

    def __del__(self) -> None:
        for inbox in self._idle:
            inbox.put(None)


def _start() -> SimpleQueue[Callable[[], None] | None]:
    inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
    threading.Thread(target=_work, args=(inbox,), name="headgate-model", daemon=True).start()
    return inbox


def _work(inbox: SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := inbox.get()) is not None:
        work()
        del work  # it holds the pool, which ends its threads when it goes


def _report(
    loop: asyncio.AbstractEventLoop,
    finish: Callable[[Any, BaseException | None], None],
    call: Callable[[Any], Any],
    argument: Any,
) -> None:
    value, failure = None, None
    try:
        value = call(argument)
    except BaseException as error:  # noqa: BLE001 - raised where the call is awaited
        failure = error
    try:
        loop.call_soon_threadsafe(finish, value, failure)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
