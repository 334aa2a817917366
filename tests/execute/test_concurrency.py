"""How many attempts are allowed at once: the rules one by one, and against a server of hidden capacity."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.execute.concurrency import Concurrency
from virtual_clock import clock, virtually


def answer(concurrency: Concurrency, count: int, *, under_way: int | None = None) -> None:
    for _ in range(count):
        concurrency.succeeded(concurrency.episode, concurrency.allowed if under_way is None else under_way)


def after_a_cut(allowed: int, most: int = 1000) -> Concurrency:
    """Return one that has left the slow start, at so many."""
    concurrency = Concurrency(most, start=next(n for n in range(1, most) if n * 4 // 5 == allowed))
    concurrency.limited(0)
    assert concurrency.allowed == allowed
    return concurrency


@pytest.mark.parametrize(
    ("most", "start", "allowed"), [(64, 20, 20), (8, 20, 8), (1, 20, 1), (2048, 20, 20), (64, 64, 64)]
)
def test_where_it_starts(most: int, start: int, allowed: int):
    assert Concurrency(most, start=start).allowed == allowed


def test_the_slow_start_doubles_each_round():
    concurrency = Concurrency(512)
    for allowed in (40, 80, 160, 320, 512, 512):
        answer(concurrency, concurrency.allowed)
        assert concurrency.allowed == allowed


def test_the_slow_start_too_needs_to_be_used():
    concurrency = Concurrency(512)
    answer(concurrency, 1000, under_way=15)
    assert concurrency.allowed == 20
    answer(concurrency, 1000, under_way=16)
    assert concurrency.allowed == 21  # 16 are less than 80 % of 21


def test_after_a_cut_each_clean_round_adds_a_twentieth():
    concurrency = after_a_cut(100)
    for allowed in (105, 110, 115, 120, 126):
        answer(concurrency, concurrency.allowed - 1)
        assert concurrency.allowed < allowed
        answer(concurrency, 1)
        assert concurrency.allowed == allowed


def test_it_adds_one_at_least():
    concurrency = after_a_cut(1)
    for allowed in (2, 3, 4):
        answer(concurrency, concurrency.allowed)
        assert concurrency.allowed == allowed


def test_a_round_that_did_not_use_what_was_allowed_adds_nothing():
    concurrency = after_a_cut(100)
    answer(concurrency, 1000, under_way=79)
    assert concurrency.allowed == 100
    answer(concurrency, 1, under_way=80)  # one peak in a round is enough
    answer(concurrency, 99, under_way=1)
    assert concurrency.allowed == 105
    answer(concurrency, 1, under_way=105)
    answer(concurrency, 104, under_way=1)
    assert concurrency.allowed == 110
    answer(concurrency, 1000, under_way=87)  # a peak does not last into the next
    assert concurrency.allowed == 110


@pytest.mark.parametrize(("allowed", "cut"), [(100, 80), (20, 16), (5, 4), (3, 2), (2, 1), (1, 1)])
def test_a_cut_is_to_four_fifths(allowed: int, cut: int):
    concurrency = Concurrency(100, start=allowed)
    concurrency.limited(0)
    assert concurrency.allowed == cut


def test_one_cut_for_all_that_were_under_way():
    concurrency = Concurrency(100, start=100)
    episodes = [concurrency.episode] * 100
    for episode in episodes:
        concurrency.limited(episode)
    assert (concurrency.allowed, concurrency.episode) == (80, 1)
    concurrency.limited(concurrency.episode)
    assert (concurrency.allowed, concurrency.episode) == (64, 2)


def test_answers_from_before_the_cut_do_not_count():
    concurrency = after_a_cut(100)
    for _ in range(1000):
        concurrency.succeeded(0, 100)
    answer(concurrency, 99)
    assert concurrency.allowed == 100
    answer(concurrency, 1)
    assert concurrency.allowed == 105


def test_a_cut_begins_a_new_round():
    concurrency = after_a_cut(100)
    answer(concurrency, 99)
    concurrency.limited(1)
    answer(concurrency, 79)
    assert concurrency.allowed == 80
    answer(concurrency, 1)
    assert concurrency.allowed == 84


def test_without_being_told_all_that_have_entered_count():
    concurrency = Concurrency(100)
    for _ in range(16):
        assert concurrency.try_enter()
    concurrency.succeeded(0)
    assert concurrency.allowed == 21


STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "succeeded", "limited", "failed"]), st.integers(0, 99)), max_size=300
)


@given(most=st.integers(1, 50), start=st.integers(1, 50), steps=STEPS)
def test_what_always_holds(most: int, start: int, steps: list[tuple[str, int]]):
    concurrency = Concurrency(most, start=start)
    under_way: list[int] = []
    cut: Counter[int] = Counter()
    for what, which in steps:
        before, episode = concurrency.allowed, concurrency.episode
        if what == "enter":
            entered = concurrency.try_enter()
            assert entered is (len(under_way) < before)
            if entered:
                under_way.append(episode)
        elif under_way:
            sent = under_way.pop(which % len(under_way))
            if what == "succeeded":
                concurrency.succeeded(sent)
                assert before <= concurrency.allowed <= before + max(1, before // 20)
                assert concurrency.allowed == before or sent == episode
            elif what == "limited":
                concurrency.limited(sent)
                cut[sent] += concurrency.episode - episode
                assert concurrency.allowed == (max(1, before * 4 // 5) if sent == episode else before)
            concurrency.leave()
        if what in {"enter", "failed"}:  # neither a new attempt nor a 5xx changes what is allowed
            assert (concurrency.allowed, concurrency.episode) == (before, episode)
        assert 1 <= concurrency.allowed <= most
        assert concurrency.in_flight == len(under_way)
    assert set(cut.values()) <= {0, 1}


def test_who_waits_is_let_in_in_order():
    async def main() -> list[int]:
        concurrency, order = Concurrency(2), []

        async def work(number: int) -> None:
            await concurrency.enter()
            order.append(number)
            assert concurrency.in_flight <= 2
            await asyncio.sleep(1)
            concurrency.leave()

        await asyncio.gather(*map(work, range(20)))
        assert clock() == 10
        assert (concurrency.in_flight, concurrency.waiting) == (0, 0)
        return order

    assert virtually(main()) == list(range(20))


def test_growth_lets_the_waiting_in_and_a_cut_holds_them_back():
    async def main() -> None:
        concurrency = Concurrency(100, start=10)
        tasks = [asyncio.create_task(concurrency.enter()) for _ in range(40)]
        await asyncio.sleep(0)
        assert (concurrency.in_flight, concurrency.waiting) == (10, 30)
        answer(concurrency, 5)
        assert (concurrency.in_flight, concurrency.waiting) == (15, 25)
        concurrency.limited(concurrency.episode)  # 12 are allowed
        for in_flight in (14, 13, 12, 12):
            concurrency.leave()
            assert concurrency.in_flight == in_flight
        assert concurrency.waiting == 24
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while concurrency.in_flight:
            concurrency.leave()

    virtually(main())


def test_cancelled_waiters_are_skipped_and_keep_no_place():
    async def main() -> None:
        concurrency = Concurrency(1)
        await concurrency.enter()
        waiting = [asyncio.create_task(concurrency.enter()) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting[:3]:
            task.cancel()
        await asyncio.sleep(0)
        concurrency.leave()  # the fourth is let in, and cancelled before it runs
        waiting[3].cancel()
        await waiting[4]
        assert waiting[3].cancelled()
        assert concurrency.in_flight == 1
        concurrency.leave()
        assert (concurrency.in_flight, concurrency.waiting) == (0, 0)
        assert concurrency.try_enter()

    virtually(main())


class Server:
    """Refuses what is more than it can take at once; a share of the rest it fails with 500."""

    def __init__(self, *, capacity: float, latency_s: float, rng: random.Random, broken: float = 0.0) -> None:
        self.capacity, self.latency_s, self.broken, self._rng = capacity, latency_s, broken, rng
        self.under_way = 0
        self.statuses: Counter[int] = Counter()

    async def ask(self) -> int:
        if self.under_way >= self.capacity:
            await asyncio.sleep(0.02)
            return self._says(429)
        self.under_way += 1
        await asyncio.sleep(self.latency_s * self._rng.lognormvariate(0, 0.3))
        self.under_way -= 1
        return self._says(500 if self._rng.random() < self.broken else 200)

    def _says(self, status: int) -> int:
        self.statuses[status] += 1
        return status


async def crowd(concurrency: Concurrency, server: Server, *, workers: int, until: float) -> None:
    """Send as fast as is allowed, as the engine's workers do."""

    async def work() -> None:
        while clock() < until:
            await concurrency.enter()
            episode = concurrency.episode
            status = await server.ask()
            if status == 200:
                concurrency.succeeded(episode)
            elif status == 429:
                concurrency.limited(episode)
            concurrency.leave()

    await asyncio.gather(*(work() for _ in range(workers)))


