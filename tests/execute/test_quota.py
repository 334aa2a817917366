"""What headers say of a quota: of the providers as they send them, and of servers that send anything."""

from __future__ import annotations

import email.utils
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.execute.quota import Quota, Window, read_quota


def requests(limit: str = "500", remaining: str | None = None, reset: str | None = None) -> Window | None:
    """Read the requests of an OpenAI-shaped response."""
    headers = {"content-type": "application/json", "x-ratelimit-limit-requests": limit}
    if remaining is not None:
        headers["x-ratelimit-remaining-requests"] = remaining
    if reset is not None:
        headers["x-ratelimit-reset-requests"] = reset
    quota = read_quota(headers)
    return None if quota is None else quota.requests


def test_openai():
    quota = read_quota(
        {
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-limit-tokens": "450000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-remaining-tokens": "449973",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-reset-tokens": "3ms",
            "x-request-id": "req_1",
        }
    )
    assert quota == Quota(
        requests=Window(limit=5000, remaining=4999, reset_s=0.012),
        tokens=Window(limit=450_000, remaining=449_973, reset_s=0.003),
    )


def anthropic(*fields: str, reset_s: float = 30) -> dict[str, str]:
    reset = (datetime.now(UTC) + timedelta(seconds=reset_s)).isoformat(timespec="seconds").replace("+00:00", "Z")
    headers: dict[str, str] = {}
    for field in fields:
        for name, value in {"limit": "4000", "remaining": "1000", "reset": reset}.items():
            headers[f"anthropic-ratelimit-{field}-{name}"] = value
    return headers


def test_anthropic():
    quota = read_quota(anthropic("requests", "tokens", "input-tokens", "output-tokens"))
    assert quota is not None
    assert quota.tokens is None  # it repeats the tightest of the others
    for window in (quota.requests, quota.input_tokens, quota.output_tokens):
        assert (window.limit, window.remaining) == (4000, 1000)
        assert window.reset_s == pytest.approx(30, abs=2)


def test_anthropic_with_tokens_together_only():
    quota = read_quota(anthropic("requests", "tokens"))
    assert quota is not None
    assert quota.tokens is not None
    assert quota.input_tokens is quota.output_tokens is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1), ("6m0s", 360), ("12ms", 0.012), ("1m30s", 90), ("2m59.56s", 179.56), ("1h2m3s", 3723),
        ("250us", 25e-5),         ("7.5", 7.5), ("0", 0), ("59", 59), ("120.0", 120),
        ("", None), ("soon", None), ("-1", None), ("-1s", None), ("nan", None), ("inf", None), ("1e999", None),
        ("5 minutes", None),         ("1m30", None), ("s", None), ("1x", None), ("9" * 5000 + "s", None),
        ("2020-01-01T00:00:00Z", None),
        ("1600000000", None),
    ],
)  # fmt: skip
def test_when_it_resets(text: str, seconds: float | None):
    window = requests(reset=text)
    assert window is not None
    assert window.reset_s == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("zone", ["Z", "+00:00", ""])
def test_when_it_resets_as_a_date(zone: str):
    text = (datetime.now(UTC) + timedelta(seconds=90)).strftime("%Y-%m-%dT%H:%M:%S") + zone
    assert requests(reset=text).reset_s == pytest.approx(90, abs=2)


def test_when_it_resets_in_epoch_seconds():
    assert requests(reset=str(int(time.time()) + 45)).reset_s == pytest.approx(45, abs=2)


def test_an_http_date_is_none_of_the_forms():
    assert requests(reset=email.utils.formatdate(time.time() + 60, usegmt=True)).reset_s is None


@pytest.mark.parametrize("limit", ["-1", "0", "0.5", "inf", "nan", "", "many", "100, 100;w=60", "1e999"])
def test_a_limit_that_is_none_leaves_nothing(limit: str):
    assert requests(limit, "0", "1s") is None


def test_junk_in_one_dimension_spares_the_other():
    quota = read_quota(
        {
            "x-ratelimit-limit-requests": "60",
            "x-ratelimit-remaining-requests": "-1",
            "x-ratelimit-limit-tokens": "-1",
            "x-ratelimit-remaining-tokens": "-1",
            "x-ratelimit-reset-tokens": "0",
        }
    )
    assert quota == Quota(requests=Window(limit=60))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json", "retry-after": "1"},
        {"x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-limit": "100", "ratelimit-limit": "100"},  # of a second, of a day: these names do not say
        {"x-ratelimit-limit-requests-day": "1000"},
    ],
)
def test_headers_that_say_nothing(headers: dict[str, str]):
    assert read_quota(headers) is None


NAMES = st.sampled_from(
    [f"x-ratelimit-{what}-{field}" for what in ("limit", "remaining", "reset") for field in ("requests", "tokens")]
    + [
        f"anthropic-ratelimit-{field}-{what}"
        for what in ("limit", "remaining", "reset")
        for field in ("requests", "tokens", "input-tokens", "output-tokens")
    ]
)
VALUES = st.one_of(
    st.text("aµ\xa0\x00'%{", max_size=9),
    st.integers().map(str),
    st.floats().map(str),
    st.text("0123456789.hmsµunZT:-+", max_size=20),
    st.datetimes().map(datetime.isoformat),
)


@given(headers=st.dictionaries(NAMES, VALUES))
def test_whatever_a_server_sends_there_is_no_error_and_no_nonsense(headers: dict[str, str]):
    quota = read_quota(headers)
    windows = [] if quota is None else [quota.requests, quota.tokens, quota.input_tokens, quota.output_tokens]
    assert quota is None or any(windows)
    for window in filter(None, windows):
        assert 1 <= window.limit < float("inf")
        for value in (window.remaining, window.reset_s):
            assert value is None or 0 <= value < float("inf")
        assert window.binds in {True, False}


@pytest.mark.parametrize(
    ("limit", "remaining", "reset_s", "binds"),
    [
        (500, 250, 30, True),  # refills evenly, half of it in half a minute
        (500, 0, 60, True),
        (500, 240, 55, True),  # comes back at once, at the end of the minute
        (500, 251, 30, False),  # more than half is left: nobody is bound
        (500, 499, 0.12, False),
        (14_400, 7000, 44_400, False),  # of a day
        (200, 10, 82_080, False),
        (100, 3, 0.97, False),  # of a second
        (100, 0, 10, False),  # of ten
        (500, 100, None, False),
        (500, None, 60, False),
        (500, 600, 60, False),
        (500, 0, 0, False),
    ],
)
def test_what_binds(limit: float, remaining: float | None, reset_s: float | None, binds: bool):
    assert Window(limit=limit, remaining=remaining, reset_s=reset_s).binds is binds
