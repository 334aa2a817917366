"""Anthropic messages: requests as its API takes them, and every shape of what it answers."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.anthropic import VERSIONS, Messages, decode
from headgate.execute.secret import Secret
from headgate.suite.model import Model
from provider_jobs import (
    CONVERSATION,
    FORMAT,
    HI,
    PNG,
    SCHEMA,
    TOOL,
    adapter_of,
    answered,
    asked,
    failed,
    image,
    job_of,
    over_loopback,
    response,
)

OLD = "2023-06-01"
REPLY = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-20260301",
    "content": [{"type": "text", "text": "Hi! My name is Claude."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "stop_details": None,
    "container": None,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 25,
        "output_tokens_details": {"thinking_tokens": 7},
        "service_tier": "standard",
        "inference_geo": "global",
    },
}


def a_model(*, api_version: str | None = None, on_unsupported: str = "error", **params: Any) -> Model:
    return Model(
        id="claude",
        provider="anthropic",
        model="claude-sonnet-5",
        api_version=api_version,
        on_unsupported=on_unsupported,
        params={"max_tokens": 100, **params},
    )


answer = partial(answered, decode)
failure = partial(failed, decode)


# Requests


def test_the_least_request():
    assert asked(a_model()) == {"model": "claude-sonnet-5", "max_tokens": 100, "messages": HI}


def test_system_messages_stand_apart():
    body = asked(a_model(), [*CONVERSATION, {"role": "developer", "content": "Be kind."}])
    assert body["messages"] == CONVERSATION[1:]
    assert body["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]


def test_images_from_data_and_from_elsewhere():
    text = {"type": "text", "text": "What is it?"}
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    assert asked(a_model(), image())["messages"][0]["content"] == [text, {"type": "image", "source": source}]
    url = "https://example.com/a.png"
    source = {"type": "url", "url": url}
    assert asked(a_model(), image(url))["messages"][0]["content"] == [text, {"type": "image", "source": source}]


def test_a_part_of_another_kind_is_an_error_that_names_the_item():
    messages = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]
    with pytest.raises(
        ConfigError, match=r"prompts\.plain: gives item 'i1' a part of type 'input_audio'; .* text and im"
    ):
        asked(a_model(), messages)


def test_parameters_by_openais_names():
    body = asked(
        a_model(
            api_version=OLD,
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            stop="END",
            tools=[TOOL],
            tool_choice="required",
            parallel_tool_calls=False,
            response_format=FORMAT,
            reasoning_effort="high",
        )
    )
    function = TOOL["function"]
    assert body == {
        "model": "claude-sonnet-5",
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END"],
        "tools": [{"name": "add", "description": "Add numbers", "input_schema": function["parameters"]}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        "messages": HI,
    }


@pytest.mark.parametrize(
    ("choice", "theirs"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "add"}}, {"type": "tool", "name": "add"}),
        ({"type": "tool", "name": "add"}, {"type": "tool", "name": "add"}),
    ],
)
def test_choices_of_tools(choice: Any, theirs: Any):
    assert asked(a_model(tools=[TOOL], tool_choice=choice))["tool_choice"] == theirs


def test_its_own_parameters_and_tools_pass_as_they_stand():
    theirs = {
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "cache_control": {"type": "ephemeral"},
        "service_tier": "standard_only",
        "tools": [{"type": "web_search_20260209", "name": "web_search"}],
    }
    assert asked(a_model(**theirs)) == {"model": "claude-sonnet-5", "max_tokens": 100, "messages": HI, **theirs}


def test_extra_body_goes_into_the_body():
    assert asked(a_model(extra_body={"new": 1}))["new"] == 1


def test_without_max_tokens_nothing_is_sent():
    model = Model(id="claude", provider="anthropic")
    with pytest.raises(ConfigError, match=r"models\.claude\.params\.max_tokens: is missing; Anthropic's API needs it"):
        asked(model)


def test_a_prompt_may_say_how_long():
    model = Model(id="claude", provider="anthropic")
    adapter, job = adapter_of(model), job_of(model, max_completion_tokens=7)
    assert json.loads(adapter.encode(job, adapter.form(model, job.prompt)))["max_tokens"] == 7


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_new_version_takes_no_sampling(name: str):
    with pytest.raises(
        ConfigError, match=rf"models\.claude\.params\.{name}: 0 .*2026-10-21.*`api_version: '2023-06-01'`"
    ):
        asked(a_model(**{name: 0}))
    model = a_model(on_unsupported="drop", **{name: 0})
    form = adapter_of(model).form(model, job_of(model).prompt)
    assert form.dropped == (name,)
    assert name not in form.shared
    assert asked(a_model(api_version=OLD, **{name: 0}))[name] == 0


@pytest.mark.parametrize("name", ["seed", "logprobs", "n", "frequency_penalty", "logit_bias"])
def test_what_no_version_takes(name: str):
    with pytest.raises(ConfigError, match=rf"models\.claude\.params\.{name}: .*on_unsupported: drop"):
        asked(a_model(api_version=OLD, **{name: 1}))


@pytest.mark.parametrize("drop", ["error", "drop"])
def test_a_name_that_nobody_knows_is_a_mistake(drop: str):
    with pytest.raises(ConfigError, match=r"models\.claude\.params\.temprature: 0 .*did you mean 'temperature'\?"):
        asked(a_model(on_unsupported=drop, temprature=0))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("reasoning_effort", "minimal", "use one of low, medium"),
        ("response_format", {"type": "json_object"}, "is no format of this API"),
        ("response_format", {"schema": {}}, "is not OpenAI's form"),
        ("tools", {}, "is not a list"),
        ("tools", [{"type": "function"}], "without a name"),
        ("tool_choice", "add", "is not OpenAI's form"),
        ("output_config", 1, "is not a mapping"),
    ],
)
def test_values_that_are_none(name: str, value: Any, says: str):
    with pytest.raises(ConfigError, match=rf"models\.claude\.params\.{name}: .*{says}"):
        asked(a_model(**{name: value}))


def test_versions_and_their_keys():
    new, old = Messages().headers(Secret("sk-1")), Messages(api_version=OLD).headers(Secret("sk-1"))
    assert (new["anthropic-version"], new["authorization"]) == (VERSIONS[0], "Bearer sk-1")
    assert (old["anthropic-version"], old["x-api-key"]) == (OLD, "sk-1")
    assert "x-api-key" not in new
    assert "authorization" not in old
    with pytest.raises(ConfigError, match=r"models\.claude\.api_version: '2025-01-01' is no version"):
        asked(a_model(api_version="2025-01-01"))


# Answers


def test_an_answer_with_all_it_carries():
    assert answer(REPLY, request_id="req_018") == Answer(
        output="Hi! My name is Claude.",
        http_status=200,
        stop_reason="stop",
        input_tokens=3210,
        output_tokens=25,
        cached_tokens=3000,
        cache_write_tokens=200,
        reasoning_tokens=7,
        ttfb_s=0.25,
        served_model="claude-sonnet-5-20260301",
        request_id="req_018",
    )


def test_without_the_header_the_message_names_the_request():
    assert answer(REPLY).request_id == REPLY["id"]


def test_thoughts_texts_and_calls():
    content = [
        {"type": "thinking", "thinking": "Let me ", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
        {"type": "thinking", "thinking": "see.", "signature": "c2ln"},
        {"type": "text", "text": "I add", "citations": None},
        {"type": "text", "text": " them."},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
        {"type": "of_tomorrow", "x": 1},
    ]
    outcome = answer({**REPLY, "content": content, "stop_reason": "tool_use"})
    assert (outcome.output, outcome.reasoning, outcome.stop_reason) == ("I add them.", "Let me see.", "tool_calls")
    called = json.loads(outcome.tool_calls_json or "")
    assert called == [{"id": "toolu_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "context_length"),
        ("pause_turn", "pause_turn"),
        ("of_tomorrow", "of_tomorrow"),
        (None, None),
    ],
)
def test_stop_reasons(theirs: str | None, ours: str | None):
    outcome = answer({**REPLY, "stop_reason": theirs})
    assert (outcome.status, outcome.stop_reason) == ("ok", ours)


def test_a_refusal_is_an_answer():
    details = {"type": "refusal", "category": "cyber", "explanation": "Could enable harm."}
    body = {**REPLY, "content": [], "stop_reason": "refusal", "stop_details": details}
    outcome = answer(body)
    assert (outcome.status, outcome.stop_reason, outcome.output) == ("refused", "refusal", "Could enable harm.")
    partly = answer({**body, "content": [{"type": "text", "text": "I cannot"}]})
    assert (partly.status, partly.output) == ("refused", "I cannot")
    assert answer({**body, "stop_details": None}).output is None


def test_an_answer_without_content_or_usage():
    outcome = answer({**REPLY, "content": [], "usage": None})
    assert (outcome.output, outcome.input_tokens, outcome.output_tokens) == (None, None, None)


# Errors


def error(named: str, error_code: str | None = None, message: str = "why") -> dict[str, Any]:
    details = {} if error_code is None else {"details": {"error_code": error_code, "error_visibility": "user_facing"}}
    return {"type": "error", "error": {"type": named, "message": message, **details}, "request_id": "req_011"}


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (400, error("invalid_request_error"), {}, "invalid_request"),
        (400, error("invalid_request_error", None, "prompt is too long: 9 tokens > 8 maximum"), {}, "context_length"),
        (400, error("invalid_request_error", None, "You have reached your specified API usage limits."), {}, "quota"),
        (401, error("authentication_error"), {}, "auth"),
        (402, error("billing_error"), {}, "quota"),
        (403, error("permission_error"), {}, "auth"),
        (404, error("not_found_error"), {}, "not_found"),
        (409, error("conflict_error"), {}, "transient"),
        (413, error("request_too_large"), {}, "invalid_request"),
        (429, error("rate_limit_error"), {"retry_after": "7"}, "rate_limit"),
        (429, error("rate_limit_error", "ramp_limit_exceeded"), {"retry_after": "7"}, "rate_limit"),
        (429, error("rate_limit_error", "enforced_spend_limit_reached"), {}, "quota"),
        (429, error("rate_limit_error", "contract_spend_limit_reached"), {}, "quota"),
        (429, error("rate_limit_error", "linked_organization_spend_limit_reached"), {}, "quota"),
        (500, error("api_error"), {}, "transient"),
        (504, error("timeout_error"), {}, "transient"),
        (529, error("overloaded_error"), {}, "overloaded"),
        (502, b"<html>", {}, "transient"),
    ],
)
def test_errors(status: int, body: Any, headers: dict[str, str], kind: str):
    outcome = failure(body, status=status, request_id="req_011", **headers)
    assert (outcome.kind, outcome.http_status) == (kind, status)
    assert outcome.retry_after_s == (7.0 if headers else None)
    assert outcome.message.endswith("(request req_011)")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"<html>", b"{}", b'{"content": 1}', b'{"content": [{"type": "te', b"\xff"]
)
def test_what_is_no_message_is_tried_again(body: bytes):
    assert failure(body).kind == "bad_response"


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([200, 400, 429, 500]))
def test_no_body_breaks_it(body: bytes, status: int):
    assert isinstance(decode(response(body, status=status)), Answer | Failure)


def test_over_loopback(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLAUDE_KEY", "sk-ant-1")
    model = a_model().model_copy(update={"api_key": "env:CLAUDE_KEY"})
    limits = {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "49"}
    outcome, line, headers, body = over_loopback(model, REPLY, **{"request-id": "req_018", **limits})
    assert isinstance(outcome, Answer)
    assert (outcome.output, outcome.request_id) == ("Hi! My name is Claude.", "req_018")
    assert outcome.quota is not None
    assert line == "POST /v1/messages HTTP/1.1"
    assert headers["authorization"] == "Bearer sk-ant-1"
    assert body["messages"] == HI
