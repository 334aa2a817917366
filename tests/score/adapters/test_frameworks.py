from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

import fake_evaluators as fakes
from headgate.score.adapters.chat import ChatModel
from headgate.score.adapters.frameworks import NotAnEvaluator, bind_evaluator
from headgate.score.callables import Score
from headgate.suite.scorers.evaluator import Evaluator

ITEM = {"id": "7", "question": "2+2?", "target": "4"}


def grade(target, output="4", *, chat=None, item=ITEM, **declared):
    spec = Evaluator(name="s", type="evaluator", call=target if callable(target) else "m:x", **declared)
    bound = bind_evaluator(spec, target, chat)
    found = bound(output, item)
    return asyncio.run(found) if inspect.isawaitable(found) else found


@pytest.fixture
def packages(monkeypatch):
    """Packages of the frameworks, with what the adapters take from them."""

    def package(name, **members):
        module = ModuleType(name)
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, module)

    class State(SimpleNamespace):
        pass

    package("deepeval")
    package("deepeval.test_case", LLMTestCase=lambda **told: SimpleNamespace(**{"expected_output": None, **told}))
    package("ragas")
    package("ragas.dataset_schema", SingleTurnSample=lambda **told: SimpleNamespace(**{"reference": None, **told}))
    package("inspect_ai")
    package("inspect_ai.scorer", Target=lambda text: SimpleNamespace(text=text))
    package("inspect_ai.solver", TaskState=State)
    package(
        "inspect_ai.model",
        ChatMessageAssistant=lambda content: content,
        ChatMessageUser=lambda content: content,
        ModelName=str,
        ModelOutput=SimpleNamespace(from_content=lambda model, content: SimpleNamespace(completion=content)),
    )


def test_langchain():
    assert grade(fakes.FakeLangChain) == Score(1, "Y")
    assert grade(fakes.FakeLangChain(), "5") == Score(0, "N")


def test_langchain_is_told_what_it_requires():
    class Asks(fakes.FakeLangChain):
        requires_reference, requires_input = False, True

        def evaluate_strings(self, *, prediction, reference=None, input=None, **kwargs):  # noqa: A002
            return {"score": 1, "value": f"{prediction} {reference} {input} {kwargs}"}

    assert grade(Asks).label == "4 None 2+2? {}"
    assert grade(Asks, inputs={"context": "id"}).label == "4 None 2+2? {'context': '7'}"


def test_langsmith():
    assert grade(fakes.FakeRunEvaluator).value is True


def test_an_async_run_evaluator():
    class Async(fakes.FakeRunEvaluator):
        is_async = True

        async def aevaluate_run(self, run, example=None, evaluator_run_id=None):
            return {"key": "k", "score": run.inputs == {"question": "2+2?"}}

    assert grade(Async).value is True


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_functions_by_their_parameters(kind):
    def right(inputs, outputs, reference_outputs, attachments=None, *, strict=True):
        return outputs == reference_outputs == {"output": "4"} and inputs == {"question": "2+2?"} and strict

    async def right_async(outputs, reference_outputs):
        return outputs == reference_outputs

    assert grade(right if kind == "sync" else right_async).value is True


def test_a_function_of_run_and_example():
    assert grade(lambda run, example: run.outputs == example.outputs).value is True
    assert grade(lambda run, inputs: run.inputs == inputs).value is True


def test_two_positional_parameters_are_a_run_and_an_example_where_the_framework_is_declared():
    assert grade(lambda one, two: one.outputs == two.outputs, framework="langsmith").value is True
    assert grade(lambda one, two: one == two["target"]).value is True


def test_positional_only_parameters():
    def right(outputs, reference_outputs, /):
        return outputs == reference_outputs

    assert grade(right).value is True


def test_arguments_of_a_function_that_is_an_evaluator():
    def right(outputs, *, wanted):
        return outputs["output"] == wanted

    assert grade(right, arguments={"wanted": "4"}).value is True


def test_openevals_is_told_texts():
    def right(*, outputs, reference_outputs, **kwargs):
        return {"key": "exact", "score": outputs == reference_outputs, "comment": str(kwargs), "metadata": None}

    right.__module__ = "openevals.exact"
    assert grade(right, inputs={"context": "id"}) == Score(True, None, "{'context': '7'}")
    right.__module__ = "evals"
    assert grade(right, framework="openevals").value is True


def test_autoevals():
    found = grade(fakes.FakeAutoevals, item={**ITEM, "context": "sums"})
    assert found.value == 1.0
    assert grade(fakes.FakeAutoevals, item={"question": "q", "target": None}).value is None


