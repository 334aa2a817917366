"""Scorers of autoevals, the real ones; run by ``nox -s evaluators``."""

from __future__ import annotations

import pytest

from evaluator_runs import score_items, values
from fake_evaluators import FakeAutoevals, same_signature
from judge_server import judge_server

pytest.importorskip("autoevals", reason="autoevals is installed by `nox -s evaluators`")

ITEMS = [{"question": "2+2?", "answer": "4", "target": "4"}, {"question": "2+3?", "answer": "60", "target": "50"}]


@pytest.mark.parametrize(
    ("name", "expected"), [("Levenshtein", [1.0, 0.5]), ("ExactMatch", [1.0, 0.0]), ("JSONDiff", [1.0, 0.5])]
)
def test_classes(name, expected):
    assert values({"call": f"autoevals:{name}"}, ITEMS) == pytest.approx(expected)


def test_a_scorer_that_raises_says_so():
    found = score_items({"call": "autoevals:NumericDiff"}, [{"answer": "4", "target": "four"}])
    assert found[0][0] is None
    assert "TypeError" in found[0][2]


def test_json():
    schema = {"type": "object", "required": ["a"]}
    items = [{"answer": text, "target": "{}", "schema": schema} for text in ('{"a": 1}', '{"b": 1}', "{")]
    assert values({"call": "autoevals:ValidJSON"}, items) == [1.0, 0.0, 0.0]


def test_factuality_asks_the_model_of_the_suite():
    with judge_server(likes={"choice": "C", "reasons": ["the same facts"]}) as judge:
        found = score_items({"call": "autoevals:Factuality", "model": "judge"}, ITEMS, judge=judge.base_url)
    assert found == [(1.0, "C", "the same facts")] * 2
    assert "2+2?" in str(judge.requests)


def test_the_fake_is_like_the_real_one():
    from autoevals.score import Scorer

    for name in ("eval", "eval_async"):
        assert same_signature(getattr(FakeAutoevals, name), getattr(Scorer, name))
