"""What evaluators ask of a suite's model: over its lane, with its retries, prices and the run's cap, as rows."""

from __future__ import annotations

import json
import threading
import time

import polars as pl
import pytest

import headgate as hg
from evaluator_runs import evaluator_suite, score_items
from headgate.cli.commands import show_run
from headgate.errors import ConfigError
from headgate.prices import format_usd
from headgate.store.costs import sum_costs
from headgate.store.layout import RunFolder
from judge_server import judge_server

ITEMS = [{"question": f"{n}?", "answer": str(n)} for n in range(12)]
COST = (10 * 1.0 + 5 * 2.0) / 1e6
"""Of one request to the judge."""


def make(client):
    """An evaluator that asks one question of a sync client."""

    def grade(output, item):
        said = client.chat.completions.create(messages=[{"role": "user", "content": output}], temperature=0)
        return {"score": said.choices[0].message.content == "yes", "comment": said.choices[0].message.content}

    return grade


def make_async(async_client):
    async def grade(output, item):
        said = await async_client.chat.completions.create(messages=[{"role": "user", "content": output}])
        return said.choices[0].message.content == "yes"

    return grade


def asked(run):
    return pl.read_parquet(RunFolder(run.path).evaluators / "*.parquet")


def run_with(judge, tmp_path, *evaluators, items=ITEMS, **more):
    suite = evaluator_suite(evaluators or [{"call": make, "model": "judge"}], items, judge=judge.base_url, **more)
    return hg.run(suite, out=tmp_path / "run")


def make_mixed(client):
    async def grade(output, item):  # it holds up the event loop that runs it, and not the one that answers
        said = client.chat.completions.create(messages=[{"role": "user", "content": output}])
        return said.choices[0].message.content == "yes"

    return grade


@pytest.mark.parametrize("call", [make, make_async, make_mixed], ids=["sync", "async", "mixed"])
def test_the_model_answers(call):
    with judge_server(text="yes") as judge:
        found = score_items({"call": call, "model": "judge"}, ITEMS, judge=judge.base_url)
    assert [value for value, _, _ in found] == [1.0] * 12
    assert sorted(request["messages"][0]["content"] for _, _, request in judge.requests) == sorted(map(str, range(12)))


def test_rows_tell_who_asked_what_of_whom_and_what_it_cost(tmp_path):
    with judge_server(text="yes") as judge:
        run = run_with(judge, tmp_path, {"call": make, "model": "judge"}, {"call": make_async, "model": "judge"})
    rows = asked(run)
    assert rows["prompt"].value_counts().sort("prompt").rows() == [("s0", 12), ("s1", 12)]
    assert set(rows["model"]) == {"judge"}
    assert set(rows["output"]) == {"yes"}
    assert rows["job_id"].n_unique() == 24
    assert rows["cost_usd"].sum() == pytest.approx(24 * COST)
    costs = sum_costs(RunFolder(run.path))
    assert costs.evaluators_usd == pytest.approx(24 * COST)
    assert costs.cost_usd == run.cost_usd == pytest.approx(24 * COST)
    assert hg.verify(run.path) == []
    assert hg.scan(run).collect().height == 12  # the run's results are its own


def test_the_models_parameters_are_the_suites(tmp_path):
    with judge_server() as judge:
        run_with(judge, tmp_path, items=ITEMS[:1])
    _, _, request = judge.requests[0]
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("judge", 50, 0)


def test_the_key_goes_along_and_is_stored_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret")
    with judge_server() as judge:
        suite = evaluator_suite([{"call": make, "model": "judge"}], ITEMS[:2], judge=judge.base_url)
        models = [model.model_copy(update={"api_key": "env:JUDGE_KEY"}) if model.id == "judge" else model
                  for model in suite.models]  # fmt: skip
        hg.run(suite.model_copy(update={"models": models}), out=tmp_path / "run")
    assert {headers["authorization"] for _, headers, _ in judge.requests} == {"Bearer sk-very-secret"}
    stored = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert b"sk-very-secret" not in stored


