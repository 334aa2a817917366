"""Decoding of recorded bodies, every shape that servers of this format send."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.completion import decode
from headgate.execute.retry import ACTIONS
from provider_jobs import answered, failed, response

OPENAI = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion",
    "created": 1741569952,
    "model": "gpt-4.1-2025-04-14",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello! How can I assist you today?",
                "refusal": None,
                "annotations": [],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 19,
        "completion_tokens": 10,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 0, "accepted_prediction_tokens": 0},
    },
    "service_tier": "default",
    "system_fingerprint": "fp_50cad350e4",
}


answer = partial(answered, decode)
failure = partial(failed, decode)


def with_choice(**choice: Any) -> dict[str, Any]:
    return {**OPENAI, "choices": [{"index": 0, "finish_reason": "stop", **choice}]}


def with_message(**message: Any) -> dict[str, Any]:
    return with_choice(message={"role": "assistant", **message})


def test_an_answer_with_all_it_carries():
    assert answer(OPENAI, x_request_id="req_1") == Answer(
        output="Hello! How can I assist you today?",
        http_status=200,
        stop_reason="stop",
        input_tokens=19,
        output_tokens=10,
        cached_tokens=16,
        cache_write_tokens=2,
        reasoning_tokens=7,
        ttfb_s=0.25,
        served_model="gpt-4.1-2025-04-14",
        request_id="req_1",
        system_fingerprint="fp_50cad350e4",
    )


def test_without_the_header_the_completion_names_the_request():
    assert answer(OPENAI).request_id == OPENAI["id"]


def test_the_least_that_is_an_answer():
    assert answer({"choices": [{"message": {"content": ""}}]}) == Answer(output="", http_status=200, ttfb_s=0.25)


def test_tool_calls_without_content():
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    outcome = answer(with_choice(message={"content": None, "tool_calls": [call]}, finish_reason="tool_calls"))
    assert (outcome.status, outcome.output, outcome.stop_reason) == ("ok", None, "tool_calls")
    assert json.loads(outcome.tool_calls_json or "") == [call]


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}]},
        {"tool_calls": [{"id": "c", "function": {"name": "add", "arguments": '{"a":1}'}}]},
        {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "add", "input": '{"a":1}'}}]},
    ],
)
def test_tool_calls_have_one_form(message: dict[str, Any]):
    outcome = answer(with_message(content="", **message))
    wanted = [{"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}]
    assert json.loads(outcome.tool_calls_json or "") == wanted


def test_a_function_call_of_old():
    message = {"content": None, "function_call": {"name": "add", "arguments": "{}"}}
    outcome = answer(with_choice(message=message, finish_reason="function_call"))
    assert outcome.stop_reason == "tool_calls"
    assert json.loads(outcome.tool_calls_json or "")[0]["function"] == {"name": "add", "arguments": "{}"}


@pytest.mark.parametrize("calls", [[], None])
def test_no_tool_calls(calls: list[Any] | None):
    assert answer(with_message(content="x", tool_calls=calls)).tool_calls_json is None


def test_a_refusal_is_an_answer():
    outcome = answer(with_message(content=None, refusal="I'm sorry, I can't."))
    assert (outcome.status, outcome.output, outcome.input_tokens) == ("refused", "I'm sorry, I can't.", 19)
    assert outcome.stop_reason == "refusal"


@pytest.mark.parametrize("refusal", [None, ""])
def test_an_empty_refusal_is_none(refusal: str | None):
    outcome = answer(with_message(content="42", refusal=refusal))
    assert (outcome.status, outcome.output) == ("ok", "42")


def test_a_filtered_answer_is_a_refusal():
    outcome = answer(with_choice(message={"role": "assistant", "content": "So far"}, finish_reason="content_filter"))
    assert (outcome.status, outcome.output, outcome.stop_reason) == ("refused", "So far", "content_filter")


def test_a_filtered_prompt_is_a_refusal():
    error = {
        "code": "content_filter",
        "message": "The response was filtered",
        "param": "prompt",
        "type": None,
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
    outcome = answer({"error": error}, status=400, x_request_id="r")
    assert outcome.status == "refused"
    assert (outcome.output, outcome.http_status, outcome.request_id) == ("The response was filtered", 400, "r")
    assert outcome.stop_reason == "content_filter"


@pytest.mark.parametrize("body", [{"error": {"code": "other"}}, {"error": "content_filter"}, b"content_filter", b""])
def test_another_400_is_no_refusal(body: Any):
    assert failure(body, status=400).kind == "invalid_request"


def test_content_in_parts():
    parts = [{"type": "text", "text": "4"}, {"type": "thinking", "thinking": [1]}, {"type": "text", "text": "2"}]
    assert answer(with_message(content=parts)).output == "42"


@pytest.mark.parametrize(
    "thinking", ["6 times 7", [{"type": "text", "text": "6 times"}, {"type": "text", "text": " 7"}]]
)
def test_thoughts_among_the_parts(thinking: Any):
    """Mistral's reasoning models answer so."""
    parts = [{"type": "thinking", "thinking": thinking, "closed": True}, {"type": "text", "text": "42"}]
    outcome = answer(with_message(content=parts))
    assert (outcome.output, outcome.reasoning) == ("42", "6 times 7")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("something new", "something new"),
        (None, None),
    ],
)
def test_why_an_answer_ended(said: str | None, meant: str | None):
    outcome = answer(with_choice(message={"content": "4"}, finish_reason=said))
    assert (outcome.status, outcome.stop_reason) == ("ok", meant)


