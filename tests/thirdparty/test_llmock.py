"""A suite against a server that nobody here wrote: `llmock` of the npm package @copilotkit/aimock.

Run by ``nox -s llmock``, which installs it and names its folder in LLMOCK_HOME.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

import headgate as hg

HOME = os.environ.get("LLMOCK_HOME")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(HOME is None, reason="LLMOCK_HOME names no installation of @copilotkit/aimock"),
]


@pytest.fixture
def llmock(tmp_path):
    """Start the server with an answer for every question, and a few faults; yield its base URL."""
    fixtures = [
        {"match": {"userMessage": f"What is {n} + 1?"}, "response": {"content": f"The answer is {n + 1}."}}
        for n in range(50)
    ]
    call = {"name": "add", "arguments": '{"a": 1}'}
    fixtures.append(
        {"match": {"userMessage": "Add 1."}, "response": {"toolCalls": [call], "reasoning": "It is a sum."}}
    )
    (tmp_path / "fixtures.json").write_text(json.dumps({"fixtures": fixtures}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        Path(str(HOME)) / "node_modules/.bin/llmock",
        "--port",
        str(port),
        "--fixtures",
        tmp_path / "fixtures.json",
    ]
    faults = [
        "--chaos-drop",
        "0.05",
        "--chaos-malformed",
        "0.05",
        "--chaos-disconnect",
        "0.05",
        "--log-level",
        "silent",
    ]
    server = subprocess.Popen([*map(str, command), "--strict", *faults])
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=10)


def wait_for_port(port):
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "llmock does not listen"
            time.sleep(0.1)
        else:
            return


def test_a_suite_runs_against_llmock(llmock, tmp_path):
    suite = hg.Suite(
        name="llmock",
        items=[{"id": f"q{n}", "question": f"What is {n} + 1?", "target": n + 1} for n in range(50)],
        prompts={"plain": "{{ question }}"},
        models=[
            {"id": "m", "provider": "openai-compatible", "model": "gpt-4o-mini", "base_url": llmock, "max_attempts": 20}
        ],
        seeds=3,
        scorers=[{"name": "correct", "type": "numeric"}],
        gates=[{"metric": "correct", "min": 0.9}],
    )
    run = hg.run(suite, out=tmp_path / "run")
    assert run.counts == {"ok": 150, "error": 0, "refused": 0}
    results = hg.scan(run).collect()
    assert results["attempts"].sum() > 150, "no fault was dealt"
    assert results["served_model"].null_count() == 0
    assert hg.scan_scores(run).collect()["value"].mean() == 1.0
    assert hg.gate(run).verdict == "pass"
    assert hg.verify(run.path) == []


VENDORS = {
    "anthropic": {"params": {"max_tokens": 100}},
    "bedrock": {},
    "gemini": {},
    "ollama": {},
}


@pytest.mark.parametrize("provider", VENDORS)
def test_other_apis_run_against_llmock(provider, llmock, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "A_KEY"):
        monkeypatch.setenv(name, "unchecked")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    key = {} if provider in {"bedrock", "ollama"} else {"api_key": "env:A_KEY"}
    model = {"id": "m", "provider": provider, "base_url": llmock.removesuffix("/v1"), "max_attempts": 20, **key}
    suite = hg.Suite(
        name="llmock",
        items=[{"id": f"q{n}", "question": f"What is {n} + 1?", "target": n + 1} for n in range(50)],
        prompts={"plain": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{ question }}"}]},
        models=[{**model, **VENDORS[provider]}],
        scorers=[{"name": "correct", "type": "numeric"}],
        gates=[{"metric": "correct", "min": 0.9}],
    )
    run = hg.run(suite, out=tmp_path / "run")
    assert run.counts == {"ok": 50, "error": 0, "refused": 0}
    results = hg.scan(run).collect()
    assert results["attempts"].sum() > 50, "no fault was dealt"
    assert set(results["stop_reason"]) == {"stop"}
    assert results["seed_sent"].all() == (provider in {"gemini", "ollama"})
    assert hg.scan_scores(run).collect()["value"].mean() == 1.0
    assert hg.verify(run.path) == []


TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize("provider", VENDORS)
def test_tools_and_reasoning_of_other_apis(provider, llmock, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unchecked")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    model = {"id": "m", "provider": provider, "base_url": llmock.removesuffix("/v1"), "max_attempts": 20}
    params = {**VENDORS[provider].get("params", {}), "tools": [TOOL]}
    suite = hg.Suite(
        name="llmock",
        items=[{"id": "q", "target": "x"}],
        prompts={"plain": "Add 1."},
        models=[{**model, "params": params}],
        scorers=[{"name": "empty", "type": "exact_match"}],
    )
    (row,) = hg.scan(hg.run(suite, out=tmp_path / "run")).collect().to_dicts()
    assert (row["status"], row["stop_reason"]) == ("ok", "tool_calls")
    ((call,), reasoning) = json.loads(row["tool_calls_json"]), row["reasoning"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("add", {"a": 1})
    assert reasoning in {"It is a sum.", None}