def test_a_key_that_is_missing_is_said_before_the_first_request(tmp_path):
    suite = evaluator_suite([{"call": make, "model": "judge"}], ITEMS, judge="http://127.0.0.1:9/v1")
    models = [model.model_copy(update={"api_key": "env:NO_SUCH_KEY"}) if model.id == "judge" else model
              for model in suite.models]  # fmt: skip
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        hg.run(suite.model_copy(update={"models": models}), out=tmp_path / "run")


def test_what_fails_is_tried_again_and_not_by_the_scorer_too(tmp_path):
    with judge_server(text="yes", statuses=[500, 503]) as judge:
        run = run_with(judge, tmp_path, items=ITEMS[:4])
    assert hg.scan_scores(run).collect()["value"].to_list() == [1.0] * 4
    assert len(judge.requests) == 6
    assert asked(run)["attempts"].sum() == 6


def test_a_model_that_does_not_answer_is_said_in_the_row(tmp_path):
    with judge_server(statuses=[400] * 3) as judge:
        run = run_with(judge, tmp_path, items=ITEMS[:3])
    scores = hg.scan_scores(run).collect()
    assert scores["value"].null_count() == 3
    assert set(scores["explanation"]) == {"ModelFailed: judge: invalid_request: no"}
    assert set(asked(run)["status"]) == {"error"}


def test_a_dead_endpoint_ends_no_run_and_is_asked_no_more(tmp_path):
    with judge_server(statuses=[401] * 500) as judge:
        run = run_with(judge, tmp_path, items=[{"answer": str(n)} for n in range(300)])
    scores = hg.scan_scores(run).collect()
    assert scores["value"].null_count() == 300
    assert "judge" in scores["explanation"][0]
    assert len(judge.requests) <= 64


def test_the_lane_paces_it(tmp_path):
    lanes = [{"models": ["judge"], "requests_per_minute": 1200}]
    with judge_server(text="yes") as judge:
        started = time.monotonic()
        run_with(judge, tmp_path, lanes=lanes)
    assert time.monotonic() - started >= 11 * 0.05
    assert len(judge.requests) == 12


def test_the_concurrency_of_its_lane_holds(tmp_path):
    together, most, lock = 0, 0, threading.Lock()

    def judge(messages):
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        time.sleep(0.01)
        with lock:
            together -= 1
        return "yes"

    lanes = [{"models": ["judge"], "concurrency": 3}]
    suite = evaluator_suite([{"call": make, "model": "judge"}], ITEMS, judge=judge, lanes=lanes)
    run = hg.run(suite, out=tmp_path / "run")
    assert hg.scan_scores(run).collect()["value"].sum() == 12
    assert most == 3


def test_the_cap_of_the_run_holds(tmp_path):
    most = (50 * 2.0 + 300 * 1.0) / 1e6  # of a request: 50 tokens at most, and no more input than bytes
    with judge_server(text="yes") as judge:
        suite = evaluator_suite(
            [{"call": make, "model": "judge"}], [{"answer": str(n)} for n in range(100)], judge=judge.base_url,
            budget={"max_cost_usd": 40 * COST},
        )  # fmt: skip
        run = hg.run(suite, out=tmp_path / "run")
        first = len(judge.requests)
        scores = hg.scan_scores(run).collect()
        assert 0 < first <= 40
        assert first * COST >= 40 * COST - most
        assert scores["value"].count() == first
        assert any("the cap of" in said for said in scores["explanation"] if said is not None)
        costs = sum_costs(RunFolder(run.path))
        assert costs.settled_usd == pytest.approx(first * COST)
        hg.score_run(run, suite=suite)  # what was spent stays spent
    assert len(judge.requests) == first


