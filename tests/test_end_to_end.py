"""The whole job through the command line, against a loopback server that fails in every way a provider does."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import polars as pl
import pytest

import headgate as hg
from headgate.testing import Faults, SimulatedServer, Simulation

FAULTS = ("rate_limit", "server_error", "overloaded", "drop", "truncate", "html", "empty", "hang")
TIMINGS = ("started_at", "finished_at", "latency_s", "ttfb_s", "queued_s", "attempts", "generation")


def simulation(share: float = 0.05) -> Simulation:
    faults = Faults(**dict.fromkeys(FAULTS, share))
    return Simulation(accuracy={"baseline": 0.9, "same": 0.9, "worse": 0.8}, latency_s=0.005, faults=faults)


def write_suite(folder, server, *, candidate, n_items):
    rows = "".join(json.dumps({"id": f"q{n}", "question": f"{n} + 1", "target": n + 1}) + "\n" for n in range(n_items))
    (folder / "items.jsonl").write_text(rows)
    suite = {
        "name": "end-to-end",
        "items": "items.jsonl",
        "prompts": {"baseline": {"text": "{{ question }}"}, candidate: {"text": "Sum: {{ question }}"}},
        "models": [
            {"id": "m", "provider": "simulated", "base_url": server.base_url, "timeout_s": 0.5, "max_attempts": 30}
        ],
        "seeds": 3,
        "scorers": [{"name": "correct", "type": "numeric"}],
        "compare": {"baseline": {"prompt": "baseline"}, "candidate": {"prompt": candidate}},
        "gates": [{"metric": "correct", "margin": 0.05}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(suite))
    return path


def command(*words):
    return [sys.executable, "-m", "headgate", *map(str, words)]


def table(run):
    return hg.scan(run).drop("run", *TIMINGS).sort("job_id").collect()


def check_faults(tmp_path, *, share, least):
    with SimulatedServer({"m": simulation(share)}) as server:
        suite = write_suite(tmp_path, server, candidate="same", n_items=2000)
        ran = subprocess.run(command("run", suite, "--out", tmp_path / "run", "--json"), capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout)["counts"] == {"ok": 12_000, "error": 0, "refused": 0}
        # Every fault that was dealt was one more request: nothing was given up, nothing sent twice.
        assert set(server.faults) == set(FAULTS)
        assert min(server.faults.values()) > least
        assert server.requests.total() == 12_000 + server.faults.total()
    results = table(tmp_path / "run")
    assert results.height == results["job_id"].n_unique() == 12_000
    assert results.group_by("item_id").len()["len"].unique().to_list() == [6]
    gated = subprocess.run(command("gate", tmp_path / "run"), capture_output=True, text=True)
    assert gated.returncode == 0, gated.stdout + gated.stderr
    assert gated.stdout.startswith("PASS")
    assert hg.verify(tmp_path / "run") == []


def test_12_000_jobs_with_5_percent_faults_of_all_kinds(tmp_path):
    check_faults(tmp_path, share=0.05 / len(FAULTS), least=40)


@pytest.mark.slow
def test_12_000_jobs_with_5_percent_faults_of_each_kind(tmp_path):
    check_faults(tmp_path, share=0.05, least=500)


def kill_until_finished(run_command, run, server, *, rng, most):
    """Kill the command after a random number of requests until it finishes; return the number of kills.

    After each kill, what can be read back counts as done: no further request may be sent for it.
    """
    kills, paid = 0, Counter()
    while True:
        child = subprocess.Popen(run_command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # One life in five ends while it is still starting.
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0, 2))
        else:
            enough = server.requests.total() + rng.randrange(1, most)
            wait_for(lambda: child.poll() is not None or server.requests.total() >= enough, 300)  # noqa: B023
        child.kill()
        if child.wait() == 0:
            return kills
        assert child.returncode == -signal.SIGKILL
        kills += 1
        if not (run / "manifest.json").exists():
            continue
        done = hg.scan(run).select("job_id").collect()["job_id"]
        assert done.n_unique() == len(done)
        assert set(paid) <= set(done), "a row that could be read back is gone"
        time.sleep(0.1)  # requests of the killed process arrive
        for job in done:
            before = paid.setdefault(job, server.requests[job])
            assert server.requests[job] == before, "a job that was done was sent again"


def check_killed(tmp_path, *, n_items, share, seed, most, least):
    with SimulatedServer({"m": simulation(share)}) as server:
        suite = write_suite(tmp_path, server, candidate="worse", n_items=n_items)
        whole = subprocess.run(command("run", suite, "--out", tmp_path / "whole"), capture_output=True, text=True)
        assert whole.returncode == 0, whole.stderr
        server.requests.clear()
        run = tmp_path / "killed"
        kills = kill_until_finished(
            command("run", suite, "--out", run, "--quiet"), run, server, rng=random.Random(seed), most=most
        )
    assert kills >= least
    killed = table(run)
    assert killed.equals(table(tmp_path / "whole"))
    assert killed.height == killed["job_id"].n_unique() == n_items * 6
    scores = [hg.scan_scores(tmp_path / name).drop("run").sort("job_id").collect() for name in ("whole", "killed")]
    assert scores[0].equals(scores[1])
    assert hg.verify(run) == []
    assert not (run / "journal").exists()
    verdicts = [hg.gate(tmp_path / name) for name in ("whole", "killed")]
    assert [verdict.verdict for verdict in verdicts] == ["fail", "fail"]
    assert verdicts[0].metrics == verdicts[1].metrics


def test_kill_9_in_a_loop_changes_nothing(tmp_path):
    check_killed(tmp_path, n_items=500, share=0.005, seed=1, most=1500, least=3)


@pytest.mark.slow
def test_kill_9_in_a_long_loop_changes_nothing(tmp_path):
    check_killed(tmp_path, n_items=2000, share=0.05 / len(FAULTS), seed=2, most=2000, least=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_seals_the_run_and_says_how_to_resume(tmp_path, number):
    with SimulatedServer({"m": Simulation(latency_s=0.1)}) as server:
        suite = write_suite(tmp_path, server, candidate="same", n_items=2000)
        run = tmp_path / "run"
        child = subprocess.Popen(command("run", suite, "--out", run), stderr=subprocess.PIPE, text=True)
        wait_for(lambda: len(server.requests) > 200)
        child.send_signal(number)
        _, said = child.communicate(timeout=30)
        assert child.returncode == 130
        assert f"To resume: headgate run {suite} --out {run}" in said
        assert not list(run.glob("journal/*.arrows"))
        kept = hg.scan(run).collect().height
        assert 0 < kept < 12_000
        assert [problem for problem in hg.verify(run) if not problem.unfinished] == []
        assert hg.gate(run).verdict == "inconclusive"


def test_a_second_signal_ends_at_once_and_loses_nothing(tmp_path):
    with SimulatedServer({"m": Simulation(latency_s=0.1)}) as server:
        suite = write_suite(tmp_path, server, candidate="same", n_items=2000)
        run = tmp_path / "run"
        child = subprocess.Popen(command("run", suite, "--out", run, "--quiet"), stderr=subprocess.PIPE)
        wait_for(lambda: len(server.requests) > 1000)
        before = hg.scan(run).select("job_id").collect()["job_id"]
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
        assert child.returncode == 130
        after = hg.scan(run).select("job_id").collect()["job_id"]
        assert len(before) > 0
        assert set(before) <= set(after)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_results_are_read_by_four_readers(tmp_path):
    import duckdb
    import pandas as pd
    import pyarrow.parquet as pq

    suite = hg.Suite(
        name="small",
        items=[{"q": f"{n} + 1", "target": n + 1} for n in range(20)],
        prompts={"p": "{{ q }}"},
        models=[{"id": "m", "provider": "simulated", "simulate": {"latency_s": 0}}],
        scorers=[{"name": "correct", "type": "numeric"}],
    )
    run = hg.run(suite, out=tmp_path / "run")
    pattern = str(run.path / "results" / "*.parquet")
    ids = set(hg.scan(run).collect()["job_id"])
    assert len(ids) == 20
    assert set(pl.read_parquet(pattern)["job_id"]) == ids
    assert {row[0] for row in duckdb.sql(f"select job_id from '{pattern}'").fetchall()} == ids
    assert set(pd.read_parquet(run.path / "results")["job_id"]) == ids
    assert set(pq.read_table(run.path / "results")["job_id"].to_pylist()) == ids
