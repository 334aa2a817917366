"""What simulated models do."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.simulate.behaviour import FAULTS, REFUSAL, Asked, probability, react, uniform
from headgate.suite.simulation import Faults, Simulation

N = 20_000
ASKED = Asked(item="1", prompt="plain", job="j", target="42", model="m", seed=1, attempt=1)


def ask(index: int, **fields: Any) -> Asked:
    return replace(ASKED, item=f"i{index}", job=f"j{index}", **fields)


@pytest.mark.parametrize("spread", [0, 1, 3])
@pytest.mark.parametrize("accuracy", [0.02, 0.5, 0.83, 0.99])
def test_the_mean_over_items_is_the_declared_accuracy(accuracy: float, spread: float):
    simulation = Simulation(accuracy=accuracy, spread=spread)
    right = sum(react(simulation, ask(index)).right for index in range(N)) / N
    assert abs(right - accuracy) < 4 * math.sqrt(accuracy * (1 - accuracy) / N)


@pytest.mark.parametrize("spread", [0, 1, 3])
def test_the_chances_themselves_have_that_mean(spread: float):
    simulation = Simulation(accuracy=0.83, spread=spread)
    chances = [probability(simulation, item=f"i{index}", prompt="plain") for index in range(N)]
    mean = math.fsum(chances) / N
    deviation = math.sqrt(math.fsum((chance - mean) ** 2 for chance in chances) / N)
    assert abs(mean - 0.83) <= 4 * deviation / math.sqrt(N) + 1e-12
    assert (deviation == 0) == (spread == 0)


def test_with_spread_the_seeds_of_an_item_agree_more():
    def agreement(spread: float) -> float:
        simulation = Simulation(accuracy=0.5, spread=spread)
        pairs = [[react(simulation, ask(index, seed=seed)).right for seed in (1, 2)] for index in range(4000)]
        return sum(one == two for one, two in pairs) / 4000

    assert abs(agreement(0) - 0.5) < 0.04
    assert agreement(3) > 0.75


def test_accuracy_by_prompt():
    simulation = Simulation(accuracy={"plain": 1.0, "terse": 0.0})
    assert react(simulation, ASKED).right
    assert not react(simulation, replace(ASKED, prompt="terse")).right
    assert probability(simulation, item="1", prompt="unheard of") != 0


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_certainty(accuracy: float):
    simulation = Simulation(accuracy=accuracy, spread=3)
    assert {react(simulation, ask(index)).right for index in range(500)} == {accuracy == 1.0}


def test_it_is_the_same_every_time():
    simulation = Simulation(faults=Faults(drop=0.2, refusal=0.1))
    assert [react(simulation, ask(index)) for index in range(200)] == [
        react(simulation, ask(index)) for index in range(200)
    ]
    assert uniform("difficulty", "i1") == 0.5143459009982259  # pinned: a change would change every demo


def test_right_or_wrong_does_not_depend_on_job_or_attempt():
    simulation = Simulation(accuracy=0.5)
    for index in range(200):
        asked = ask(index)
        again = replace(asked, job="other", attempt=5)
        assert react(simulation, asked).right == react(simulation, again).right


def test_seeds_prompts_and_models_differ():
    simulation = Simulation(accuracy=0.5, spread=0)
    for change in ({"seed": 2}, {"prompt": "terse"}, {"model": "n"}):
        same = sum(
            react(simulation, ask(index)).right == react(simulation, ask(index, **change)).right
            for index in range(4000)
        )
        assert 1800 < same < 2200


def test_faults_have_their_shares():
    shares = dict(zip(FAULTS, (0.05, 0.04, 0.03, 0.06, 0.02, 0.01, 0.07, 0.08), strict=True))
    simulation = Simulation(faults=Faults(**shares, refusal=0.1))
    seen = Counter(react(simulation, ask(index)).fault for index in range(N))
    for fault, share in shares.items():
        assert abs(seen[fault] / N - share) < 4 * math.sqrt(share * (1 - share) / N), fault
    refused = sum(react(simulation, ask(index)).refused for index in range(N)) / N
    assert abs(refused - 0.1) < 4 * math.sqrt(0.09 / N)


def test_another_attempt_draws_another_fault():
    simulation = Simulation(faults=Faults(drop=0.5))
    spoiled = [[react(simulation, ask(index, attempt=attempt)).fault for attempt in (1, 2)] for index in range(2000)]
    assert 400 < sum(pair == ["drop", "drop"] for pair in spoiled) < 600


def test_a_refusal_is_not_right():
    reaction = react(Simulation(accuracy=1.0, faults=Faults(refusal=1.0)), ASKED)
    assert (reaction.output, reaction.right, reaction.refused, reaction.fault) == (REFUSAL, False, True, None)


def test_latency_is_log_normal():
    simulation = Simulation(accuracy=1.0, latency_s=0.05, latency_spread=0.5)
    logs = [math.log(react(simulation, ask(index)).latency_s / 0.05) for index in range(N)]
    mean = math.fsum(logs) / N
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in logs) / N)
    assert abs(mean) < 4 * 0.5 / math.sqrt(N)
    assert abs(spread - 0.5) < 4 * 0.5 / math.sqrt(2 * N)


def test_wrong_answers_may_be_slower():
    simulation = Simulation(accuracy=0.5, latency_spread=0, latency_s=0.05, wrong_latency_ratio=3)
    for index in range(100):
        reaction = react(simulation, ask(index))
        assert reaction.latency_s == pytest.approx(0.05 if reaction.right else 0.15)


TARGETS = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.integers(-(10**18), 10**18).map(str),
    st.floats().map(str),
    st.sampled_from(["", " 42 ", "1_000", "nan", "inf", "1e308", "yes", "nothing", "maple", "a", "E", "1000000"]),
)


@given(target=TARGETS, item=st.text(max_size=5))
def test_a_wrong_answer_is_wrong_to_every_scorer(target: str | None, item: str):
    asked = replace(ASKED, target=target, item=item)
    wrong = react(Simulation(accuracy=0.0), asked).output
    right = react(Simulation(accuracy=1.0), asked).output
    assert right == ("yes" if target is None else target)
    assert wrong.strip().lower() != right.strip().lower()
    if target and target.strip():
        assert target.strip().lower() not in wrong.lower() or is_number(target)
    if is_number(right) and is_number(wrong):
        assert abs(float(wrong) - float(right)) > 1e-3 * abs(float(right))


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@given(key=st.lists(st.text(st.characters(codec=None), max_size=8) | st.integers(), max_size=4))
def test_a_hash_is_strictly_between_0_and_1(key: list[Any]):
    assert 0 < uniform(*key) < 1
