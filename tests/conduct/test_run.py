from __future__ import annotations

import asyncio
import json
import threading
import time

import polars as pl
import pytest

import headgate as hg
from headgate.errors import ConfigError, EndpointError, Interrupted, PlanMismatch, StoreLocked
from headgate.execute.lanes import Lane
from headgate.store.manifest import read_manifest
from headgate.testing import SimulatedServer, Simulation


def suite(**changes):
    declared = {
        "name": "sums",
        "items": [{"id": f"s{n}", "question": f"{n} + 1 = ?", "target": n + 1} for n in range(30)],
        "prompts": {"old": "{{ question }}", "new": "Sum:\n{{ question }}"},
        "models": [{"id": "small", "provider": "simulated", "simulate": {"accuracy": 0.9, "latency_s": 0.001}}],
        "seeds": 2,
        "scorers": [{"name": "correct", "type": "exact_match"}],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "correct", "margin": 0.2}],
    }
    return hg.Suite(**{**declared, **changes})


def test_every_job_has_a_row_and_every_answer_a_score(tmp_path):
    run = hg.run(suite(), out=tmp_path / "run")
    assert (run.planned, run.counts) == (120, {"ok": 120, "error": 0, "refused": 0})
    results, scores = hg.scan(run).collect(), hg.scan_scores(run).collect()
    assert results["job_id"].n_unique() == scores["job_id"].n_unique() == 120
    assert hg.verify(run.path) == []
    assert not (run.path / "journal").exists()


def test_a_finished_run_resumes_to_nothing(tmp_path):
    first = hg.run(suite(), out=tmp_path / "run")
    before = hg.scan(first).collect()
    again = hg.run(suite(), out=tmp_path / "run")
    assert again == first
    assert hg.scan(again).collect().equals(before)


def test_a_limit_takes_whole_items_and_the_rest_follows(tmp_path):
    part = hg.run(suite(), out=tmp_path / "run", limit=5)
    assert part.done == 5 * 4
    assert hg.scan(part).collect()["item_id"].n_unique() == 5
    whole = hg.run(suite(), out=tmp_path / "run")
    assert whole.done == 120
    assert hg.scan(whole).collect()["generation"].value_counts(sort=True).rows() == [(2, 100), (1, 20)]


def test_one_arm_is_a_plan_of_its_own_and_is_judged_against_the_other(tmp_path):
    declared = suite(seeds=3)
    stored = hg.run(declared.model_copy(update={"first_seed": 4}), out=tmp_path / "old", arm="baseline")
    run = hg.run(declared, out=tmp_path / "new", arm="candidate")
    assert (stored.done, run.done) == (90, 90)
    assert hg.scan(stored).select("prompt", "seed").unique().sort("seed").collect().rows() == [
        ("old", seed) for seed in (4, 5, 6)
    ]
    verdict = hg.gate(run, baseline=stored)
    assert (verdict.metrics[0].n_jobs, verdict.metrics[0].flags) == (180, [])
    assert (verdict.errors.candidate.not_run, verdict.errors.baseline.not_run) == (0, 0)
    with pytest.raises(PlanMismatch, match=r"prompts\.new, prompts\.old differ"):
        hg.run(declared, out=run, arm="baseline")
    with pytest.raises(PlanMismatch, match="first_seed differ"):
        hg.run(declared, out=stored, arm="baseline")


def test_other_seeds_are_other_draws(tmp_path):
    """What the seed is for: the same number gives the same answers again, another one gives new ones."""
    outputs = {
        name: hg.scan(hg.run(suite(first_seed=first), out=tmp_path / name)).sort("job_id").collect()["output"]
        for name, first in {"one": 1, "again": 1, "other": 3}.items()
    }
    assert outputs["one"].equals(outputs["again"])
    assert not outputs["one"].equals(outputs["other"])