@pytest.mark.parametrize(
    ("reason", "kind"), [("insufficient_system_resource", "overloaded"), ("abort", "transient"), ("error", "transient")]
)
def test_an_answer_that_the_server_broke_off_is_none(reason: str, kind: str):
    outcome = failure(with_choice(message={"content": "so f"}, finish_reason=reason))
    assert (outcome.kind, outcome.http_status) == (kind, 200)
    assert reason in outcome.message


TOKENS = [
    {"token": "4", "logprob": -0.25, "bytes": [52], "top_logprobs": [{"token": "4", "logprob": -0.25, "bytes": [52]}]},
    {"token": "2", "logprob": -1.5, "bytes": None, "top_logprobs": []},
]
CANONICAL = [
    {"token": "4", "logprob": -0.25, "top": [{"token": "4", "logprob": -0.25}]},
    {"token": "2", "logprob": -1.5},
]


@pytest.mark.parametrize(
    ("logprobs", "wanted"),
    [
        ({"content": TOKENS, "refusal": None}, CANONICAL),
        ({"content": None, "refusal": TOKENS}, CANONICAL),
        ({"content": [{"id": 1, **token} for token in TOKENS]}, CANONICAL),  # llama.cpp
        (
            {"tokens": ["4", "2"], "token_logprobs": [-0.25, -1.5], "token_ids": [1, 2]},  # Together
            [{"token": "4", "logprob": -0.25}, {"token": "2", "logprob": -1.5}],
        ),
    ],
)
def test_log_probabilities(logprobs: Any, wanted: Any):
    outcome = answer(with_choice(message={"content": "42"}, logprobs=logprobs))
    assert json.loads(outcome.logprobs_json or "") == wanted


