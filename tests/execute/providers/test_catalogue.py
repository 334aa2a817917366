"""The catalogue is whole, agrees with its adapters, and leads a key to nobody else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from execute_jobs import PROMPT, a_job, a_model, http, raw_server, says
from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import check_forms, open_endpoint, resolve_key
from headgate.execute.providers.catalogue import FEATURES, PROVIDERS
from headgate.execute.transports import open_transport
from headgate.suite.model import Model, ProviderName
from headgate.suite.suite import Suite

HTTP = sorted(name for name, record in PROVIDERS.items() if record.adapter is not None and name != "simulated")
ADDRESSED = sorted(name for name, record in PROVIDERS.items() if record.base_url is not None)
CHAT = {
    "id": "c1",
    "model": "served",
    "choices": [{"message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1},
}
RESPONSES = {
    "id": "resp_1",
    "status": "completed",
    "model": "served",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "42"}]}],
    "usage": {"input_tokens": 5, "output_tokens": 1},
}
ANTHROPIC = {
    "id": "msg_1",
    "model": "served",
    "content": [{"type": "text", "text": "42"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "output_tokens": 1},
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "42"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6},
    "trace": {"promptRouter": {"invokedModelId": "served"}},
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "42"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1},
    "modelVersion": "served",
}
OLLAMA = {
    "model": "served",
    "message": {"role": "assistant", "content": "42"},
    "done_reason": "stop",
    "prompt_eval_count": 5,
    "eval_count": 1,
}
ANSWERS = {
    "openai-responses": RESPONSES,
    "anthropic": ANTHROPIC,
    "bedrock": BEDROCK,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}
"""A success of each provider that does not speak chat completions."""

ERRORS: dict[str, tuple[str, dict[str, str], Any, str]] = {
    "openai": (
        "429 Too Many",
        {"retry-after-ms": "20"},
        {"error": {"message": "slow", "type": "tokens", "code": "rate_limit_exceeded"}},
        "rate_limit",
    ),
    "openai-responses": (
        "200 OK",
        {},
        {"status": "failed", "error": {"code": "server_error", "message": "slow"}},
        "transient",
    ),
    "anthropic": (
        "529 Busy",
        {},
        {"type": "error", "error": {"type": "overloaded_error", "message": "slow"}},
        "overloaded",
    ),
    "bedrock": ("424 Failed", {}, {"message": "slow"}, "transient"),
    "gemini": (
        "429 Too Many",
        {},
        {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}},
        "rate_limit",
    ),
    "ollama": ("503 Busy", {}, {"error": "slow"}, "overloaded"),
    "azure": ("404 Not Found", {}, {"error": {"code": "DeploymentNotFound", "message": "slow"}}, "not_found"),
    "mistral": (
        "429 Too Many",
        {},
        {"object": "error", "message": "slow", "type": "rate_limited", "code": "1300"},
        "rate_limit",
    ),
    "groq": (
        "429 Too Many",
        {"retry-after": "2"},
        {"error": {"message": "slow", "type": "tokens", "code": "rate_limit_exceeded"}},
        "rate_limit",
    ),
    "together": (
        "429 Too Many",
        {},
        {"error": {"message": "slow", "type": "credit_limit", "code": None}},
        "rate_limit",
    ),
    "openrouter": (
        "402 Payment Required",
        {},
        {"error": {"code": 402, "message": "slow", "metadata": {"limit_source": "openrouter_credits"}}},
        "quota",
    ),
    "deepseek": (
        "402 Payment Required",
        {},
        {"error": {"message": "slow", "type": "unknown_error", "code": "invalid_request_error"}},
        "quota",
    ),
    "vllm": (
        "500 Oops",
        {},
        {"error": {"message": "slow", "type": "InternalServerError", "param": None, "code": 500}},
        "transient",
    ),
    "tgi": ("422 No", {}, {"error": "slow", "error_type": "validation"}, "invalid_request"),
    "llama-cpp": (
        "503 Loading",
        {},
        {"error": {"code": 503, "message": "slow", "type": "unavailable_error"}},
        "overloaded",
    ),
    "openai-compatible": ("500 Oops", {}, {"detail": "slow"}, "transient"),
}
"""An error as each of them words it: status, headers, body, and the kind that it is."""


def test_every_name_of_a_suite_has_a_record():
    assert set(PROVIDERS) == set(get_args(ProviderName))


@pytest.mark.parametrize("name", HTTP)
def test_the_catalogue_agrees_with_the_adapter(name):
    record = PROVIDERS[name]
    assert record.adapter is not None
    adapter = record.adapter(a_model("m", provider=name))
    assert adapter.sends_seed is ("seed" in record.supports)
    assert record.supports <= set(FEATURES)


@pytest.fixture(autouse=True)
def _aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "an-unused-key")


@pytest.mark.parametrize("name", [name for name in ADDRESSED if PROVIDERS[name].key is not None])
def test_the_environments_key_goes_to_its_provider_alone(name, monkeypatch):
    record = PROVIDERS[name]
    assert record.key is not None
    monkeypatch.setenv(record.key, "sk-canary")
    key = resolve_key(Model(id="m", provider=name), base=Path())
    assert key is not None
    assert key.reveal() == "sk-canary"
    elsewhere = resolve_key(Model(id="m", provider=name, base_url="http://127.0.0.1:9"), base=Path())
    assert elsewhere is None or (record.other_key is not None and elsewhere.reveal() != "sk-canary")
    monkeypatch.delenv(record.key)
    if record.key_needed:
        with pytest.raises(ConfigError, match=record.key):
            resolve_key(Model(id="m", provider=name), base=Path())


def test_azures_key_goes_where_the_suite_says(monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-canary")
    key = resolve_key(Model(id="m", provider="azure", base_url="https://x.openai.azure.com"), base=Path())
    assert key is not None


@pytest.mark.parametrize("name", sorted(set(PROVIDERS) - set(ADDRESSED) - {"python", "simulated"}))
def test_a_provider_without_an_address_needs_one(name):
    with pytest.raises(ConfigError, match=f"provider {name} needs `base_url`"):
        Suite(name="s", items=[{"q": 1}], prompts={"p": "x"}, models=[{"id": "m", "provider": name}])


def test_forms_are_checked_without_a_key_or_a_request():
    model = a_model("m", provider="groq", params={"logprobs": True})
    with pytest.raises(ConfigError, match=r"s\.yaml: models\.m\.params\.logprobs: True cannot be sent to m \(groq\)"):
        check_forms(model, [PROMPT], file=Path("s.yaml"))
    assert check_forms(a_model("m", provider="python", base_url=None, call=len), [PROMPT]) == []
    assert len(check_forms(a_model("m", provider="openrouter"), [PROMPT])) == 1


async def attempted(name: str, reply: bytes) -> tuple[Answer | Failure, bytes]:
    """Send one request of a provider through a real transport to a loopback server; return outcome and request."""
    transport = open_transport(None, connections=1)
    try:
        async with raw_server(says(reply)) as server:
            model = a_model("m", provider=name, base_url=server.url, params={"max_tokens": 9})
            endpoint = open_endpoint(model, transport=transport, base=Path(), prompts=[PROMPT])
            outcome = await endpoint.attempt(a_job(model=model), 1, timeout_s=10)
            assert endpoint.sends_seed is ("seed" in PROVIDERS[name].supports)
            return outcome, server.requests[0]
    finally:
        await transport.aclose()


@pytest.mark.parametrize("name", HTTP)
def test_an_answer_over_loopback(name, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-canary")
    reply = http(msgspec.json.encode(ANSWERS.get(name, CHAT)))
    outcome, request = asyncio.run(attempted(name, reply))
    assert isinstance(outcome, Answer), outcome
    assert (outcome.status, outcome.output, outcome.served_model) == ("ok", "42", "served")
    assert (outcome.stop_reason, outcome.input_tokens, outcome.output_tokens) == ("stop", 5, 1)
    assert request.startswith(b"POST /")
    head, sent = request.split(b"\r\n\r\n", 1)
    assert msgspec.json.decode(sent).get("model") == "m" or re.match(rb"POST /(v1beta/models/m:|model/m/)", head)


@pytest.mark.parametrize("name", HTTP)
def test_an_error_over_loopback(name, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "sk-canary")
    status, headers, body, kind = ERRORS[name]
    outcome, _ = asyncio.run(attempted(name, http(msgspec.json.encode(body), status=status, headers=headers)))
    assert isinstance(outcome, Failure), outcome
    assert (outcome.kind, outcome.message, outcome.http_status) == (kind, "slow", int(status.split()[0]))