def test_an_arm_needs_only_what_it_asks(tmp_path, monkeypatch):
    """The key, the lane and the endpoint of the other arm's model are left alone."""
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    absent = {"id": "dear", "provider": "openai", "model": "gpt", "api_key": "env:NO_SUCH_KEY"}
    declared = suite(
        models=[{"id": "small", "provider": "simulated", "simulate": {"latency_s": 0}}, absent],
        lanes=[{"models": ["dear"], "requests_per_minute": 10}],
        compare={"baseline": {"model": "small"}, "candidate": {"model": "dear"}},
    )
    assert hg.run(declared, out=tmp_path / "run", arm="baseline").counts["ok"] == 120
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        hg.run(declared, out=tmp_path / "all")


@pytest.mark.parametrize(
    ("changes", "arm", "problem"),
    [({"compare": None}, "baseline", "compares nothing"), ({}, "old", "'old' is no arm; use baseline or candidate")],
)
def test_an_arm_that_there_is_not_is_refused(tmp_path, changes, arm, problem):
    with pytest.raises(ConfigError, match=problem):
        hg.run(suite(**changes), out=tmp_path / "run", arm=arm)
    assert not (tmp_path / "run").exists()


def test_the_same_suite_gives_the_same_answers_everywhere(tmp_path):
    tables = []
    for name in ("a", "b"):
        run = hg.run(suite(), out=tmp_path / name)
        tables.append(hg.scan(run).select("job_id", "output", "status").sort("job_id").collect())
    assert tables[0].equals(tables[1])


