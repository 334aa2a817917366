"""Nothing that these tests start calls home: whatever is looked up is this machine."""

from __future__ import annotations

import socket

import pytest

HERE = {None, "", "127.0.0.1", "localhost", "::1", socket.gethostname()}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    looked_up, real = [], socket.getaddrinfo

    def look_up(host, *args, **kwargs):
        looked_up.append(host.decode() if isinstance(host, bytes) else host)
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    assert set(looked_up) <= HERE