@pytest.mark.parametrize("logprobs", [None, {}, {"content": []}, [], "x", {"content": [{"token": 1}]}])
def test_no_log_probabilities(logprobs: Any):
    outcome = answer(with_choice(message={"content": "42"}, logprobs=logprobs))
    assert (outcome.output, outcome.logprobs_json) == ("42", None)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning(name: str):
    outcome = answer(with_message(content="42", **{name: "6 times 7"}))
    assert (outcome.output, outcome.reasoning) == ("42", "6 times 7")


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens_details": None}])
def test_usage_unknown_is_none(usage: Any):
    outcome = answer({**OPENAI, "usage": usage})
    assert (outcome.input_tokens, outcome.output_tokens) == (None, None)
    assert (outcome.cached_tokens, outcome.reasoning_tokens) == (None, None)


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}}, 8),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 2}, 7),  # DeepSeek
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 7, "prompt_tokens_details": {"cached_tokens": 7}}, 7),
        ({"prompt_tokens": 9, "queue_time": 0.1, "total_time": 0.3}, None),  # Groq
    ],
)
def test_cached_tokens_are_counted_once(usage: Any, cached: int | None):
    outcome = answer({**OPENAI, "usage": usage})
    assert (outcome.input_tokens, outcome.cached_tokens) == (9, cached)


def test_blank_lines_before_the_body():
    """DeepSeek keeps a slow connection alive with them."""
    assert answer(b"\n\n\n" + json.dumps(OPENAI).encode()).output == OPENAI["choices"][0]["message"]["content"]


def test_unicode_comes_through():
    assert answer(with_message(content="naïve 🐟 \u2028 \x00")).output == "naïve 🐟 \u2028 \x00"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "Overloaded", "code": 503}, "overloaded"),
        ({"message": "Rate limited", "code": 429, "metadata": {"provider_name": "X"}}, "rate_limit"),
        ({"message": "slow", "code": "rate_limit_exceeded"}, "rate_limit"),
        ({"message": "No credits", "code": 402}, "quota"),
        ({"message": "boom", "type": "server_error", "code": None}, "bad_response"),
        ({"message": "too long", "code": "context_length_exceeded"}, "context_length"),
    ],
)
def test_an_error_inside_a_200(error: dict[str, Any], kind: str):
    for body in ({"error": error}, {**OPENAI, "error": error}, {"choices": [], "error": error}):
        outcome = failure(body)
        assert (outcome.kind, outcome.message) == (kind, error["message"])


def test_a_null_error_is_none():
    assert answer({**OPENAI, "error": None}).output == "Hello! How can I assist you today?"


def test_an_error_inside_a_choice():
    broken = {"index": 0, "finish_reason": "error", "error": {"code": 502, "message": "Provider disconnected"}}
    for choice in (broken, {**broken, "message": {"role": "assistant", "content": ""}}):
        outcome = failure({**OPENAI, "choices": [choice]})
        assert (outcome.kind, outcome.message) == ("transient", "Provider disconnected")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**OPENAI, "choices": []}, "no choices"),
        ({"object": "chat.completion"}, "choices"),
        (b"<html><body>502</body></html>", "starts '<html>"),
        (b"", "starts ''"),
        (b"\xff\xfe\x00", "starts"),
        (b'{"choices": [{"message": {"content": "4', "starts"),
        (b"null", "starts 'null'"),
        (b"[" * 100_000, "starts"),
        (b'{"x":' * 100_000, "starts"),
    ],
)
def test_what_is_no_completion_is_tried_again(body: Any, message: str):
    outcome = failure(body)
    assert outcome.kind == "bad_response"
    assert message in outcome.message
    assert len(outcome.message) < 1000
    assert ACTIONS[outcome.kind].retry


FLAGGED = {"reasons": ["violence"], "flagged_input": "how to", "provider_name": "OpenAI", "model_slug": "openai/m"}


@pytest.mark.parametrize("status", [200, 403])
def test_a_prompt_that_was_flagged_is_a_refusal_and_no_refused_key(status: int):
    """OpenRouter says 403 to both; one prompt must not end the run."""
    body = {"error": {"message": "Your input was flagged", "code": 403, "metadata": FLAGGED}}
    outcome = decode(response(body, status=status))
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.output, outcome.stop_reason) == (
        "refused",
        "Your input was flagged",
        "content_filter",
    )
    assert outcome.http_status == status


def test_a_403_without_a_flag_is_a_refused_key():
    assert (
        failure({"error": {"message": "no", "code": 403, "metadata": {"provider_name": "x"}}}, status=403).kind
        == "auth"
    )


