from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.identity import _canonical_json, canonical_json, digest

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_canonical_json_means_the_same_and_is_stable(value):
    text = canonical_json(value)
    assert json.loads(text.decode("utf-8", "surrogatepass")) == value
    assert canonical_json(json.loads(text.decode("utf-8", "surrogatepass"))) == text


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=6))
def test_the_order_of_keys_does_not_matter(mapping):
    assert digest(mapping) == digest(dict(reversed(mapping.items())))


@pytest.mark.parametrize(
    ("value", "golden"),
    [
        ({}, "2afb9b83f9314e5d029766197f539792"),
        ("x", "ee8b79dab5015bd04784f08f5b0bb660"),
        ([1.0], "ef6555d139bba0ca2326a50024344e1b"),
        ({"b": [1, 2.5, None, True], "a": "\u00e9\n"}, "2c5c4ecc26e42fdad9dbcb1ec9862d6b"),
    ],
)
def test_digests_are_golden(value, golden):
    assert digest(value) == golden


def test_one_and_one_point_zero_are_one_value():
    assert canonical_json([1.0, -0.0, 1e21, 0.1]) == b"[1,0,1000000000000000000000,0.1]"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(value):
    with pytest.raises(ValueError):
        canonical_json({"a": value})


def test_keys_that_are_not_text_are_refused():
    with pytest.raises(TypeError, match="object key 1 is not text"):
        canonical_json({1: "a"})


def test_other_objects_are_refused():
    with pytest.raises(TypeError):
        canonical_json({"a": object()})


ANY = JSON | st.integers() | st.text(st.characters())


@given(value=ANY)
@example(value="".join(map(chr, range(0x100))) + "\u2028\ud7ff\ue000\uffff\U0010ffff")
@example(value={"\ud800": 1})
@example(value={"\uffff": 1, "\U00010000": 2, "": 3})
@example(value=[2**63 - 1, -(2**63), 2**63, 2**64, True])
def test_the_fast_way_writes_the_same_bytes(value):
    assert canonical_json(value) == _canonical_json(value)


@pytest.mark.parametrize("value", [b"x", {1}, {1: 2}, {"a": [object()]}, dt.date(2026, 1, 1), float("nan")])
def test_what_is_no_json_is_refused_as_ever(value):
    with pytest.raises((TypeError, ValueError)):
        canonical_json(value)
