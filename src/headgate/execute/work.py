"""What an engine is given: the jobs of one lane, and all that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headgate.execute.endpoint import Endpoint
from headgate.execute.lanes import Lane
from headgate.execute.leaders import Leaders
from headgate.execute.reuse import Reuse
from headgate.execute.routing import Route
from headgate.plan import Job
from headgate.prices import ModelPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The jobs of one lane.

    Attributes
    ----------
    jobs : iterator of Job
        Pulled lazily, one at a time.
    endpoints : mapping of str to Endpoint
        Model id to where it is served; of a model with several endpoints, the id of each place in this lane.
    concurrency : int
        Most attempts under way at once.
    prices : mapping of str to ModelPrice
        Model id, or that of a place, to what its tokens cost, where that is known.
    routes : mapping of str to Route
        Model id to how its endpoints are chosen, for models that have several.
    reuse : Reuse, optional
        The response cache, and which of its answers are asked for anew.
    leaders : Leaders, optional
        Which long prefixes are not in the provider's cache yet.
    """

    models: tuple[str, ...]
    jobs: Iterator[Job]
    endpoints: Mapping[str, Endpoint]
    lane: Lane
    concurrency: int = 64
    prices: Mapping[str, ModelPrice] = field(default_factory=dict[str, ModelPrice])
    routes: Mapping[str, Route] = field(default_factory=dict[str, Route])
    reuse: Reuse | None = None
    leaders: Leaders | None = None
