"""Evaluators with the signatures of the frameworks' own; tests/thirdparty/evaluators holds them against those."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from types import SimpleNamespace


def same_signature(ours, theirs):
    """Say whether two functions take the same arguments in the same way; annotations do not matter."""
    shapes = [
        [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
        for function in (ours, theirs)
    ]
    return shapes[0] == shapes[1] and inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs)


class FakeLangChain:
    """An exact match."""

    requires_reference, requires_input = True, False

    def evaluate_strings(self, *, prediction, reference=None, input=None, **kwargs):  # noqa: A002
        if reference is None:
            raise ValueError("FakeLangChain requires a reference string.")
        assert input is None, "what an evaluator does not require, it warns about"
        return {"score": int(prediction == reference), "value": "Y" if prediction == reference else "N", **kwargs}

    async def aevaluate_strings(self, *, prediction, reference=None, input=None, **kwargs):  # noqa: A002
        raise NotImplementedError


class FakeRunEvaluator:
    def evaluate_run(self, run, example=None, evaluator_run_id=None):
        return {"key": "right", "score": run.outputs["output"] == example.outputs["output"]}

    async def aevaluate_run(self, run, example=None, evaluator_run_id=None):
        raise NotImplementedError


class FakeAutoevals:
    def eval(self, output, expected=None, **kwargs):
        return FakeAutoevalsScore("fake", None if expected is None else float(output == expected), kwargs)

    async def eval_async(self, output, expected=None, **kwargs):
        raise NotImplementedError


@dataclass
class FakeAutoevalsScore:
    name: str
    score: float | None = None
    metadata: dict = field(default_factory=dict)
    error: Exception | None = None


class FakeRagas:
    async def ascore(self, reference, response):
        return SimpleNamespace(value=float(reference == response), reason="compared", traces=None)


class FakeSingleTurn:
    async def single_turn_ascore(self, sample, callbacks=None, timeout=None):  # noqa: ASYNC109
        return float(sample.response == sample.reference)


class FakeDeepeval:
    """It keeps its result, and one that is shared says so."""

    def __init__(self, threshold=0.5):
        self.score = self.reason = None
        self.measured = 0

    def measure(self, test_case, _show_indicator=True, _in_component=False):
        raise NotImplementedError

    async def a_measure(self, test_case, _show_indicator=True, _in_component=False):
        assert not _show_indicator
        self.measured += 1
        assert self.measured == 1, "a metric is made for one row"
        self.score, self.reason = float(test_case.actual_output == test_case.expected_output), test_case.input
        return self.score


def fake_inspect(mark="C"):
    async def score(state, target):
        return SimpleNamespace(value=mark, answer=state.output.completion, explanation=target.text, metadata=None)

    return score
