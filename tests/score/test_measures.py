from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.score.scorer import direction
from headgate.suite.scorers import Length, Limit, Perplexity, StopReason
from score_rows import scored, values


def logprobs(*found):
    return json.dumps([{"token": "t", "logprob": value} for value in found])


def perplexity(text, **options):
    return scored(Perplexity(name="p", type="perplexity", **options), [{"output": "x", "logprobs_json": text}]).row(0)


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=20))
def test_perplexity_is_the_inverse_of_the_mean_probability(found):
    mean = math.prod(math.exp(value / len(found)) for value in found)
    assert perplexity(logprobs(*found))[0] == pytest.approx(1 / mean)
    assert perplexity(logprobs(*found), normalized=True)[0] == pytest.approx(mean)
    assert perplexity(logprobs(*found), max=5.0)[0] == pytest.approx(float(1 / mean <= 5), abs=0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "the result has no log probabilities; ask the model for them in `params`"),
        ("[]", "there is no token"),
        ("{}", "the log probabilities cannot be read: Expected `array`, got `object`"),
        (
            '[{"token": "t"}]',
            "the log probabilities cannot be read: Object missing required field `logprob` - at `$[0]`",
        ),
        ("[{", "the log probabilities cannot be read: Input data was truncated"),
        (logprobs(-9999.0), "the perplexity is too large for a number"),
    ],
)
def test_what_gives_no_perplexity(text, reason):
    assert perplexity(text) == (None, None, reason)


def test_a_perplexity_without_bounds_has_no_worst():
    plain, normal = (Perplexity(name="p", type="perplexity", normalized=on) for on in (False, True))
    assert (direction(plain).worst, direction(plain).higher_is_better) == (None, False)
    assert (direction(normal).worst, direction(normal).higher_is_better) == (0, True)
    refused = [{"output": None, "status": "refused", "logprobs_json": logprobs(-1.0)}]
    assert scored(plain, refused).row(0) == (None, None, "refused")
    assert scored(normal, refused).row(0) == (0, None, "refused")


def test_limits_are_inclusive_and_what_is_not_known_is_missing():
    spec = Limit(name="cheap", type="limit", column="cost_usd", max=0.01)
    rows = [{"output": "x", "cost_usd": cost} for cost in (0.005, 0.01, 0.011, None)]
    assert scored(spec, rows).rows() == [
        (1, None, None),
        (1, None, None),
        (0, None, None),
        (None, None, "it is not known"),
    ]
    tokens = Limit(name="brief", type="limit", column="total_tokens", min=5, max=10)
    rows = [{"output": "x", "input_tokens": 2, "output_tokens": n} for n in (2, 3, 8, 9, None)]
    assert scored(tokens, rows)["value"].to_list() == [0, 1, 1, 0, None]


def test_an_answer_that_failed_still_took_its_time():
    spec = Limit(name="fast", type="limit", column="latency_s", max=1.0)
    rows = [{"output": None, "status": "refused", "latency_s": 0.5}, {"output": "", "latency_s": 2.0}]
    assert scored(spec, rows)["value"].to_list() == [1, 0]


def test_why_it_stopped():
    spec = StopReason(name="whole", type="stop_reason", reasons=["stop", "end_turn"])
    rows = [{"output": "x", "stop_reason": reason} for reason in ("stop", "END_TURN", "length", None)]
    assert scored(spec, rows)["value"].to_list() == [1, 1, 0, None]


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20), min_size=1, max_size=5),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_lengths_are_those_of_python(texts, low, more):
    def check(unit, count):
        spec = Length(name="n", type="length", unit=unit, min=low, max=low + more)
        expected = [float(low <= count(text) <= low + more) if text.strip() else 0 for text in texts]
        assert values(spec, *((text, None) for text in texts)) == expected

    check("chars", len)
    check("words", lambda text: len(text.split()))


def test_lines_and_tokens():
    assert values(Length(name="n", type="length", unit="lines", max=2), ("a\nb\n", None), ("a\nb\nc", None)) == [1, 0]
    rows = [{"output": "x", "output_tokens": n} for n in (3, 4, None)]
    found = scored(Length(name="n", type="length", unit="tokens", max=3), rows)
    assert found.rows() == [(1, None, None), (0, None, None), (None, None, "the number of tokens is not known")]
