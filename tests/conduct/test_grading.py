"""Judges through the whole engine: blind, durable, paid once, and missing rather than zero where they fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

import headgate as hg
from headgate.errors import ConfigError, EndpointError, Interrupted
from headgate.store.costs import sum_costs
from headgate.store.layout import RunFolder
from headgate.suite.items import ItemFile
from headgate.testing import SimulatedServer, Simulation
from judged import judged_suite, scores, served

PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}


def judge_rows(run):
    return hg.scan(f"{Path(run)}/judges/*/*").collect()


def test_a_judge_that_never_errs_says_what_the_target_says(tmp_path):
    run = hg.run(judged_suite(), out=tmp_path / "run")
    found = scores(run)
    assert found["right"].equals(found["exact"].rename("right"))
    assert 0 < found["right"].mean() < 1
    assert (run.planned, run.done) == (120, 120)  # the jobs of the judge are its own
    assert hg.verify(run.path) == []


def test_the_rows_of_a_judge_say_who_graded_what_by_which_prompt(tmp_path):
    run = hg.run(judged_suite(), out=tmp_path / "run")
    rows, graded = judge_rows(run), hg.scan(run).collect()
    assert set(rows["item_id"]) == set(graded["job_id"])
    joined = rows.join(graded, left_on="item_id", right_on="job_id")
    assert joined["cluster"].equals(joined["item_id_right"].rename("cluster"))
    assert set(rows["model"]) == {"judge-small"}
    assert rows["prompt_digest"].n_unique() == 1
    assert set(rows["prompt_digest"]).isdisjoint(graded["prompt_digest"])


def test_nothing_that_differs_by_arm_reaches_a_judge(tmp_path):
    """The same answer to the same item is the same request, whichever prompt and model gave it."""
    models = [
        {"id": f"arm-{n}", "provider": "python", "call": call}
        for n, call in enumerate([lambda _: "42", lambda _: "42"])
    ]
    models[1]["params"] = {"temperature": 0.3}
    models.append({"id": "judge-small", "provider": "python", "role": "judge", "call": lambda _: '{"verdict": "yes"}'})
    prompts = {"secret-baseline": "{{ question }}", "secret-candidate": "Be brief. {{ question }}"}
    compare = {"baseline": {"prompt": "secret-baseline"}, "candidate": {"prompt": "secret-candidate"}}
    suite = judged_suite(n=3, models=models, prompts=prompts, compare=compare)
    run = hg.run(suite, out=tmp_path / "run")
    [judged] = RunFolder(run.path).judge_runs()
    items = ItemFile(judged.items)
    asked = {}
    for number in range(len(items)):
        item = items[number]
        asked.setdefault(item.cluster, set()).add((item.messages["right"], item.read_variables()))
        for text in (item.messages["right"].decode(), item.read_variables().decode()):
            for name in ("secret", "arm-", "brief", "temperature", item.item_id):
                assert name not in text
    assert {item: len(requests) for item, requests in asked.items()} == {"s0": 1, "s1": 1, "s2": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Grade {{ output }} of {{ prompt }}", "'prompt' would tell the judge whose answer"),
        ("{{ model }}: {{ output }}", "'model' would tell the judge whose answer"),
        ("{{ output }} {{ latency_s }}", "'latency_s' is nothing that a judge is told"),
        ("Is it good?", "'output' leaves out the answer"),
        ("{{ output }} {{ item.colour }}", "has no attribute 'colour'"),
    ],
    ids=["prompt", "model", "other", "no-answer", "column"],
)
def test_a_prompt_that_is_not_blind_is_refused_before_anything_runs(tmp_path, text, said):
    (tmp_path / "own.txt").write_text(text)
    suite = judged_suite(scorer={"prompt": str(tmp_path / "own.txt")})
    with pytest.raises(ConfigError, match=said):
        hg.run(suite, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_prompt_of_ones_own_and_a_rubric_in_a_file(tmp_path):
    own, rubric = tmp_path / "own.txt", tmp_path / "rubric.md"
    own.write_text('{{ rubric }} {{ item.question }} {{ output }} "yes" or "no"')
    rubric.write_text("Right?")
    suite = judged_suite(n=5, scorer={"prompt": str(own), "rubric": str(rubric)})
    found = scores(hg.run(suite, out=tmp_path / "run"))
    assert found["right"].equals(found["exact"].rename("right"))
    rubric.unlink()
    with pytest.raises(ConfigError, match=r"scorers\.0\.rubric.*cannot be read"):
        hg.run(suite, out=tmp_path / "other")


def test_what_cannot_be_read_is_missing_and_no_zero(tmp_path):
    run = hg.run(judged_suite(judge={"unparsable": 0.3}), out=tmp_path / "run")
    missing = hg.scan_scores(run).filter(pl.col("value").is_null()).collect()
    assert 20 < missing.height < 60
    assert set(missing["scorer"]) == {"right"}
    assert all("holds no verdict: 'That is hard to say.'" in text for text in missing["explanation"])
    row = hg.gate(run).metrics[0]
    assert "missing_at_bounds" in row.flags
    assert row.verdict == "inconclusive"


def test_answers_that_failed_by_themselves_are_not_graded(tmp_path):
    models = [
        {
            "id": "small",
            "provider": "python",
            "call": lambda messages: None if " 3 " in messages[0]["content"] else "4",
        },
        judged_suite().models[1].model_dump(exclude_none=True),
    ]
    items = [{"id": f"i{n}", "question": f"is {n} ?", "target": "4"} for n in range(5)]
    run = hg.run(judged_suite(models=models, items=items), out=tmp_path / "run")
    assert judge_rows(run).height == 8
    empty = hg.scan_scores(run).filter((pl.col("item_id") == "i3") & (pl.col("scorer") == "right")).collect()
    assert (empty["value"].to_list(), set(empty["explanation"])) == ([0.0, 0.0], {"empty answer"})


def down(**changes):
    """A suite whose judge has the address of nobody."""
    model = {"provider": "openai-compatible", "base_url": "http://127.0.0.1:9/v1", "simulate": None, "max_attempts": 2}
    return judged_suite(model=model, **changes)


def test_a_judge_that_is_down_is_missing_data_and_no_failure(tmp_path):
    with pytest.raises(EndpointError, match="judge-small"):
        hg.run(down(n=20), out=tmp_path / "run")
    found = hg.scan_scores(tmp_path / "run").filter(pl.col("scorer") == "right").collect()
    assert (found.height, found["value"].null_count()) == (40, 40)
    assert found["explanation"].str.contains("was not graded|judge-small gave no answer: connect").all()
    verdict = hg.gate(tmp_path / "run")
    assert (verdict.verdict, verdict.errors.candidate.unscored) == ("invalid", 20)


def test_a_judge_that_is_down_ends_a_check_without_a_verdict(tmp_path):
    verdict = hg.check(down(n=100), out=tmp_path / "run").verdict
    assert (verdict.verdict, verdict.exit_code, len(verdict.looks)) == ("invalid", 3, 1)
    assert "a judge cannot serve" in verdict.reason


def test_what_a_judge_did_not_grade_is_graded_by_scoring_again(tmp_path):
    with pytest.raises(EndpointError):
        hg.run(down(n=20), out=tmp_path / "run")
    assert hg.score_run(tmp_path / "run", suite=judged_suite(n=20)) == {"right": 0, "exact": 0}
    assert hg.gate(tmp_path / "run", suite=judged_suite(n=20)).verdict != "invalid"
    assert judge_rows(tmp_path / "run").filter(pl.col("status") == "ok").height == 40


def test_errors_of_a_judge_are_its_own_and_are_tried_again_by_scoring(tmp_path):
    broken = {"simulate": {"latency_s": 0, "judge": {}, "faults": {"server_error": 0.3}}, "max_attempts": 1}
    suite = judged_suite(model=broken)
    run = hg.run(suite, out=tmp_path / "run")
    failed = judge_rows(run).filter(pl.col("status") == "error").height
    assert failed > 10
    missing = hg.scan_scores(run).filter(pl.col("value").is_null()).collect()
    assert missing.height == failed
    assert missing["explanation"].str.starts_with("judge judge-small gave no answer: transient").all()
    verdict = hg.gate(run)
    assert verdict.errors.candidate.errored == verdict.errors.baseline.errored == 0
    assert verdict.errors.candidate.unscored + verdict.errors.baseline.unscored == failed
    hg.run(suite, out=run.path)
    assert judge_rows(run).filter(pl.col("status") == "error").height == failed  # a resumed run asks nothing twice
    before = judge_rows(run).filter(pl.col("status") == "ok")["job_id"]
    hg.score_run(run, suite=suite)
    assert judge_rows(run).filter(pl.col("generation") > 1)["job_id"].is_in(before.implode()).sum() == 0


def test_only_what_changed_is_graded_again(tmp_path):
    run = hg.run(judged_suite(), out=tmp_path / "run")
    first = judge_rows(run)["job_id"].to_list()
    hg.score_run(run, suite=judged_suite(scorer={"choices": {"yes": 0.5, "no": 0.0}}))
    assert judge_rows(run)["job_id"].to_list() == first
    assert scores(run)["right"].max() == 0.5
    hg.score_run(run, suite=judged_suite(scorer={"rubric": "Units may be left out."}))
    assert judge_rows(run).height == 2 * len(first)
    hg.score_run(run, suite=judged_suite())  # what was graded before holds on
    assert judge_rows(run).height == 2 * len(first)


def test_what_judges_take_counts_against_the_cap_and_is_told(tmp_path):
    limited = {"price": PRICE, "params": {"max_tokens": 64}}
    free = {"input_usd_per_million": 0.0, "output_usd_per_million": 0.0}
    small = {"id": "small", "provider": "simulated", "price": free, "params": {"max_tokens": 8}}
    judge = {"id": "judge-small", "provider": "simulated", "role": "judge", "simulate": {"judge": {}}, **limited}
    suite = judged_suite(models=[small, judge])
    with pytest.raises(Interrupted, match=r"the cap of \$0\.0100 is reached.*judges have answers left"):
        hg.run(suite, out=tmp_path / "run", max_cost_usd=0.01)
    costs = sum_costs(RunFolder(tmp_path / "run"))
    assert 0.005 < costs.judges_usd <= costs.settled_usd <= 0.01
    graded = judge_rows(tmp_path / "run").height
    assert 0 < graded < 120
    run = hg.run(suite, out=tmp_path / "run", max_cost_usd=1)
    assert judge_rows(run)["job_id"].n_unique() == judge_rows(run).height == 120
    assert run.cost_usd == pytest.approx(judge_rows(run)["cost_usd"].sum())
    unpriced = judged_suite(models=[small, {**judge, "price": None}])
    with pytest.raises(ConfigError, match=r"models\.1\.price.*'judge-small' is not known"):
        hg.run(unpriced, out=tmp_path / "other", max_cost_usd=1)


def test_shards_are_graded_apart_and_merged(tmp_path):
    shards = [hg.run(judged_suite(n=20), out=tmp_path / f"{n}", shard=f"{n}/2") for n in (1, 2)]
    whole = hg.run(judged_suite(n=20), out=tmp_path / "whole")
    merged = hg.merge(shards, out=tmp_path / "merged")
    assert hg.verify(merged.path) == []
    assert scores(merged).equals(scores(whole))
    assert sorted(judge_rows(merged)["job_id"]) == sorted(judge_rows(whole)["job_id"])
    hg.score_run(merged, suite=judged_suite(n=20))
    assert judge_rows(merged).height == 40


def test_a_damaged_row_of_a_judge_is_found(tmp_path):
    run = hg.run(judged_suite(n=5), out=tmp_path / "run")
    [part] = run.path.glob("judges/*/*/results/*.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    assert any(problem.file == part for problem in hg.verify(run.path))


KILLED = """
    import os, sys, threading, time
    from pathlib import Path
    import headgate as hg
    sys.path.insert(0, {tests!r})
    from judged import served

    def die():
        while len(list(Path({out!r}).glob("judges/*/*/journal/*.arrows"))) == 0:
            time.sleep(0.005)
        time.sleep({after})
        os.kill(os.getpid(), 9)

    threading.Thread(target=die, daemon=True).start()
    hg.{call}(served({url!r}), out={out!r})