def test_a_cap_needs_a_price_and_a_limit_of_the_judge_too(tmp_path):
    suite = evaluator_suite([{"call": make, "model": "judge"}], ITEMS, judge="http://127.0.0.1:9/v1")
    models = [model.model_copy(update={"params": {}}) if model.id == "judge" else model for model in suite.models]
    suite = suite.model_copy(update={"models": models})
    with pytest.raises(ConfigError, match="nothing limits what 'judge' brings"):
        hg.run(suite, out=tmp_path / "run", max_cost_usd=1.0)


def test_scoring_again_adds_to_what_was_paid(tmp_path):
    with judge_server(text="yes") as judge:
        suite = evaluator_suite([{"call": make, "model": "judge"}], ITEMS, judge=judge.base_url)
        run = hg.run(suite, out=tmp_path / "run")
        hg.score_run(run, suite=suite)
    assert asked(run).height == 24
    assert sum_costs(RunFolder(run.path)).evaluators_usd == pytest.approx(24 * COST)
    assert hg.verify(run.path) == []


def test_shards_keep_what_theirs_asked(tmp_path):
    with judge_server(text="yes") as judge:
        suite = evaluator_suite([{"call": make, "model": "judge"}], ITEMS, judge=judge.base_url)
        shards = [hg.run(suite, out=tmp_path / str(n), shard=f"{n}/2") for n in (1, 2)]
    whole = hg.merge(shards, out=tmp_path / "whole")
    assert asked(whole).height == 12
    assert hg.verify(whole.path) == []
    assert whole.cost_usd == pytest.approx(12 * COST)


def test_a_check_scores_its_looks_with_it_and_counts_what_it_costs(tmp_path):
    pair = {"baseline": {"prompt": "p"}, "candidate": {"prompt": "q"}}
    items = [{"answer": str(n)} for n in range(60)]
    with judge_server(text="yes") as judge:
        suite = evaluator_suite([{"call": make, "model": "judge"}], items, judge=judge.base_url)
        more = {"prompts": {"p": {"text": "{{ answer }}"}, "q": {"text": "{{ answer }}!"}}, "compare": pair}
        more |= {"gates": [{"metric": "s0", "margin": 0.2}], "budget": {"max_cost_usd": 1.0}}
        declared = hg.Suite(**{**dict(suite), "models": [m.model_dump() for m in suite.models], **more})
        done = hg.check(declared, out=tmp_path / "run")
    assert done.verdict.verdict == "pass"
    assert len(judge.requests) == asked(done.run).height == 2 * max(look.n_items for look in done.verdict.looks)


def test_a_model_that_is_asked_while_the_evaluator_is_made(tmp_path):
    def hasty(judge):
        judge.text("hello")

    suite = evaluator_suite([{"call": hasty, "model": "judge"}], ITEMS, judge="http://127.0.0.1:9/v1")
    with pytest.raises(ConfigError, match="judge is asked while no run is scored"):
        hg.run(suite, out=tmp_path / "run")


def test_the_judge_is_part_of_the_scorers_version(tmp_path):
    from headgate.conduct.scoring import bind_scorers

    suite = evaluator_suite([{"call": make, "model": "judge"}], ITEMS, judge="http://127.0.0.1:9/v1")
    models = [model.model_copy(update={"params": {"max_tokens": 9}}) for model in suite.models]
    other = suite.model_copy(update={"models": models})
    assert bind_scorers(suite)[0].version != bind_scorers(other)[0].version


def test_show_tells_what_evaluators_took_and_which_are_not_metered(tmp_path, capsys):
    with judge_server(text="yes") as judge:
        run = run_with(judge, tmp_path, {"call": make, "model": "judge"}, {"call": lambda output: 1})
    show_run(run.path, json=False)
    text = capsys.readouterr().out
    assert f"of that {format_usd(12 * COST)} for what evaluators asked" in text
    assert "s1: not metered" in text
    show_run(run.path, json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["judge_unmetered"] == ["s1"]
    assert facts["evaluators_usd"] == pytest.approx(12 * COST)
