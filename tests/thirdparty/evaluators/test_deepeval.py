"""Metrics of deepeval, the real ones; run by ``nox -s evaluators``."""

from __future__ import annotations

import pytest

from evaluator_runs import score_items, values
from fake_evaluators import FakeDeepeval, same_signature
from judge_server import judge_server

pytest.importorskip("deepeval", reason="deepeval is installed by `nox -s evaluators`")

ITEMS = [{"question": "2+2?", "answer": "4", "target": "4"}, {"question": "2+3?", "answer": "6", "target": "5"}]


def test_exact_match_gives_its_reason():
    found = score_items({"call": "deepeval.metrics:ExactMatchMetric"}, ITEMS)
    assert [row[0] for row in found] == [1.0, 0.0]
    assert "exact match" in found[0][2]


def test_a_pattern():
    evaluator = {"call": "deepeval.metrics:PatternMatchMetric", "arguments": {"pattern": "[0-5]"}}
    assert values(evaluator, ITEMS) == [1.0, 0.0]


def test_many_rows_do_not_mix():
    items = [{"question": "q", "answer": str(n), "target": str(n if n % 3 else -1)} for n in range(200)]
    expected = [1.0 if n % 3 else 0.0 for n in range(200)]
    assert values({"call": "deepeval.metrics:ExactMatchMetric"}, items) == expected


def test_answer_relevancy_asks_the_model_of_the_suite():
    evaluator = {"call": "deepeval.metrics:AnswerRelevancyMetric", "model": "judge"}
    with judge_server(likes={"verdict": "yes"}) as judge:
        assert values(evaluator, ITEMS, judge=judge.base_url) == [1.0, 1.0]
    assert len(judge.requests) >= 4


def test_a_metric_of_ones_own_criteria():
    def make(model):
        from deepeval.metrics import GEval
        from deepeval.test_case import SingleTurnParams

        wanted = [SingleTurnParams.INPUT, SingleTurnParams.ACTUAL_OUTPUT]
        return GEval(name="short", criteria="The answer is short.", evaluation_params=wanted, model=model)

    evaluator = {"call": make, "framework": "deepeval", "model": "judge"}
    with judge_server(text="It is.", likes={"score": 7}) as judge:
        found = score_items(evaluator, ITEMS[:1], judge=judge.base_url)
    assert found == [(0.7, None, "It is.")]


def test_what_a_metric_needs_and_does_not_get_is_said():
    found = score_items({"call": "deepeval.metrics:ExactMatchMetric"}, [{"question": "q", "answer": "a"}])
    assert found[0][0] is None
    assert "expected_output" in found[0][2]


def test_the_fake_is_like_the_real_one():
    from deepeval.metrics import ExactMatchMetric

    for name in ("measure", "a_measure"):
        assert same_signature(getattr(FakeDeepeval, name), getattr(ExactMatchMetric, name))
