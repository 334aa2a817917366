"""What a judge says becomes a score, or a reason why there is none; never a zero."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.score.judge import Grade, combine, fence, read_grade, response_format
from headgate.suite.scorers.judge import Judge

RUBRIC = Judge(name="kind", type="judge", model="m", rubric="Is it kind?", scale=(1, 5))
YES_NO = Judge(name="right", type="judge", kind="closed_qa", model="m")
FACTS = Judge(name="facts", type="judge", kind="factuality", model="m")
STEPS = Judge(name="sound", type="judge", kind="steps", model="m", rubric="Sound?", steps=["Look."], scale=(1, 5))
PANEL = Judge(name="right", type="judge", kind="closed_qa", models=["a", "b", "c"])


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        (RUBRIC, '{"reason": "warm", "verdict": 4}', 4),
        (RUBRIC, '{"verdict": "4"}', 4),
        (RUBRIC, '{"verdict": "4/5"}', 4),
        (RUBRIC, '```json\n{"reason": "a {brace}", "verdict": 2}\n```', 2),
        (RUBRIC, 'First {"verdict": 1}, no: {"reason": "x", "verdict": 3}. Done.', 3),
        (RUBRIC, "Kind enough.\n**Verdict:** 5", 5),
        (RUBRIC, "verdict = 2.", 2),
        (YES_NO, '{"verdict": "Yes"}', 1),
        (YES_NO, '{"verdict": "no"}', 0),
        (FACTS, '{"verdict": "(D)"}', 0),
        (FACTS, '{"verdict": "b"}', 1),
    ],
    ids=["json", "text", "of", "fenced", "last", "line", "equals", "yes", "no", "brackets", "case"],
)
def test_a_verdict_is_found(spec, text, value):
    assert read_grade(spec, text).value == value


@pytest.mark.parametrize(
    ("spec", "text", "said"),
    [
        (RUBRIC, None, "answered nothing"),
        (RUBRIC, " \n", "answered nothing"),
        (RUBRIC, "It is kind: 5 of 5.", "holds no verdict"),
        (RUBRIC, '{"verdict": 0}', "said 0, and the scale is 1 to 5"),
        (RUBRIC, '{"verdict": 6}', "the scale is 1 to 5"),
        (RUBRIC, '{"verdict": "high"}', "not a number"),
        (RUBRIC, '{"verdict": "nan"}', "not a number"),
        (RUBRIC, '{"verdict": null}', "holds no verdict"),
        (RUBRIC, '{"verdict": [3]}', "not a number"),
        (YES_NO, '{"verdict": "maybe"}', "may say yes, no"),
        (YES_NO, '{"verdict": true}', "may say yes, no"),
        (RUBRIC, "{" * 5000, "holds no verdict"),
        (RUBRIC, '{"verdict": 3', "holds no verdict"),
    ],
    ids=["none", "blank", "prose", "low", "high", "word", "nan", "null", "list", "choice", "bool", "braces", "torn"],
)
def test_what_is_no_verdict_has_no_score_and_says_why(spec, text, said):
    grade = read_grade(spec, text)
    assert grade.value is None
    assert said in (grade.reason or "")


@given(st.text())
def test_any_text_is_a_grade_on_the_scale_or_none(text):
    for spec in (RUBRIC, YES_NO, FACTS):
        value = read_grade(spec, text).value
        assert value is None or spec.bounds[0] <= value <= spec.bounds[1]


@given(st.text(max_size=300), st.text(max_size=20))
def test_an_answer_cannot_close_its_own_fence(text, key):
    fenced = fence(text, key=key)
    opening, closing = fenced[1 : fenced.index(">")], f"</{fenced[1 : fenced.index('>')]}>"
    assert fenced == f"<{opening}>\n{text}\n{closing}"
    assert closing not in text
    # Another answer that repeats the tags of this one is fenced by others.
    assert not fence(fenced, key=key).startswith(f"<{opening}>")


def test_the_schema_of_a_verdict_is_one_that_its_verdicts_fit():
    jsonschema = pytest.importorskip("jsonschema")
    schema = response_format(RUBRIC)["json_schema"]["schema"]
    jsonschema.validate({"reason": "x", "verdict": 5}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"reason": "x", "verdict": 6}, schema)


def test_steps_are_weighted_by_log_probabilities_where_they_are_told():
    options = [{"token": "4", "logprob": math.log(0.6)}, {"token": "5", "logprob": math.log(0.2)}]
    options += [{"token": "high", "logprob": math.log(0.2)}]
    tokens = [{"token": '{"verdict":', "logprob": 0.0}, {"token": "4", "logprob": -0.5, "top": options}]
    text = '{"verdict": 4}'
    assert read_grade(STEPS, text, logprobs=json.dumps(tokens)).value == pytest.approx((4 * 0.6 + 5 * 0.2) / 0.8)
    assert read_grade(RUBRIC, text, logprobs=json.dumps(tokens)).value == 4
    for told in (None, "[]", "{", '[{"token": "4", "logprob": -0.5}]', "3", '[{"x": 1}]'):
        assert read_grade(STEPS, text, logprobs=told).value == 4


def test_a_panel_has_one_voice_for_each_judge():
    def grades(*values):
        names = zip("aabc", values, strict=True)
        return [Grade(value, "yes" if value else "no", None, judge=name) for name, value in names]

    assert combine(PANEL, grades(1.0, 0.0, 1.0, 1.0)).value == pytest.approx((0.5 + 1 + 1) / 3)
    majority = PANEL.model_copy(update={"panel": "majority"})
    assert combine(majority, grades(0.0, 0.0, 1.0, 1.0)).value == 1
    silent = combine(PANEL, grades(1.0, 1.0, 1.0, None))
    assert (silent.value, silent.explanation) == (None, "c gave no verdict: it was not graded")
    assert combine(PANEL, []).value is None
    assert combine(YES_NO, [Grade(None, None, "torn", judge="m"), Grade(1.0, "yes", "so", judge="m")]).value == 1
