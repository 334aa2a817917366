"""A key goes to no host that was not allowed, and that is said before anything is asked or written."""

from __future__ import annotations

import pytest

import headgate as hg
from headgate.conduct.hosts import check_hosts
from headgate.errors import ConfigError
from headgate.testing import SimulatedServer, Simulation


@pytest.fixture(autouse=True)
def key(monkeypatch):
    for name in ("HEADGATE_TEST_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-canary-0123456789")


def suite(**model):
    fields = {"id": "m", "provider": "openai-compatible", **model}
    return hg.Suite(
        name="s",
        items=[{"q": "1", "target": "2"}],
        prompts={"old": "{{ q }}", "new": "Sum: {{ q }}"},
        models=[fields],
        compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        scorers=[{"name": "correct", "type": "numeric"}],
        gates=[{"metric": "correct", "margin": 0.1}],
    )


def keyed(url):
    return suite(base_url=url, api_key="env:HEADGATE_TEST_KEY")


@pytest.mark.parametrize(
    ("declared", "allowed"),
    [
        (keyed("https://API.example.com/v1"), ["api.example.com"]),
        (keyed("https://api.example.com/v1"), ["other", "API.EXAMPLE.COM:443"]),
        (keyed("http://api.example.com:8000/v1"), ["api.example.com:8000"]),
        (keyed("http://api.example.com:8000/v1"), ["api.example.com"]),
        (keyed("http://[::1]:8000/v1"), ["[::1]"]),
        (keyed("https://anywhere.example/v1"), None),
        (suite(base_url="http://anywhere.example/v1"), []),
        (suite(provider="openai"), ["api.openai.com"]),
        (suite(provider="simulated"), []),
        (suite(provider="python", call=str), []),
    ],
    ids=["host", "its port", "host and port", "any port", "ipv6", "all", "no key", "openai", "simulated", "python"],
)
def test_what_is_allowed(declared, allowed):
    check_hosts(declared, declared.models, allowed)


@pytest.mark.parametrize(
    ("declared", "allowed", "host"),
    [
        (keyed("https://api.example.com.evil.example/v1"), ["api.example.com"], "api.example.com.evil.example"),
        (keyed("https://api.example.com:444/v1"), ["api.example.com:443"], "api.example.com:444"),
        (suite(base_url="http://api.example.com:secret@evil.example/v1"), ["api.example.com"], "evil.example"),
        (suite(base_url="http://me:secret@evil.example/v1"), ["api.example.com"], "evil.example"),
        (suite(base_url="http://evil.example/v1?api-key=abc"), ["api.example.com"], "evil.example"),
        (suite(provider="openai"), ["localhost"], "api.openai.com"),
        (keyed("http://localhost:1/v1"), [], "localhost:1"),
    ],
    ids=["a longer name", "another port", "a login that looks like a host", "login", "query", "default", "none"],
)
def test_what_is_not(declared, allowed, host):
    with pytest.raises(ConfigError, match=r"models.m.base_url: .*is not a host that keys may go to") as caught:
        check_hosts(declared, declared.models, allowed)
    assert caught.value.value == host


@pytest.mark.parametrize("given", ["https://api.example.com", "api.example.com/v1", "", "*"])
def test_what_is_no_host(given):
    declared = suite(provider="simulated")
    with pytest.raises(ConfigError, match=r"--allow-host: .*is no host"):
        check_hosts(declared, declared.models, [given])


def test_an_address_that_is_none():
    with pytest.raises(ConfigError, match=r"models.m.base_url: is not an http\(s\) URL"):
        check_hosts(keyed("http://[::1/v1"), keyed("http://[::1/v1").models, ["localhost"])


@pytest.mark.parametrize("call", [hg.run, hg.check, hg.pilot])
def test_nothing_is_asked_and_nothing_is_written(call, tmp_path):
    with SimulatedServer({"m": Simulation()}) as server:
        with pytest.raises(ConfigError, match=r"'127.0.0.1:.* is not a host that keys may go to"):
            call(keyed(server.base_url), out=tmp_path / "run", allow_hosts=["api.openai.com"])
        assert server.requests.total() == 0
        assert not (tmp_path / "run").exists()
        call(keyed(server.base_url), out=tmp_path / "run", allow_hosts=["127.0.0.1"])
        assert server.requests.total() > 0


def test_the_key_of_an_embedding_goes_to_no_other_host_either(tmp_path):
    embedded = {"name": "alike", "type": "embedding_similarity", "model": "e", "api_key": "env:HEADGATE_TEST_KEY"}
    declared = hg.Suite(
        name="s",
        items=[{"q": "1", "target": "2"}],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "simulated"}],
        scorers=[embedded | {"base_url": "https://embeddings.example/v1"}],
    )
    with pytest.raises(ConfigError, match=r"'embeddings\.example' is not a host that keys may go to"):
        hg.run(declared, out=tmp_path / "run", allow_hosts=["api.openai.com"])
    assert not (tmp_path / "run").exists()
