"""An event loop on a clock of its own: hours of waiting take no time, and a test of times is exact."""

from __future__ import annotations

import asyncio
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
    """An event loop whose clock jumps to the next timer; when nothing will ever happen, it says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        self._loop.now += max(0.0, timeout)
        return super().select(0)


def virtually(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on a virtual clock, which all that asks for the monotonic time reads too."""
    loop = VirtualLoop()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(time, "monotonic", loop.time))
        for keeps_its_own in (Circuit, Lane, RetryBudget):
            stack.enter_context(mock.patch.dict(keeps_its_own.__init__.__kwdefaults__, clock=loop.time))
        runner = stack.enter_context(asyncio.Runner(loop_factory=lambda: loop))
        return runner.run(main)
