"""Scorers of inspect_ai, the real ones; run by ``nox -s evaluators``."""

from __future__ import annotations

import pytest

from evaluator_runs import score_items, values
from fake_evaluators import fake_inspect, same_signature
from judge_server import judge_server

pytest.importorskip("inspect_ai", reason="inspect-ai is installed by `nox -s evaluators`")

ITEMS = [
    {"question": "2+2?", "answer": "It is 4", "target": "4"},
    {"question": "2+3?", "answer": "It is 6", "target": "5"},
]


@pytest.mark.parametrize("name", ["match", "includes"])
def test_scorers(name):
    found = score_items({"call": f"inspect_ai.scorer:{name}"}, ITEMS)
    assert [row[:2] for row in found] == [(1.0, "C"), (0.0, "I")]


def test_arguments():
    evaluator = {"call": "inspect_ai.scorer:match", "arguments": {"location": "begin"}}
    assert values(evaluator, ITEMS) == [0.0, 0.0]


def test_a_model_graded_scorer_asks_the_model_of_the_suite():
    evaluator = {"call": "inspect_ai.scorer:model_graded_qa", "model": "judge"}
    with judge_server(text="It is so.\nGRADE: C") as judge:
        found = score_items(evaluator, ITEMS, judge=judge.base_url)
    assert [row[:2] for row in found] == [(1.0, "C"), (1.0, "C")]
    assert len(judge.requests) == 2


def test_a_scorer_of_the_users_reads_metadata():
    from inspect_ai.scorer import Score, accuracy, scorer

    @scorer(metrics=[accuracy()])
    def level():
        async def score(state, target):
            return Score(value={"level": state.metadata["level"], "one": 1}, explanation=target.text)

        return score

    items = [{"question": "q", "answer": "a", "target": "t", "level": 0.5}]
    evaluator = {"call": level, "key": "level", "inputs": {"input": "question"}}
    assert score_items(evaluator, items) == [(0.5, None, "t")]


def test_the_fake_is_like_the_real_one():
    from inspect_ai.scorer import match

    assert same_signature(fake_inspect(), match())
