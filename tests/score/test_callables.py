from __future__ import annotations

import pytest

from headgate.score.callables import Score, as_score, bind_item


@pytest.mark.parametrize(
    ("returned", "value", "explanation"),
    [
        (True, 1.0, None),
        (0, 0.0, None),
        ("0.5", 0.5, None),
        (None, None, "the scorer returned None"),
        (float("inf"), None, "the scorer returned inf"),
        (2, None, "the scorer returned 2.0, outside its bounds [0, 1]"),
        ("good", None, "the scorer returned str 'good', not a number"),
        ({"score": 1, "explanation": "fine"}, 1.0, "fine"),
        (Score(0.25, "low"), 0.25, None),
        (Score(7), None, "the scorer returned 7.0, outside its bounds [0, 1]"),
    ],
)
def test_what_a_function_returns_becomes_a_score_or_a_reason(returned, value, explanation):
    score = as_score(returned, bounds=(0, 1))
    assert (score.value, score.explanation) == (value, explanation)


def test_the_item_is_handed_over_when_asked_for():
    assert bind_item(lambda output: output)("o", {"a": 1}) == "o"
    assert bind_item(lambda output, item: item["a"])("o", {"a": 1}) == 1
    assert bind_item(lambda *both: both)("o", {"a": 1}) == ("o", {"a": 1})
