"""Gemini: requests as its API takes them, and every shape of what it answers."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.gemini_reply import decode
from headgate.suite.model import Model
from provider_jobs import (
    CONVERSATION,
    FORMAT,
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
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "It is "}, {"text": "4.", "thoughtSignature": "c2ln"}]},
            "finishReason": "STOP",
            "index": 0,
            "avgLogprobs": -0.1,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}],
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 800,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 300,
        "totalTokenCount": 1320,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
    },
    "modelVersion": "gemini-3.8-flash-001",
    "responseId": "q1w2e3",
}


def a_model(name: str = "gemini-3.8-flash", **params: Any) -> Model:
    return Model(id="gem", provider="gemini", model=name, params=params)


answer = partial(answered, decode)
failure = partial(failed, decode)


def with_candidate(**candidate: Any) -> dict[str, Any]:
    return {**REPLY, "candidates": [candidate]}


def with_parts(*parts: dict[str, Any], reason: str = "STOP") -> dict[str, Any]:
    return with_candidate(content={"role": "model", "parts": list(parts)}, finishReason=reason)


# Requests


def test_the_least_request_carries_the_jobs_seed():
    assert asked(a_model(), seed=3) == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"seed": 3},
    }


def test_a_seed_among_the_parameters_gives_way():
    assert asked(a_model(seed=9), seed=3)["generationConfig"] == {"seed": 3}


def test_roles():
    body = asked(a_model(), CONVERSATION)
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "1 + 1?"}]},
        {"role": "model", "parts": [{"text": "2"}]},
        {"role": "user", "parts": [{"text": "And 2?"}]},
    ]


def test_images_from_data_and_from_elsewhere():
    parts = asked(a_model(), image())["contents"][0]["parts"]
    assert parts == [{"text": "What is it?"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]
    url = "https://example.com/a.jpg?x=1"
    parts = asked(a_model(), image(url))["contents"][0]["parts"]
    assert parts[1] == {"fileData": {"fileUri": url, "mimeType": "image/jpeg"}}


def test_parameters_by_openais_names():
    body = asked(
        a_model(
            temperature=0,
            top_p=0.9,
            top_k=40,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            max_tokens=50,
            stop=["A", "B"],
            logprobs=True,
            top_logprobs=3,
            reasoning_effort="low",
            response_format=FORMAT,
            tools=[TOOL, {"googleSearch": {}}],
            tool_choice={"type": "function", "function": {"name": "add"}},
        )
    )
    function = TOOL["function"]
    assert body["generationConfig"] == {
        "temperature": 0,
        "topP": 0.9,
        "topK": 40,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "maxOutputTokens": 50,
        "stopSequences": ["A", "B"],
        "responseLogprobs": True,
        "logprobs": 3,
        "thinkingConfig": {"thinkingLevel": "LOW"},
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "seed": 1,
    }
    declared = {"name": "add", "description": "Add numbers", "parametersJsonSchema": function["parameters"]}
    assert body["tools"] == [{"functionDeclarations": [declared]}, {"googleSearch": {}}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}}


@pytest.mark.parametrize(("choice", "mode"), [("auto", "AUTO"), ("none", "NONE"), ("required", "ANY")])
def test_choices_of_tools(choice: str, mode: str):
    body = asked(a_model(tools=[TOOL], tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_any_json_and_no_thoughts():
    config = asked(a_model(response_format={"type": "json_object"}, reasoning_effort="none"))["generationConfig"]
    assert config == {"responseMimeType": "application/json", "thinkingConfig": {"thinkingBudget": 0}, "seed": 1}


def test_its_own_parameters_pass_as_they_stand():
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    theirs = {"thinkingConfig": {"thinkingBudget": 128, "includeThoughts": True}, "topP": 0.5}
    body = asked(a_model(safetySettings=safety, top_p=0.9, generationConfig=theirs, extra_body={"new": 1}))
    assert body["safetySettings"] == safety
    assert body["generationConfig"] == {**theirs, "seed": 1}
    assert body["new"] == 1


@pytest.mark.parametrize("name", ["n", "logit_bias", "verbosity", "parallel_tool_calls"])
def test_what_it_does_not_take(name: str):
    with pytest.raises(ConfigError, match=rf"models\.gem\.params\.{name}: .*on_unsupported: drop"):
        asked(a_model(**{name: 1}))
    model = a_model(**{name: 1}).model_copy(update={"on_unsupported": "drop"})
    assert adapter_of(model).form(model, job_of(model).prompt).dropped == (name,)


def test_an_effort_that_it_has_not():
    with pytest.raises(ConfigError, match=r"models\.gem\.params\.reasoning_effort: 'xhigh' is none of Gemini's"):
        asked(a_model(reasoning_effort="xhigh"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gemini-3.8-flash", "/v1beta/models/gemini-3.8-flash:generateContent"),
        ("tunedModels/mine", "/v1beta/tunedModels/mine:generateContent"),
        ("../x?key=1", "/v1beta/../x%3Fkey%3D1:generateContent"),
    ],
)
def test_paths(name: str, path: str):
    model = a_model(name)
    assert adapter_of(model).form(model, job_of(model).prompt).path == path


def test_another_version():
    model = Model(id="gem", provider="gemini", model="gemini-3.8-flash", api_version="v1")
    assert adapter_of(model).api_version == "v1"
    assert adapter_of(model).form(model, job_of(model).prompt).path == "/v1/models/gemini-3.8-flash:generateContent"


# Answers


def test_an_answer_with_all_it_carries():
    assert answer(REPLY) == Answer(
        output="It is 4.",
        http_status=200,
        stop_reason="stop",
        input_tokens=1000,
        output_tokens=320,
        cached_tokens=800,
        reasoning_tokens=300,
        ttfb_s=0.25,
        served_model="gemini-3.8-flash-001",
        request_id="q1w2e3",
    )


def test_thoughts_and_calls():
    call = {"functionCall": {"id": "f1", "name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"}
    outcome = answer(
        with_parts({"text": "Hm.", "thought": True}, {"text": "So:"}, call, {"functionCall": {"name": "x"}})
    )
    assert (outcome.reasoning, outcome.output, outcome.stop_reason) == ("Hm.", "So:", "tool_calls")
    assert json.loads(outcome.tool_calls_json or "") == [
        {"id": "f1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
        {"id": None, "type": "function", "function": {"name": "x", "arguments": "{}"}},
    ]


def test_log_probabilities():
    result = {
        "chosenCandidates": [{"token": "4", "tokenId": 7, "logProbability": -0.1}, {"token": ".", "logProbability": 0}],
        "topCandidates": [
            {"candidates": [{"token": "4", "logProbability": -0.1}, {"token": "5", "logProbability": -3}]}
        ],
    }
    outcome = answer(with_candidate(content={"parts": [{"text": "4."}]}, finishReason="STOP", logprobsResult=result))
    assert json.loads(outcome.logprobs_json or "") == [
        {"token": "4", "logprob": -0.1, "top": [{"token": "4", "logprob": -0.1}, {"token": "5", "logprob": -3}]},
        {"token": ".", "logprob": 0},
    ]


@pytest.mark.parametrize(
    ("theirs", "status", "ours"),
    [
        ("STOP", "ok", "stop"),
        ("MAX_TOKENS", "ok", "length"),
        *((reason, "refused", "content_filter") for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "SPII")),
        *((reason, "refused", "content_filter") for reason in ("PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR")),
        ("MALFORMED_FUNCTION_CALL", "ok", "malformed_function_call"),
        ("OTHER", "ok", "other"),
        ("LANGUAGE", "ok", "language"),
    ],
)
def test_finish_reasons(theirs: str, status: str, ours: str):
    outcome = answer(with_parts({"text": "So far"}, reason=theirs))
    assert (outcome.status, outcome.stop_reason, outcome.output) == (status, ours, "So far")


def test_thoughts_may_take_all_the_tokens():
    outcome = answer(with_candidate(content={"role": "model"}, finishReason="MAX_TOKENS"))
    assert (outcome.status, outcome.output, outcome.stop_reason) == ("ok", None, "length")


def test_a_filtered_answer_without_text_says_why():
    assert answer(with_candidate(finishReason="SAFETY", finishMessage="unsafe")).output == "unsafe"
    assert answer(with_candidate(finishReason="RECITATION")).output == "RECITATION"


@pytest.mark.parametrize("said", [{}, {"blockReasonMessage": "blocked for safety"}])
def test_a_blocked_prompt_is_a_refusal(said: dict[str, str]):
    usage = {"promptTokenCount": 9, "totalTokenCount": 9}
    outcome = answer({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", **said}, "usageMetadata": usage})
    assert (outcome.status, outcome.stop_reason) == ("refused", "content_filter")
    assert outcome.output == said.get("blockReasonMessage", "PROHIBITED_CONTENT")
    assert (outcome.input_tokens, outcome.output_tokens) == (9, 0)


# Errors


def error(code: int, status: str, *details: dict[str, Any], message: str = "why") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


GOOGLE = "type.googleapis.com/google.rpc."
WAIT = {"@type": GOOGLE + "RetryInfo", "retryDelay": "45.837906927s"}


def violation(quota_id: str) -> dict[str, Any]:
    return {"@type": GOOGLE + "QuotaFailure", "violations": [{"quotaId": quota_id, "quotaValue": "50"}]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "wait_s"),
    [
        (400, error(400, "INVALID_ARGUMENT"), "invalid_request", None),
        (
            400,
            error(400, "INVALID_ARGUMENT", {"@type": GOOGLE + "ErrorInfo", "reason": "API_KEY_INVALID"}),
            "auth",
            None,
        ),
        (
            400,
            error(400, "INVALID_ARGUMENT", message="The input token count (2) exceeds the maximum number of tokens"),
            "context_length",
            None,
        ),
        (402, error(402, "RESOURCE_EXHAUSTED"), "quota", None),
        (403, error(403, "PERMISSION_DENIED"), "auth", None),
        (404, error(404, "NOT_FOUND"), "not_found", None),
        (429, error(429, "RESOURCE_EXHAUSTED"), "rate_limit", None),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", violation("RequestsPerMinutePerModel"), WAIT),
            "rate_limit",
            45.837906927,
        ),
        (429, error(429, "RESOURCE_EXHAUSTED", violation("RequestsPerDayPerModel"), WAIT), "quota", 45.837906927),
        (429, [error(429, "RESOURCE_EXHAUSTED", WAIT)], "rate_limit", 45.837906927),
        (500, error(500, "INTERNAL"), "transient", None),
        (503, error(503, "UNAVAILABLE"), "overloaded", None),
        (503, error(503, "RESOURCE_EXHAUSTED"), "rate_limit", None),
        (504, error(504, "DEADLINE_EXCEEDED"), "transient", None),
    ],
)
def test_errors(status: int, body: Any, kind: str, wait_s: float | None):
    outcome = failure(body, status=status)
    assert (outcome.kind, outcome.http_status, outcome.retry_after_s) == (kind, status, wait_s)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"<html>", b"{}", b'{"candidates": []}', b'{"candidates": [{"con', b"\xff"]
)
def test_what_is_no_answer_is_tried_again(body: bytes):
    assert failure(body).kind == "bad_response"


def test_an_error_inside_a_200():
    assert failure(error(429, "RESOURCE_EXHAUSTED")).kind == "rate_limit"


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([200, 400, 429, 500]))
def test_no_body_breaks_it(body: bytes, status: int):
    assert isinstance(decode(response(body, status=status)), Answer | Failure)


def test_over_loopback_the_key_stands_in_a_header_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GEM_KEY", "AIza-1")
    model = a_model().model_copy(update={"api_key": "env:GEM_KEY"})
    outcome, line, headers, body = over_loopback(model, REPLY)
    assert isinstance(outcome, Answer)
    assert outcome.output == "It is 4."
    assert line == "POST /v1beta/models/gemini-3.8-flash:generateContent HTTP/1.1"
    assert headers["x-goog-api-key"] == "AIza-1"
    assert "AIza" not in line + json.dumps(body)
