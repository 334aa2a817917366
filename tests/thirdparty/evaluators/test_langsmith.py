"""Evaluators of langsmith, the real ones; run by ``nox -s evaluators``."""

from __future__ import annotations

import pytest

from evaluator_runs import score_items, values
from fake_evaluators import FakeRunEvaluator, same_signature

pytest.importorskip("langsmith", reason="langsmith is installed by `nox -s evaluators`")

ITEMS = [{"question": "2+2?", "answer": "4", "target": "4"}, {"question": "2+3?", "answer": "6", "target": "5"}]


def test_a_run_evaluator_made_of_a_function():
    from langsmith.evaluation import run_evaluator

    def make():
        @run_evaluator
        def right(run, example):
            return {"key": "right", "score": run.outputs["output"] == example.outputs["output"], "comment": run.name}

        return right

    assert score_items({"call": make}, ITEMS) == [(1.0, None, "headgate"), (0.0, None, "headgate")]


def test_an_async_run_evaluator():
    from langsmith.evaluation import run_evaluator

    def make():
        @run_evaluator
        async def right(run, example):
            return {"key": "right", "score": run.outputs["output"] == example.outputs["output"]}

        return right

    assert values({"call": make}, ITEMS) == [1.0, 0.0]


def test_a_class_of_the_users_with_several_results():
    from langsmith.evaluation import EvaluationResult, EvaluationResults, RunEvaluator

    class Two(RunEvaluator):
        def evaluate_run(self, run, example=None, evaluator_run_id=None):
            results = [EvaluationResult(key="a", score=0.25), EvaluationResult(key="b", score=0.75, comment="b it is")]
            return EvaluationResults(results=results)

    assert score_items({"call": Two, "key": "b"}, ITEMS[:1]) == [(0.75, None, "b it is")]
    assert "choose one with `key`" in score_items({"call": Two}, ITEMS[:1])[0][2]


def test_its_string_evaluator():
    from langsmith.evaluation import StringEvaluator

    def grade(run_input, output, reference):
        return {"score": output == reference, "value": run_input}

    def make():
        return StringEvaluator(
            evaluation_name="same", input_key="question", prediction_key="output", answer_key="output",
            grading_function=grade,
        )  # fmt: skip

    assert [row[:2] for row in score_items({"call": make}, ITEMS)] == [(1.0, "2+2?"), (0.0, "2+3?")]


def test_functions_get_runs_and_examples_of_its_own():
    from langsmith.schemas import Example, Run

    def right(run, example):
        return isinstance(run, Run) and isinstance(example, Example)

    assert values({"call": right}, ITEMS[:1]) == [1.0]


def test_the_fake_is_like_the_real_one():
    from langsmith.evaluation import RunEvaluator

    for name in ("evaluate_run", "aevaluate_run"):
        assert same_signature(getattr(FakeRunEvaluator, name), getattr(RunEvaluator, name))
