"""The cap: reserved before an attempt goes out, settled after, and never crossed in between."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execute_jobs import PROMPT, FakeEndpoint, a_job, a_model, jobs
from headgate.execute.answer import Answer, Failure
from headgate.execute.budget import Budget, CostBound
from headgate.execute.engine import Engine
from headgate.execute.lanes import Lane
from headgate.execute.retry import ACTIONS
from headgate.execute.work import Work
from headgate.plan import Job
from headgate.prices import ModelPrice, declared_price
from headgate.result import Result
from headgate.suite.model import Model
from headgate.suite.price import Price
from headgate.suite.prompts import MessagePart, Prompt
from virtual_clock import throughout, virtually

PRICE = declared_price(Price(input_usd_per_million=1.0, output_usd_per_million=10.0))
MODEL = a_model(params={"max_tokens": 100})
ANSWER = Answer(output="x", input_tokens=20, output_tokens=50)
COST = PRICE.cost_usd(20, 50)
TIMEOUT = Failure(kind="timeout", message="no answer")
LIMITED = Failure(kind="rate_limit", message="slow down", http_status=429, retry_after_s=0.5)
BOOM = Failure(kind="transient", message="boom", http_status=500)


def most(job: Job) -> float:
    return CostBound({job.model.id: PRICE}).usd(job)


MOST = most(a_job(model=MODEL))


class Meter:
    """A budget, and how often it said that it is used up."""

    def __init__(self, cap: float, *, spent: float = 0.0) -> None:
        self.calls = 0
        self.budget = Budget(cap, spent=spent, on_used_up=self.note)

    def note(self) -> None:
        self.calls += 1


# What a reservation is


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_spent_and_reserved_never_cross_the_cap_under_any_interleaving(data):
    """Attempts of several lanes come, wait, end and are cancelled in any order."""
    cap = data.draw(st.floats(0.01, 10), label="cap")
    before = data.draw(st.floats(0, 10), label="before")
    asks = data.draw(st.lists(st.floats(0, 3), min_size=1, max_size=30), label="asks")

    async def main() -> None:
        meter = Meter(cap, spent=before)
        budget, tasks, held, let_in = meter.budget, [], [], []
        late: list[int] = []

        def inside() -> bool:
            return before >= cap or budget.spent + budget.reserved <= cap + 1e-11  # sums of floats, in dollars

        async def let_them_move() -> None:
            for _ in range(4):  # one cancelled, the next let in, and on its way
                await asyncio.sleep(0)

        async def attempt(number: int, usd: float) -> None:
            amount = await budget.reserve(usd)
            let_in.append(number)
            late.extend([number] * budget.used_up)
            held.append((number, amount, usd))

        left = list(enumerate(asks))
        for _ in range(4 * len(asks)):
            step = data.draw(st.sampled_from(["ask", "settle", "cancel", "pass"]))
            if step == "ask" and left:
                tasks.append(asyncio.create_task(attempt(*left.pop(0))))
            elif step == "settle" and held:
                _, amount, usd = held.pop(data.draw(st.integers(0, len(held) - 1)))
                share = data.draw(st.sampled_from([None, 0.0, 0.5, 1.0]))
                settled = budget.settle(amount, None if share is None else share * usd)
                assert settled <= usd + 1e-12
            elif step == "cancel" and tasks:
                tasks[data.draw(st.integers(0, len(tasks) - 1))].cancel()
            await let_them_move()
            assert inside()
            assert let_in == sorted(let_in)  # first come, first served
        while held:  # what is in flight ends
            budget.settle(held.pop()[1], None)
            await let_them_move()
            assert inside()
        assert not late  # nobody is let in when the money is used up
        assert (budget.reserved, meter.calls) == (0.0, int(budget.used_up))
        assert budget.used_up or not budget.waiting  # nobody is forgotten
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.reserved == 0.0

    virtually(main())


def test_what_does_not_fit_waits_for_what_is_in_flight_and_goes_first():
    async def main() -> None:
        meter = Meter(1.0)
        budget = meter.budget
        first = await budget.reserve(0.6)
        large, small = (asyncio.ensure_future(budget.reserve(usd)) for usd in (0.5, 0.1))
        await asyncio.sleep(0)
        assert (large.done(), small.done(), budget.waiting, budget.following) == (False, False, 2, 0.5)
        budget.settle(first, 0.3)
        await asyncio.sleep(0)
        assert (large.done(), small.done(), meter.calls) == (True, True, 0)
        assert (budget.spent, budget.reserved) == (pytest.approx(0.3), pytest.approx(0.6))

    asyncio.run(main())


def test_when_nothing_is_in_flight_and_the_next_does_not_fit_the_money_is_used_up():
    async def main() -> None:
        meter = Meter(1.0)
        first = await meter.budget.reserve(0.6)
        waits = asyncio.ensure_future(meter.budget.reserve(0.5))
        await asyncio.sleep(0)
        assert meter.calls == 0
        meter.budget.settle(first, 0.6)
        late = asyncio.ensure_future(meter.budget.reserve(0.1))  # it would fit, and came too late
        await asyncio.sleep(0)
        assert (meter.calls, meter.budget.used_up, waits.done(), late.done()) == (1, True, False, False)
        for task in (waits, late):
            task.cancel()
        await asyncio.gather(waits, late, return_exceptions=True)

    asyncio.run(main())


def test_a_thousand_small_sums_are_exact():
    async def main() -> None:
        meter = Meter(100.0)
        amounts = [await meter.budget.reserve(0.1) for _ in range(1000)]
        assert not meter.calls
        for amount in amounts:
            meter.budget.settle(amount, 0.1)
        assert (meter.budget.spent, meter.budget.reserved) == (100.0, 0.0)

    asyncio.run(main())


@given(st.text(max_size=300), st.integers(1, 5), st.integers(1, 500))
def test_the_most_counts_every_byte_and_all_that_may_come(text, answers, limit):
    """A tokenizer that makes a token of every byte of the text, and a few for each message."""
    messages = msgspec.json.encode([{"role": "user", "content": text}])
    model = a_model(params={"max_tokens": limit, "n": answers})
    job = a_job(model=model)
    item = msgspec.structs.replace(job.item, messages={PROMPT.name: messages})
    tokens = len(text.encode("utf-8", "replace")) + 8
    assert most(msgspec.structs.replace(job, item=item)) >= PRICE.cost_usd(tokens, answers * limit)


def test_what_the_prompt_declares_counts_as_what_the_model_does():
    tools = [{"type": "function", "function": {"name": "look_up", "description": "d" * 400}}]
    prompt = Prompt(name="plain", messages=PROMPT.messages, params={"max_tokens": 100, "tools": tools})
    plain = a_job(model=a_model(), prompt=Prompt(name="plain", messages=PROMPT.messages, params={"max_tokens": 100}))
    assert most(plain) == MOST
    assert most(a_job(model=a_model(), prompt=prompt)) > MOST + 400 * 1e-6


# The engine under a cap


def work(endpoint: FakeEndpoint, source: Iterator[Job], *, model: Model = MODEL, concurrency: int = 8) -> Work:
    return Work(
        models=(model.id,), jobs=source, endpoints={model.id: endpoint}, lane=Lane(), concurrency=concurrency,
        prices={model.id: PRICE},
    )  # fmt: skip


def run(works: list[Work], cap: float, *, spent: float = 0.0) -> tuple[list[Result], Budget]:
    """Run to the end, or until the money is used up."""
    results: list[Result] = []

    async def main() -> Budget:
        budget = Budget(cap, spent=spent, on_used_up=lambda: engine.stop())  # noqa: PLW0108 - it comes later
        engine = Engine(works, sink=results.append, rng=random.Random(1), budget=budget)
        await engine.run()
        statistics = engine.statistics()
        assert (statistics.max_cost_usd, statistics.spent_usd) == (cap, budget.spent)
        return budget

    return results, throughout(main())


def takes(seconds: float, outcome: Callable[[Job, int], Answer | Failure]) -> FakeEndpoint:
    async def react(job: Job, number: int) -> Answer | Failure:
        await asyncio.sleep(seconds)
        return outcome(job, number)

    return FakeEndpoint(react)


@pytest.mark.parametrize("concurrency", [1, 8, 64])
def test_as_many_are_asked_as_the_cap_is_sure_to_pay_for(concurrency):
    """Whatever is in flight at once: the last to go had room for the most that it could have cost."""
    endpoint = takes(0.1, lambda job, number: ANSWER)
    cap = 100 * COST
    results, budget = run([work(endpoint, jobs(1000, model=MODEL), concurrency=concurrency)], cap)
    assert len(results) == len(endpoint.calls)
    assert budget.spent == pytest.approx(len(results) * COST)
    assert budget.spent <= cap < budget.spent + MOST
    assert (budget.reserved, budget.used_up) == (0.0, True)
    assert {(result.cost_usd, result.status) for result in results} == {(COST, "ok")}


def test_one_cap_holds_over_all_lanes():
    other = a_model("other", params={"max_tokens": 100})
    endpoints = [takes(seconds, lambda job, number: ANSWER) for seconds in (0.01, 0.05)]
    works = [work(endpoints[0], jobs(500, model=MODEL)), work(endpoints[1], jobs(500, model=other), model=other)]
    results, budget = run(works, 60 * COST)
    assert budget.spent == pytest.approx(len(results) * COST)
    assert budget.spent <= 60 * COST < budget.spent + MOST
    assert set(Counter(result.model for result in results)) == {"small", "other"}


def test_a_cap_that_all_fits_into_changes_nothing():
    results, budget = run([work(takes(0.1, lambda job, number: ANSWER), jobs(50, model=MODEL))], 10.0)
    assert (len(results), budget.used_up) == (50, False)
    assert sum(result.settled_usd for result in results) == pytest.approx(budget.spent)


def test_what_was_spent_before_counts():
    results, budget = run([work(takes(0.1, lambda job, number: ANSWER), jobs(50, model=MODEL))], 1.0, spent=1.0)
    assert (results, budget.used_up) == ([], True)


# How an attempt settles


@pytest.mark.parametrize(
    ("failure", "billed"),
    [
        (TIMEOUT, True),
        (Failure(kind="dropped", message="gone"), True),
        (Failure(kind="bad_response", message="no choices", http_status=200), True),
        (BOOM, False),
        (LIMITED, False),
        (Failure(kind="overloaded", message="busy", http_status=503), False),
        (Failure(kind="connect", message="refused"), False),
    ],
    ids=lambda value: value.kind if isinstance(value, Failure) else "",
)
def test_each_attempt_of_a_job_reserves_and_a_failed_one_settles_by_what_may_be_billed(failure, billed):
    endpoint = takes(0.01, lambda job, number: failure if number < 3 else ANSWER)
    results, budget = run([work(endpoint, jobs(1, model=MODEL))], 1.0)
    (result,) = results
    expected = COST + (2 * MOST if billed else 0.0)
    assert (result.attempts, result.cost_usd) == (3, COST)
    assert result.settled_usd == pytest.approx(expected)
    assert budget.spent == pytest.approx(expected)


def test_retries_stop_at_the_cap_too():
    """Timeouts may be billed: without the cap there would be 40 of them for each job."""
    endpoint = takes(0.01, lambda job, number: TIMEOUT)
    model = a_model(params={"max_tokens": 100}, max_attempts=40)
    results, budget = run([work(endpoint, jobs(5, model=model), model=model)], 20.5 * MOST)
    assert len(endpoint.calls) == 20
    assert budget.spent == pytest.approx(20 * MOST)
    assert results == []


def test_an_answer_that_does_not_tell_its_usage_settles_at_its_reservation():
    results, budget = run([work(takes(0.01, lambda job, number: Answer(output="x")), jobs(3, model=MODEL))], 1.0)
    assert {result.cost_usd for result in results} == {None}
    assert [result.settled_usd for result in results] == pytest.approx([MOST] * 3)
    assert budget.spent == pytest.approx(3 * MOST)


def test_a_prompt_that_a_filter_stops_costs_nothing():
    filtered = Answer(output="no", status="refused", http_status=400, stop_reason="content_filter")
    results, budget = run([work(takes(0.01, lambda job, number: filtered), jobs(3, model=MODEL))], 1.0)
    assert ({result.settled_usd for result in results}, budget.spent) == ({0.0}, 0.0)


def test_more_than_was_reserved_counts_and_is_said_once(caplog):
    greedy = Answer(output="x", input_tokens=10**6, output_tokens=10**6)
    results, budget = run([work(takes(0.01, lambda job, number: greedy), jobs(20, model=MODEL), concurrency=1)], 20.0)
    assert budget.spent == pytest.approx(11.0 * len(results))
    assert len(results) == 2
    assert budget.used_up
    (said,) = [record.facts["message"] for record in caplog.records if record.message == "reservation exceeded"]
    assert said.startswith("model small: an answer cost $11.00, and only $0.00")


def test_without_a_cap_costs_are_known_and_nothing_is_settled():
    results: list[Result] = []

    async def main() -> Any:
        engine = Engine([work(takes(0.01, lambda job, number: ANSWER), jobs(5, model=MODEL))], sink=results.append)
        await engine.run()
        return engine.statistics()

    statistics = throughout(main())
    assert {(result.cost_usd, result.settled_usd) for result in results} == {(COST, None)}
    assert statistics.cost_usd == pytest.approx(5 * COST)
    assert (statistics.unpriced, statistics.max_cost_usd, statistics.spent_usd) == (0, None, 0.0)


def test_every_kind_of_failure_says_whether_it_may_be_billed():
    assert {kind for kind, action in ACTIONS.items() if action.billed} == {
        "transient", "timeout", "dropped", "bad_response", "callable"
    }  # fmt: skip


def test_a_model_without_a_price_has_answers_without_a_cost():
    results: list[Result] = []
    unpriced: dict[str, ModelPrice] = {}

    async def main() -> Any:
        endpoint = takes(0.01, lambda job, number: ANSWER)
        part = Work(models=("small",), jobs=jobs(5), endpoints={"small": endpoint}, lane=Lane(), prices=unpriced)
        engine = Engine([part], sink=results.append)
        await engine.run()
        return engine.statistics()

    assert throughout(main()).unpriced == 5
    assert {result.cost_usd for result in results} == {None}


def test_an_image_behind_a_short_address_costs_what_images_may():
    """Its bytes say nothing of its tokens."""
    text = Prompt(name="t", messages=(("user", "x"),), params={"max_tokens": 5})
    image = Prompt(name="i", messages=(("user", (MessagePart("image", "https://h/x"),)),), params={"max_tokens": 5})
    messages = b'[{"content":[{"image_url":{"url":"https://h/x"},"type":"image_url"}],"role":"user"}]'
    plain, shown = most(a_job(prompt=text, messages=messages)), most(a_job(prompt=image, messages=messages))
    assert shown - plain == pytest.approx(PRICE.most_usd(50_000, 0))
