"""One reader per format: what each field becomes, what is passed over, what is bad; real samples where they are."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.traffic.litellm import read_litellm
from headgate.traffic.otlp import read_otlp
from headgate.traffic.plain import read_plain
from headgate.traffic.row import FIELDS, Bad, Row, lookup, make_row, parse_time

SAMPLES = Path("/work/shared/data/traffic")
TIMES = {"startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225601500000000"}


def value(inner):
    match inner:
        case bool():
            return {"boolValue": inner}
        case int():
            return {"intValue": str(inner)}
        case float():
            return {"doubleValue": inner}
        case list():
            return {"arrayValue": {"values": [value(one) for one in inner]}}
        case dict():
            return {"kvlistValue": {"values": pairs(inner)}}
    return {"stringValue": inner}


def pairs(attributes):
    return [{"key": key, "value": value(inner)} for key, inner in attributes.items()]


def spans(*found, resource=None):
    scope = {"scope": {"name": "s", "attributes": []}, "spans": list(found)}
    return {"resourceSpans": [{"resource": {"attributes": pairs(resource or {})}, "scopeSpans": [scope]}]}


def span(attributes, **more):
    return {"traceId": "t", "spanId": "s", **TIMES, "attributes": pairs(attributes), **more}


# --- plain ---


def test_columns_may_be_named_and_nested():
    record = {"ts": "2026-01-01T00:00:00Z", "req": {"id": "a", "user.id": "u"}, "out": {"text": "hi"}, "ms": 250}
    columns = {"time": "ts", "id": "req.id", "cluster": "req.user.id", "output": "out.text", "latency_ms": "ms"}
    (row,) = read_plain(record, columns)
    assert (row.time, row.id, row.cluster, row.output, row.latency_s) == (1767225600.0, "a", "u", "hi", 0.25)


def test_records_without_an_id_are_told_apart_by_what_they_say():
    one, same, other = ({"time": 1767225600, "output": text} for text in ("a", "a", "b"))
    ids = [read_plain(record, {})[0].id for record in (one, same, other)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "ok"),
        ({"status": "success"}, "ok"),
        ({"status": 200}, "ok"),
        ({"status": True}, "ok"),
        ({"status": 503}, "error"),
        ({"status": "FAILED"}, "error"),
        ({"error_kind": "timeout"}, "error"),
        ({"error_kind": ""}, "ok"),
        ({"status": "refused"}, "refused"),
        ({"stop_reason": "content_filter"}, "refused"),
        ({"status": "ok", "stop_reason": "SAFETY"}, "refused"),
        ({"status": "ok", "stop_reason": "stop"}, "ok"),
    ],
)
def test_the_status_of_a_row(fields, status):
    assert make_row({"time": 1767225600, "id": "a", **fields}, {}, default_id=str).status == status


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_times_are_of_any_unit(unit):
    assert parse_time(1767225600 * unit) == parse_time(str(1767225600 * unit)) == 1767225600.0


@pytest.mark.parametrize("wrong", [None, "", "noon", True, -1, math.nan, math.inf, [], {}])
def test_what_is_no_time(wrong):
    with pytest.raises(ValueError, match="time: "):
        parse_time(wrong)


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *FIELDS,
                        "resourceSpans",
                        "scopeSpans",
                        "spans",
                        "attributes",
                        "key",
                        "value",
                        "startTime",
                        "response",
                        "choices",
                        "error_information",
                    ]
                )
                | st.text(),
                inner,
            )
        ),
    )
)
def test_no_record_breaks_a_reader(record):
    for read in (read_plain, read_otlp, read_litellm):
        assert all(isinstance(found, Row | Bad) for found in read(record, {"cluster": "a.b", "latency_s": "status"}))


def test_lookup_finds_names_that_hold_dots():
    assert lookup({"a": {"b.c": {"d": 1}}}, "a.b.c.d") == 1
    assert lookup({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert lookup({"a": 1}, "a.b") is None


# --- OTLP/JSON ---


def test_a_span_of_the_current_conventions():
    said = [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Hel"}, {"type": "text", "content": "lo"}],
            "finish_reason": "stop",
        }
    ]
    asked = [{"role": "system", "parts": []}, {"role": "user", "parts": [{"type": "text", "content": "Hi?"}]}]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-2026",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.conversation.id": "c1",
        "gen_ai.input.messages": json.dumps(asked),
        "gen_ai.output.messages": said,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    hash_name = "k8s.pod.label.rollouts-pod-template-hash"
    (row,) = read_otlp(spans(span(attributes), resource={hash_name: "abc"}), {"arm": hash_name})
    assert (row.id, row.arm, row.cluster, row.model) == ("t:s", "abc", "c1", "small-2026")
    assert (row.input, row.output, row.stop_reason) == ("Hi?", "Hello", "stop")
    assert (row.latency_s, row.input_tokens, row.output_tokens, row.status) == (1.5, 7, 2, "ok")


def test_spans_of_older_conventions_and_of_openinference():
    older = {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.usage.prompt_tokens": 7,
        "gen_ai.usage.completion_tokens": 2,
        "gen_ai.prompt.0.content": "Hi?",
        "gen_ai.completion.0.content": "Hello",
        "gen_ai.completion.0.finish_reason": "content_filter",
    }
    inference = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "small",
        "llm.token_count.prompt": 7,
        "llm.token_count.completion": 2,
        "llm.input_messages.0.message.content": "Hi?",
        "llm.output_messages.0.message.content": "Hello",
        "session.id": "s1",
    }
    event = {"name": "gen_ai.content.completion", "attributes": pairs({"gen_ai.completion": '[{"content": "Hello"}]'})}
    evented = span({"gen_ai.request.model": "small"}, events=[event])
    first, second, third = read_otlp(spans(span(older), span(inference), evented), {})
    assert [row.output for row in (first, second, third)] == ["Hello"] * 3
    assert [(row.input, row.input_tokens, row.output_tokens, row.model) for row in (first, second)] == [
        ("Hi?", 7, 2, "small")
    ] * 2
    assert (first.status, second.status, second.cluster) == ("refused", "ok", "s1")


def test_other_spans_are_passed_over_and_errors_are_kinds():
    others = [
        {"gen_ai.operation.name": "execute_tool"},
        {"openinference.span.kind": "AGENT", "llm.model_name": "m"},
        {"http.method": "GET"},
    ]
    raised = {"name": "exception", "attributes": pairs({"exception.type": "TimeoutError"})}
    failed = span({"gen_ai.operation.name": "chat"}, status={"code": 2}, events=[raised])
    typed = span({"gen_ai.operation.name": "chat", "error.type": "429"}, status={"code": "STATUS_CODE_ERROR"})
    found = read_otlp(spans(*map(span, others), failed, typed), {})
    assert [(row.status, row.error_kind) for row in found] == [("error", "TimeoutError"), ("error", "429")]


def test_one_bad_span_does_not_spoil_the_others():
    good, bad = span({"gen_ai.operation.name": "chat"}), span({"gen_ai.operation.name": "chat"}, startTimeUnixNano="x")
    assert [type(found) for found in read_otlp(spans(bad, good), {})] == [Bad, Row]


# --- LiteLLM ---


def payload(**more):
    return {"id": "a", "status": "success", "startTime": 1767225600.0, "response_time": 0.5, **more}


def test_failures_and_refusals_of_litellm():
    failed = payload(status="failure", error_information={"error_class": "Timeout"})
    policy = payload(status="failure", error_information={"error_class": "ContentPolicyViolationError"})
    declined = payload(response={"choices": [{"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}]})
    bare = payload(status="failure")
    found = [read_litellm(record, {})[0] for record in (failed, policy, declined, bare)]
    assert [row.status for row in found] == ["error", "refused", "refused", "error"]
    assert found[0].error_kind == "Timeout"


def test_the_arm_of_a_payload_is_any_of_its_columns():
    record = payload(metadata={"spend_logs_metadata": {"arm": "v2"}}, end_user="alice", trace_id="t")
    (row,) = read_litellm(record, {"arm": "metadata.spend_logs_metadata.arm"})
    assert (row.arm, row.cluster) == ("v2", "alice")


# --- real samples ---


def sample(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"there is no {path} on this machine")
    return path.read_text()


def test_a_real_payload_of_litellm():
    (row,) = read_litellm(json.loads(sample("litellm_standard_logging_payload.json")), {})
    assert (row.input, row.output, row.model, row.status) == ("Hello, world!", "hi", "gpt-4o", "ok")
    assert (row.input_tokens, row.output_tokens) == (10, 20)
    assert row.cost_usd == pytest.approx(0.000225)


def test_real_spans_in_a_shape_of_their_own_are_read_by_their_columns():
    columns = {
        "time": "span.start_time_unix_nano",
        "id": "span.span_id",
        "cluster": "span.attributes.session.id",
        "latency_ms": "span.duration_ms",
        "output_tokens": "span.attributes.output_tokens",
    }
    lines = sample("otel_claude-code_normal_spans.jsonl").splitlines()
    rows = [row for line in lines if line for row in read_plain(json.loads(line), columns)]
    (request,) = [row for row in rows if row.output_tokens is not None]
    assert (request.output_tokens, request.latency_s) == (4, 1.0)
    assert len({row.cluster for row in rows}) == 1
