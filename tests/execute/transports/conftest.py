"""Every test of this folder that asks for an opener runs over all transports."""

from __future__ import annotations

import pytest

from transport_faults import OPENERS, POOLS, PROXY_VARIABLES, Opener


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Opener:
    return OPENERS[request.param]


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> Opener:
    return POOLS[request.param]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
