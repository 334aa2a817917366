"""Four shards in four processes, merged, are the run that was not sharded."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time

import msgspec
import pytest

import headgate as hg
from headgate.store.manifest import read_manifest
from headgate.testing import Faults, SimulatedServer, Simulation

COUNT = 4
TIMINGS = ("started_at", "finished_at", "latency_s", "ttfb_s", "queued_s", "generation")


def write_suite(folder, server, *, n_items):
    """Write a suite whose provider refuses, fails now and then, and for some jobs for good."""
    rows = [{"id": f"q{n}", "question": f"{n} + 1", "target": n + 1, "topic": f"t{n % 60}"} for n in range(n_items)]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = {
        "name": "sums",
        "items": {"path": "items.jsonl", "cluster": "topic"},
        "prompts": {"old": {"text": "{{ question }}"}, "new": {"text": "Sum: {{ question }}"}},
        "models": [
            {"id": "m", "provider": "simulated", "base_url": server.base_url, "timeout_s": 5, "max_attempts": 2}
        ],
        "lanes": [{"models": ["m"], "requests_per_minute": 400_000, "concurrency": 64}],
        "seeds": 3,
        "scorers": [
            {"name": "correct", "type": "numeric"},
            {"name": "short", "type": "python", "call": "grades:short"},
        ],
        "compare": {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
        "gates": [{"metric": "correct", "margin": 0.08}, {"metric": "short", "min": 0.2}],
        "policy": {"max_error_rate": 0.2},
    }
    (folder / "grades.py").write_text("def short(output, item):\n    return len(output) < 4, 'counted'\n")
    (folder / "suite.json").write_text(json.dumps(suite))


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "headgate", *map(str, words)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    return said[0]


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """``sums`` in one piece, its shards ``sums-i-of-4`` of which one was killed on the way, and ``merged``."""
    folder = tmp_path_factory.mktemp("shards")
    faults = Faults(server_error=0.1, drop=0.05, truncate=0.05, refusal=0.02)
    with SimulatedServer({"m": Simulation(accuracy=0.8, latency_s=0.005, faults=faults)}) as server:
        write_suite(folder, server, n_items=301)
        finish(start(folder, "run", "suite.json", "--quiet"))
        shards = [start(folder, "run", "suite.json", "--shard", f"{k}/{COUNT}", "--json") for k in range(1, COUNT + 1)]
        wait_for(lambda: list((folder / "runs" / "sums-2-of-4" / "journal").glob("*.arrows")))
        shards[1].kill()
        shards[1].communicate()
        assert shards[1].returncode == -signal.SIGKILL
        facts = [json.loads(finish(shard)) for shard in (shards[0], *shards[2:])]
        facts.insert(1, json.loads(finish(start(folder, "run", "suite.json", "--shard", "2/4", "--json"))))
    assert [fact["run"] for fact in facts] == [f"runs/sums-{k}-of-4" for k in (1, 2, 3, 4)]
    assert (
        [fact["planned"] for fact in facts] == [sum(fact["counts"].values()) for fact in facts] == [456, 450, 450, 450]
    )
    merged = [f"runs/sums-{k}-of-4" for k in (3, 1, 4, 2)]
    said = json.loads(finish(start(folder, "merge", *merged, "--out", "runs/merged", "--json")))
    assert (said["run"], said["planned"], said["merged"]) == ("runs/merged", 1806, merged)
    return folder / "runs"


def test_the_rows_are_the_same(runs):
    whole, merged = (hg.scan(runs / name).drop("run", *TIMINGS).sort("job_id").collect() for name in ("sums", "merged"))
    assert merged.equals(whole)
    assert whole.height == whole["job_id"].n_unique() == 301 * 6
    counts = dict(whole["status"].value_counts().rows())
    assert counts["error"] > 20 < counts["refused"]


def test_the_scores_are_the_same(runs):
    keys = ["scorer", "job_id"]
    whole, merged = (hg.scan_scores(runs / name).drop("run").sort(keys).collect() for name in ("sums", "merged"))
    assert merged.equals(whole)
    assert set(whole["scorer"]) == {"correct", "short"}


def test_the_verdict_is_the_same(runs):
    def judged(name):
        verdict = msgspec.to_builtins(hg.gate(runs / name))
        for own in (verdict, verdict["candidate"], verdict["baseline"]):
            own.pop("created", None)
            own.pop("run", None)
        return verdict

    whole = judged("sums")
    assert judged("merged") == whole
    assert whole["metrics"][0]["n_clusters"] == 60


def test_every_run_is_whole(runs):
    for name in ("sums", "merged", *(f"sums-{k}-of-4" for k in range(1, COUNT + 1))):
        assert hg.verify(runs / name) == []


def test_items_stay_together_and_shards_apart(runs):
    seen = {}
    for k in range(1, COUNT + 1):
        frame = hg.scan(runs / f"sums-{k}-of-4").collect()
        assert set(frame.group_by("item_id").len()["len"]) == {6}
        seen.update(dict.fromkeys(frame["item_id"].unique(), k))
    assert seen == {f"q{n}": n % COUNT + 1 for n in range(301)}


def test_parts_carry_the_shard_and_are_not_written_again(runs):
    parts = {part.name: part for k in range(1, COUNT + 1) for part in (runs / f"sums-{k}-of-4" / "results").iterdir()}
    merged = {part.name: part for part in (runs / "merged" / "results").iterdir()}
    assert merged.keys() == parts.keys()
    assert all(merged[name].samefile(part) for name, part in parts.items())
    for name, part in parts.items():
        assert name.split("-")[1] == f"{read_manifest(part.parents[1] / 'manifest.json').shard.index:04d}"


def test_a_shard_alone_is_judged_inconclusive(runs):
    verdict = hg.gate(runs / "sums-1-of-4")
    assert verdict.verdict == "inconclusive"
    assert verdict.errors.candidate.not_run == 225 * 3


def test_declared_rates_are_split(tmp_path):
    suite = hg.Suite(
        name="rates",
        items=[{"q": str(n)} for n in range(8)],
        prompts={"p": "{{ q }}"},
        models=[
            {"id": "fast", "provider": "simulated", "simulate": {"latency_s": 0}},
            {"id": "free", "provider": "simulated", "simulate": {"latency_s": 0}},
        ],
        lanes=[{"models": ["fast"], "requests_per_minute": 60_000, "tokens_per_minute": 2_000_000, "concurrency": 30}],
    )

    def lanes(name, shard):
        conductors = []
        asyncio.run(hg.run_async(suite, out=tmp_path / name, shard=shard, watch=conductors.append))
        [conductor] = conductors
        return {lane.models: lane for lane in conductor.statistics().lanes}

    whole, part = lanes("whole", None), lanes("part", "2/4")
    fast, share = whole[("fast",)], part[("fast",)]
    assert share.requests_per_minute == pytest.approx(fast.requests_per_minute / 4)
    assert share.tokens_per_minute == pytest.approx(fast.tokens_per_minute / 4)
    assert (fast.concurrency, share.concurrency) == (30, 8)
    free, same = whole[("free",)], part[("free",)]
    assert (same.requests_per_minute, same.tokens_per_minute) == (None, None)
    assert same.concurrency == free.concurrency
    assert (fast.admitted, share.admitted) == (8, 2)
