"""The simulated provider over real HTTP."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from headgate.simulate.__main__ import main
from headgate.simulate.server import SimulatedServer
from headgate.suite.simulation import Faults, Simulation

RIGHT = Simulation(accuracy=1.0, latency_s=0.0)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


def ask(client: httpx.Client, url: str, text: str = "What is 6*7?", **fields: Any) -> httpx.Response:
    headers = fields.pop("headers", {})
    body = {"model": "small", "messages": [{"role": "user", "content": text}], **fields}
    return client.post(f"{url}/chat/completions", json=body, headers=headers)


def test_a_completion(client: httpx.Client):
    with SimulatedServer({"small": RIGHT}) as server:
        metadata = {"item": "1", "prompt": "p", "job": "j", "target": "42"}
        body = ask(client, server.base_url, metadata=metadata, temperature=0).json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "small"
    assert body["choices"] == [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}]
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    assert body["usage"]["completion_tokens"] == 1
    assert server.requests == {"j": 1}


def test_answers_by_the_last_line_of_the_last_message(client: httpx.Client):
    with SimulatedServer({"small": RIGHT}, answers={"6*7?": "42", "1+1?": "2"}) as server:
        for text, target in [("Think.\n6*7?", "42"), ("1+1?\n", "2")]:
            assert ask(client, server.base_url, text).json()["choices"][0]["message"]["content"] == target
        parts = [{"type": "text", "text": "Think."}, {"type": "text", "text": "1+1?"}]
        said = ask(client, server.base_url, messages=[{"role": "user", "content": parts}]).json()
        assert said["choices"][0]["message"]["content"] == "2"


def test_a_client_that_does_not_count_gets_past_faults(client: httpx.Client):
    with SimulatedServer({"small": RIGHT.model_copy(update={"faults": Faults(server_error=0.5)})}) as server:
        codes = [[ask(client, server.base_url, f"{n}?").status_code for _ in range(12)] for n in range(10)]
    assert all({200, 500} >= set(row) and 200 in row for row in codes)
    assert any(500 in row for row in codes)


def test_a_client_that_counts_meets_the_same_fault_again(client: httpx.Client):
    with SimulatedServer({"small": RIGHT.model_copy(update={"faults": Faults(server_error=0.5)})}) as server:
        for number in range(1, 10):
            headers = {"x-headgate-attempt": str(number)}
            codes = {ask(client, server.base_url, metadata={"job": "j"}, headers=headers).status_code for _ in range(5)}
            assert len(codes) == 1


@pytest.mark.parametrize("header", ["one", "", "1.5"])
def test_an_attempt_that_is_no_number(client: httpx.Client, header: str):
    with SimulatedServer({"small": RIGHT}) as server:
        assert ask(client, server.base_url, headers={"x-headgate-attempt": header}).status_code in {200, 400}


def test_a_key_is_demanded(client: httpx.Client):
    with SimulatedServer({"small": RIGHT}, key="sk-1") as server:
        refused = ask(client, server.base_url, headers={"authorization": "Bearer sk-2"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert ask(client, server.base_url).status_code == 401
        assert ask(client, server.base_url, headers={"authorization": "Bearer sk-1"}).status_code == 200


def test_an_unknown_model(client: httpx.Client):
    with SimulatedServer({"small": RIGHT}) as server:
        said = ask(client, server.base_url, model="large")
    assert said.status_code == 404
    assert said.json()["error"]["code"] == "model_not_found"
    assert "'large'" in said.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": 3}', b'{"model": "small"}', b"\xff", b"[" * 50_000])
def test_what_is_no_request(client: httpx.Client, body: bytes):
    with SimulatedServer({"small": RIGHT}) as server:
        said = client.post(f"{server.base_url}/chat/completions", content=body)
    assert said.status_code == 400
    assert said.json()["error"]["code"] == "invalid_request_error"


def test_other_paths(client: httpx.Client):
    with SimulatedServer({"small": RIGHT, "large": RIGHT}) as server:
        models = client.get(f"{server.base_url}/models").json()
        assert [model["id"] for model in models["data"]] == ["small", "large"]
        assert client.get(server.base_url.removesuffix("/v1") + "/health").json() == {"status": "ok"}
        assert client.get(f"{server.base_url}/embeddings").status_code == 404
        assert client.get(f"{server.base_url}/chat/completions").status_code == 404


def test_a_refusal(client: httpx.Client):
    with SimulatedServer({"small": Simulation(faults=Faults(refusal=1))}) as server:
        message = ask(client, server.base_url).json()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None, "refusal": "I cannot help with that."}


def test_a_limit_is_enforced_by_the_second(client: httpx.Client):
    limited = RIGHT.model_copy(update={"requests_per_second": 5})
    with SimulatedServer({"small": limited, "free": RIGHT}) as server:
        first = [ask(client, server.base_url) for _ in range(8)]
        assert [said.status_code for said in first] == [200] * 5 + [429] * 3
        assert first[-1].headers["retry-after"] == "1"
        assert ask(client, server.base_url, model="free").status_code == 200
        time.sleep(1.05)
        assert [ask(client, server.base_url).status_code for _ in range(6)] == [200] * 5 + [429]
    assert server.faults == {"limited": 4}


def test_hanging_ends_when_the_client_gives_up(client: httpx.Client):
    with SimulatedServer({"small": Simulation(faults=Faults(hang=1))}) as server:
        body = {"model": "small", "messages": []}
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{server.base_url}/chat/completions", json=body, timeout=0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 2


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_port_closes_on_stop():
    server = SimulatedServer({"small": RIGHT}).start()
    port = port_of(server.base_url)
    assert listens(port)
    server.stop()
    assert not listens(port)
    server.stop()


def test_a_port_that_is_taken():
    with SimulatedServer({"small": RIGHT}) as server, pytest.raises(OSError, match="in use"):
        SimulatedServer({"small": RIGHT}, port=port_of(server.base_url)).start()


def test_one_that_is_never_started_leaves_nothing():
    server = SimulatedServer({"small": RIGHT})
    server.stop()
    assert server.base_url == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_a_process_of_its_own(client: httpx.Client, number: signal.Signals):
    models = json.dumps({"small": {"accuracy": 1.0, "latency_s": 0.0}})
    command = [sys.executable, "-m", "headgate.simulate", models]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert ask(client, url, metadata={"target": "42"}).json()["choices"][0]["message"]["content"] == "42"
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert not listens(port_of(url))


@pytest.mark.parametrize("models", ["{", "[]", '{"small": {"accuracy": 7}}', '{"small": {"acuracy": 1}}'])
def test_models_that_are_wrong_are_a_usage_error(
    models: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["headgate.simulate", models])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "usage: python -m headgate.simulate" in said
    assert "MODELS is not a JSON object of model name to simulation" in said
