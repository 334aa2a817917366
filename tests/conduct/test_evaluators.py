"""Evaluators of other frameworks over whole runs."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

import fake_evaluators as fakes
import headgate as hg
from evaluator_runs import evaluator_suite, score_items, values
from headgate.conduct.scoring import bind_scorers, score_traffic
from headgate.errors import ConfigError
from headgate.score.adapters.frameworks import QUIET
from headgate.traffic.row import Row

ITEMS = [{"question": "2+2?", "answer": "4", "target": "4"}, {"question": "2+3?", "answer": "6", "target": "5"}]


def test_scores_labels_and_reasons_are_stored():
    assert score_items({"call": fakes.FakeLangChain}, ITEMS) == [(1.0, "Y", None), (0.0, "N", None)]


def test_a_module_beside_the_suite(tmp_path):
    (tmp_path / "evals.py").write_text("def make(*, mark):\n    return lambda output, item: {'score': mark}\n")
    (tmp_path / "suite.yaml").write_text(
        "name: s\nitems: [{q: 1}]\nprompts: {p: '{{ q }}'}\n"
        "models: [{id: m, provider: simulated, simulate: {latency_s: 0}}]\n"
        "scorers:\n  - {name: s, type: evaluator, call: 'evals:make', arguments: {mark: 0.25}}\n"
    )
    run = hg.run(hg.load_suite(tmp_path / "suite.yaml"), out=tmp_path / "run")
    assert hg.scan_scores(run).collect()["value"].to_list() == [0.25]


def test_an_evaluator_that_raises_on_one_row_costs_that_row_only():
    def grade(outputs, reference_outputs):
        return 1 / (int(outputs["output"]) - 6)

    found = score_items({"call": grade, "bounds": None}, ITEMS)
    assert found == [(-0.5, None, None), (None, None, "ZeroDivisionError: division by zero")]


def test_a_row_that_lacks_what_an_evaluator_needs_says_so():
    found = score_items({"call": fakes.FakeLangChain}, [ITEMS[0], {"question": "2+3?", "answer": "6"}])
    assert found[1] == (None, None, "ValueError: FakeLangChain requires a reference string.")


def test_scores_outside_the_bounds_are_none():
    def grade(outputs):
        return float(outputs["output"])

    assert "outside its bounds [0, 1]" in score_items({"call": grade}, ITEMS)[0][2]
    assert values({"call": grade, "bounds": (0.0, 10.0)}, ITEMS) == [4.0, 6.0]
    assert values({"call": grade, "bounds": (0.0, 10.0), "negate": True}, ITEMS) == [-3.0, -5.0]


def test_several_results_are_a_scorer_each():
    def grade(outputs):
        return [{"key": "a", "score": 0.25}, {"key": "b", "score": 0.75}]

    suite = evaluator_suite([{"call": grade, "key": key} for key in "ab"] + [{"call": grade}], ITEMS[:1])
    bound = bind_scorers(suite)
    assert len({scorer.version for scorer in bound}) == 3
    found = [score_items({"call": grade, "key": key}, ITEMS[:1])[0][0] for key in "ab"]
    assert found == [0.25, 0.75]


def test_sync_evaluators_run_beside_each_other_and_fresh_metrics_do_not_mix():
    together = threading.Barrier(8, timeout=20)

    def grade(outputs):
        together.wait()
        return 1

    assert values({"call": grade}, [{"answer": str(n)} for n in range(32)]) == [1.0] * 32


def test_connection_errors_are_tried_again():
    tries = []

    def grade(outputs):
        tries.append(outputs)
        if len(tries) < 3:
            raise ConnectionError("gone")
        return 1

    assert values({"call": grade}, ITEMS[:1]) == [1.0]
    assert len(tries) == 3


def test_the_pace_is_kept():
    started = []

    def grade(outputs):
        started.append(time.monotonic())
        return 1

    values({"call": grade, "requests_per_minute": 1200}, [{"answer": str(n)} for n in range(5)])
    assert max(started) - min(started) >= 4 * 0.05 * 0.9


@pytest.mark.parametrize(
    ("evaluator", "said"),
    [
        ({"call": "nowhere:make"}, "cannot be imported"),
        ({"call": "fake_evaluators:nothing"}, "has no 'nothing'"),
        ({"call": fakes.FakeDeepeval()}, "each row needs its own"),
        (
            {"call": "fake_evaluators:FakeLangChain", "arguments": {"a": 1}},
            "cannot be made: TypeError.*`arguments`",
        ),
    ],
    ids=["module", "name", "stateful", "arguments"],
)
def test_what_cannot_be_made_is_said_before_the_first_request(tmp_path, evaluator, said):
    with pytest.raises(ConfigError, match=said) as caught:
        hg.run(evaluator_suite([evaluator], ITEMS), out=tmp_path / "run")
    assert caught.value.field == "scorers.0.call"
    assert not (tmp_path / "run").exists()


def test_gate_makes_no_evaluator(tmp_path):
    made = []

    def make():
        made.append(1)
        return fakes.FakeLangChain()

    gates = [{"metric": "s0", "min": 0.1}]
    run = hg.run(evaluator_suite([{"call": make}], ITEMS * 20, gates=gates), out=tmp_path / "run")
    assert made == [1]
    suite = evaluator_suite([{"call": make}], ITEMS * 20, gates=gates)
    assert hg.gate(run, suite=suite).verdict == "pass"
    assert made == [1]
    assert hg.score_run(run, suite=suite) == {"s0": 0}
    assert made == [1, 1]


def test_live_traffic():
    canary = hg.Canary(
        name="c",
        traffic={"stable": "a.jsonl", "canary": "b.jsonl"},
        scorers=[{"name": "s", "type": "evaluator", "call": fakes.FakeLangChain}],
    )
    rows = [
        Row(id=str(n), time=float(n), status="ok", input="q", output=text, target="4") for n, text in enumerate("45")
    ]
    assert asyncio.run(score_traffic(rows, bind_scorers(canary)[0])) == [1.0, 0.0]


def test_a_canary_has_no_model_to_ask():
    scorer = {"name": "s", "type": "evaluator", "call": fakes.FakeLangChain, "model": "judge"}
    canary = hg.Canary(name="c", traffic={"stable": "a.jsonl", "canary": "b.jsonl"}, scorers=[scorer])
    with pytest.raises(ConfigError, match="a canary has none"):
        bind_scorers(canary)


def test_telemetry_is_off_unless_the_user_says_otherwise(monkeypatch):
    for name in QUIET:
        monkeypatch.setenv(name, "")  # so that it is what it was at the end
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    bind_scorers(evaluator_suite([{"call": fakes.FakeLangChain}], ITEMS))
    assert [os.environ[name] for name in QUIET] == ["true", "true", "YES"]