def test_autoevals_with_another_second_parameter():
    class Valid(fakes.FakeAutoevals):
        def eval(self, output, expected=None, **kwargs):
            return self._run_eval_sync(output, expected, **kwargs)

        def _run_eval_sync(self, output, schema=None):
            return fakes.FakeAutoevalsScore("valid", float(schema == {"type": "string"}))

    assert grade(Valid, item={**ITEM, "schema": {"type": "string"}}).value == 1.0


def test_ragas():
    assert grade(fakes.FakeRagas) == Score(1.0, None, "compared")


def test_ragas_single_turn(packages):
    assert grade(fakes.FakeSingleTurn).value == 1.0


def test_deepeval_makes_a_metric_for_every_row(packages):
    spec = Evaluator(name="s", type="evaluator", call=fakes.FakeDeepeval)
    bound = bind_evaluator(spec, fakes.FakeDeepeval, None)

    async def many():
        return await asyncio.gather(*(bound(str(n % 5), ITEM) for n in range(50)))

    assert asyncio.run(many()) == [Score(float(n % 5 == 4), None, "2+2?") for n in range(50)]


def test_a_deepeval_metric_that_is_made_already_is_refused():
    with pytest.raises(NotAnEvaluator, match="each row needs its own"):
        grade(fakes.FakeDeepeval())


@pytest.mark.parametrize(
    ("mark", "value"), [("C", 1.0), ("P", 0.5), ("I", 0.0), (0.25, 0.25)], ids=["C", "P", "I", "n"]
)
def test_inspect(packages, mark, value):
    found = grade(fakes.fake_inspect, arguments={"mark": mark})
    assert (found.value, found.explanation) == (value, "4")


def test_inspect_is_told_of_several_targets(packages):
    found = grade(fakes.fake_inspect, item={**ITEM, "target": None, "gold": ["4", "four"]}, inputs={"target": "gold"})
    assert found.explanation == "['4', 'four']"


def test_any_callable():
    assert grade(lambda output, item: output == item["target"]).value is True
    assert grade(lambda output: {"score": 0.5, "comment": "half"}) == Score(0.5, None, "half")


def test_a_factory_of_any_callable():
    def make(*, wanted="4"):
        return lambda output: output == wanted

    assert grade(make).value is True
    assert grade(make, arguments={"wanted": "5"}).value is False


def test_what_makes_the_evaluator_is_handed_the_model_by_the_name_of_its_parameter():
    seen = {}

    def make(judge, client, async_client, model, *, other=1):
        seen.update(judge=judge, client=client, async_client=async_client, model=model, other=other)
        return lambda output: 1

    chat = ChatModel("small", lambda request: None)
    assert grade(make, model="small", chat=chat).value == 1
    assert seen["judge"] is seen["model"] is chat
    assert hasattr(seen["client"], "chat")
    assert seen["other"] == 1


def test_arguments_go_before_the_model():
    def make(judge, model="m"):
        return lambda output: model == "mine" and judge is not None

    chat = ChatModel("small", lambda request: None)
    assert grade(make, model="small", chat=chat, arguments={"model": "mine"}).value is True


def test_each_framework_has_a_name_for_the_model():
    def make(client, model):
        return lambda output: model == "headgate/small" and hasattr(client, "chat")

    make.__module__ = "autoevals.llm"
    assert grade(make, model="small", chat=ChatModel("small", lambda request: None)).value is True


@pytest.mark.parametrize(
    ("target", "declared", "said"),
    [
        (lambda: lambda output: 1, {"model": "small"}, "takes no model: none of its parameters is named judge, model"),
        (fakes.FakeLangChain(), {"model": "small"}, "takes no model: name a class or a function"),
        (fakes.FakeLangChain(), {"arguments": {"a": 1}}, "is made already"),
        (lambda: 7, {}, "int is no evaluator, and cannot be called"),
        (fakes.FakeLangChain, {"framework": "ragas"}, "FakeLangChain is no evaluator of ragas"),
    ],
    ids=["no-parameter", "instance", "arguments", "number", "framework"],
)
def test_what_is_no_evaluator(target, declared, said):
    with pytest.raises(NotAnEvaluator, match=said):
        grade(target, chat=ChatModel("small", lambda request: None) if "model" in declared else None, **declared)


def test_no_framework_is_imported_to_find_out():
    code = """
import sys
from headgate.score.adapters.frameworks import FRAMEWORKS, bind_evaluator
from headgate.suite.scorers.evaluator import Evaluator
spec = Evaluator(name="s", type="evaluator", call=len)
assert bind_evaluator(spec, len, None)("four", {}).value == 4
found = {name.partition(".")[0] for name in sys.modules}
wanted = {package for framework in FRAMEWORKS for package in framework.packages}
assert not found & wanted, found & wanted
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
