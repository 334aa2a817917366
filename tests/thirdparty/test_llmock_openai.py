"""OpenAI's two APIs, Azure's and OpenRouter's against `llmock`, which nobody here wrote; see test_llmock.py."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

import headgate as hg
from thirdparty.test_llmock import wait_for_port

HOME = os.environ.get("LLMOCK_HOME")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(HOME is None, reason="LLMOCK_HOME names no installation of @copilotkit/aimock"),
]

TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
FIXTURES = [
    {"match": {"userMessage": "Say hello"}, "response": {"content": "Hello.", "reasoning": "A greeting."}},
    {
        "match": {"userMessage": "What is the weather"},
        "response": {"toolCalls": [{"name": "weather", "arguments": '{"city":"Oslo"}'}]},
    },
    {
        "match": {"userMessage": "Break"},
        "response": {"error": {"message": "why", "type": "invalid_request_error"}, "status": 400},
    },
    {"match": {"userMessage": "Look"}, "response": {"content": "A dot."}},
]
MODELS = {
    "openai": {"path": "/v1"},
    "openai-responses": {"path": "/v1"},
    "azure": {"path": "", "api_version": "2024-10-21"},
    "openrouter": {"path": "/api/v1", "params": {"provider": {"only": ["openai"]}}},
    "groq": {"path": "/v1"},
    "mistral": {"path": "/v1"},
    "together": {"path": "/v1"},
    "vllm": {"path": "/v1"},
}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llmock")
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": FIXTURES}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(str(HOME)) / "node_modules/.bin/llmock", "--port", port, "--fixtures", folder / "fixtures.json"]
    process = subprocess.Popen([*map(str, command), "--strict", "--log-level", "silent"])
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.mark.parametrize("provider", MODELS)
def test_every_adapter_reads_what_llmock_answers(server, provider, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMOCK_KEY", "sk-canary")
    (tmp_path / "dot.png").write_bytes(PNG)
    declared = dict(MODELS[provider])
    base_url, params = server + declared.pop("path"), {"tools": [TOOL], "max_tokens": 50, **declared.pop("params", {})}
    items = [
        {"id": "text", "q": "Say hello"},
        {"id": "tool", "q": "What is the weather in Oslo?"},
        {"id": "error", "q": "Break"},
        {"id": "image", "q": "Look"},
    ]
    model = {"id": "m", "provider": provider, "model": "gpt-5-mini", "base_url": base_url, "api_key": "env:LLMOCK_KEY"}
    suite = {
        "name": "llmock",
        "items": items,
        "prompts": {"p": [{"role": "user", "content": [{"text": "{{ q }}"}, {"image": "dot.png"}]}]},
        "models": [{**model, "params": params, "max_attempts": 2, **declared}],
    }
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    run = hg.run(hg.load_suite(tmp_path / "suite.json"), out=tmp_path / "run")
    rows = {row["item_id"]: row for row in hg.scan(run).collect().to_dicts()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "text": "ok",
        "tool": "ok",
        "error": "error",
        "image": "ok",
    }
    text, tool = rows["text"], rows["tool"]
    assert (text["output"], text["stop_reason"]) == ("Hello.", "stop")
    assert text["reasoning"] == "A greeting."
    assert text["served_model"] is not None
    assert text["input_tokens"] is not None
    (call,) = json.loads(tool["tool_calls_json"])
    assert (tool["stop_reason"], call["type"]) == ("tool_calls", "function")
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"city": "Oslo"})
    assert (rows["error"]["error_kind"], rows["error"]["error_message"]) == ("invalid_request", "why")
    assert rows["image"]["output"] == "A dot."
    assert {row["api_version"] for row in rows.values()} == {declared.get("api_version")}
    assert hg.verify(run.path) == []
