"""The lanes of a suite: those that it declares, and those that follow from its models."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.suite.model import Lane as LaneDeclared
from headgate.suite.suite import Suite


def declared_lanes(suite: Suite) -> Iterator[LaneDeclared]:
    """Yield the lanes of a suite: the declared ones, and one for every quota that no lane names.

    Their models are places: a lane that names a model with several endpoints has those that no lane names by itself.
    """
    named = {name for lane in suite.lanes for name in lane.models}
    lane_of = {
        place.id: place.id if place.id in named else model.id for model in suite.models for place in model.places
    }
    for lane in suite.lanes:
        models = [place for model in lane.models for place, name in lane_of.items() if name == model]
        if models:
            yield lane.model_copy(update={"models": models})
    quotas: dict[tuple[str | None, ...], list[str]] = {}
    for place in suite.places:
        if lane_of[place.id] not in named:
            quotas.setdefault((place.provider, place.api_key, place.base_url, place.name), []).append(place.id)
    for models in quotas.values():
        yield LaneDeclared.model_validate({"models": models})
