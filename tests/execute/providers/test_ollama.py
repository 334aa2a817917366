"""Ollama's own API: requests as it takes them, and every shape of what it answers."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.ollama import decode
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

REPLY = {
    "model": "qwen3:4b",
    "created_at": "2026-11-26T12:00:00.123456Z",
    "message": {"role": "assistant", "content": "4", "thinking": "2 and 2"},
    "done": True,
    "done_reason": "stop",
    "total_duration": 1,
    "load_duration": 1,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 1,
    "eval_count": 12,
    "eval_duration": 1,
}


def a_model(**params: Any) -> Model:
    return Model(id="local", provider="ollama", model="qwen3:4b", params=params)


answer = partial(answered, decode)
failure = partial(failed, decode)


def test_the_least_request_lets_nothing_be_cut_off():
    assert asked(a_model(), seed=3) == {
        "model": "qwen3:4b",
        "stream": False,
        "truncate": False,
        "shift": False,
        "messages": HI,
        "options": {"seed": 3},
    }


def test_a_suite_may_allow_the_cut():
    body = asked(a_model(truncate=True, shift=True))
    assert (body["truncate"], body["shift"]) == (True, True)


def test_messages_and_images():
    assert asked(a_model(), CONVERSATION)["messages"] == CONVERSATION
    assert asked(a_model(), image())["messages"] == [{"role": "user", "content": "What is it?", "images": [PNG]}]
    with pytest.raises(ConfigError, match=r"gives item 'i1' an image at a URL; model local takes .* data URLs"):
        asked(a_model(), image("https://example.com/a.png"))


def test_parameters_by_openais_names():
    body = asked(
        a_model(
            temperature=0,
            top_p=0.9,
            top_k=40,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            max_tokens=50,
            stop="END",
            logprobs=True,
            top_logprobs=3,
            reasoning_effort="low",
            response_format=FORMAT,
            tools=[TOOL],
            options={"num_ctx": 8192, "min_p": 0.1},
            keep_alive="5m",
        )
    )
    assert body["options"] == {
        "temperature": 0,
        "top_p": 0.9,
        "top_k": 40,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "num_predict": 50,
        "stop": ["END"],
        "num_ctx": 8192,
        "min_p": 0.1,
        "seed": 1,
    }
    assert (body["logprobs"], body["top_logprobs"], body["think"]) == (True, 3, "low")
    assert (body["format"], body["tools"], body["keep_alive"]) == (SCHEMA, [TOOL], "5m")


def test_any_json_and_no_thoughts():
    body = asked(a_model(response_format={"type": "json_object"}, reasoning_effort="none"))
    assert (body["format"], body["think"]) == ("json", False)


@pytest.mark.parametrize("name", ["n", "tool_choice", "logit_bias"])
def test_what_it_would_ignore_is_refused(name: str):
    with pytest.raises(ConfigError, match=rf"models\.local\.params\.{name}: .*on_unsupported: drop"):
        asked(a_model(**{name: 1}))
    model = a_model(**{name: 1}).model_copy(update={"on_unsupported": "drop"})
    assert adapter_of(model).form(model, job_of(model).prompt).dropped == (name,)


def test_an_option_at_the_wrong_place_is_a_mistake():
    with pytest.raises(ConfigError, match=r"models\.local\.params\.num_ctx: 8192 is no parameter of provider ollama"):
        asked(a_model(num_ctx=8192))


def test_an_answer_with_all_it_carries():
    assert answer(REPLY) == Answer(
        output="4",
        http_status=200,
        reasoning="2 and 2",
        stop_reason="stop",
        input_tokens=26,
        output_tokens=12,
        ttfb_s=0.25,
        served_model="qwen3:4b",
    )


def test_calls_and_log_probabilities():
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    tokens = [
        {
            "token": "4",
            "logprob": -0.1,
            "bytes": [52],
            "top_logprobs": [{"token": "4", "logprob": -0.1, "bytes": [52]}],
        },
        {"token": ".", "logprob": -0.2},
    ]
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    outcome = answer({**REPLY, "message": message, "logprobs": tokens})
    assert (outcome.output, outcome.stop_reason) == ("", "tool_calls")
    assert json.loads(outcome.tool_calls_json or "") == [
        {"id": None, "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    ]
    assert json.loads(outcome.logprobs_json or "") == [
        {"token": "4", "logprob": -0.1, "top": [{"token": "4", "logprob": -0.1}]},
        {"token": ".", "logprob": -0.2},
    ]


def test_a_cut_answer():
    assert answer({**REPLY, "done_reason": "length"}).stop_reason == "length"


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (400, "the input length exceeds the context length", "context_length"),
        (400, "request (5000 tokens) exceeds the available context size (4096 tokens)", "context_length"),
        (400, '"m" does not support tools', "invalid_request"),
        (401, "unauthorized", "auth"),
        (404, "model 'm' not found", "not_found"),
        (429, "too many concurrent requests", "rate_limit"),
        (500, "llama runner process has terminated", "transient"),
        (503, "server busy, please try again. maximum pending requests exceeded", "overloaded"),
    ],
)
def test_errors(status: int, said: str, kind: str):
    outcome = failure({"error": said}, status=status)
    assert (outcome.kind, outcome.http_status, outcome.message) == (kind, status, said)


@pytest.mark.parametrize("body", [b"", b"null", b"<html>", b"{}", b'{"message": 1}', b"\xff"])
def test_what_is_no_answer_is_tried_again(body: bytes):
    assert failure(body).kind == "bad_response"


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([200, 400, 429, 500]))
def test_no_body_breaks_it(body: bytes, status: int):
    assert isinstance(decode(response(body, status=status)), Answer | Failure)


def test_over_loopback():
    outcome, line, headers, body = over_loopback(a_model(), REPLY)
    assert isinstance(outcome, Answer)
    assert outcome.output == "4"
    assert line == "POST /api/chat HTTP/1.1"
    assert "authorization" not in headers
    assert body["messages"] == HI