def test_a_filter_that_speaks_inside_a_200():
    body = {"error": {"message": "filtered", "code": "content_filter"}}
    outcome = decode(response(body))
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.output) == ("refused", "filtered")


ERRORS = [
    (401, {"code": "invalid_api_key", "type": "invalid_request_error"}, {}, "auth"),
    (403, {"code": "unsupported_country_region_territory"}, {}, "auth"),
    (404, {"code": "model_not_found", "type": "invalid_request_error"}, {}, "not_found"),
    (404, {"code": 404, "type": "NotFoundError"}, {}, "not_found"),
    (400, {"code": "context_length_exceeded", "type": "invalid_request_error"}, {}, "context_length"),
    (400, {"code": "string_above_max_length"}, {}, "context_length"),
    (400, {"code": 400, "type": "BadRequestError"}, {}, "invalid_request"),
    (413, {}, {}, "invalid_request"),
    (422, {"code": None}, {}, "invalid_request"),
    (429, {"code": "rate_limit_exceeded", "type": "requests"}, {}, "rate_limit"),
    (429, {"code": "rate_limit_exceeded", "type": "tokens"}, {"retry-after": "2"}, "rate_limit"),
    (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, {}, "quota"),
    (429, {"code": None, "type": "insufficient_quota"}, {}, "quota"),
    (429, {"type": "credit_limit"}, {}, "rate_limit"),  # Together says so of a rate
    (402, {"code": 402}, {}, "quota"),
    (402, {"code": 402}, {"retry-after": "3"}, "rate_limit"),  # OpenRouter: too much in flight for the credits
    (500, {"type": "InternalServerError", "code": 500}, {}, "transient"),  # vLLM: the code is a number
    (502, {}, {}, "transient"),
    (503, {"code": "overloaded"}, {}, "overloaded"),
    (529, {}, {}, "overloaded"),
    (504, {}, {}, "transient"),
    (408, {}, {}, "transient"),
    (409, {}, {}, "transient"),
    (424, {}, {}, "transient"),  # TGI: the generation failed
    (498, {"type": "flex_capacity_exceeded"}, {}, "overloaded"),  # Groq
    (307, {}, {}, "invalid_request"),
]


@pytest.mark.parametrize(("status", "detail", "headers", "kind"), ERRORS)
def test_errors(status: int, detail: dict[str, Any], headers: dict[str, str], kind: str):
    outcome = failure({"error": {"message": "why", "param": None, **detail}}, status=status, **headers)
    assert (outcome.kind, outcome.message, outcome.http_status) == (kind, "why", status)
    assert outcome.retry_after_s == (float(headers["retry-after"]) if headers else None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"object": "error", "message": "vLLM of old", "code": 500}, "vLLM of old"),
        ({"error": "out of memory", "error_type": "generation"}, "out of memory"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "[{'loc': ['body'], 'msg': 'field required'}]"),
        (b"upstream connect error", "upstream connect error"),
        (b"", "status 500"),
        ([{"error": {"code": 503, "message": "a list"}}], "a list"),
        ({"object": "error", "message": {"detail": [{"msg": "extra"}]}, "type": "invalid_request_error"}, "extra"),
    ],
)
def test_messages_of_other_shapes(body: Any, message: str):
    outcome = failure(body, status=500)
    assert outcome.kind == "transient"
    assert message in outcome.message


def test_a_long_message_is_cut():
    assert len(failure(b"x" * 100_000, status=500).message) == 500


@given(body=st.binary(max_size=60), status=st.integers(100, 599))
def test_any_bytes_give_an_outcome(body: bytes, status: int):
    assert isinstance(decode(response(body, status=status)), Answer | Failure)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "choices", "message", "code", "content", "detail", "type", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(body=JSON, status=st.sampled_from([200, 400, 402, 429, 500]))
def test_any_json_gives_an_outcome(body: Any, status: int):
    assert isinstance(decode(response(body, status=status)), Answer | Failure)
