"""How late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from headgate.execute.lag import LoopLag
from virtual_clock import VirtualLoop, throughout


def test_a_loop_that_is_not_blocked_has_none():
    async def main() -> LoopLag:
        lag = LoopLag()
        lag.start()
        await asyncio.sleep(10)
        lag.stop()
        return lag

    lag = throughout(main())
    assert lag.lately_s == pytest.approx(0, abs=1e-9)
    assert lag.most_s == pytest.approx(0, abs=1e-9)


def block(seconds: float) -> None:
    """Let time pass in which the loop does nothing else."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.now += seconds


def test_a_blocked_loop_shows_as_lag_that_fades_and_stays_as_the_worst():
    async def main() -> None:
        lag = LoopLag()
        lag.start()
        await asyncio.sleep(0.15)
        block(0.5)  # the timer of 0.2 fires at 0.65
        await asyncio.sleep(0.001)
        assert lag.lately_s == pytest.approx(0.45)
        block(2.0)
        await asyncio.sleep(0.001)
        assert lag.lately_s == lag.most_s == pytest.approx(1.9, abs=0.01)
        await asyncio.sleep(1.0)
        assert 0.6 < lag.lately_s < 0.8
        await asyncio.sleep(10)
        assert lag.lately_s < 1e-3
        assert lag.most_s == pytest.approx(1.9, abs=0.01)
        lag.stop()

    throughout(main())


def test_nothing_is_measured_after_the_end():
    async def main() -> None:
        lag = LoopLag()
        lag.start()
        lag.stop()
        block(5)
        await asyncio.sleep(1)
        assert lag.most_s == 0.0

    throughout(main())


def test_stopping_what_never_started():
    LoopLag().stop()


def test_on_a_real_loop():
    async def main() -> float:
        lag = LoopLag()
        lag.start()
        await asyncio.sleep(0.05)
        time.sleep(0.3)  # noqa: ASYNC251 - blocks the loop, which is the point
        await asyncio.sleep(0.01)
        lag.stop()
        return lag.most_s

    assert asyncio.run(main()) > 0.2
