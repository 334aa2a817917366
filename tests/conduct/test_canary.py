"""A canary from files to verdict: any order, any cut, restarts and kills come to the same; the state is guarded."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest

import headgate as hg
from headgate.conduct.canary import Watcher, watch
from headgate.conduct.canary_state import VERSION
from headgate.errors import ConfigError, PlanMismatch, StoreError, StoreLocked

GATES = [{"metric": "good", "margin": 0.1}, {"metric": "error_rate", "margin": 0.05}]
SCORERS = [{"name": "good", "type": "contains", "target": "yes"}]


def declared(folder, **more):
    traffic = {"stable": str(folder / "stable.jsonl"), "canary": str(folder / "canary.jsonl")}
    options = {"traffic": traffic, "scorers": SCORERS, "gates": GATES, "lateness_s": 20, "window_s": 30}
    return hg.Canary.model_validate(options | more)


def made(n, *, seed=0, drop=0.0, errors=0.02):
    """Return rows of both arms in the order of time, one second apart."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        canary = bool(rng.random() < 0.5)
        said = "yes" if rng.random() < 0.9 - drop * canary else "no"
        status = "error" if rng.random() < errors else "ok"
        user = f"u{rng.integers(n)}"
        rows.append((canary, {"time": 1.7e9 + k, "id": f"r{k}", "user": user, "status": status, "output": said}))
    return rows


def write(folder, rows, *, mode="w"):
    for arm in (False, True):
        with (folder / ("canary.jsonl" if arm else "stable.jsonl")).open(mode) as file:
            file.writelines(json.dumps(row) + "\n" for canary, row in rows if canary == arm)


def facts(verdict):
    return msgspec.to_builtins(msgspec.structs.replace(verdict, created=""))


def judge(described, **options):
    return hg.canary(described, **options)


@pytest.mark.parametrize(("drop", "word"), [(0.0, "pass"), (0.4, "fail")])
def test_logs_come_to_a_verdict(tmp_path, drop, word):
    write(tmp_path, made(3000, seed=1, drop=drop))
    verdict = judge(declared(tmp_path))
    assert (verdict.verdict, verdict.exit_code) == (word, {"pass": 0, "fail": 1}[word])
    assert verdict.traffic.bad == 0
    assert verdict.errors.candidate.kinds == {"unknown": verdict.errors.candidate.errored}
    assert verdict.candidate.run.endswith("canary.jsonl")


def test_order_cuts_and_restarts_change_nothing(tmp_path):
    rows = made(1200)
    canary = declared(tmp_path, cluster="user")
    write(tmp_path, rows)
    whole = judge(canary)
    rng = np.random.default_rng(1)
    late = sorted(rows, key=lambda one: one[1]["time"] + 19 * rng.random())
    write(tmp_path, [])

    async def piecewise():
        start = 0
        while start < len(late):
            step = int(rng.integers(1, 150))
            write(tmp_path, late[start : start + step], mode="a")
            start += step
            watcher = Watcher(canary, state=tmp_path / "state")  # a new process each time
            while await watcher.step(int(rng.integers(1, 60))):
                if rng.random() < 0.3:
                    watcher.save()
            if rng.random() < 0.8 or start >= len(late):
                watcher.save()
            watcher.close()

    asyncio.run(piecewise())
    assert facts(judge(canary, state=tmp_path / "state")) == facts(whole)


def test_a_kill_at_any_moment_loses_nothing_and_counts_nothing_twice(tmp_path):
    canary, rows = declared(tmp_path), made(1500)
    write(tmp_path, rows)
    whole = facts(judge(canary))
    script = (
        "import asyncio, pathlib, sys\nfrom headgate.conduct.canary import Watcher\nimport headgate as hg\n"
        "async def work():\n"
        "    declared = hg.Canary.model_validate_json(sys.argv[1])\n"
        "    watcher = Watcher(declared, state=pathlib.Path(sys.argv[2]))\n"
        "    while await watcher.step(5):\n        watcher.save()\n        print(flush=True)\n"
        "asyncio.run(work())\n"
    )
    arguments = [sys.executable, "-c", script, canary.model_dump_json(), str(tmp_path / "state")]
    for saves in (2, 30):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            for _ in range(saves):
                assert process.stdout.readline()
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "state" / "state.msgpack").stat().st_size > 0
    assert facts(judge(canary, state=tmp_path / "state")) == whole


def test_an_arm_is_a_value_of_a_column(tmp_path):
    rows = [{**row, "hash": "v2" if canary else "v1"} for canary, row in made(600)]
    rows += [{**row, "id": "x" + row["id"], "hash": "v3"} for row in rows[:10]]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    traffic = {"path": str(tmp_path), "arm": "hash", "stable": "v1"}
    verdict = judge(declared(tmp_path, traffic=traffic), canary="v2")
    assert (verdict.candidate.run, verdict.baseline.run, verdict.traffic.unmatched) == ("v2", "v1", 10)
    assert verdict.traffic.candidate.rows + verdict.traffic.baseline.rows == 600


