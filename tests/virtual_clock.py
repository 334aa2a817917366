"""An event loop whose clock jumps to the next timer: hours of waiting in milliseconds, the same each time."""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any
from unittest import mock

from headgate.execute.circuit import Circuit
from headgate.execute.lanes import Lane
from headgate.execute.retry_budget import RetryBudget


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer; a timer may fire late, as real ones do."""

    def __init__(self, late: random.Random | None = None, most_late_s: float = 0.0) -> None:
        self.now, self._late, self._most = 0.0, late, most_late_s
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now

    def jump(self, seconds: float) -> None:
        self.now += seconds + (self._late.uniform(0, self._most) if self._late else 0.0)


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        if timeout > 0:
            self._loop.jump(timeout)
        return super().select(0)


def virtually(main: Coroutine[Any, Any, Any], loop: VirtualLoop | None = None) -> Any:
    """Run a coroutine on a virtual clock."""
    with asyncio.Runner(loop_factory=lambda: loop or VirtualLoop()) as runner:
        return runner.run(main)


def throughout(main: Coroutine[Any, Any, Any]) -> Any:
    """Do so, with the same clock for all that asks for the monotonic time."""
    loop = VirtualLoop()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(time, "monotonic", loop.time))
        for keeps_its_own in (Circuit, Lane, RetryBudget):
            stack.enter_context(mock.patch.dict(keeps_its_own.__init__.__kwdefaults__, clock=loop.time))
        return virtually(main, loop)


def clock() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()
