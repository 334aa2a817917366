"""Which endpoint a job goes to: pure orders first, then pools whose endpoints fail and come back."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execute_jobs import PROMPT, FakeEndpoint, a_job
from headgate.errors import ConfigError, EndpointError
from headgate.execute.answer import Answer, Failure, FailureKind
from headgate.execute.engine import Engine
from headgate.execute.lanes import Lane
from headgate.execute.routing import EndpointView, JobView, Route
from headgate.execute.work import Work
from headgate.plan import Job
from headgate.prices import find_prices
from headgate.result import Result
from headgate.suite.model import Model
from headgate.suite.prompts import MessagePart, Prompt
from virtual_clock import throughout

ANSWER = Answer(output="x")
DEAD = Failure(kind="auth", message="no such key", http_status=401)
BUSY = Failure(kind="overloaded", message="busy", http_status=503)
HOMES = "baabbccccacacabbaaaaccbacaabcaacbbbbbaaabacbacbbcaaacabbbbcbacba"
REFUSED = Failure(kind="connect", message="Connection refused")


def key_of(index: int) -> bytes:
    return blake2b(index.to_bytes(8, "big"), digest_size=16).digest()


def at(*names: str, route: Any = "fallback", **fields: Any) -> Model:
    places = [{"name": name, "base_url": f"http://{name}/v1"} for name in names]
    return routed(places, route=route, **fields)


def routed(places: Sequence[dict[str, Any]], **fields: Any) -> Model:
    endpoints = [{"base_url": f"http://{place['name']}/v1", **place} for place in places]
    return Model(**{"id": "small", "provider": "openai-compatible", "endpoints": endpoints, **fields})


def a_route(model: Model, *, prompts: Sequence[Prompt] = (PROMPT,), router: Any = None) -> Route:
    prices = find_prices(model.places)
    return Route(model, prompts=prompts, prices=prices, key_of=key_of, router=router)


def names(route: Route, index: int = 0) -> list[str]:
    return [place.name for place in route.order(index, PROMPT.name)]


# Orders


@pytest.mark.parametrize(("route", "order"), [("fallback", ["a", "b", "c"]), ("primary", ["a"])])
def test_orders_as_declared(route, order):
    assert names(a_route(at("a", "b", "c", route=route))) == order


def test_the_cheapest_goes_first_and_an_unknown_price_is_not_zero():
    def price(usd: float) -> dict[str, Any]:
        return {"input_usd_per_million": usd, "output_usd_per_million": 2 * usd}

    places = [{"name": "unknown"}, {"name": "dear", "price": price(9)}, {"name": "cheap", "price": price(1)}]
    assert names(a_route(routed(places, route="cost_first"))) == ["cheap", "dear", "unknown"]


def test_jobs_go_only_where_what_they_need_is_offered():
    places = [{"name": "plain", "capabilities": []}, {"name": "able", "capabilities": ["json", "logprobs"]}]
    params = {"response_format": {"type": "json_object"}, "logprobs": True}
    wants = Prompt(name="wants", messages=PROMPT.messages, params=params)
    route = a_route(routed(places), prompts=[PROMPT, wants])
    assert names(route) == ["plain", "able"]
    assert [place.name for place in route.order(0, "wants")] == ["able"]


def test_an_image_goes_only_where_images_are_looked_at():
    places = [{"name": "blind", "capabilities": []}, {"name": "seeing", "capabilities": ["images"]}]
    looks = Prompt(name="looks", messages=(("user", (MessagePart("image", "{{ q }}"),)),))
    route = a_route(routed(places), prompts=[looks])
    assert [place.name for place in route.order(0, "looks")] == ["seeing"]


def test_a_need_that_no_endpoint_meets_is_refused_by_name():
    model = routed([{"name": "plain", "capabilities": ["json"]}], params={"tools": [{"type": "function"}]})
    with pytest.raises(ConfigError, match=r"no endpoint has what prompt 'plain' needs: tools"):
        a_route(model)


def test_a_substitute_stands_behind_all_whatever_its_weight_or_price():
    places = [{"name": "other", "substitute": "tiny", "weight": 1e9}, {"name": "a"}, {"name": "b"}]
    for how in ("fallback", "weighted", "cost_first"):
        route = a_route(routed(places, route=how, allow_substitution=True))
        assert {names(route, index)[-1] for index in range(50)} == {"other"}


# Weights and stickiness


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=5), st.integers(0, 2**32))
def test_weights_are_respected(weights, seed):
    places = [{"name": f"e{number}", "weight": weight} for number, weight in enumerate(weights)]
    route = a_route(routed(places, route="weighted", route_seed=seed))
    n = 3000
    counts = Counter(route.home(index, PROMPT.name).name for index in range(n))
    for place in places:
        share = place["weight"] / sum(weights)
        # Six standard deviations: once in 10^9 draws.
        assert abs(counts[place["name"]] - n * share) <= 6 * (n * share * (1 - share)) ** 0.5 + 1


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(0, 2**32), st.floats(0.1, 10))
def test_an_endpoint_that_is_added_takes_items_and_moves_none_between_others(count, seed, weight):
    some = [{"name": f"e{number}"} for number in range(count)]
    before = a_route(routed(some, route="weighted", route_seed=seed))
    after = a_route(routed([{"name": "new", "weight": weight}, *reversed(some)], route="weighted", route_seed=seed))
    for index in range(300):
        assert after.home(index, PROMPT.name).name in {before.home(index, PROMPT.name).name, "new"}
        rest = [name for name in names(after, index) if name != "new"]
        assert rest == names(before, index)


def test_another_seed_deals_the_items_out_anew():
    homes = [
        [a_route(at("a", "b", route="weighted", route_seed=seed)).home(index, PROMPT.name).name for index in range(200)]
        for seed in (1, 2)
    ]
    same = sum(one == two for one, two in zip(*homes, strict=True))
    assert 60 < same < 140


def test_the_endpoint_of_an_item_is_the_same_in_every_process_and_for_every_prompt():
    other = Prompt(name="other", messages=PROMPT.messages)
    route = a_route(at("a", "b", "c", route="weighted"), prompts=[PROMPT, other])
    homes = {prompt: "".join(route.home(index, prompt).name for index in range(64)) for prompt in ("plain", "other")}
    # As another process, with another hash seed, once printed it.
    assert homes == dict.fromkeys(("plain", "other"), HOMES)


# Pools


class Site:
    """An endpoint of a test: what it answers hangs on the time."""

    def __init__(self, outcome: Callable[[Job, float], Answer | Failure], *, seconds: float = 0.05) -> None:
        async def react(job: Job, number: int) -> Answer | Failure:
            told = outcome(job, asyncio.get_running_loop().time())
            await asyncio.sleep(seconds)
            return told

        self.fake = FakeEndpoint(react)

    @property
    def asked(self) -> int:
        return len(self.fake.calls)


def works(job: Job, now: float) -> Answer | Failure:
    return ANSWER


def run(
    model: Model,
    sites: dict[str, Site],
    n: int,
    *,
    router: Any = None,
    concurrency: int = 4,
    lanes: Sequence[Sequence[str]] | None = None,
) -> tuple[list[Result], Engine]:
    """Run jobs over lanes, by default one for each endpoint, on a virtual clock."""
    route = a_route(model, router=router)
    groups = lanes or [[name] for name in sites]
    results: list[Result] = []

    def lane(group: Sequence[str]) -> Work:
        ids = {f"{model.id}@{name}": sites[name].fake for name in group}
        source = (a_job(index, model=model) for index in range(n) if route.home(index, PROMPT.name).id in ids)
        shared: dict[str, Any] = {"lane": Lane(), "concurrency": concurrency, "routes": {model.id: route}}
        return Work(models=tuple(ids), jobs=source, endpoints=ids, **shared)

    engines: list[Engine] = []

    async def main() -> None:
        engines.append(Engine([lane(group) for group in groups], sink=results.append, rng=random.Random(1)))
        await engines[0].run()

    throughout(main())
    return results, engines[0]


def once(results: list[Result], n: int) -> bool:
    return sorted(result.job_id for result in results) == [f"{index:032x}" for index in range(n)]


def served(results: list[Result]) -> Counter[str]:
    return Counter(result.endpoint for result in results)


@pytest.mark.parametrize("lanes", [None, [["a", "b"]]], ids=["two lanes", "one lane"])
def test_all_goes_to_the_first_while_it_works(lanes):
    results, engine = run(at("a", "b"), {"a": Site(works), "b": Site(works)}, 100, lanes=lanes)
    assert once(results, 100)
    assert served(results) == {"a": 100}
    assert not any(result.fallback or result.substitute for result in results)
    assert engine.statistics().lost == ()


@pytest.mark.parametrize("lanes", [None, [["a", "b"]]], ids=["two lanes", "one lane"])
def test_a_refused_key_moves_all_to_the_next_and_is_told(lanes):
    sites = {"a": Site(lambda job, now: DEAD), "b": Site(works)}
    results, engine = run(at("a", "b"), sites, 400, lanes=lanes)
    assert once(results, 400)
    assert served(results) == {"b": 400}
    assert all(result.fallback and result.status == "ok" for result in results)
    assert sites["a"].asked <= 4
    assert ["no such key" in told for told in engine.statistics().lost] == [True]


def test_a_job_comes_back_to_its_first_endpoint_once_that_works_again():
    def gone(job: Job, now: float) -> Answer | Failure:
        return BUSY if now < 10 else ANSWER

    sites = {"a": Site(gone), "b": Site(works)}
    results, engine = run(at("a", "b"), sites, 4000)
    assert once(results, 4000)
    assert min(served(results).values()) > 500
    assert [result.endpoint for result in results[-100:]].count("a") > 90
    assert all(result.fallback == (result.endpoint == "b") for result in results)
    assert engine.statistics().lost == ()


def test_an_endpoint_out_of_reach_is_probed_and_used_again():
    def gone(job: Job, now: float) -> Answer | Failure:
        return REFUSED if now < 5 else ANSWER

    sites = {"a": Site(gone), "b": Site(works)}
    results, engine = run(at("a", "b"), sites, 3000)
    assert once(results, 3000)
    assert {result.status for result in results} == {"ok"}
    assert min(served(results).values()) > 300
    assert engine.statistics().lost == ()


def test_a_primary_that_is_dead_ends_the_run():
    with pytest.raises(EndpointError, match="no such key"):
        run(at("a", "b", route="primary"), {"a": Site(lambda job, now: DEAD), "b": Site(works)}, 50)


def test_all_endpoints_dead_end_the_run_and_each_is_named():
    sites = {"a": Site(lambda job, now: DEAD), "b": Site(lambda job, now: REFUSED)}
    with pytest.raises(EndpointError, match=r"(?s)small@a.*no such key.*small@b.*Connection refused"):
        run(at("a", "b"), sites, 50)


def test_a_slow_endpoint_that_stands_in_holds_the_queue_and_not_the_memory():
    sites = {"a": Site(lambda job, now: DEAD), "b": Site(works, seconds=1.0)}
    results, _ = run(at("a", "b"), sites, 1000, concurrency=8)
    assert once(results, 1000)


def test_a_substitute_answers_only_when_nothing_else_does_and_its_rows_say_so():
    places = [{"name": "a"}, {"name": "other", "substitute": "tiny"}]

    def dies(job: Job, now: float) -> Answer | Failure:
        return ANSWER if now < 1 else DEAD

    sites = {"a": Site(dies), "other": Site(works)}
    results, _ = run(routed(places, allow_substitution=True), sites, 200)
    assert once(results, 200)
    assert {(result.endpoint, result.substitute, result.fallback) for result in results} == {
        ("a", None, False),
        ("other", "tiny", True),
    }
    assert {result.model for result in results} == {"small"}


KINDS: tuple[FailureKind, ...] = ("auth", "quota", "connect", "overloaded", "transient", "rate_limit", "timeout")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.tuples(st.floats(0, 8), st.sampled_from(KINDS)), max_size=4), min_size=3, max_size=3),
    st.sampled_from(["fallback", "weighted", "cost_first"]),
    st.sampled_from([[["a"], ["b"], ["other"]], [["a", "b"], ["other"]], [["a", "other"], ["b"]]]),
)
def test_no_substitution_is_silent_whatever_fails_when(plans, how, lanes):
    """Each endpoint fails in its own way from each moment of its plan on, for two seconds."""
    places = [{"name": "a"}, {"name": "b", "weight": 3.0}, {"name": "other", "substitute": "tiny"}]

    def reaction(plan: list[tuple[float, FailureKind]]) -> Callable[[Job, float], Answer | Failure]:
        def react(job: Job, now: float) -> Answer | Failure:
            kind = next((kind for start, kind in plan if start <= now < start + 2), None)
            return ANSWER if kind is None else Failure(kind=kind, message=kind)

        return react

    sites = {place["name"]: Site(reaction(plan), seconds=0.2) for place, plan in zip(places, plans, strict=True)}
    model = routed(places, route=how, allow_substitution=True)
    try:
        results, _ = run(model, sites, 200, lanes=lanes)
    except EndpointError:  # all of them are gone; what was done is right all the same
        return
    assert once(results, 200)
    route = a_route(model)
    for result in results:
        home = route.home(int(result.job_id, 16), PROMPT.name).name
        assert (result.substitute == "tiny") == (result.endpoint == "other")
        assert result.fallback == (result.endpoint != home)


# Routers of one's own


def test_a_router_decides_by_what_it_is_told():
    seen: list[Sequence[EndpointView]] = []

    def choose(job: JobView, candidates: Sequence[EndpointView]) -> int:
        seen.append(candidates)
        return job.key[0] % len(candidates)

    sites = {"a": Site(works), "b": Site(works, seconds=0.2)}
    results, _ = run(at("a", "b", route="routers:choose"), sites, 200, router=choose)
    assert once(results, 200)
    for result in results:
        assert result.endpoint == "ab"[key_of(int(result.job_id, 16))[0] % 2]
    assert not any(result.fallback for result in results)
    last = {view.name: view for view in seen[-1]}
    assert last["b"].latency_s == pytest.approx(0.2, abs=0.02)
    assert last["a"].latency_s == pytest.approx(0.05, abs=0.02)


def test_a_router_is_not_offered_what_is_dead():
    offered: list[list[str]] = []

    def choose(job: JobView, candidates: Sequence[EndpointView]) -> int:
        offered.append([view.name for view in candidates])
        return 0

    results, _ = run(
        at("a", "b", route="routers:choose"), {"a": Site(lambda job, now: DEAD), "b": Site(works)}, 50, router=choose
    )
    assert once(results, 50)
    assert offered[-1] == ["b"]
    assert {result.fallback for result in results if result.attempts > 1} == {True}


@pytest.mark.parametrize("chosen", [2, -1, None, True])
def test_a_router_that_chooses_nothing_is_told_so(chosen):
    with pytest.raises(ConfigError, match=r"of 2 endpoints"):
        run(
            at("a", "b", route="routers:choose"),
            {"a": Site(works), "b": Site(works)},
            5,
            router=lambda job, candidates: chosen,
        )
