"""The lanes of a suite: those that it declares, and those that follow from its models."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.suite.model import Lane as LaneDeclared
from headgate.suite.model import Suite


def declared_lanes(suite: Suite) -> Iterator[LaneDeclared]:
    """Yield the lanes of a suite: the declared ones, and one for every quota that no lane names."""
    yield from suite.lanes
    named = {model for lane in suite.lanes for model in lane.models}
    quotas: dict[tuple[str | None, ...], list[str]] = {}
    for model in suite.models:
        if model.id not in named:
            quotas.setdefault((model.provider, model.api_key, model.base_url, model.name), []).append(model.id)
    for models in quotas.values():
        yield LaneDeclared.model_validate({"models": models})
