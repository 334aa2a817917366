"""OpenAI responses: what is sent, and recorded bodies of every shape."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execute_jobs import PROMPT, a_job, a_model
from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.responses import Responses, decode
from headgate.execute.secret import Secret
from provider_jobs import answered, failed, response

REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First"}, {"type": "summary_text", "text": "then"}],
    "encrypted_content": "gAAA",
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "42", "annotations": [], "logprobs": []}],
}
BODY = {
    "id": "resp_67ccd2bed1ec8190",
    "object": "response",
    "created_at": 1741476542,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "model": "gpt-5-2025-08-07",
    "output": [REASONING, MESSAGE],
    "parallel_tool_calls": True,
    "store": False,
    "text": {"format": {"type": "text"}},
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 4},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 123,
    },
}


def answer(**changes: Any) -> Answer:
    return answered(decode, {**BODY, **changes})


failure = partial(failed, decode)


def sent(**fields: Any) -> dict[str, Any]:
    model = a_model("m", provider="openai-responses", **fields)
    adapter = Responses()
    return msgspec.json.decode(adapter.encode(a_job(model=model), adapter.form(model, PROMPT)))


def test_an_answer_with_all_it_carries():
    assert decode(response(BODY, x_request_id="req_1")) == Answer(
        output="42",
        http_status=200,
        reasoning="First\nthen",
        stop_reason="stop",
        input_tokens=36,
        output_tokens=87,
        cached_tokens=32,
        cache_write_tokens=4,
        reasoning_tokens=64,
        ttfb_s=0.25,
        served_model="gpt-5-2025-08-07",
        request_id="req_1",
    )


def test_the_least_that_is_an_answer():
    outcome = decode(response({"status": "completed", "output": []}))
    assert outcome == Answer(output=None, http_status=200, stop_reason="stop", ttfb_s=0.25)


def test_open_reasoning_goes_before_its_summary():
    item = {**REASONING, "content": [{"type": "reasoning_text", "text": "6 times 7"}]}
    assert answer(output=[item, MESSAGE]).reasoning == "6 times 7"


def test_several_parts_are_one_text():
    parts = [{"type": "output_text", "text": "4"}, {"type": "output_text", "text": "2"}]
    assert answer(output=[{**MESSAGE, "content": parts}]).output == "42"


def test_tool_calls():
    call = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "add", "arguments": '{"a":1}'}
    custom = {"id": "ct_1", "type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "SELECT 1"}
    outcome = answer(output=[REASONING, call, custom])
    assert (outcome.status, outcome.output, outcome.stop_reason) == ("ok", None, "tool_calls")
    assert json.loads(outcome.tool_calls_json or "") == [
        {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "sql", "arguments": "SELECT 1"}},
    ]


def test_log_probabilities():
    token = {
        "token": "42",
        "logprob": -0.5,
        "bytes": [52, 50],
        "top_logprobs": [{"token": "42", "logprob": -0.5, "bytes": []}],
    }
    outcome = answer(output=[{**MESSAGE, "content": [{"type": "output_text", "text": "42", "logprobs": [token]}]}])
    assert json.loads(outcome.logprobs_json or "") == [
        {"token": "42", "logprob": -0.5, "top": [{"token": "42", "logprob": -0.5}]}
    ]


def test_a_refusal_is_an_answer():
    outcome = answer(output=[{**MESSAGE, "content": [{"type": "refusal", "refusal": "I can't."}]}])
    assert (outcome.status, outcome.output, outcome.stop_reason) == ("refused", "I can't.", "refusal")


@pytest.mark.parametrize(
    ("reason", "stop", "status"),
    [
        ("max_output_tokens", "length", "ok"),
        ("max_messages", "length", "ok"),
        ("content_filter", "content_filter", "refused"),
        ("steered", "steered", "ok"),
        (None, "incomplete", "ok"),
    ],
)
def test_an_incomplete_answer(reason: str | None, stop: str, status: str):
    outcome = answer(status="incomplete", incomplete_details=None if reason is None else {"reason": reason})
    assert (outcome.stop_reason, outcome.status, outcome.output) == (stop, status, "42")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", "transient"),
        ("rate_limit_exceeded", "rate_limit"),
        ("vector_store_timeout", "transient"),
        ("invalid_prompt", "invalid_request"),
        ("invalid_image", "invalid_request"),
        ("something_new", "invalid_request"),
    ],
)
def test_an_error_inside_a_200(code: str, kind: str):
    body = {**BODY, "status": "failed", "output": [], "error": {"code": code, "message": "why"}}
    outcome = failure(body, retry_after="2")
    assert (outcome.kind, outcome.message, outcome.http_status) == (kind, "why", 200)
    assert outcome.retry_after_s == 2.0


@pytest.mark.parametrize("code", ["bio_policy", "misalignment_policy_violation", "image_content_policy_violation"])
def test_a_policy_refuses(code: str):
    outcome = answer(status="failed", output=[], error={"code": code, "message": "not this"})
    assert (outcome.status, outcome.output, outcome.stop_reason) == ("refused", "not this", "content_filter")


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelled"])
def test_what_is_not_done_is_no_answer(status: str):
    outcome = failure({**BODY, "status": status})
    assert (outcome.kind, outcome.message) == ("bad_response", f"the response is {status}")


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"code": "context_length_exceeded"}, "context_length"),
        (400, {"code": "unsupported_parameter"}, "invalid_request"),
        (401, {"code": "invalid_api_key"}, "auth"),
        (429, {"code": "insufficient_quota"}, "quota"),
        (429, {"code": "rate_limit_exceeded"}, "rate_limit"),
        (500, {"type": "server_error"}, "transient"),
        (503, {"type": "server_error"}, "overloaded"),
    ],
)
def test_errors(status: int, error: dict[str, Any], kind: str):
    outcome = failure({"error": {"message": "why", **error}}, status=status)
    assert (outcome.kind, outcome.message, outcome.http_status) == (kind, "why", status)


def test_a_filtered_prompt_is_a_refusal():
    outcome = decode(response({"error": {"code": "content_filter", "message": "filtered"}}, status=400))
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.stop_reason) == ("refused", "content_filter")


@given(body=st.binary(max_size=60), status=st.sampled_from([200, 400, 500]))
def test_any_bytes_give_an_outcome(body: bytes, status: int):
    assert isinstance(decode(response(body, status=status)), Answer | Failure)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "output", "type", "content", "error", "code", "usage", "text", "refusal", "logprobs"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(changes=st.dictionaries(st.sampled_from(["status", "output", "error", "usage", "model"]), JSON, max_size=3))
def test_any_json_gives_an_outcome(changes: Any):
    assert isinstance(decode(response({**BODY, **changes})), Answer | Failure)


def test_a_plain_request():
    assert sent() == {"model": "m", "store": False, "input": [{"role": "user", "content": "question 0"}]}
    assert Responses().headers(Secret("k"))["authorization"] == "Bearer k"
    assert "authorization" not in Responses().headers(None)


FUNCTION = {"name": "add", "description": "adds", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"max_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_output_tokens": 5, "store": True}, {"max_output_tokens": 5, "store": True}),
        ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
        (
            {"reasoning_effort": "low", "reasoning": {"summary": "auto"}},
            {"reasoning": {"effort": "low", "summary": "auto"}},
        ),
        (
            {
                "verbosity": "low",
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
            },
            {
                "text": {
                    "verbosity": "low",
                    "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True},
                }
            },
        ),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        ({"logprobs": True, "top_logprobs": 3}, {"top_logprobs": 3, "include": ["message.output_text.logprobs"]}),
        ({"logprobs": False}, {}),
        (
            {
                "tools": [{"type": "function", "function": FUNCTION}],
                "tool_choice": {"type": "function", "function": {"name": "add"}},
            },
            {
                "tools": [{"type": "function", "strict": False, **FUNCTION}],
                "tool_choice": {"type": "function", "name": "add"},
            },
        ),
        (
            {"tools": [{"type": "web_search"}], "tool_choice": "required"},
            {"tools": [{"type": "web_search"}], "tool_choice": "required"},
        ),
    ],
)
def test_parameters_are_translated(params: dict[str, Any], wanted: dict[str, Any]):
    assert sent(params=params) == {
        "model": "m",
        "store": False,
        "input": [{"role": "user", "content": "question 0"}],
        **wanted,
    }


@pytest.mark.parametrize(
    "name", ["seed", "stop", "n", "logit_bias", "presence_penalty", "top_k", "background", "input"]
)
def test_what_the_api_lacks_is_refused_or_dropped(name: str):
    with pytest.raises(ConfigError, match=rf"models\.m\.params\.{name}: "):
        sent(params={name: 1})
    model = a_model("m", provider="openai-responses", params={name: 1}, on_unsupported="drop")
    assert Responses().form(model, PROMPT).dropped == (name,)


def test_two_limits_that_differ_are_refused():
    with pytest.raises(ConfigError, match="limit the same, and differ"):
        sent(params={"max_tokens": 5, "max_output_tokens": 6})


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"tools": {}}, r"params\.tools: \{\} is not a list"),
        ({"logprobs": True, "include": "x"}, r"params\.include: 'x' is not a list"),
        ({"verbosity": "low", "text": 5}, r"params\.text: 5 is not a mapping"),
    ],
)
def test_what_cannot_be_translated_is_refused(params: dict[str, Any], problem: str):
    with pytest.raises(ConfigError, match=problem):
        sent(params=params)
