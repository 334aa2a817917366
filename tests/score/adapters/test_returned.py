from __future__ import annotations

from types import SimpleNamespace

import pytest

from headgate.score.adapters.returned import read_returned
from headgate.score.callables import Score

SEVERAL = [{"key": "a", "score": 0.25, "comment": "low"}, {"key": "b", "score": True}]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (True, Score(True)),
        (0.5, Score(0.5)),
        (Score(0.5, "half"), Score(0.5, "half")),
        ({"score": 1, "value": "Y", "reasoning": "short"}, Score(1, "Y", "short")),
        ({"key": "k", "score": False, "comment": "no", "metadata": None}, Score(False, None, "no")),
        ({"results": [{"key": "k", "score": 0.5}]}, Score(0.5)),
        ([{"key": "k", "score": 0.5}], Score(0.5)),
        ({"f1": 0.5}, Score(0.5)),
        ({"score": {"f1": 0.5}, "comment": "why"}, Score(0.5, None, "why")),
        (SimpleNamespace(value=0.5, reason="so"), Score(0.5, None, "so")),
        (
            SimpleNamespace(name="n", score=0.6, metadata={"choice": "C", "rationale": "alike"}, error=None),
            Score(0.6, "C", "alike"),
        ),
        (SimpleNamespace(key="k", score=None, value=2, comment=None), Score(2)),
    ],
    ids=range(12),
)
def test_one_result(returned, expected):
    assert read_returned(returned) == expected


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "the evaluator gave no score"),
        ([], "the evaluator returned no result"),
        ({"key": "k", "score": None, "comment": "skipped: no reference"}, "gave no score: skipped: no reference"),
        (SimpleNamespace(name="n", score=None, metadata={}, error=ValueError("broken")), "gave no score: broken"),
        (SEVERAL, "several results, 'a', 'b': choose one with `key`"),
        ({"f1": 0.5, "recall": 1}, "several results, 'f1', 'recall': choose one with `key`"),
        ("good", "the label 'good', which has no score: give it one in `labels`"),
    ],
    ids=range(7),
)
def test_no_score_says_why(returned, said):
    score = read_returned(returned)
    assert score.value is None
    assert said in score.explanation


@pytest.mark.parametrize("returned", [SEVERAL, {"results": SEVERAL}, {"a": 0.25, "b": True}], ids=range(3))
def test_a_key_chooses(returned):
    assert read_returned(returned, key="b").value is True
    assert "'a', 'b', and no 'c'" in read_returned(returned, key="c").explanation


def test_a_key_does_not_matter_where_the_result_has_no_name():
    assert read_returned(0.5, key="a").value == 0.5


def test_labels():
    assert read_returned("C", labels={"C": 1.0}) == Score(1.0, "C")
    found = read_returned(SimpleNamespace(value={"x": "I", "y": "C"}), key="x", labels={"I": 0.0})
    assert found == Score(0.0, "I")
