"""A judge as declared: mistakes are errors, and a suite without judges is what it was."""

from __future__ import annotations

import pytest

from headgate.errors import ConfigError
from headgate.suite.model import Model
from headgate.suite.scorers.judge import Judge
from headgate.suite.suite import Suite

MODELS = [{"id": "m", "provider": "simulated"}, {"id": "j", "provider": "simulated", "model": "k", "role": "judge"}]
FIELDS = {"name": "s", "items": [{"q": 1}], "prompts": {"p": "{{ q }}"}}
GRADE = {"name": "kind", "type": "judge", "rubric": "Is it kind?"}


def suite(*, models=None, scorer=None, **changes):
    scorers = [{**GRADE, "model": "j", **(scorer or {})}]
    return Suite(**{**FIELDS, "models": models or MODELS, "scorers": scorers, **changes})


def test_a_judge_is_no_arm():
    assert [model.id for model in suite().tested] == ["m"]


def test_a_model_without_a_role_is_under_test_and_its_identity_is_what_it_was():
    model = Model(id="m", provider="simulated", simulate={"accuracy": 0.5})
    assert model.role == "tested"
    assert set(model.identity) == {"provider", "model", "params", "call", "simulate"}
    assert "judge" not in model.identity["simulate"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scorer": {"model": "m"}}, r"scorers\.0\.model: 'm' is under test, and no judge"),
        ({"scorer": {"model": "jj"}}, r"scorers\.0\.model: 'jj' is no judge that is declared.*did you mean 'j'"),
        ({"scorer": {"model": None, "models": ["j", "x"]}}, r"scorers\.0\.models\.1: 'x' is no judge"),
        ({"scorers": []}, r"models\.1\.role: 'j' judges nothing"),
        ({"models": MODELS[1:]}, "models: are all judges"),
        ({"store": {"outputs": "drop"}}, r"store\.outputs: 'drop' cannot be with judges"),
        (
            {"models": [MODELS[0], MODELS[1] | {"endpoints": [{"name": "a"}, {"name": "b"}]}]},
            "a judge has no `endpoints`",
        ),
        (
            {"compare": {"baseline": {"model": "m"}, "candidate": {"model": "j"}}},
            r"compare\.candidate\.model: 'j' is not declared",
        ),
        ({"scorer": {"kind": "pairwise", "rubric": None}}, "compares two arms, and the suite declares no `compare`"),
    ],
    ids=["tested", "unknown", "panel", "unused", "alone", "sealed", "endpoints", "arm", "pair"],
)
def test_what_does_not_fit_together_is_told(changes, said):
    with pytest.raises(ConfigError, match=said):
        suite(**changes)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "give either `model`"),
        ({"model": "a", "models": ["a", "b"]}, "give either `model`"),
        ({"models": ["a", "a"]}, "stands twice"),
        ({"model": "a", "rubric": None}, "needs a `rubric`"),
        ({"model": "a", "kind": "steps"}, "`steps` goes with kind steps"),
        ({"model": "a", "steps": ["look"]}, "`steps` goes with kind steps"),
        ({"model": "a", "scale": [5, 1]}, "the worst grade comes first"),
        ({"model": "a", "choices": {"yes": 1.0, "no": 0.0}}, "goes with kind closed_qa"),
        ({"model": "a", "kind": "closed_qa", "choices": {"yes": 1.0}}, "gives each of yes, no a score"),
        ({"model": "a", "kind": "closed_qa", "choices": {"yes": 2.0, "no": 0.0}}, "is from 0 to 1"),
    ],
    ids=["none", "both", "twice", "rubric", "steps", "no-steps", "scale", "choices", "few-choices", "far-choices"],
)
def test_a_judge_that_cannot_grade_is_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Judge(**{**GRADE, **fields})


@pytest.mark.parametrize(
    ("rubric", "file"),
    [("rubrics/kind.md", "rubrics/kind.md"), ("kind.txt", "kind.txt"), ("Is it kind?", None), ("See kind.md", None)],
    ids=["path", "name", "text", "text-with-a-name"],
)
def test_a_rubric_is_a_file_or_text(rubric, file):
    assert Judge(**{**GRADE, "model": "a", "rubric": rubric}).rubric_file == file
