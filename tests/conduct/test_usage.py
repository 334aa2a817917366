"""What jobs took in a stored run, as the plan of another counts with it."""

from __future__ import annotations

import pytest

import headgate as hg
from evaluator_runs import evaluator_suite
from headgate.conduct.planning import forecast_suite
from headgate.conduct.usage import measure_evaluator
from judge_server import judge_server


def make(client):
    """An evaluator that asks twice about each answer."""

    def grade(output):
        asked = [client.chat.completions.create(messages=[{"role": "user", "content": output}]) for _ in range(2)]
        return asked[0].choices[0].message.content == "yes"

    return grade


def test_what_evaluators_ask_is_known_from_a_run_alone(tmp_path):
    def suite(n, judge):
        items = [{"answer": str(number)} for number in range(n)]
        return evaluator_suite([{"call": make, "model": "judge"}], items, judge=judge)

    with judge_server(text="yes") as judge:
        run = hg.run(suite(6, judge.base_url), out=tmp_path / "run")
        later = suite(30, judge.base_url)
    unknown, known = forecast_suite(later), forecast_suite(later, stored=run.path)
    assert (unknown.unforeseen, unknown.judges, unknown.requests) == (("s0",), (), 30)
    assert [said.startswith("what s0 will ask of models is not foreseen") for said in unknown.warnings] == [True]
    (asked,) = known.judges
    assert (asked.scorer, asked.models, asked.requests, asked.measured) == ("s0", ("judge",), 60, 60)
    assert (asked.input_tokens, asked.output_tokens) == (600, 300)
    assert known.cost_usd == pytest.approx(5 * run.cost_usd)
    assert (known.unforeseen, known.warnings) == ((), ())
    assert measure_evaluator(run.path, scorer="other", model="judge") is None
