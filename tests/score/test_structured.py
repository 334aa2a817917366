from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.score.structured import json_valid
from headgate.suite.scorers import JsonValid

is_json = json_valid(JsonValid(name="json", type="json_valid"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_json_document_is_valid(document):
    assert is_json(json.dumps(document, indent=1))


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", '{"a": 1} trailing', "```json\n{}\n```", "[" * 100_000])
def test_other_text_is_not(text):
    assert not is_json(text)
