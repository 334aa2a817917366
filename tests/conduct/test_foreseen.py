"""What judges will ask, foreseen, against what they then ask."""

from __future__ import annotations

import pytest

import headgate as hg
from headgate.conduct.planning import forecast_suite
from judged import JUDGE, judged_suite

PRICE = {"input_usd_per_million": 100.0, "output_usd_per_million": 1000.0}
FREE = {"input_usd_per_million": 0.0, "output_usd_per_million": 0.0}
SMALL = {"id": "small", "provider": "simulated", "price": FREE, "params": {"max_tokens": 8}}


def a_judge(name="judge-small", **changes):
    limited = {"params": {"max_tokens": 64}, "price": PRICE}
    return {**JUDGE, "id": name, "simulate": {"latency_s": 0.0, "judge": {}}, **limited, **changes}


def right(**changes):
    return judged_suite(**{"n": 12, "models": [SMALL, a_judge()], **changes})


def graded(run):
    return hg.scan(f"{run.path}/judges/*/*").collect()


PANEL = {
    "models": [SMALL, a_judge(), a_judge("judge-b")],
    "scorer": {"model": None, "models": ["judge-small", "judge-b"]},
}


@pytest.mark.parametrize(
    "changes",
    [
        {"scorer": {"repeats": 2}, "seeds": 2},
        {"scorer": {"kind": "pairwise", "repeats": 2}, "seeds": 2},
        {"scorer": {"kind": "pairwise"}, "prompts": {"old": "{{ question }}", "new": "{{ question }}?", "third": "?"}},
        PANEL,
        {"items": [{"question": "1 + 1", "target": 2}, {"question": "1 + 2"}]},
    ],
    ids=["repeats", "pairs", "pairs-of-two-among-three-prompts", "panel", "no-target"],
)
def test_as_many_requests_are_foreseen_as_are_made_and_about_as_many_tokens(tmp_path, changes):
    suite = right(**changes)
    found = forecast_suite(suite)
    run = hg.run(suite, out=tmp_path / "run")
    rows = graded(run)
    (judge,) = found.judges
    assert judge.requests == rows.height
    assert found.requests == found.jobs + rows.height == run.done + rows.height
    assert (judge.measured, found.is_measured) == (0, False)
    assert judge.input_tokens == pytest.approx(rows["input_tokens"].sum(), rel=0.2)
    assert judge.output_tokens == 64 * rows.height
    measured = forecast_suite(suite, stored=run.path)
    (judge,) = measured.judges
    assert (judge.requests, judge.measured, measured.is_measured) == (rows.height, rows.height, True)
    assert judge.input_tokens == pytest.approx(rows["input_tokens"].sum(), abs=1)
    assert measured.cost_usd == pytest.approx(run.cost_usd)


def test_a_pilot_says_what_judges_take_of_long_answers(tmp_path):
    """The answer is a part of what a judge reads: what it is, or the most that it may be."""
    long = {"id": "small", "provider": "python", "call": lambda messages: 50 * "word ", "params": {"max_tokens": 9}}
    short, wide = (right(models=[{**long, "params": {"max_tokens": most}}, a_judge()]) for most in (9, 1000))
    inputs = [forecast_suite(suite).judges[0].input_tokens for suite in (short, wide)]
    assert inputs[1] - inputs[0] == pytest.approx(24 * 991, abs=1)
    pilot = hg.pilot(wide, out=tmp_path / "pilot", items=6)
    rows = graded(pilot)
    (judge,) = forecast_suite(wide, stored=pilot.path).judges
    assert judge.input_tokens == pytest.approx(2 * rows["input_tokens"].sum(), abs=1)
    assert inputs[0] < judge.input_tokens < inputs[1]
    other = right(models=[{**long, "params": {"max_tokens": 1000}}, a_judge()], scorer={"rubric": "Be kind."})
    assert forecast_suite(other, stored=pilot.path).judges[0].measured == 0  # another prompt takes other tokens


def test_what_judges_ask_stands_in_the_lane_that_they_share_and_comes_after_the_answers():
    limits = {"requests_per_minute": 97.0}
    shared = forecast_suite(right(lanes=[{"models": ["small", "judge-small"], **limits}]))
    (lane,) = shared.lanes
    assert (lane.requests, shared.judges[0].requests) == (48, 24)
    assert lane.minutes == shared.minutes == pytest.approx(48 / (97 * 0.97))
    assert shared.judges[0].minutes == pytest.approx(24 / (97 * 0.97))
    apart = forecast_suite(right(lanes=[{"models": [name], **limits} for name in ("small", "judge-small")]))
    assert [lane.requests for lane in apart.lanes] == [24, 24]
    assert apart.minutes == pytest.approx(shared.minutes)  # the judge waits for what it grades
    together = {**PANEL, "lanes": [{"models": [name], **limits} for name in ("judge-small", "judge-b")]}
    panel = forecast_suite(right(**together))
    assert panel.minutes == panel.judges[0].minutes == pytest.approx(24 / (97 * 0.97))  # a panel grades at once


def test_a_cap_that_lasts_for_the_answers_alone_is_too_low(tmp_path):
    run = hg.run(right(gates=[]), out=tmp_path / "run")
    cost = run.cost_usd
    assert cost > 0  # all of it the judge's
    low, high = (right(gates=[], budget={"max_cost_usd": share * cost}) for share in (0.9, 1.1))
    guessed, known = forecast_suite(high), forecast_suite(low, stored=run.path)
    assert (guessed.is_worth_it, known.is_worth_it) == (True, False)  # a guess warns, and does not refuse
    assert [said.endswith("too much as a rule") for said in guessed.warnings] == [True]
    assert known.warnings == (f"{known.too_low[0]}: the run would end early",)
    assert (forecast_suite(high, stored=run.path).warnings, known.refused) == ((), None)
    tokens = right(gates=[], budget={"max_tokens": known.tokens - 1, "max_minutes": 0.1})
    (said,) = forecast_suite(tokens, stored=run.path).too_low
    assert said == f"the cap of {known.tokens - 1:,} tokens is below the forecast of {known.tokens:,} tokens"
    unlimited = right(models=[SMALL, a_judge(params={})], budget={"max_cost_usd": 1.0})
    assert "nothing limits what 'judge-small' brings" in forecast_suite(unlimited).refused
