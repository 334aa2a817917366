"""Which of a model's endpoints a job goes to: a pure decision over what is declared and how they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec

from headgate.errors import ConfigError, EndpointError
from headgate.execute.health import Health
from headgate.plan import Job
from headgate.prices import ModelPrice
from headgate.suite.endpoint import Capability, Endpoint
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

_NEEDS: Final[Mapping[str, Capability]] = {
    "tools": "tools",
    "functions": "tools",
    "response_format": "json",
    "logprobs": "logprobs",
    "top_logprobs": "logprobs",
}
"""Parameters that not every server takes, and what each asks of it."""

_TYPICAL: Final = (4_000, 1_000)
"""Input and output tokens by whose price endpoints are put in order: four to one."""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """What a router is told of a job.

    Attributes
    ----------
    key : bytes
        Digest of its item, 16 bytes: the same for both arms, all seeds and every rerun. A router that decides by it is
        sticky.
    """

    key: bytes
    item_id: str
    cluster: str | None
    prompt: str
    model: str
    seed: int


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """What a router is told of an endpoint: a snapshot.

    Attributes
    ----------
    wait_s : float
        Seconds until its circuit lets an attempt through; 0 where it does now.
    usd_per_million : float or None
        Price of a million tokens, four of five of them input; None where it is not known.
    latency_s : float or None
        Moving average of what an attempt takes there; None before the first.
    in_flight : int
        Attempts under way in its lane.
    """

    name: str
    weight: float
    wait_s: float
    usd_per_million: float | None
    latency_s: float | None
    in_flight: int


class Router(Protocol):
    """A way of one's own to choose endpoints: ``route: "module:function"``.

    It is asked for every attempt, must not wait, and decides by its arguments alone: the same ones, the same choice.
    """

    def __call__(self, job: JobView, candidates: Sequence[EndpointView]) -> int:
        """Return the place of the chosen endpoint among the candidates, which can all serve the job and are alive."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """A model at one of its endpoints.

    Attributes
    ----------
    model : Model
        As it is asked there; its id is the place's, such as ``small@azure``.
    """

    model: Model
    name: str
    weight: float
    substitute: str | None
    price: ModelPrice | None
    capabilities: frozenset[Capability] | None

    @property
    def id(self) -> str:
        """What lanes, prices and health call it."""
        return self.model.id

    @property
    def usd_per_million(self) -> float | None:
        """Price of a typical million tokens."""
        cost_usd = None if self.price is None else self.price.cost_usd(*_TYPICAL)
        return None if cost_usd is None else cost_usd * 1e6 / sum(_TYPICAL)


class Site(Protocol):
    """What a lane knows of the endpoints in it."""

    @property
    def health(self) -> Mapping[str, Health]:
        """By the ids of its places."""
        ...

    @property
    def in_flight(self) -> int:
        """Attempts under way."""
        ...


class Route:
    """The endpoints of one model, in the order in which a job asks for them.

    Parameters
    ----------
    model : Model
        With endpoints.
    prompts : iterable of Prompt
        What it is asked.
    prices : mapping of str to ModelPrice
        By the ids of its places.
    key_of : callable
        A job's index to the digest of its item.
    router : callable, optional
        Decides in place of a named route.

    Raises
    ------
    ConfigError
        If no endpoint has what a prompt needs.
    """

    def __init__(
        self,
        model: Model,
        *,
        prompts: Iterable[Prompt],
        prices: Mapping[str, ModelPrice | None],
        key_of: Callable[[int], bytes],
        router: Router | None = None,
    ) -> None:
        self.model, self.router = model, router
        self._key_of, self._seed = key_of, model.route_seed.to_bytes(8, "big")
        pairs = zip(model.endpoints, model.places, strict=True)
        self.places = tuple(_place(endpoint, placed, prices.get(placed.id)) for endpoint, placed in pairs)
        self._orders = {prompt.name: self._in_order(prompt) for prompt in prompts}

    def order(self, index: int, prompt: str) -> tuple[Place, ...]:
        """Return the endpoints of a job, the first choice first; substitutes stand behind all that serve the model."""
        order = self._orders[prompt]
        if self.model.route != "weighted" or len(order) == 1:
            return order
        key = self._key_of(index)
        return tuple(sorted(order, key=lambda place: (place.substitute is not None, -self._score(key, place))))

    def home(self, index: int, prompt: str) -> Place:
        """Return the endpoint that a job goes to while all work; of a router's own route the first that it may have."""
        return self.order(index, prompt)[0]

    def choose(self, job: Job, sites: Mapping[str, Site]) -> Place | None:
        """Return the endpoint of a job's next attempt; None where it has to wait.

        Raises
        ------
        EndpointError
            If none of them can serve this run any more.
        """
        alive, lost = self._alive(job, sites)
        if not alive:
            places = self.order(job.index, job.prompt.name)
            raise EndpointError("\n".join(str(sites[place.id].health[place.id].error) for place in places))
        if self.router is not None and not lost:
            return self._asked(job, alive, sites)
        return next((place for place in alive if not sites[place.id].health[place.id].circuit.wait_s), None)

    def wait_s(self, job: Job, sites: Mapping[str, Site]) -> float:
        """Return the seconds until one of a job's endpoints may be asked again."""
        alive, _ = self._alive(job, sites)
        return min((sites[place.id].health[place.id].circuit.wait_s for place in alive), default=0.0)

    def _alive(self, job: Job, sites: Mapping[str, Site]) -> tuple[list[Place], bool]:
        """Return the endpoints that may be asked, none if all are lost, and whether those of the model itself are."""
        order = self.order(job.index, job.prompt.name)
        healths = {place: sites[place.id].health[place.id] for place in order}
        lost = all(healths[place].error is not None for place in order if place.substitute is None)
        if lost and all(health.error is not None for health in healths.values()):
            return [], True
        asked = order if lost else [place for place in order if place.substitute is None]
        return [place for place in asked if not healths[place].dead], lost

    def _asked(self, job: Job, candidates: Sequence[Place], sites: Mapping[str, Site]) -> Place:
        assert self.router is not None
        item = job.item
        view = JobView(
            key=self._key_of(job.index),
            item_id=item.item_id,
            cluster=item.cluster,
            prompt=job.prompt.name,
            model=job.model.id,
            seed=job.seed,
        )
        chosen = self.router(view, [_view(place, sites[place.id]) for place in candidates])
        if type(chosen) is not int or not 0 <= chosen < len(candidates):
            raise ConfigError(
                f"chose {chosen!r} of {len(candidates)} endpoints",
                field=f"models.{self.model.id}.route",
                mend="return the place of one of the candidates, from 0",
            )
        return candidates[chosen]

    def _in_order(self, prompt: Prompt) -> tuple[Place, ...]:
        needs = needed({**prompt.params, **self.model.params}, prompt)
        able = [place for place in self.places if place.capabilities is None or needs <= place.capabilities]
        ours = [place for place in able if place.substitute is None]
        if not ours:
            raise ConfigError(
                f"no endpoint has what prompt {prompt.name!r} needs: {', '.join(sorted(needs))}",
                field=f"models.{self.model.id}.endpoints",
                mend="add one that has, or correct `capabilities`",
            )
        if self.model.route == "primary":
            return (ours[0],)
        if self.model.route == "cost_first":
            ours.sort(key=_cost)  # stable: equal ones stay as declared, and what has no known price is last
        return (*ours, *(place for place in able if place.substitute is not None))

    def _score(self, key: bytes, place: Place) -> float:
        """Return a place's score for an item: the highest wins, each as often as its weight says.

        Notes
        -----
        Weighted rendezvous hashing: Thaler and Ravishankar (1998), with weights as Schindelhauer and Schomaker (2005)
        have them. An endpoint that is added takes items from the others, and moves none between them.
        """
        drawn = blake2b(self._seed + key + place.name.encode(), digest_size=8).digest()
        return -place.weight / math.log((int.from_bytes(drawn, "big") + 0.5) / 2**64)


def needed(params: Mapping[str, Any], prompt: Prompt) -> frozenset[Capability]:
    """Return what a request asks of its server beyond text.

    Examples
    --------
    >>> sorted(needed({"logprobs": True, "tools": []}, Prompt(name="p", messages=(("user", "?"),))))
    ['logprobs']
    """
    asked: set[Capability] = {need for name, need in _NEEDS.items() if params.get(name)}
    if prompt.has_images:
        asked.add("images")
    return frozenset(asked)


def _place(endpoint: Endpoint, placed: Model, price: ModelPrice | None) -> Place:
    return Place(
        model=placed,
        name=endpoint.name,
        weight=endpoint.weight,
        substitute=endpoint.substitute,
        price=price,
        capabilities=None if endpoint.capabilities is None else frozenset(endpoint.capabilities),
    )


def _cost(place: Place) -> float:
    cost = place.usd_per_million
    return math.inf if cost is None else cost


def _view(place: Place, site: Site) -> EndpointView:
    health = site.health[place.id]
    return EndpointView(
        name=place.name,
        weight=place.weight,
        wait_s=health.circuit.wait_s,
        usd_per_million=place.usd_per_million,
        latency_s=health.latency_s,
        in_flight=site.in_flight,
    )
