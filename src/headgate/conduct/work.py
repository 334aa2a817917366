"""The lanes and endpoints of a run, opened: what its jobs are done with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from headgate.conduct.lanes import declared_lanes
from headgate.conduct.options import RunOptions
from headgate.conduct.prepare import Prepared, item_keys
from headgate.conduct.todo import shard_of
from headgate.errors import ConfigError
from headgate.execute.cache import CacheKeys, CacheOptions, ResponseCache, open_cache
from headgate.execute.endpoint import CallableEndpoint, Endpoint, HttpEndpoint, open_endpoint
from headgate.execute.lanes import Lane
from headgate.execute.leaders import Leaders
from headgate.execute.redaction import PatternRedaction, RedactedEndpoint
from headgate.execute.reuse import Reuse, redraw_items
from headgate.execute.routing import Route
from headgate.execute.transport import Transport
from headgate.execute.transports import open_transport
from headgate.execute.work import Work
from headgate.plan import Plan
from headgate.suite.model import Lane as LaneDeclared
from headgate.suite.model import Model
from headgate.suite.simulation import Simulation
from headgate.suite.suite import Suite

_FEWEST_TO_LEAD: Final = 2
_LONG_BYTES: Final = 3657
"""About 1,024 tokens, from where on providers cache a prefix."""


async def open_work(prepared: Prepared, options: RunOptions, stack: AsyncExitStack) -> list[Work]:
    """Open endpoints and lanes: one pool of workers per lane, each without jobs so far."""
    suite = prepared.suite
    asked = (*prepared.plan.models, *suite.judges)
    places = {place.id: place for model in asked for place in model.places}
    lanes = [lane for lane in declared_lanes(suite) if any(name in places for name in lane.models)]
    lanes = [shard_of(prepared).split_lane(lane) for lane in lanes]
    transport = _transport(suite, options, connections=sum(lane.concurrency for lane in lanes))
    if transport is not None:
        stack.push_async_callback(transport.aclose)
    simulator = open_simulator(suite, stack)
    long = long_prefixes(prepared.plan)
    _check_cache(suite, options.cache)
    cache = open_cache(options.cache)
    if cache is not None:
        stack.push_async_callback(cache.aclose)
    work: list[Work] = []
    for lane in lanes:
        ours = [place for place in places.values() if place.id in lane.models]
        endpoints = {place.id: _open(place, prepared, lane, transport, simulator) for place in ours}
        limits = Lane(**lane.model_dump(exclude={"models", "concurrency"}))
        models = tuple(lane.models)
        routes = {name: route for name, route in prepared.routes.items() if _meets(route, endpoints)}
        shared: dict[str, Any] = {"concurrency": lane.concurrency, "prices": prepared.prices, "routes": routes}
        tested = {place.id: place for place in ours if place.role == "tested"}
        led = [(name, prompt) for name, place in tested.items() if place.prefix_order == "auto" for prompt in long]
        shared["leaders"] = Leaders(led) if led else None
        if cache is not None:
            shared["reuse"] = _reuse(cache, prepared, tested, endpoints)  # what judges said the run keeps itself
        shown = _redacted(endpoints, suite.store.redact)
        work.append(Work(models=models, jobs=iter(()), endpoints=shown, lane=limits, **shared))
    return work


def _redacted(endpoints: Mapping[str, Endpoint], patterns: Sequence[str]) -> Mapping[str, Endpoint]:
    """Return endpoints whose outcomes hold nothing that matches."""
    if not patterns:
        return endpoints
    redaction = PatternRedaction(patterns)
    return {name: RedactedEndpoint(endpoint, redaction) for name, endpoint in endpoints.items()}


def _check_cache(suite: Suite, cache: CacheOptions) -> None:
    """Refuse a cache, which holds answers as they are, where the suite does not want them kept."""
    if cache.mode != "off" and (suite.store.redact or suite.store.outputs != "keep"):
        said, mend = "says that outputs are not kept as they are", "leave --cache out: it would keep them"
        raise ConfigError(said, file=suite.file, field="store", mend=mend)


def long_prefixes(plan: Plan) -> list[str]:
    """Return the prompts that begin with so much text in common that providers keep it in their caches.

    What is in common is seen in the first and the last item, in any template language.
    """
    if len(plan.items) < _FEWEST_TO_LEAD:
        return []
    first, last = plan.items[0].messages, plan.items[len(plan.items) - 1].messages
    return [prompt.name for prompt in plan.prompts if _common(first[prompt.name], last[prompt.name]) >= _LONG_BYTES]


def _common(one: bytes, other: bytes) -> int:
    pairs = zip(one, other, strict=False)
    return next((place for place, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(one), len(other)))


def _reuse(
    cache: ResponseCache, prepared: Prepared, places: Mapping[str, Model], endpoints: Mapping[str, Endpoint]
) -> Reuse:
    http = {name: endpoint for name in places if isinstance(endpoint := endpoints[name], HttpEndpoint)}
    keys = {name: CacheKeys(endpoint, places[name]) for name, endpoint in http.items()}
    share, run_id = prepared.suite.policy.redraw, prepared.store.manifest.run_id
    return Reuse(cache=cache, keys=keys, redraws=redraw_items(share, item_keys(prepared.plan), run_id=run_id))


def _transport(suite: Suite, options: RunOptions, *, connections: int) -> Transport | None:
    given = options.transport
    if given is not None and not isinstance(given, str):
        return given
    if all(place.provider == "python" for place in suite.places):
        return None
    return open_transport(given, connections=connections)


def _meets(route: Route, endpoints: Mapping[str, Endpoint]) -> bool:
    return any(place.id in endpoints for place in route.places)


def _open(
    model: Model, prepared: Prepared, lane: LaneDeclared, transport: Transport | None, simulator: str | None
) -> Endpoint:
    if model.provider == "python":
        return CallableEndpoint("python", prepared.calls[model.id], threads=lane.concurrency)
    assert transport is not None
    suite, prompts = prepared.suite, prepared.plan.prompts if model.role == "tested" else ()
    return open_endpoint(
        model, transport=transport, base=suite.base, file=suite.file, simulator=simulator, prompts=prompts
    )


def open_simulator(suite: Suite, stack: AsyncExitStack) -> str | None:
    """Start the simulated provider, where a model needs it; return its base URL.

    Raises
    ------
    ConfigError
        If a model behaves in two ways.
    """
    models: dict[str, Simulation] = {}
    for model in suite.places:
        if model.provider == "simulated" and model.base_url is None:
            behaviour = model.simulate or Simulation.model_validate({})
            if models.setdefault(model.name, behaviour) != behaviour:
                raise ConfigError(
                    "behaves in two ways",
                    file=suite.file,
                    field="models",
                    value=model.name,
                    mend="give each its own `model`",
                )
    if not models:
        return None
    from headgate.simulate.server import SimulatedServer  # it brings a web server along

    return stack.enter_context(SimulatedServer(models)).base_url
