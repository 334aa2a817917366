from __future__ import annotations

import pytest

from headgate.score.adapters.fields import Fields, asked

USUAL = {"inputs": "input", "outputs.output": "output", "reference_outputs.output": "target"}
ITEM = {"id": "7", "question": "2+2?", "context": ["sums"], "target": "4", "empty": None}


def test_usual_fields():
    assert Fields(USUAL, {}).of("5", ITEM) == {
        "inputs": "2+2?", "outputs": {"output": "5"}, "reference_outputs": {"output": "4"}
    }  # fmt: skip


def test_what_the_item_lacks_is_left_out():
    assert "reference_outputs" not in Fields(USUAL, {}).of("5", {"question": "q", "target": None})


def test_declared_fields_go_before_the_usual_ones():
    found = Fields(USUAL, {"outputs.answer": "output", "outputs.docs": "context", "inputs": "id"}).of("5", ITEM)
    assert found == {"inputs": "7", "outputs": {"answer": "5", "docs": ["sums"]}, "reference_outputs": {"output": "4"}}


def test_a_column_that_is_not_there():
    with pytest.raises(LookupError, match="no column 'gold', which `inputs` names for 'reference'"):
        Fields({}, {"reference": "gold"}).of("5", ITEM)


def test_a_column_named_input_is_what_was_asked():
    assert Fields(USUAL, {}).of("5", {"input": {"a": 1}, "question": "q"})["inputs"] == {"a": 1}
    assert asked({"input": {"a": 1}, "question": "q"}) == '{"a":1}'
