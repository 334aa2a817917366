"""Bedrock's Converse: requests as it takes them, keys of both kinds, and every shape of what it answers."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import open_endpoint, resolve_key
from headgate.execute.providers.bedrock_reply import decode
from headgate.execute.transport import Request, Response
from headgate.execute.transports import TRANSPORTS, TransportName
from headgate.suite.model import Model
from provider_jobs import (
    CONVERSATION,
    FORMAT,
    PNG,
    SCHEMA,
    TOOL,
    adapter_of,
    answered,
    failed,
    image,
    job_of,
    over_loopback,
    response,
)

NAME = "us.anthropic.claude-sonnet-5-v1:0"
REPLY = {
    "metrics": {"latencyMs": 551},
    "output": {"message": {"role": "assistant", "content": [{"text": "Here "}, {"text": "you are."}]}},
    "stopReason": "end_turn",
    "usage": {
        "inputTokens": 10,
        "outputTokens": 25,
        "totalTokens": 3235,
        "cacheReadInputTokens": 3000,
        "cacheWriteInputTokens": 200,
    },
    "trace": {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::inference-profile/us.nova-lite-v1:0"}},
}


class Unused:
    """A transport over which nothing goes."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        raise AssertionError

    async def aclose(self) -> None: ...


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def a_model(name: str = NAME, **params: Any) -> Model:
    return Model(id="rock", provider="bedrock", model=name, params=params)