def test_scorers_see_a_share_and_columns_are_targets(tmp_path):
    rows = [(canary, {**row, "want": "yes"}) for canary, row in made(2000, errors=0.0)]
    write(tmp_path, rows)
    seen = []

    def grade(output, item):
        seen.append(item["want"])
        return output == item["want"]

    scorers = [
        {"name": "good", "type": "exact_match", "target": "{{ want }}"},
        {"name": "own", "type": "python", "call": grade},
        {"name": "lost", "type": "exact_match", "target": "{{ no_such_column }}"},
    ]
    gates = [{"metric": name, "margin": 0.1} for name in ("good", "own", "lost")]
    verdict = judge(declared(tmp_path, scorers=scorers, gates=gates, sample=0.25))
    good, own, lost = verdict.metrics
    assert good.n_jobs == own.n_jobs == pytest.approx(500, rel=0.2)
    assert (good.candidate_mean, good.baseline_mean) == (own.candidate_mean, own.baseline_mean)
    assert (lost.verdict, lost.reason) == ("inconclusive", "the canary has no values yet")
    assert verdict.errors.candidate.unscored + verdict.errors.baseline.unscored == len(seen)


def test_no_data_is_inconclusive(tmp_path):
    verdict = judge(declared(tmp_path))
    assert (verdict.verdict, verdict.exit_code) == ("inconclusive", 20)
    assert verdict.reason == "no traffic of stable and the canary yet"
    only_warnings = declared(tmp_path, gates=[{"metric": "error_rate", "margin": 0.1, "tier": "warning"}])
    assert judge(only_warnings).verdict == "inconclusive"


def test_errors_that_no_gate_watches_hold_a_pass_back(tmp_path):
    write(tmp_path, made(3000, seed=1, errors=0.1))
    unwatched = judge(declared(tmp_path, gates=GATES[:1]))
    assert (unwatched.verdict, unwatched.metrics[0].flags) == ("inconclusive", ["errors"])
    assert "errored, which no blocking gate watches" in unwatched.traffic.alarms[0]
    assert judge(declared(tmp_path, gates=GATES)).verdict == "pass"
    assert judge(declared(tmp_path, gates=GATES[:1], policy={"max_error_rate": 0.2})).verdict == "pass"


def test_bad_lines_are_named(tmp_path):
    write(tmp_path, made(100))
    with (tmp_path / "canary.jsonl").open("a") as file:
        file.write("{torn\n")
    traffic = judge(declared(tmp_path)).traffic
    assert (traffic.bad, "is not JSON" in traffic.bad_lines[0]) == (1, True)


def test_a_source_that_cannot_be_read_is_an_alarm(tmp_path, monkeypatch):
    write(tmp_path, made(100))
    canary = declared(tmp_path)

    def away(storage):
        raise StoreError("the bucket is away")

    watcher = Watcher(canary)
    monkeypatch.setattr("headgate.traffic.storage.LocalFiles.files", away)
    verdict = asyncio.run(watch(watcher))
    assert (verdict.verdict, verdict.traffic.alarms) == ("inconclusive", ["the bucket is away"])


# --- the state ---


def test_a_state_of_another_declaration_is_refused_by_name(tmp_path):
    write(tmp_path, made(100))
    judge(declared(tmp_path), state=tmp_path / "state")
    other = declared(tmp_path, gates=GATES[:1], lateness_s=30, policy={"alpha": 0.1})
    with pytest.raises(PlanMismatch, match="gates, lateness_s, policy differ") as caught:
        judge(other, state=tmp_path / "state")
    assert caught.value.keys == ("gates", "lateness_s", "policy")
    mapped = declared(tmp_path, policy={"on_inconclusive": "fail"})  # what exit codes become is no evidence
    assert judge(mapped, state=tmp_path / "state").exit_code == 1


def test_a_second_process_is_refused(tmp_path):
    canary = declared(tmp_path)
    first = Watcher(canary, state=tmp_path / "state")
    with pytest.raises(StoreLocked, match="another process writes there"):
        Watcher(canary, state=tmp_path / "state")
    first.close()
    Watcher(canary, state=tmp_path / "state").close()


@pytest.mark.parametrize("damage", [b"", b"\xc1", msgspec.msgpack.encode({"version": VERSION + 1, "parts": {}})])
def test_a_state_that_cannot_be_read_is_refused(tmp_path, damage):
    judge(declared(tmp_path), state=tmp_path)
    (tmp_path / "state.msgpack").write_bytes(damage)
    with pytest.raises(StoreError, match=r"state\.msgpack"):
        judge(declared(tmp_path), state=tmp_path)


def test_the_state_holds_nothing_that_users_wrote(tmp_path):
    write(tmp_path, [(True, {**row, "output": "my secret", "user": "alice"}) for _, row in made(50)])
    judge(declared(tmp_path, cluster="user"), state=tmp_path / "state")
    state = (tmp_path / "state" / "state.msgpack").read_bytes()
    assert b"secret" not in state
    assert b"alice" not in state


def test_watching_ends_when_the_verdict_stands_or_the_time_is_over(tmp_path):
    write(tmp_path, made(50, seed=1))
    looks = []

    def more(verdict):
        looks.append(verdict.verdict)
        write(tmp_path, made(3000, seed=1))

    verdict = judge(declared(tmp_path), max_minutes=5, poll_s=0.01, on_verdict=more)
    assert (looks[0], looks[-1], verdict.verdict) == ("inconclusive", "pass", "pass")
    write(tmp_path, made(50))
    start = time.monotonic()
    assert judge(declared(tmp_path), max_minutes=0.001, poll_s=60).verdict == "inconclusive"
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("traffic", "message"),
    [
        ({}, "traffic.stable: is missing"),
        ({"stable": "a"}, "traffic.canary: is missing"),
        ({"arm": "hash", "stable": "a", "canary": "b"}, "traffic.path: is missing"),
    ],
)
def test_what_a_declaration_lacks_is_named(tmp_path, traffic, message):
    with pytest.raises(ConfigError, match=message):
        judge(declared(tmp_path, traffic=traffic))