def test_another_plan_is_refused_with_its_keys(tmp_path):
    hg.run(suite(), out=tmp_path / "run", limit=1)
    with pytest.raises(PlanMismatch, match=r"another plan: prompts\.new, seeds differ") as caught:
        hg.run(suite(seeds=3, prompts={"old": "{{ question }}", "new": "{{ question }}!"}), out=tmp_path / "run")
    assert caught.value.keys == ("prompts.new", "seeds")
    assert hg.run(suite(), out=tmp_path / "run").done == 120


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"is no run directory, and holds notes\.txt; choose another --out"):
        hg.run(suite(), out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_is_wrong_is_found_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="missing"):
        hg.run(suite(prompts={"old": "{{ missing }}", "new": "x"}), out=tmp_path / "run")
    with pytest.raises(ConfigError, match="is not a regular expression"):
        hg.run(suite(scorers=[{"name": "correct", "type": "regex", "pattern": "("}]), out=tmp_path / "run")
    with pytest.raises(ConfigError, match="no_such_module"):
        hg.run(suite(scorers=[{"name": "correct", "type": "python", "call": "no_such_module:f"}]), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_key_is_found_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv("HEADGATE_TEST_KEY", raising=False)
    models = [
        {
            "id": "small",
            "provider": "openai-compatible",
            "base_url": "http://127.0.0.1:9/v1",
            "api_key": "env:HEADGATE_TEST_KEY",
        }
    ]
    with pytest.raises(ConfigError, match="set the environment variable HEADGATE_TEST_KEY"):
        hg.run(suite(models=models), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_key_is_in_no_file_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADGATE_TEST_KEY", "sk-canary-0123456789")
    answers = {f"{n} + 1 = ?": str(n + 1) for n in range(30)}
    with SimulatedServer({"m": Simulation(accuracy=1.0)}, answers=answers, key="sk-canary-0123456789") as server:
        models = [
            {
                "id": "small",
                "provider": "openai-compatible",
                "model": "m",
                "base_url": server.base_url,
                "api_key": "env:HEADGATE_TEST_KEY",
            }
        ]
        run = hg.run(suite(models=models), out=tmp_path / "run")
    assert run.counts["ok"] == 120
    assert hg.scan_scores(run).collect()["value"].mean() == 1.0
    for path in run.path.rglob("*"):
        assert path.is_dir() or b"canary" not in path.read_bytes()
    assert b"canary" not in hg.scan(run).collect().write_json().encode()


def test_a_refused_key_ends_the_run_at_once_and_it_resumes(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADGATE_TEST_KEY", "sk-wrong")
    with SimulatedServer({"m": Simulation()}, key="sk-right") as server:
        models = [
            {
                "id": "small",
                "provider": "openai-compatible",
                "model": "m",
                "base_url": server.base_url,
                "api_key": "env:HEADGATE_TEST_KEY",
            }
        ]
        started = time.monotonic()
        with pytest.raises(
            EndpointError, match=r"model small at http://127\.0\.0\.1:\d+ refuses to serve.*status 401.*check the key"
        ) as caught:
            hg.run(suite(models=models), out=tmp_path / "run")
        assert "sk-wrong" not in str(caught.value)
        assert time.monotonic() - started < 10
        monkeypatch.setenv("HEADGATE_TEST_KEY", "sk-right")
        assert hg.run(suite(models=models), out=tmp_path / "run").done == 120


def test_errors_are_rows_and_run_again_on_request(tmp_path):
    faulty = [{"id": "small", "provider": "python", "call": _Flaky(), "max_attempts": 1}]
    run = hg.run(suite(models=faulty), out=tmp_path / "run")
    assert run.counts == {"ok": 60, "error": 60, "refused": 0}
    row = hg.scan(run).filter(status="error").collect().row(0, named=True)
    assert (row["error_kind"], row["error_message"]) == ("callable", "ValueError: not today")
    assert hg.run(suite(models=faulty), out=tmp_path / "run").counts["error"] == 60
    healed = hg.run(suite(models=faulty), out=tmp_path / "run", retry_errors=True)
    assert healed.counts == {"ok": 120, "error": 0, "refused": 0}
    assert hg.scan(healed).collect()["job_id"].n_unique() == 120
    assert hg.verify(healed.path) == []


class _Flaky:
    """Raises on the prompt `new` until it has done so for every job of it."""

    def __init__(self):
        self.raised = 0

    async def __call__(self, messages):
        if messages[-1]["content"].startswith("Sum:") and self.raised < 60:
            self.raised += 1
            raise ValueError("not today")
        return "1"


def test_a_run_works_inside_a_running_loop(tmp_path):
    async def notebook():
        return hg.run(suite(), out=tmp_path / "run")

    assert asyncio.run(notebook()).done == 120


def test_stream_yields_every_result_once_it_is_durable(tmp_path):
    async def collect():
        seen = []
        async for result in hg.stream(suite(), out=tmp_path / "run"):
            seen.append(result.job_id)
        return seen

    seen = asyncio.run(collect())
    assert len(seen) == len(set(seen)) == 120
    assert hg.scan_scores(tmp_path / "run").collect().height == 120


def test_leaving_a_stream_early_keeps_what_was_yielded(tmp_path):
    async def first():
        stream = hg.stream(suite(), out=tmp_path / "run")
        async for result in stream:
            await stream.aclose()
            return result.job_id
        return None

    kept = asyncio.run(first())
    assert kept in set(hg.scan(tmp_path / "run").collect()["job_id"])
    assert hg.run(suite(), out=tmp_path / "run").done == 120


def test_a_slow_consumer_holds_the_engine_back(tmp_path):
    calls = []

    async def model(messages):
        calls.append(1)
        return "1"

    many = suite(
        items=[{"q": str(n)} for n in range(10_000)],
        prompts={"p": "{{ q }}"},
        seeds=1,
        scorers=[],
        gates=[],
        compare=None,
        models=[{"id": "m", "provider": "python", "call": model}],
    )

    async def slow():
        stream = hg.stream(many, out=tmp_path / "run")
        await anext(stream)
        await asyncio.sleep(3)
        held = len(calls)
        await stream.aclose()
        return held

    assert asyncio.run(slow()) <= 4096 + 64


def test_a_stopped_run_says_so_and_resumes(tmp_path):
    slow = [{"id": "small", "provider": "simulated", "simulate": {"latency_s": 0.05}}]
    conductors, stopping = [], []

    async def stop_after(conductor, jobs):
        while (statistics := conductor.statistics()) is None or statistics.done < jobs:
            await asyncio.sleep(0.01)
        conductor.stop()

    async def stopped():
        def watch(conductor):
            conductors.append(conductor)
            stopping.append(asyncio.create_task(stop_after(conductor, 100)))

        await hg.run_async(suite(models=slow, seeds=20), out=tmp_path / "run", watch=watch)

    with pytest.raises(Interrupted, match="the same call resumes"):
        asyncio.run(stopped())
    assert 100 <= conductors[0].statistics().done < 1200
    assert hg.run(suite(models=slow, seeds=20), out=tmp_path / "run").done == 1200
    assert hg.verify(tmp_path / "run") == []


def test_a_run_is_watched_from_another_thread(tmp_path):
    """Statistics asked for all the time while a faulty run changes them: they only grow, and end complete."""
    faults = {"server_error": 0.2, "rate_limit": 0.2}
    models = [
        {"id": "small", "provider": "simulated", "max_attempts": 30, "simulate": {"latency_s": 0, "faults": faults}}
    ]
    running, seen, errors, over = [], [], [], threading.Event()

    def look():
        try:
            while not over.wait(0.001):
                now = running[0].statistics() if running else None
                if now is not None:
                    seen.append((now.done, now.attempts, sum(now.failures.values()), now.input_tokens))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        run = hg.run(suite(models=models, seeds=4), out=tmp_path / "run", watch=running.append)
    finally:
        over.set()
        thread.join()
    assert errors == []
    assert len(set(seen)) > 10
    for figures in zip(*seen, strict=True):
        assert list(figures) == sorted(figures)
    (conductor,) = running
    now = conductor.statistics()
    assert (conductor.todo, now.done, now.ok, run.counts["ok"]) == (240, 240, 240, 240)
    assert now.attempts == 240 + sum(now.failures.values())
    assert (now.in_flight, conductor.rows_pending) == (0, 0)
    assert conductor.statistics() == now  # the clock stands still


def test_a_run_is_stopped_from_another_thread(tmp_path):
    slow = suite(models=[{"id": "small", "provider": "simulated", "simulate": {"latency_s": 0.05}}], seeds=20)
    threads = []

    def watch(conductor):
        def stop():
            while (now := conductor.statistics()) is None or now.done < 100:
                time.sleep(0.01)
            conductor.stop()

        threads.append(threading.Thread(target=stop))
        threads[0].start()

    with pytest.raises(Interrupted, match="the same call resumes"):
        hg.run(slow, out=tmp_path / "run", watch=watch)
    threads[0].join()
    assert 100 <= hg.scan(tmp_path / "run").collect().height < 1200


def test_stopping_a_run_that_has_ended_or_not_begun_is_no_error(tmp_path):
    running = []
    assert hg.run(suite(), out=tmp_path / "run", watch=running.append).done == 120
    running[0].stop()
    with pytest.raises(Interrupted, match="stopped with 0 of 120 jobs done"):
        hg.run(suite(), out=tmp_path / "other", watch=lambda conductor: conductor.stop())


def test_a_stream_is_watched_too(tmp_path):
    running = []

    async def collect():
        return [result async for result in hg.stream(suite(), out=tmp_path / "run", watch=running.append)]

    assert len(asyncio.run(collect())) == running[0].statistics().ok == 120


def test_a_watch_that_raises_leaves_the_run_open_to_the_next(tmp_path):
    def watch(conductor):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        hg.run(suite(), out=tmp_path / "run", watch=watch)
    assert hg.run(suite(), out=tmp_path / "run").done == 120


def test_a_failed_run_says_why_in_its_log(tmp_path):
    models = [{"id": "small", "provider": "openai-compatible", "base_url": "http://127.0.0.1:9/v1"}]
    log, metrics = tmp_path / "log.jsonl", tmp_path / "headgate.prom"
    with pytest.raises(EndpointError) as caught:
        hg.run(suite(models=models), out=tmp_path / "run", log_file=log, metrics_file=metrics)
    last = json.loads(log.read_text().splitlines()[-1])
    assert (last["level"], last["event"], last["error"]) == ("error", "run failed", "EndpointError")
    assert last["message"] == str(caught.value)
    assert "headgate_running 0\n" in metrics.read_text()


def test_a_log_that_cannot_be_opened_leaves_the_run_open_to_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("headgate.conduct.options.check_output", lambda path, **_: None)  # as if it changed meanwhile
    for option in ("log_file", "metrics_file"):
        with pytest.raises(ConfigError, match=f"{option}: cannot be written"):
            hg.run(suite(), out=tmp_path / "run", **{option: tmp_path})
    assert hg.run(suite(), out=tmp_path / "run").done == 120


def test_a_second_writer_is_kept_out(tmp_path):
    entered, leave = threading.Event(), threading.Event()

    async def model(messages):
        entered.set()
        await asyncio.to_thread(leave.wait, 30)
        return "1"

    waiting = suite(models=[{"id": "small", "provider": "python", "call": model}], seeds=1)
    thread = threading.Thread(target=hg.run, args=(waiting,), kwargs={"out": tmp_path / "run"})
    thread.start()
    try:
        assert entered.wait(30)
        with pytest.raises(StoreLocked):
            hg.run(waiting, out=tmp_path / "run")
    finally:
        leave.set()
        thread.join()
    assert hg.run(waiting, out=tmp_path / "run").done == 60


def test_the_manifest_tells_what_ran(tmp_path):
    run = hg.run(suite(), out=tmp_path / "run", limit=1)
    manifest = read_manifest(run.path / "manifest.json")
    assert manifest.plan.n_jobs == 120
    assert manifest.plan.prompts["new"].messages == [("user", "Sum:\n{{ question }}")]
    assert set(manifest.scorers) == {"correct"}
    assert json.loads((run.path / "manifest.json").read_text())["plan"]["axis"] == "prompt"


def test_two_models_run_in_lanes_of_their_own(tmp_path):
    models = [
        {"id": "fast", "provider": "simulated", "simulate": {"accuracy": 1.0, "latency_s": 0}},
        {"id": "slow", "provider": "simulated", "simulate": {"accuracy": 1.0, "latency_s": 0.05}},
    ]
    lanes = [{"models": ["slow"], "concurrency": 4}]
    run = hg.run(suite(models=models, lanes=lanes), out=tmp_path / "run")
    ended = hg.scan(run).group_by("model").agg(pl.col("finished_at").max()).collect()
    ends = dict(ended.iter_rows())
    assert run.done == 240
    assert ends["fast"] < ends["slow"]


def test_all_limits_of_a_lane_reach_it(tmp_path, monkeypatch):
    declared = {
        "requests_per_minute": 60_000.0, "tokens_per_minute": 6e6, "input_tokens_per_minute": 5e6,
        "output_tokens_per_minute": 4e6, "request_burst_s": 0.1, "token_burst_s": 9.0,
    }  # fmt: skip
    made = []

    def a_lane(**limits):
        made.append(limits)
        return Lane(**limits)

    monkeypatch.setattr("headgate.conduct.work.Lane", a_lane)
    run = hg.run(suite(lanes=[{"models": ["small"], "concurrency": 8, **declared}]), out=tmp_path / "run", limit=5)
    assert run.done == 20
    assert made == [declared]


def test_an_httpx_client_of_the_user_is_used(tmp_path):
    import httpx

    def answer(request):
        assert request.headers["x-mine"] == "yes"
        return httpx.Response(
            200, json={"model": "served", "choices": [{"message": {"content": "1"}, "finish_reason": "stop"}]}
        )

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), headers={"x-mine": "yes"})
    models = [{"id": "small", "provider": "openai-compatible", "base_url": "http://model.test/v1"}]
    run = hg.run(suite(models=models), out=tmp_path / "run", client=client)
    assert run.counts["ok"] == 120
    assert hg.scan(run).collect()["served_model"].unique().to_list() == ["served"]
    assert client.is_closed
