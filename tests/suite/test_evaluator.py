from __future__ import annotations

import pytest

import headgate as hg
from headgate.errors import ConfigError

ECHO = {"id": "echo", "provider": "python", "call": lambda messages: "hi"}
JUDGE = {"id": "judge", "provider": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "role": "judge"}


def suite(**evaluator):
    scorer = {"name": "s", "type": "evaluator", "call": "evals:make", **evaluator}
    return hg.Suite(name="s", items=[{"q": 1}], prompts={"p": "{{ q }}"}, models=[ECHO, JUDGE], scorers=[scorer])


def test_what_is_declared():
    found = suite(inputs={"outputs.answer": "output"}, labels={"good": 1.0}, model="judge", bounds=[1, 5]).scorers[0]
    assert (found.framework, found.inputs, found.bounds) == ("auto", {"outputs.answer": "output"}, (1.0, 5.0))
    assert found.asked == ("judge",)


def test_a_judge_is_not_under_test():
    assert [model.id for model in suite(model="judge").tested] == ["echo"]


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        ({"model": "juge"}, r"scorers.0.model: 'juge' is no judge that is declared; did you mean 'judge'"),
        ({"model": "echo"}, r"scorers.0.model: 'echo' is no judge that is declared"),
        ({"framework": "langchian"}, r"scorers.0.*framework"),
        ({"bounds": [1, 1]}, "the smallest score comes first"),
        ({"arguments": {"a": object()}}, "is not JSON data"),
    ],
    ids=["unknown", "tested", "framework", "bounds", "arguments"],
)
def test_what_is_wrong(evaluator, said):
    with pytest.raises(ConfigError, match=said):
        suite(**evaluator)
