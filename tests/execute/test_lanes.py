"""What a lane admits, on a clock of its own, and against a server that enforces its limit by the second."""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execute_jobs import a_model, jobs
from headgate.execute.endpoint import HttpEndpoint
from headgate.execute.engine import Engine
from headgate.execute.lanes import Bucket, Lane
from headgate.execute.pool import Work
from headgate.execute.transports import open_transport
from headgate.result import Result
from headgate.simulate.server import SimulatedServer
from headgate.suite.model import Simulation


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
    with asyncio.Runner(loop_factory=lambda: loop or VirtualLoop()) as runner:
        return runner.run(main)


def clock() -> float:
    return asyncio.get_running_loop().time()


async def crowd(lane: Lane, *, workers: int, until: float, tokens: float = 0.0) -> list[float]:
    """Return when each attempt of many workers was let in."""
    times: list[float] = []

    async def work() -> None:
        while clock() < until:
            await lane.acquire(tokens)
            times.append(clock())

    await asyncio.gather(*(work() for _ in range(workers)))
    return times


def fullest(times: list[float], window: float) -> int:
    """Return the most admissions in any half-open window."""
    first, most = 0, 0
    for last, time in enumerate(times):
        while time - times[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


AMOUNTS = st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 0.5)), min_size=1, max_size=60)


@given(rate=st.floats(0.1, 1000), burst=st.floats(1, 100), steps=AMOUNTS)
def test_a_bucket_never_admits_more_than_rate_and_burst(rate: float, burst: float, steps: list[tuple[float, float]]):
    bucket, now = Bucket(rate=rate, burst=burst), 0.0
    taken: list[tuple[float, float]] = []
    for share, pause in steps:
        amount = min(share, burst)
        now = max(now + pause, bucket.ready_at(amount, now=now))
        bucket.commit(amount, now=now)
        taken.append((now, amount))
    for first, (start, _) in enumerate(taken):
        admitted = 0.0
        for time, amount in taken[first:]:
            admitted += amount
            assert admitted <= rate * (time - start) + burst + 1e-6 * (1 + admitted)


@given(rate=st.floats(0.1, 100), burst=st.floats(1, 50), amount=st.floats(0.5, 200))
def test_an_oversize_amount_runs_when_full_and_leaves_a_debt(rate: float, burst: float, amount: float):
    bucket = Bucket(rate=rate, burst=burst)
    assert bucket.ready_at(amount, now=5.0) <= 5.0  # full
    bucket.commit(amount, now=5.0)
    full_again = 5.0 + amount / rate
    assert bucket.ready_at(burst, now=5.0) == pytest.approx(full_again)
    assert bucket.ready_at(2 * burst, now=5.0) == pytest.approx(full_again)


@given(rate=st.floats(1, 100), used=st.floats(0, 30), reserved=st.floats(0, 30))
def test_settling_is_as_if_the_right_amount_had_been_taken(rate: float, used: float, reserved: float):
    one, two = Bucket(rate=rate, burst=10), Bucket(rate=rate, burst=10)
    one.commit(reserved, now=0.0)
    one.settle(used - reserved, now=0.0)
    two.commit(used, now=0.0)
    assert one.ready_at(10, now=0.0) == pytest.approx(two.ready_at(10, now=0.0), abs=1e-9)


def test_a_late_refund_gives_no_more_than_the_burst():
    bucket = Bucket(rate=10, burst=10)
    bucket.commit(10, now=0.0)
    bucket.settle(-10, now=100.0)
    bucket.commit(10, now=100.0)
    assert bucket.ready_at(1, now=100.0) == pytest.approx(100.1)


@settings(max_examples=15, deadline=None)
@given(per_second=st.floats(0.2, 600), workers=st.integers(1, 150), seed=st.integers(0, 1000))
def test_a_lane_keeps_its_limit_in_every_second_and_uses_it(per_second: float, workers: int, seed: int):
    loop = VirtualLoop(random.Random(seed), most_late_s=0.002)
    span = max(5.0, 20 / per_second)

    async def main() -> list[float]:
        return await crowd(Lane(requests_per_minute=60 * per_second, clock=clock), workers=workers, until=span)

    times = virtually(main(), loop)
    rate = 0.97 * per_second
    for window in (0.1, 1.0, 3.0):
        assert fullest(times, window) <= rate * window + 1 + 0.01 * rate + 1e-6
    assert fullest(times, 1.0) <= math.ceil(per_second)
    inside = sum(time < span for time in times)
    assert inside >= 0.95 * rate * span - 1


@settings(max_examples=10, deadline=None)
@given(tokens=st.floats(1, 3000), per_minute=st.floats(10_000, 1_000_000))
def test_a_lane_keeps_its_tokens(tokens: float, per_minute: float):
    async def main() -> list[float]:
        return await crowd(Lane(tokens_per_minute=per_minute, clock=clock), workers=20, until=30, tokens=tokens)

    times = virtually(main())
    rate = 0.95 * per_minute / 60
    burst = max(1.5 * rate, tokens)
    for window in (1.0, 10.0):
        assert tokens * fullest(times, window) <= rate * window + burst + 1e-6 * rate
    used = tokens * sum(time < 30 for time in times)
    assert used >= 0.95 * rate * 30 - tokens


