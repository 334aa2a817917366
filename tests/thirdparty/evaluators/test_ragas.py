"""Metrics of ragas, the real ones; run by ``nox -s evaluators``."""

from __future__ import annotations

import pytest

from evaluator_runs import score_items, values
from fake_evaluators import FakeRagas, FakeSingleTurn, same_signature
from judge_server import judge_server

pytest.importorskip("ragas", reason="ragas is installed by `nox -s evaluators`")

ITEMS = [
    {"question": "2+2?", "answer": "4", "target": "4", "retrieved_contexts": ["2+2 is 4"]},
    {"question": "2+3?", "answer": "6", "target": "5", "retrieved_contexts": ["2+3 is 5"]},
]


@pytest.mark.parametrize("name", ["ExactMatch", "StringPresence", "NonLLMStringSimilarity"])
def test_collections(name):
    assert values({"call": f"ragas.metrics.collections:{name}"}, ITEMS) == [1.0, 0.0]


def test_an_older_metric_of_single_turns():
    assert values({"call": "ragas.metrics._string:ExactMatch"}, ITEMS) == [1.0, 0.0]


def test_faithfulness_asks_the_model_of_the_suite():
    evaluator = {"call": "ragas.metrics.collections:Faithfulness", "model": "judge"}
    with judge_server(likes={"verdict": 1}) as judge:
        assert values(evaluator, ITEMS, judge=judge.base_url) == [1.0, 1.0]
    assert len(judge.requests) == 4  # statements, and their verdicts


def test_a_column_that_is_not_there_is_said():
    evaluator = {"call": "ragas.metrics.collections:Faithfulness", "model": "judge"}
    with judge_server() as judge:
        found = score_items(evaluator, [{"question": "2+2?", "answer": "4"}], judge=judge.base_url)
    assert found[0][0] is None
    assert "retrieved_contexts" in found[0][2]


def test_the_fakes_are_like_the_real_ones():
    from ragas.metrics.base import SingleTurnMetric
    from ragas.metrics.collections import ExactMatch

    assert same_signature(FakeRagas.ascore, ExactMatch.ascore)
    assert same_signature(FakeSingleTurn.single_turn_ascore, SingleTurnMetric.single_turn_ascore)