def asked(model: Model, messages: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the body of a request, which AWS's own description of the API takes."""
    adapter, job = adapter_of(model), job_of(model, messages)
    body = json.loads(adapter.encode(job, adapter.form(model, job.prompt)))
    shape = botocore.session.Session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    report = ParamValidator().validate({**body, "modelId": model.name}, shape)
    assert not report.has_errors(), report.generate_report()
    return body


answer = partial(answered, decode)
failure = partial(failed, decode)


# Requests


def test_the_least_request():
    assert asked(a_model()) == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


def test_roles():
    body = asked(a_model(), CONVERSATION)
    assert body["system"] == [{"text": "Be brief."}]
    assert [(each["role"], each["content"][0]["text"]) for each in body["messages"]] == [
        ("user", "1 + 1?"),
        ("assistant", "2"),
        ("user", "And 2?"),
    ]


def test_images():
    shown = {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert asked(a_model(), image())["messages"][0]["content"] == [{"text": "What is it?"}, shown]
    jpg = asked(a_model(), image(f"data:image/jpg;base64,{PNG}"))["messages"][0]["content"][1]
    assert jpg["image"]["format"] == "jpeg"
    with pytest.raises(ConfigError, match=r"gives item 'i1' an image at a URL; model rock takes .* data URLs"):
        asked(a_model(), image("https://example.com/a.png"))


def test_parameters_by_openais_names():
    body = asked(
        a_model(
            temperature=0.5,
            top_p=0.9,
            max_tokens=50,
            stop="END",
            tools=[TOOL],
            tool_choice="required",
            reasoning_effort="low",
            response_format=FORMAT,
            inferenceConfig={"topP": 0.8},
            additionalModelRequestFields={"top_k": 40},
            serviceTier={"type": "flex"},
        )
    )
    function = TOOL["function"]
    spec = {"name": "add", "description": "Add numbers", "inputSchema": {"json": function["parameters"]}}
    schema = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert body["inferenceConfig"] == {"temperature": 0.5, "topP": 0.8, "maxTokens": 50, "stopSequences": ["END"]}
    assert body["toolConfig"] == {"tools": [{"toolSpec": spec}], "toolChoice": {"any": {}}}
    assert (body["outputConfig"]["effort"], body["outputConfig"]["textFormat"]["type"]) == ("low", "json_schema")
    assert (schema["name"], json.loads(schema["schema"])) == ("number", SCHEMA)
    assert body["additionalModelRequestFields"] == {"top_k": 40}
    assert body["serviceTier"] == {"type": "flex"}


@pytest.mark.parametrize(
    ("choice", "theirs"),
    [
        ("auto", {"auto": {}}),
        ({"type": "function", "function": {"name": "add"}}, {"tool": {"name": "add"}}),
        ({"any": {}}, {"any": {}}),
    ],
)
def test_choices_of_tools(choice: Any, theirs: Any):
    assert asked(a_model(tools=[TOOL], tool_choice=choice))["toolConfig"]["toolChoice"] == theirs


def test_a_choice_that_it_has_not():
    with pytest.raises(ConfigError, match=r"models\.rock\.params\.tool_choice: 'none' .*leave out the tools"):
        asked(a_model(tools=[TOOL], tool_choice="none"))


@pytest.mark.parametrize("name", ["seed", "top_k", "logprobs", "n"])
def test_what_it_does_not_take(name: str):
    with pytest.raises(ConfigError, match=rf"models\.rock\.params\.{name}: .*on_unsupported: drop"):
        asked(a_model(**{name: 1}))
    model = a_model(**{name: 1}).model_copy(update={"on_unsupported": "drop"})
    assert adapter_of(model).form(model, job_of(model).prompt).dropped == (name,)


# Keys


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_signed_request_goes_out_as_it_was_signed(transport: TransportName, monkeypatch: pytest.MonkeyPatch):
    """A transport that wrote the path in another way would break every signature."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-1")
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{NAME}"
    echo = {"message": "The security token session-1 in the request is invalid"}
    outcome, line, headers, _ = over_loopback(a_model(arn), echo, status="403 Forbidden", transport=transport)
    assert line == (
        "POST /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F"
        "us.anthropic.claude-sonnet-5-v1%3A0/converse HTTP/1.1"
    )
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-east-1/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "session-1"
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.message) == ("auth", "The security token *** in the request is invalid")


@pytest.fixture
def _no_aws_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("_no_aws_key")
def test_a_bearer_token_needs_no_signature(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ROCK_KEY", "bedrock-api-key-1")
    outcome, _, headers, _ = over_loopback(a_model().model_copy(update={"api_key": "env:ROCK_KEY"}), REPLY)
    assert isinstance(outcome, Answer)
    assert headers["authorization"] == "Bearer bedrock-api-key-1"
    assert "x-amz-date" not in headers


@pytest.mark.usefixtures("_no_aws_key")
def test_the_bearer_token_of_the_environment_goes_to_aws_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1")
    job = job_of(a_model())
    endpoint = open_endpoint(job.model, transport=Unused(), base=Path(), prompts=[job.prompt])
    target = endpoint.encode(job, 1).target
    assert target.url.startswith("https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic")
    assert target.headers["authorization"] == "Bearer bedrock-api-key-1"
    elsewhere = a_model().model_copy(update={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(ConfigError, match="names no key"):
        open_endpoint(elsewhere, transport=Unused(), base=Path(), prompts=[job.prompt])


def test_without_any_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    says = (
        r"s\.yaml: models\.rock\.api_key: names no key; "
        "set AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK, or give `api_key`"
    )
    with pytest.raises(ConfigError, match=says):
        resolve_key(a_model(), base=Path(), file=Path("s.yaml"))


def test_the_region_is_that_of_the_host_or_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    job = job_of(a_model().model_copy(update={"base_url": "https://bedrock-runtime.eu-west-3.amazonaws.com"}))
    signed = open_endpoint(job.model, transport=Unused(), base=Path()).encode(job, 1).target.headers["authorization"]
    assert "/eu-west-3/bedrock/" in signed
    job = job_of(a_model().model_copy(update={"base_url": "http://127.0.0.1"}))
    signed = open_endpoint(job.model, transport=Unused(), base=Path()).encode(job, 1).target.headers["authorization"]
    assert "/us-east-1/bedrock/" in signed
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(ConfigError, match=r"models\.rock\.base_url: tells no region; set AWS_REGION"):
        resolve_key(job.model, base=Path())


# Answers


def test_an_answer_with_all_it_carries():
    assert answer(REPLY, **{"x-amzn-requestid": "r-1"}) == Answer(
        output="Here you are.",
        http_status=200,
        stop_reason="stop",
        input_tokens=3210,
        output_tokens=25,
        cached_tokens=3000,
        cache_write_tokens=200,
        ttfb_s=0.25,
        served_model="arn:aws:bedrock:us-east-1::inference-profile/us.nova-lite-v1:0",
        request_id="r-1",
    )


def test_thoughts_and_calls():
    content = [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "eA=="}},
        {"text": "So:"},
        {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"a": 1}}},
    ]
    outcome = answer({**REPLY, "output": {"message": {"content": content}}, "stopReason": "tool_use", "trace": None})
    assert (outcome.reasoning, outcome.output, outcome.stop_reason) == ("Hm.", "So:", "tool_calls")
    called = json.loads(outcome.tool_calls_json or "")
    assert called == [{"id": "t1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}]
    assert outcome.served_model is None


@pytest.mark.parametrize(
    ("theirs", "status", "ours"),
    [
        ("stop_sequence", "ok", "stop"),
        ("max_tokens", "ok", "length"),
        ("guardrail_intervened", "refused", "content_filter"),
        ("content_filtered", "refused", "content_filter"),
        ("malformed_model_output", "ok", "malformed_model_output"),
        ("malformed_tool_use", "ok", "malformed_tool_use"),
        ("model_context_window_exceeded", "ok", "context_length"),
    ],
)
def test_stop_reasons(theirs: str, status: str, ours: str):
    outcome = answer({**REPLY, "stopReason": theirs})
    assert (outcome.status, outcome.stop_reason) == (status, ours)


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (400, "ValidationException", "The value at temperature is wrong", "invalid_request"),
        (400, "ValidationException", "Input is too long for requested model.", "context_length"),
        (400, "ValidationException", "The provided model identifier is invalid.", "not_found"),
        (
            400,
            "ValidationException",
            "Invocation of model ID m with on-demand throughput isn\u2019t supported.",
            "not_found",
        ),
        (400, "IncompleteSignature", "does not conform", "auth"),
        (400, "ServiceQuotaExceededException", "exceeds the service quota", "rate_limit"),
        (403, "AccessDeniedException", "You don't have access to the model", "auth"),
        (403, "ExpiredTokenException", "The security token has expired", "auth"),
        (403, "InvalidSignatureException", "Signature expired: 20261126T000000Z", "auth"),
        (403, "UnrecognizedClientException", "The security token is invalid", "auth"),
        (404, "ResourceNotFoundException", "The resource does not exist", "not_found"),
        (408, "ModelTimeoutException", "took too long", "transient"),
        (424, "ModelErrorException", "an error while processing the model", "transient"),
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", "rate_limit"),
        (429, "ThrottlingException", "Too many tokens per day, please wait before trying again.", "quota"),
        (429, "ModelNotReadyException", "not ready for inference", "overloaded"),
        (500, "InternalServerException", "an internal error", "transient"),
        (503, "ServiceUnavailableException", "not available", "overloaded"),
    ],
)
def test_errors_by_name(status: int, name: str, message: str, kind: str):
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/", "x-amzn-requestid": "r-1"}
    outcome = failure({"message": message}, status=status, **headers)
    assert (outcome.kind, outcome.http_status) == (kind, status)
    assert outcome.message == f"{name}: {message} (request r-1)"
    for body in (
        {"__type": f"com.amazon.coral.service#{name}", "message": message},
        {"__type": name, "Message": message},
    ):
        outcome = failure(body, status=status)
        assert (outcome.kind, outcome.message) == (kind, f"{name}: {message}")


@pytest.mark.parametrize("body", [b"", b"null", b"<html>", b"{}", b'{"output": {}}', b"\xff"])
def test_what_is_no_answer_is_tried_again(body: bytes):
    assert failure(body).kind == "bad_response"


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([200, 400, 429, 500]))
def test_no_body_breaks_it(body: bytes, status: int):
    assert isinstance(decode(response(body, status=status)), Answer | Failure)
