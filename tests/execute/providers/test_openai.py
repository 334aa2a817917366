"""Requests of chat completions, in every dialect."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execute_jobs import PROMPT, a_job, a_model
from headgate.errors import ConfigError
from headgate.execute.providers.dialects import DIALECTS
from headgate.execute.secret import Secret
from headgate.suite.prompts import MessagePart, Prompt
from provider_jobs import adapter_of

URL = "http://h"


def sent(provider: str, *, prompt: Prompt = PROMPT, seed: int = 3, **fields: Any) -> dict[str, Any]:
    """Return the body that a model of a provider is sent, without its messages."""
    model = a_model("m", provider=provider, base_url=URL, **fields)
    adapter = adapter_of(model)
    body = adapter.encode(a_job(model=model, prompt=prompt, seed=seed), adapter.form(model, prompt))
    found = msgspec.json.decode(body)
    assert found.pop("messages") == [{"role": "user", "content": "question 0"}]
    assert found.pop("model") == "m"
    return found


def test_messages_and_parameters_are_spliced():
    model = a_model("m", params={"temperature": 0.0})
    adapter = adapter_of(model)
    body = adapter.encode(a_job(model=model), adapter.form(model, PROMPT))
    messages = b'[{"role":"user","content":"question 0"}]'
    assert body == b'{"model":"m","messages":' + messages + b',"temperature":0.0,"seed":1}'


def test_the_jobs_seed_overrules_the_parameters():
    assert sent("openai-compatible", params={"seed": 9}, seed=1) == {"seed": 1}


def test_the_models_parameters_go_before_the_prompts():
    prompt = Prompt(name="p", messages=(("user", "x"),), params={"top_p": 0.5, "temperature": 1})
    assert sent("openai-compatible", prompt=prompt, params={"temperature": 0}) == {
        "top_p": 0.5,
        "temperature": 0,
        "seed": 3,
    }


def test_the_simulated_provider_is_told_the_job():
    assert sent("simulated") == {
        "seed": 3,
        "metadata": {"item": "i0", "prompt": "plain", "job": f"{0:032x}", "target": "0"},
    }


@pytest.mark.parametrize(
    ("provider", "params", "wanted"),
    [
        ("openai", {"max_tokens": 9}, {"max_completion_tokens": 9, "seed": 3}),
        ("openai", {"max_completion_tokens": 9}, {"max_completion_tokens": 9, "seed": 3}),
        ("azure", {"max_tokens": 9}, {"max_completion_tokens": 9, "seed": 3}),
        ("openai-compatible", {"max_tokens": 9}, {"max_tokens": 9, "seed": 3}),
        ("openai-compatible", {"top_k": 9}, {"top_k": 9, "seed": 3}),
        ("mistral", {"max_completion_tokens": 9}, {"max_tokens": 9, "random_seed": 3}),
        ("mistral", {"random_seed": 7}, {"random_seed": 3}),
        ("mistral", {"tool_choice": "required"}, {"tool_choice": "any", "random_seed": 3}),
        (
            "groq",
            {"max_tokens": 9, "reasoning_format": "parsed"},
            {"reasoning_format": "parsed", "max_completion_tokens": 9, "seed": 3},
        ),
        ("together", {"logprobs": True, "top_logprobs": 5}, {"logprobs": 5, "seed": 3}),
        ("together", {"logprobs": True}, {"logprobs": 1, "seed": 3}),
        ("together", {"logprobs": False}, {"seed": 3}),
        ("together", {"logprobs": 2, "top_k": 4}, {"logprobs": 2, "top_k": 4, "seed": 3}),
        ("openrouter", {}, {"provider": {"allow_fallbacks": False, "require_parameters": True}, "seed": 3}),
        (
            "openrouter",
            {"provider": {"only": ["deepinfra"], "require_parameters": False}},
            {"provider": {"allow_fallbacks": False, "require_parameters": False, "only": ["deepinfra"]}, "seed": 3},
        ),
        ("deepseek", {"max_tokens": 9}, {"max_tokens": 9}),
        ("deepseek", {"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        (
            "vllm",
            {"temperature": 0, "structured_outputs": {"regex": "a+"}},
            {
                "temperature": 0,
                "structured_outputs": {"regex": "a+"},
                "top_p": 1.0,
                "top_k": -1,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "seed": 3,
            },
        ),
        (
            "llama-cpp",
            {"grammar": "root ::= [0-9]+"},
            {
                "grammar": "root ::= [0-9]+",
                "temperature": 1.0,
                "top_p": 1.0,
                "top_k": 0,
                "min_p": 0.0,
                "repeat_penalty": 1.0,
                "seed": 3,
            },
        ),
        ("tgi", {"temperature": 0.5}, {"temperature": 0.5, "seed": 3}),
    ],
)
def test_what_each_server_is_sent(provider: str, params: dict[str, Any], wanted: dict[str, Any]):
    assert sent(provider, params=params) == wanted


SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("provider", "params"),
    [
        ("openai", {"top_k": 1}),
        ("azure", {"repetition_penalty": 1.1}),
        ("mistral", {"logit_bias": {"5": 1}}),
        ("groq", {"logprobs": True}),
        ("together", {"store": True}),
        ("deepseek", {"seed": 1}),
        ("deepseek", {"response_format": SCHEMA}),
        ("tgi", {"n": 2}),
        ("llama-cpp", {"structured_outputs": {}}),
    ],
)
def test_what_a_server_does_not_take_is_refused_or_dropped(provider: str, params: dict[str, Any]):
    name = next(iter(params))
    with pytest.raises(ConfigError, match=rf"models\.m\.params\.{name}: .* cannot be sent to m"):
        sent(provider, params=params)
    model = a_model("m", provider=provider, base_url=URL, params=params, on_unsupported="drop")
    assert adapter_of(model).form(model, PROMPT).dropped == (name,)
    assert name not in sent(provider, params=params, on_unsupported="drop")


def test_two_limits_that_differ_are_refused():
    prompt = Prompt(name="p", messages=(("user", "x"),), params={"max_tokens": 5})
    with pytest.raises(ConfigError, match="limit the same, and differ; give one of them"):
        sent("openai", prompt=prompt, params={"max_completion_tokens": 6})
    assert sent("openai", prompt=prompt, params={"max_completion_tokens": 5})["max_completion_tokens"] == 5


@pytest.mark.parametrize(
    ("version", "name", "path"),
    [
        (None, "gpt", "/openai/v1/chat/completions"),
        ("v1", "gpt", "/openai/v1/chat/completions"),
        ("2024-10-21", "gpt", "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"),
        ("2024-10-21", "a b/c?d", "/openai/deployments/a%20b%2Fc%3Fd/chat/completions?api-version=2024-10-21"),
    ],
)
def test_azures_paths(version: str | None, name: str, path: str):
    model = a_model("m", provider="azure", base_url=URL, model=name, api_version=version)
    adapter = adapter_of(model)
    assert adapter.form(model, PROMPT).path == path
    assert adapter.api_version == (version or "v1")
    assert adapter.headers(Secret("k"))["api-key"] == "k"
    assert "authorization" not in adapter.headers(Secret("k"))


@pytest.mark.parametrize("provider", sorted(set(DIALECTS) - {"azure", "simulated"}))
def test_the_key_is_a_bearer_token(provider: str):
    adapter = adapter_of(a_model("m", provider=provider, base_url=URL))
    assert adapter.headers(Secret("k"))["authorization"] == "Bearer k"
    assert "authorization" not in adapter.headers(None)
    assert adapter.api_version is None


@pytest.mark.parametrize(
    ("params", "warned"),
    [
        ({}, True),
        ({"provider": {"sort": "price"}}, True),
        ({"provider": {"only": ["x"]}}, False),
        ({"provider": {"order": ["x"]}}, False),
    ],
)
def test_openrouter_without_a_host_is_warned_of(params: dict[str, Any], warned: bool):
    model = a_model("m", provider="openrouter", base_url=URL, params=params)
    warning = adapter_of(model).form(model, PROMPT).warning
    assert (warning is not None) is warned
    assert warning is None or "provider: {only: [NAME]}" in warning


def test_defaults_and_dialects_are_not_changed_by_what_is_sent():
    before = msgspec.json.encode(DIALECTS["openrouter"].defaults)
    sent("openrouter", params={"provider": {"only": ["x"]}})
    assert msgspec.json.encode(DIALECTS["openrouter"].defaults) == before


def test_images_go_as_the_prompt_has_them_or_not_at_all():
    prompt = Prompt(name="p", messages=(("user", (MessagePart("image", "https://h/x.png"),)),), file="s.yaml")
    messages = prompt.render({})
    model = a_model("m", provider="vllm", base_url=URL)
    adapter = adapter_of(model)
    body = adapter.encode(a_job(prompt=prompt, model=model, messages=messages), adapter.form(model, prompt))
    assert msgspec.json.decode(body)["messages"] == msgspec.json.decode(messages)
    model = a_model("m", provider="deepseek", base_url=URL, on_unsupported="drop")
    with pytest.raises(ConfigError, match=r"s\.yaml: prompts\.p: holds an image, and deepseek takes text alone \(m\)"):
        adapter_of(model).form(model, prompt)