def test_both_quotas_hold_at_once():
    async def main() -> list[float]:
        lane = Lane(requests_per_minute=600, tokens_per_minute=30_000, clock=clock)
        return await crowd(lane, workers=20, until=60, tokens=100)  # 5 a second by tokens, 10 by requests

    times = virtually(main())
    assert len([time for time in times if time < 60]) == pytest.approx(0.95 * 300, rel=0.05)
    assert fullest(times, 1.0) <= 10


def test_nothing_declared_is_no_limit():
    async def main() -> int:
        lane = Lane(clock=clock)
        for _ in range(1000):
            await lane.acquire(1e9)
        assert clock() == 0
        assert not lane.counts_tokens
        return lane.admitted

    assert virtually(main()) == 1000


def test_first_come_first_served():
    async def main() -> list[int]:
        lane, order = Lane(tokens_per_minute=60_000, clock=clock), []

        async def one(number: int, tokens: float) -> None:
            await lane.acquire(tokens)
            order.append(number)

        sizes = random.Random(1).choices([1, 10, 4000], k=200)  # small ones never overtake
        await asyncio.gather(*(one(number, size) for number, size in enumerate(sizes)))
        return order

    assert virtually(main()) == list(range(200))


def test_a_newcomer_does_not_overtake():
    async def main() -> list[str]:
        lane, order = Lane(requests_per_minute=60, clock=clock), []

        async def one(name: str) -> None:
            await lane.acquire()
            order.append(name)

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(one(name))
            await asyncio.sleep(1.5)
            for name in "de":
                group.create_task(one(name))
        return order

    assert virtually(main()) == list("abcde")


def test_a_pause_holds_everybody_and_no_burst_follows():
    async def main() -> list[float]:
        lane = Lane(requests_per_minute=6000, clock=clock, rng=random.Random(0))

        async def stop() -> None:
            await asyncio.sleep(1)
            lane.pause(10)
            assert 10 <= lane.paused_s <= 11
            await asyncio.sleep(2)
            lane.pause(1)  # a shorter one does not shorten it
            assert lane.paused_s > 8

        times, _ = await asyncio.gather(crowd(lane, workers=50, until=15), stop())
        return times

    times = virtually(main())
    assert not [time for time in times if 1.001 < time < 11]
    after = [time for time in times if time >= 11]
    assert 11 <= after[0] <= 12.1
    assert fullest(after, 1.0) <= 100


def test_a_pause_of_an_idle_lane_holds_too():
    async def main() -> float:
        lane = Lane(clock=clock)
        lane.pause(3)
        await lane.acquire()
        return clock()

    assert 3 <= virtually(main()) <= 3.4


def test_settling_lets_the_next_in_or_holds_it_back():
    async def main(used: float) -> float:
        lane = Lane(tokens_per_minute=60_000, clock=clock)  # 950 a second, 1,425 at once
        await lane.acquire(1425)
        waiting = asyncio.create_task(lane.acquire(950))
        await asyncio.sleep(0.1)
        assert lane.waiting == 1
        lane.settle(1425, used)
        await waiting
        assert lane.waiting == 0
        return clock()

    assert virtually(main(1425)) == pytest.approx(1.0, abs=0.01)
    assert virtually(main(475)) == pytest.approx(0.1, abs=0.01)
    assert virtually(main(2375)) == pytest.approx(2.0, abs=0.01)


def test_a_cancelled_waiter_does_not_block_the_queue():
    async def main() -> float:
        lane = Lane(requests_per_minute=60 / 0.97, clock=clock)
        await lane.acquire()
        tasks = [asyncio.create_task(lane.acquire()) for _ in range(5)]
        await asyncio.sleep(0)
        for task in tasks[:4]:
            task.cancel()
        await tasks[4]
        assert lane.admitted == 2
        return clock()

    assert virtually(main()) == pytest.approx(1.0, abs=0.02)


def test_when_all_are_cancelled_the_next_still_gets_in():
    async def main() -> float:
        lane = Lane(requests_per_minute=60 / 0.97, clock=clock)
        await lane.acquire()
        task = asyncio.create_task(lane.acquire())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(5)
        await lane.acquire()
        return clock()

    assert virtually(main()) == pytest.approx(5.0, abs=0.02)


def test_a_closed_lane_leaves_no_timer():
    async def main() -> None:
        lane = Lane(requests_per_minute=1, clock=clock)
        await lane.acquire()
        task = asyncio.create_task(lane.acquire())
        await asyncio.sleep(0)
        task.cancel()
        lane.close()

    virtually(main())


@pytest.mark.parametrize("per_second", [20, 300])
def test_an_honest_run_meets_no_429(per_second: int):
    async def main(url: str) -> tuple[list[Result], float]:
        results: list[Result] = []
        transport = open_transport(connections=64)
        model = a_model(provider="simulated", base_url=None)
        endpoint = HttpEndpoint(url, transport=transport, simulated=True)
        lane = Lane(requests_per_minute=60 * per_second)
        count = int(2.5 * per_second)
        work = Work(models=("small",), jobs=jobs(count, model=model), endpoints={"small": endpoint}, lane=lane)
        engine = Engine([work], sink=results.append)
        await engine.run()
        await transport.aclose()
        return results, engine.statistics().elapsed_s

    simulation = Simulation(requests_per_second=per_second, latency_s=0.05)
    with SimulatedServer({"small": simulation}) as server:
        results, elapsed = asyncio.run(main(server.base_url))
        assert server.faults["limited"] == 0
    assert [result.status for result in results] == ["ok"] * int(2.5 * per_second)
    assert elapsed <= 2.5 / 0.97 / 0.95 + 0.3  # at least 95 % of 0.97 of the limit is used