"""


@pytest.mark.parametrize("call", ["run", "check"])
def test_killed_while_grading_it_comes_to_the_same_scores_and_grades_nothing_twice(tmp_path, call):
    models = {"judge-small": Simulation.model_validate({"latency_s": 0.02, "judge": {"sensitivity": 0.8}})}
    with SimulatedServer(models) as server:
        whole = getattr(hg, call)(served(server.base_url), out=tmp_path / "whole")
        asked = server.requests.copy()
        server.requests.clear()
        out = tmp_path / "killed"
        told = {"tests": str(Path(__file__).parents[1]), "out": str(out), "after": 0.3, "call": call}
        script = textwrap.dedent(KILLED.format(**told, url=server.base_url))
        killed = subprocess.run([sys.executable, "-c", script], capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        kept = set(judge_rows(out)["job_id"])
        before = server.requests.copy()
        resumed = getattr(hg, call)(served(server.base_url), out=out)
        assert 0 < len(kept) < len(asked)
        assert all(server.requests[job] == before[job] for job in kept)  # what was durable is not asked again
    assert set(server.requests) == set(asked)
    assert judge_rows(out)["job_id"].n_unique() == judge_rows(out).height == len(asked)
    assert scores(out).equals(scores(tmp_path / "whole"))
    assert hg.verify(out) == []
    if call == "check":
        assert json.dumps([row.estimate for row in resumed.verdict.metrics]) == json.dumps(
            [row.estimate for row in whole.verdict.metrics]
        )


@pytest.mark.parametrize(
    ("scorer", "best", "worst"),
    [
        ({"kind": "rubric", "rubric": "Is it right?", "scale": [0, 10]}, 10, 0),
        ({"kind": "rubric", "rubric": "Is it right?", "negate": True}, -4, 0),
        ({"kind": "steps", "rubric": "Is it right?", "steps": ["Add.", "Compare."]}, 5, 1),
        ({"kind": "factuality"}, 1, 0),
        ({"kind": "closed_qa", "structured": True}, 1, 0),
    ],
    ids=["rubric", "negated", "steps", "factuality", "structured"],
)
def test_every_kind_is_asked_and_read(tmp_path, scorer, best, worst):
    run = hg.run(judged_suite(n=20, scorer=scorer), out=tmp_path / "run")
    found = scores(run)
    assert set(found["right"]) == {best, worst}
    assert found["exact"].to_list() == [value == best for value in found["right"]]
    assert hg.gate(run).verdict in {"pass", "inconclusive"}
    [judged] = RunFolder(run.path).judge_runs()
    params = json.loads(judged.manifest.read_text())["plan"]["prompts"]["right"]["params"]
    assert ("response_format" in params) == bool(scorer.get("structured"))


def test_an_item_without_a_target_is_not_asked_about_and_says_so(tmp_path):
    items = [{"id": "a", "question": "1 + 1 = ?", "target": "2"}, {"id": "b", "question": "2 + 2 = ?"}]
    run = hg.run(judged_suite(items=items), out=tmp_path / "run")
    rows = hg.scan_scores(run).filter((pl.col("scorer") == "right") & (pl.col("item_id") == "b")).collect()
    assert rows["value"].to_list() == [None, None]
    assert judge_rows(run).height == 2


def test_a_stored_baseline_brings_its_grades_and_labels(tmp_path):
    """A baseline is saved without the rows of its judges: its scores hold what they said."""
    suite = judged_suite(n=40)
    run = hg.run(suite, out=tmp_path / "run")
    hg.save_baseline(run, name="main", store=str(tmp_path / "store"))
    verdict = hg.check(suite, baseline="baseline:main", store=str(tmp_path / "store"), out=tmp_path / "check").verdict
    assert verdict.verdict in {"pass", "inconclusive"}
    assert not [row for row in verdict.drift if row.drifted]


def test_the_jobs_of_judges_are_jobs_of_the_call(tmp_path):
    hg.run(judged_suite(n=6), out=tmp_path / "run", metrics_file=tmp_path / "m.prom")
    families = text_string_to_metric_families((tmp_path / "m.prom").read_text())
    shown = {(one.name, one.labels.get("status")): one.value for family in families for one in family.samples}
    assert shown["headgate_jobs_planned", None] == shown["headgate_jobs_total", "ok"] == 24


def test_each_judge_is_asked_in_its_own_form_over_one_endpoint(tmp_path):
    """Two scorers, one model, other parameters: what an endpoint keeps of one must not serve the other."""
    asked = []

    def answer(request):
        body = json.loads(request.content)
        asked.append(body)
        said = "4" if body["model"] == "m" else '{"verdict": 3}'
        return httpx.Response(200, json={"choices": [{"message": {"content": said}}]})

    served = {"provider": "openai-compatible", "base_url": "http://models.test/v1"}
    models = [{"id": "small", "model": "m", **served}, {"id": "judge-small", "role": "judge", **served}]
    rubric = {"type": "judge", "model": "judge-small", "rubric": "Good?"}
    scorers = [
        {"name": "free", **rubric},
        {"name": "five", **rubric, "structured": True},
        {"name": "ten", **rubric, "structured": True, "scale": [1, 10]},
    ]
    suite = judged_suite(n=2, models=models, scorers=scorers, gates=[])
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    found = scores(hg.run(suite, out=tmp_path / "run", client=client))
    assert found.select("free", "five", "ten").unique().rows() == [(3.0, 3.0, 3.0)]
    formats = [body.get("response_format") for body in asked if body["model"] == "judge-small"]
    grades = [one and one["json_schema"]["schema"]["properties"]["verdict"]["enum"] for one in formats]
    assert grades == [None] * 4 + [list(range(1, 6))] * 4 + [list(range(1, 11))] * 4
