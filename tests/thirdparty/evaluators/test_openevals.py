"""Evaluators of openevals, the real ones; run by ``nox -s evaluators``."""

from __future__ import annotations

import pytest

from evaluator_runs import score_items, values
from judge_server import judge_server

pytest.importorskip("openevals", reason="openevals is installed by `nox -s evaluators`")

ITEMS = [{"question": "2+2?", "answer": "4", "target": "4"}, {"question": "2+3?", "answer": "6", "target": "5"}]
PROMPT = "Is this right?\n{inputs}\n{outputs}\n{reference_outputs}"


@pytest.mark.parametrize("name", ["exact_match", "exact_match_async"])
def test_exact_match(name):
    assert values({"call": f"openevals:{name}"}, ITEMS) == [1.0, 0.0]


def test_levenshtein_distance():
    assert values({"call": "openevals.string.levenshtein:levenshtein_distance"}, ITEMS) == [1.0, 0.0]


@pytest.mark.parametrize("name", ["create_llm_as_judge", "create_async_llm_as_judge"])
def test_an_llm_as_judge_asks_the_model_of_the_suite(name):
    evaluator = {"call": f"openevals:{name}", "arguments": {"prompt": PROMPT}, "model": "judge"}
    with judge_server(text="as wanted", likes={"score": False}) as judge:
        found = score_items(evaluator, ITEMS, judge=judge.base_url)
    assert found == [(0.0, None, "as wanted")] * 2
    asked = {request["messages"][0]["content"] for _, _, request in judge.requests}
    assert asked == {"Is this right?\n2+2?\n4\n4", "Is this right?\n2+3?\n6\n5"}


def test_a_client_for_its_judge():
    def make(judge):
        from openevals import create_llm_as_judge

        return create_llm_as_judge(prompt=PROMPT, judge=judge.openai(), model=judge.name)

    with judge_server(text="fine", likes={"score": True}) as judge:
        found = score_items({"call": make, "framework": "auto", "model": "judge"}, ITEMS[:1], judge=judge.base_url)
    assert found == [(1.0, None, "fine")]
