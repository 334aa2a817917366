"""An endpoint that cannot serve: one clear error within seconds, and everything resumes; over real loopback HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

import headgate as hg
from command_line import call, call_here
from execute_jobs import a_model, http, jobs, raw_server, says
from headgate.errors import EndpointError
from headgate.execute import health
from headgate.execute.endpoint import HttpEndpoint
from headgate.execute.engine import Engine
from headgate.execute.lanes import Lane
from headgate.execute.transports import TransportName, open_transport
from headgate.execute.work import Work
from headgate.result import Result
from headgate.testing import SimulatedServer, Simulation

TRANSPORTS: tuple[TransportName, ...] = ("aiohttp", "httpx")


async def run_against(url: str, rows: list[Result], *, name: TransportName, count: int = 100_000) -> str:
    """Return the error that ends the run."""
    transport = open_transport(name, connections=32)
    endpoint = HttpEndpoint(url, transport=transport)
    model = a_model(timeout_s=5)
    work = Work(
        models=("small",),
        jobs=jobs(count, model=model),
        endpoints={"small": endpoint},
        lane=Lane(),
        concurrency=32,
    )
    try:
        with pytest.raises(EndpointError) as caught:
            await asyncio.wait_for(Engine([work], sink=rows.append).run(), 60)
    finally:
        await transport.aclose()
    return str(caught.value)


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_name_that_does_not_resolve(name: TransportName):
    rows: list[Result] = []
    host = "a." * 130 + "invalid"  # too long for a name, which no resolver needs to be asked for
    started = time.monotonic()
    text = asyncio.run(run_against(f"http://{host}/v1", rows, name=name))
    assert time.monotonic() - started < 20
    assert text.startswith(f"model small at http://{host} cannot be reached: ")
    assert "check `base_url`, the network, and that the server runs" in text
    assert rows == []


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *((name, "500 Internal Server Error") for name in TRANSPORTS),
        ("aiohttp", "502 Bad Gateway"),  # the status is read above the transports
        ("aiohttp", "503 Service Unavailable"),
    ],
)
def test_a_server_that_gives_nothing_but_errors(name: TransportName, status: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "_BROKEN_S", 1.0)

    async def main() -> str:
        nonlocal requests
        async with raw_server(says(http(b'{"error": {"message": "out of order"}}', status=status))) as server:
            text = await run_against(server.url + "/v1", rows, name=name)
            requests = len(server.requests)
        return text

    rows: list[Result] = []
    requests = 0
    text = asyncio.run(main())
    assert "has given nothing but errors for 1 s: out of order; look at the server's log. What is done is kept" in text
    assert rows == []
    assert 20 <= requests <= 80


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_suite(folder: Path, port: int) -> Path:
    items = [{"id": f"q{n}", "question": f"{n} + 1", "target": n + 1} for n in range(400)]
    url = f"http://127.0.0.1:{port}/v1"
    suite = {
        "name": "dead",
        "items": items,
        "prompts": {"plain": {"text": "{{ question }}"}},
        "models": [{"id": "m", "provider": "openai-compatible", "base_url": url, "api_key": "env:DEAD_TEST_KEY"}],
        "scorers": [{"name": "correct", "type": "numeric"}],
        "gates": [{"metric": "correct", "min": 0.1}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(suite))
    return path


def words(suite: Path) -> list[str]:
    return ["run", str(suite), "--out", str(suite.parent / "run"), "--quiet"]


def environ(key: str) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "DEAD_TEST_KEY": key}


@pytest.mark.parametrize("why", ["refused", "401"])
def test_the_command_ends_with_3_and_the_same_command_finishes(why: str, tmp_path: Path):
    port, simulation = free_port(), {"m": Simulation(latency_s=0.001)}
    suite = write_suite(tmp_path, port)
    started = time.monotonic()
    if why == "refused":
        ran = call(*words(suite), env=environ("sk-right-canary"), timeout=60)
        reason = "cannot be reached: "
    else:
        with SimulatedServer(simulation, key="sk-right-canary", port=port):
            ran = call(*words(suite), env=environ("sk-wrong-canary"), timeout=60)
        reason = "refuses to serve: Incorrect API key provided (status 401); check the key"
    assert time.monotonic() - started < 20
    assert ran.returncode == 3
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert f"model m at http://127.0.0.1:{port} {reason}" in line
    assert "the same command resumes" in line
    assert "canary" not in line
    with SimulatedServer(simulation, key="sk-right-canary", port=port) as server:
        again = call_here(*words(suite), env=environ("sk-right-canary"))
        assert again.returncode == 0, again.stderr
        assert sum(server.requests.values()) == 400
    results = hg.scan(tmp_path / "run").collect()
    assert Counter(results["status"].to_list()) == {"ok": 400}
    assert results["job_id"].n_unique() == 400
    assert hg.verify(tmp_path / "run") == []
