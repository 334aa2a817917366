"""String evaluators of langchain-classic, the real ones; run by ``nox -s evaluators``."""

from __future__ import annotations

import pytest

from evaluator_runs import score_items, values
from fake_evaluators import FakeLangChain, same_signature
from judge_server import judge_server

pytest.importorskip("langchain_classic", reason="langchain-classic is installed by `nox -s evaluators`")

ITEMS = [{"question": "2+2?", "answer": "4", "target": "4"}, {"question": "2+3?", "answer": "6", "target": "5"}]
LOAD = "langchain_classic.evaluation:load_evaluator"


def test_exact_match():
    assert values({"call": LOAD, "arguments": {"evaluator": "exact_match"}}, ITEMS) == [1.0, 0.0]


def test_a_class():
    call = "langchain_classic.evaluation:ExactMatchStringEvaluator"
    assert values({"call": call}, ITEMS) == [1.0, 0.0]


def test_string_distance_is_unbounded_and_lower_is_better():
    evaluator = {"call": LOAD, "arguments": {"evaluator": "string_distance", "distance": "levenshtein"}}
    assert values({**evaluator, "bounds": None, "higher_is_better": False}, ITEMS) == [0.0, 1.0]


def test_json_validity_takes_no_reference():
    items = [{"answer": '{"a": 1}'}, {"answer": "{"}]
    assert values({"call": LOAD, "arguments": {"evaluator": "json_validity"}}, items) == [1.0, 0.0]


def test_a_criterion_asks_the_model_of_the_suite():
    call = "langchain_classic.evaluation:CriteriaEvalChain.from_llm"
    evaluator = {"call": call, "arguments": {"criteria": "conciseness"}, "model": "judge"}
    with judge_server(text="It is short.\n\nY") as judge:
        found = score_items(evaluator, ITEMS, judge=judge.base_url)
    assert [row[:2] for row in found] == [(1.0, "Y"), (1.0, "Y")]
    assert "It is short." in found[0][2]
    assert {request["model"] for _, _, request in judge.requests} == {"judge"}


def test_structured_output_and_tools_of_the_chat_model():
    from langchain_core.language_models.chat_models import BaseChatModel
    from pydantic import BaseModel

    from headgate.score.adapters.chat import ChatModel
    from judge_server import JudgeServer

    class Grade(BaseModel):
        score: int
        why: str

    server = JudgeServer(text="fine")
    model = ChatModel("judge", answered_by(server)).langchain()
    assert isinstance(model, BaseChatModel)
    assert model.with_structured_output(Grade).invoke("grade this") == Grade(score=1, why="fine")
    assert model.with_structured_output(Grade.model_json_schema()).invoke("grade") == {"score": 1, "why": "fine"}
    called = model.bind_tools([Grade], tool_choice="any").invoke("grade this")
    assert called.tool_calls[0]["args"] == {"score": 1, "why": "fine"}
    assert called.usage_metadata["total_tokens"] == 15


def answered_by(server):
    from concurrent.futures import Future

    def ask(request):
        answered = Future()
        answered.set_result(server.answer(request))
        return answered

    return ask


def test_the_fake_is_like_the_real_one():
    from langchain_classic.evaluation.schema import StringEvaluator

    for name in ("evaluate_strings", "aevaluate_strings"):
        assert same_signature(getattr(FakeLangChain, name), getattr(StringEvaluator, name))