def settled(*, capacity: int, latency_s: float, most: int, seed: int) -> None:
    """Check where it comes to rest with a server of hidden capacity."""
    server = Server(capacity=capacity, latency_s=latency_s, rng=random.Random(seed))
    concurrency, allowed = Concurrency(most), []

    async def main() -> None:
        async def watch() -> None:
            await asyncio.sleep(100 * latency_s)
            server.statuses.clear()
            while clock() < 400 * latency_s:
                allowed.append(concurrency.allowed)
                await asyncio.sleep(latency_s)

        await asyncio.gather(crowd(concurrency, server, workers=most, until=400 * latency_s), watch())

    virtually(main())
    bound = min(capacity, most)
    assert 0.75 * bound - 1 <= min(allowed) <= max(allowed) <= max(1.06 * bound, bound + 1)
    assert (
        server.statuses[200] >= 0.76 * bound * 300
    )  # a log-normal latency is 5 % longer on average than at the median
    step = max(1, bound // 20)
    answers_between_cuts = 0.8 * bound * max(1, 0.2 * bound / step)
    assert server.statuses[429] <= 1.3 * (1 + step) * server.statuses[200] / answers_between_cuts + 5


@settings(max_examples=8, deadline=None)
@given(capacity=st.integers(2, 60), latency_s=st.floats(0.1, 5), seed=st.integers(0, 1000))
def test_it_finds_what_a_server_can_take(capacity: int, latency_s: float, seed: int):
    settled(capacity=capacity, latency_s=latency_s, most=80, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [1, 3, 10, 50, 200, 700])
@pytest.mark.parametrize("latency_s", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("seed", range(2))
def test_it_finds_what_a_server_can_take_on_a_grid(capacity: int, latency_s: float, seed: int):
    settled(capacity=capacity, latency_s=latency_s, most=512, seed=seed)


def test_a_server_that_fails_with_500_is_not_spared():
    server = Server(capacity=1000, latency_s=0.5, rng=random.Random(0), broken=0.4)
    concurrency = Concurrency(256)
    virtually(crowd(concurrency, server, workers=256, until=20))
    assert server.statuses[500] > 1000
    assert (concurrency.allowed, concurrency.episode) == (256, 0)


def test_it_follows_a_server_that_shrinks_and_recovers():
    server = Server(capacity=200, latency_s=0.5, rng=random.Random(0))
    concurrency = Concurrency(256)

    async def change() -> None:
        await asyncio.sleep(50)
        server.capacity = 40
        await asyncio.sleep(50)
        assert concurrency.allowed <= 42
        server.capacity = 200
        await asyncio.sleep(50)
        assert concurrency.allowed >= 150

    async def main() -> None:
        await asyncio.gather(crowd(concurrency, server, workers=256, until=150), change())

    virtually(main())
