"""What error bodies say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.execute.error_body import ErrorBody, read_error


def said(body: Any) -> ErrorBody:
    return read_error(msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "slow down"}}, "slow down"),
        ({"error": "out of memory"}, "out of memory"),
        ({"message": "old vLLM", "code": 500}, "old vLLM"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"detail": [{"msg": "field required"}]}, "[{'msg': 'field required'}]"),
        ([{"error": {"message": "first"}}, {"error": {"message": "second"}}], "first"),
        ({"error": None, "message": "beside"}, "beside"),
        ({"error": {"code": 3}}, None),
        ({}, None),
        ([], None),
    ],
)
def test_messages(body: Any, message: str | None):
    assert said(body).message == message


def test_all_by_which_an_error_is_named():
    details = [
        {"error_code": "a", "reason": "b"},
        {"violations": [{"quotaId": "RequestsPerMinute"}, {"quotaId": "RequestsPerDay-Free"}], "retryDelay": "1.5s"},
        {"links": []},
    ]
    metadata = {"limit_source": "key", "provider_name": "x", "raw": {"insufficient_quota": 1}}
    found = said({"error": {"type": "t", "code": 429, "details": details, "metadata": metadata}})
    assert found.words == {"t", "429", "a", "b", "PerDay", "limit_source"}
    assert (found.code, found.retry_after_s) == ("429", 1.5)


def test_one_detail_is_as_good_as_a_list():
    assert said({"error": {"details": {"error_code": "ramp_limit_exceeded"}}}).words == {"ramp_limit_exceeded"}


@pytest.mark.parametrize("odd", ["text", 7, [1], [[]], {"violations": 3}, {"error_code": 5}, True])
def test_odd_details_and_metadata_hide_nothing_else(odd: Any):
    found = said({"error": {"message": "m", "code": "c", "details": odd, "metadata": odd}})
    assert (found.message, found.code, found.words, found.retry_after_s) == ("m", "c", {"c"}, None)


NAMES = [
    "error",
    "message",
    "detail",
    "code",
    "type",
    "details",
    "metadata",
    "reason",
    "retryDelay",
    "violations",
    "quotaId",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


@given(body=JSON)
def test_any_json_is_read(body: Any):
    found = said(body)
    assert found.retry_after_s is None or 0 < found.retry_after_s < float("inf")


@given(body=st.binary(max_size=80))
def test_any_bytes_are_read(body: bytes):
    assert isinstance(read_error(body), ErrorBody)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"error":' * 100_000, b'{"error":{"details":' + b"[" * 100_000])
def test_what_nests_without_end_says_nothing(body: bytes):
    assert read_error(body) == ErrorBody()
