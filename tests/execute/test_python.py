"""Callables as models."""

from __future__ import annotations

import functools

import pytest

from execute_jobs import a_job, a_model
from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.python import as_answer, as_failure, bind_call
from headgate.suite.callables import is_async_callable
from headgate.suite.prompts import Prompt

PROMPT = Prompt(name="plain", messages=(("user", "{{ q }}"),), params={"top_p": 1, "temperature": 1})
JOB = a_job(7, model=a_model(params={"temperature": 0}), prompt=PROMPT, seed=3)


def test_messages_come_first():
    assert bind_call(lambda messages: messages)(JOB) == [{"role": "user", "content": "question 7"}]


def test_named_arguments_are_given():
    def call(messages, seed, *, item, params, prompt, model):
        return (seed, item, params, prompt, model)

    assert bind_call(call)(JOB) == (
        3,
        {"q": "question 7"},
        {"top_p": 1, "temperature": 0},
        "plain",
        "small",
    )


def test_keywords_take_all():
    assert set(bind_call(lambda messages, **rest: rest)(JOB)) == {"item", "seed", "params", "prompt", "model"}


def test_the_first_argument_may_have_any_name():
    assert bind_call(lambda item: item)(JOB) == [{"role": "user", "content": "question 7"}]


def test_defaults_of_its_own_stay():
    assert bind_call(lambda messages, depth=2: depth)(JOB) == 2


def test_objects_partials_and_builtins():
    class Named:
        def __call__(self, messages, seed):
            return seed

    assert bind_call(Named())(JOB) == 3
    assert bind_call(functools.partial(lambda rate, messages, seed: (rate, seed), 5))(JOB) == (5, 3)
    assert bind_call(len)(JOB) == 1
    assert bind_call(str)(JOB).startswith("[{")


def test_each_call_has_messages_of_its_own():
    seen = []
    bound = bind_call(lambda messages: seen.append(messages.pop()) or "x")
    bound(JOB)
    bound(JOB)
    assert seen[0] == seen[1]


def test_async_is_seen():
    async def call(messages):
        return "x"

    class Named:
        async def __call__(self, messages):
            return "x"

    assert is_async_callable(call)
    assert is_async_callable(Named())
    assert is_async_callable(functools.partial(call))
    assert not is_async_callable(lambda messages: "x")
    assert not is_async_callable(Named)


@pytest.mark.parametrize("text", ["hi", "", None])
def test_text_is_the_answer(text):
    assert as_answer(text) == Answer(output=text)


def test_a_mapping_is_an_answer_with_more():
    given = {"output": None, "status": "refused", "input_tokens": 3, "served_model": "m2"}
    assert as_answer(given) == Answer(output=None, status="refused", input_tokens=3, served_model="m2")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (7, "returned int 7; return text"),
        (["hi"], "returned list ['hi']"),
        ({"text": "hi"}, "returned dict {'text': 'hi'}"),
        ({"output": "hi", "tokens": 3}, "unknown fields tokens; known are cache_write_tokens, cached_tokens"),
        ({"output": "hi", "http_status": 3}, "unknown fields http_status"),
        ({"output": 7}, "wrong value: Expected `str | null`, got `int` - at `$.output`"),
        ({"output": "hi", "status": "error"}, "wrong value: Invalid enum value 'error'"),
        ({"output": "hi", "input_tokens": "3"}, "wrong value"),
        ({"output": "hi", 3: 4}, "unknown fields 3"),
    ],
)
def test_what_is_no_answer_says_so(returned, message):
    outcome = as_answer(returned)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "callable"
    assert message in outcome.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError("gone"), "transient"),
        (TimeoutError("slow"), "transient"),
        (ValueError("bad"), "callable"),
        (KeyError("q"), "callable"),
    ],
)
def test_what_it_raises_is_classified(error, kind):
    assert as_failure(error) == Failure(kind=kind, message=f"{type(error).__name__}: {error}")


def test_an_error_that_cannot_be_shown():
    class BrokenError(Exception):
        def __str__(self):
            raise RuntimeError

    assert as_failure(BrokenError()).message == "BrokenError: cannot be shown"


def test_long_errors_are_cut():
    assert len(as_failure(ValueError("x" * 10_000)).message) == 500


def test_the_answer_knows_every_field_of_a_result():
    from headgate.result import Result

    assert set(Answer.__struct_fields__) - {"quota"} <= set(Result.__struct_fields__)


@pytest.mark.parametrize("name", ["quota", "latency_s", "http_status", "ttfb_s"])
def test_a_callable_does_not_say_what_the_engine_measures(name):
    outcome = as_answer({"output": "hi", name: None})
    assert isinstance(outcome, Failure)
    assert f"unknown fields {name}; known are " in outcome.message
