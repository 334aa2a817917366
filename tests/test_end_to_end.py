"""The whole job through the command line, against a loopback server that fails in every way a provider does."""

from __future__ import annotations

import json
import signal
import subprocess

import polars as pl
import pytest

import headgate as hg
from command_line import command, table, wait_for, write_suite
from headgate.testing import Faults, SimulatedServer, Simulation

FAULTS = ("rate_limit", "server_error", "overloaded", "drop", "truncate", "html", "empty", "hang")


def simulation(share: float = 0.05) -> Simulation:
    faults = Faults(**dict.fromkeys(FAULTS, share))
    return Simulation(accuracy={"baseline": 0.9, "same": 0.9, "worse": 0.8}, latency_s=0.005, faults=faults)


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
