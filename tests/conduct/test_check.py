"""The gate in the loop: real runs over loopback HTTP that stop when their verdict stands."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

import headgate as hg
from headgate.errors import ConfigError, Interrupted
from headgate.simulate.behaviour import uniform

PAIR = {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}}


def suite(new=0.95, *, n=400, old=0.95, gates=None, **changes):
    fields = {
        "name": "sums",
        "items": [{"question": f"{i} + 1 = ?", "target": i + 1, "topic": "abc"[i % 3]} for i in range(n)],
        "prompts": {"old": "{{ question }}", "new": "Sum: {{ question }}", "unused": "Say {{ question }}"},
        "models": [
            {"id": "m", "provider": "simulated", "simulate": {"accuracy": {"old": old, "new": new}, "latency_s": 0}}
        ],
        "scorers": [{"name": "correct", "type": "exact_match"}],
        "compare": PAIR,
        "gates": gates or [{"metric": "correct", "margin": 0.05}],
    }
    return hg.Suite(**(fields | changes))


def asked(run):
    frame = hg.scan(run).collect()
    return Counter(frame["prompt"].to_list()), set(frame["item_id"].to_list())


def test_a_clear_drop_ends_it_at_the_first_look(tmp_path):
    seen = []
    done = hg.check(suite(0.5), out=tmp_path / "run", on_look=seen.append)
    assert (done.verdict.verdict, done.verdict.exit_code) == ("fail", 1)
    assert [look.n_items for look in done.verdict.looks] == [80]
    assert seen == done.verdict.looks
    assert (done.planned, done.run.done, done.saved) == (800, 160, 640)
    counts, _ = asked(tmp_path / "run")
    assert counts == {"old": 80, "new": 80}  # and nothing of the prompt that no gate looks at
    assert all(problem.unfinished for problem in hg.verify(tmp_path / "run"))


def test_what_does_not_change_passes_before_all_items_are_asked(tmp_path):
    done = hg.check(suite(0.98, old=0.98, n=1000), out=tmp_path / "run")
    (row,) = done.verdict.metrics
    assert done.verdict.verdict == "pass"
    assert len(done.verdict.looks) < 5
    assert row.n_items == done.verdict.looks[-1].n_items < 1000
    assert row.low > -0.05
    assert row.confidence > 0.95
    assert done.saved == 2 * (1000 - row.n_items)


def test_few_items_are_looked_at_once(tmp_path):
    done = hg.check(suite(0.9, n=60, old=0.9), out=tmp_path / "run")
    assert [look.n_items for look in done.verdict.looks] == [60]
    assert done.verdict.metrics[0].confidence == pytest.approx(0.95)
    assert done.saved == 0


def test_rows_share_alpha_and_a_settled_row_stays(tmp_path):
    gates = [{"metric": "correct", "margin": 0.05}, {"metric": "correct", "min": 0.5}]
    done = hg.check(suite(0.93, old=0.95, gates=gates), out=tmp_path / "run")
    words = [[row.verdict for row in look.rows] for look in done.verdict.looks]
    settled = [word[1] for word in words]
    assert settled[-1] == "pass"
    first = settled.index("pass")
    assert settled[first:] == ["pass"] * (len(settled) - first)
    least = next(row for row in done.verdict.metrics if row.rule == "min")
    assert least.n_items == done.verdict.looks[first].n_items  # judged where it was settled
    alone = hg.check(suite(0.93, old=0.95), out=tmp_path / "alone")
    one, two = alone.verdict.looks[0].rows[0].confidence, done.verdict.looks[0].rows[0].confidence
    assert 1 - two < (1 - one) / 2  # half of alpha, and at an early look less than half of the level


def test_many_rows_share_alpha_and_looks_that_could_decide_nothing_are_not_made(tmp_path):
    """Twelve models: a first look at 20 % would have a level of 1e-9, and is left out."""
    simulate = {"accuracy": 0.97, "latency_s": 0}
    models = [{"id": f"m{i}", "model": f"m{i}", "provider": "simulated", "simulate": simulate} for i in range(12)]
    gates = [{"metric": "correct", "margin": margin} for margin in (0.1, 0.12, 0.15)]
    done = hg.check(suite(n=250, models=models, gates=gates), out=tmp_path / "run")
    assert [len(look.rows) for look in done.verdict.looks] == [36] * len(done.verdict.looks)
    levels = [1 - look.rows[0].confidence for look in done.verdict.looks]
    assert all(0 < level <= 0.05 / 36 for level in levels)
    assert done.verdict.looks[0].n_items > 50


def test_zero_tolerance_passes_only_when_all_items_are_seen(tmp_path):
    clean = [{"name": "clean", "type": "regex", "pattern": "."}]
    gates = [{"metric": "correct", "margin": 0.3}, {"metric": "clean", "zero_tolerance": True}]
    scorers = [{"name": "correct", "type": "exact_match"}, *clean]
    done = hg.check(suite(0.99, old=0.99, n=200, gates=gates, scorers=scorers), out=tmp_path / "run")
    assert (done.verdict.verdict, done.saved) == ("pass", 0)


MOOD = {"accuracy": 1.0}


def answer(messages):
    """Answer as a provider that changes behind one name: right as often as it is in the mood for."""
    question = messages[-1]["content"]
    right = uniform(question) < MOOD["accuracy"]
    return str(int(question.removeprefix("Sum: ").split()[0]) + 1) if right else "no idea"


def moody(accuracy):
    MOOD["accuracy"] = accuracy
    return [{"id": "m", "provider": "python", "call": answer}]


def baseline(folder, *, prompt="{{ question }}", **changes):
    return hg.run(suite(compare=None, gates=[], prompts={"old": prompt}, **changes), out=folder)


def test_of_a_stored_baseline_a_share_is_asked_again(tmp_path):
    stored = baseline(tmp_path / "main", new=0.5)
    done = hg.check(suite(0.5), out=tmp_path / "run", baseline=stored)
    counts, _ = asked(tmp_path / "run")
    assert (done.verdict.verdict, dict(counts)) == ("fail", {"new": 80, "old": 8})
    assert done.verdict.baseline.run == str(tmp_path / "main")
    assert done.planned == 440
    (drift,) = done.verdict.drift
    assert (drift.name, drift.cell, drift.n_items) == ("correct", {"prompt": "old", "model": "m"}, 8)
    assert drift.drawn_mean == drift.stored_mean  # a simulated model answers a seed as it did
    assert not drift.drifted
    assert done.verdict.errors.baseline.ok == 80  # what is judged are the stored rows
    assert "8 items asked again" in str(done.verdict)
    assert done.verdict.metrics[0].baseline_mean == pytest.approx(0.95, abs=0.08)


def test_a_declared_share_of_nothing_asks_nothing_again(tmp_path):
    stored = baseline(tmp_path / "main", new=0.5)
    done = hg.check(suite(0.5, policy={"redraw": 0}), out=tmp_path / "run", baseline=stored)
    assert (asked(tmp_path / "run")[0], done.planned, done.verdict.drift) == ({"new": 80}, 400, [])


def test_a_baseline_that_has_drifted_allows_no_verdict(tmp_path):
    """The provider has changed since: both arms are worse, and the candidate would be blamed for it."""
    stored = baseline(tmp_path / "main", models=moody(0.95))
    done = hg.check(suite(models=moody(0.6), policy={"redraw": 0.5}), out=tmp_path / "run", baseline=stored)
    assert (done.verdict.verdict, done.verdict.exit_code) == ("invalid", 3)
    assert "the stored baseline has drifted: correct on old m" in done.verdict.reason
    (drift,) = done.verdict.drift
    assert drift.drifted
    assert drift.high < 0
    blind = suite(models=moody(0.6), policy={"redraw": 0})
    assert hg.check(blind, out=tmp_path / "blind", baseline=stored).verdict.verdict == "fail"  # the control


def test_a_baseline_that_was_asked_something_else_is_named(tmp_path):
    other = baseline(tmp_path / "main", prompt="Tell me: {{ question }}")
    done = hg.check(suite(0.5), out=tmp_path / "run", baseline=other)
    assert (done.verdict.verdict, done.verdict.exit_code, done.run.done) == ("invalid", 3, 0)
    assert "prompts.old differs" in done.verdict.reason


def test_an_anchor_is_held_against_in_the_loop(tmp_path):
    """The baseline has slipped already: no worse than it, and worse than the last release."""
    release = baseline(tmp_path / "release", models=moody(0.95))
    gates = [{"metric": "correct", "margin": 0.2}, {"metric": "correct", "margin": 0.2, "against": "anchor"}]
    done = hg.check(suite(models=moody(0.6), gates=gates), out=tmp_path / "run", anchor=release)
    rows = {row.against: row for row in done.verdict.metrics}
    assert rows["anchor"].verdict == "fail"
    assert rows["baseline"].verdict != "fail"
    assert (done.verdict.verdict, done.verdict.anchor.run) == ("fail", str(tmp_path / "release"))
    assert [row.against for row in done.verdict.looks[0].rows] == ["baseline", "anchor"]
    assert done.verdict.looks[0].rows[0].confidence > 1 - 0.05 / 2  # they share alpha


NOISY = {"accuracy": 0.9, "latency_s": 0, "spread": 0}  # every item alike: all that varies are the seeds


def model(name, **changes):
    return {"id": name, "model": name, "provider": "simulated", "simulate": NOISY | changes}


def seeded(*models, seeds=2, most=8, n=200, margin=0.03):
    gates = [{"metric": "correct", "margin": margin}]
    return suite(n=n, models=list(models), gates=gates, seeds=seeds, policy={"max_seeds": most})


def test_more_seeds_are_asked_where_they_decide(tmp_path):
    done = hg.check(seeded(model("m0")), out=tmp_path / "run")
    looks = done.verdict.looks
    assert [(look.n_items, look.seeds) for look in looks[-3:]] == [(200, 2), (200, 4), (200, 8)]
    (row,) = done.verdict.metrics
    assert (done.verdict.verdict, row.n_items, row.n_jobs) == ("pass", 200, 2 * 200 * 8)
    assert looks[-3].rows[0].seed_share > 0.8
    levels = [1 - look.rows[0].confidence for look in looks]
    assert all(0 < level < 0.05 for level in levels)
    assert (done.verdict.errors.candidate.planned, done.verdict.errors.candidate.not_run) == (200 * 8, 0)
    assert done.run.done == done.planned == 2 * 200 * 8


def test_no_seed_is_asked_where_items_are_what_differs(tmp_path):
    """A model that always says the same to the same question."""
    done = hg.check(seeded(*moody(0.9)), out=tmp_path / "run")
    assert done.verdict.verdict == "inconclusive"
    assert {look.seeds for look in done.verdict.looks} == {2}
    (row,) = done.verdict.metrics
    assert row.needed_items > 200
    assert (row.seed_share, row.needed_seeds) == (0, None)


def test_only_the_cell_that_is_open_is_asked_for_more(tmp_path):
    done = hg.check(seeded(model("m0"), model("m1", accuracy=1.0), margin=0.035), out=tmp_path / "run")
    rows = hg.scan(tmp_path / "run").collect()
    seeds = dict(rows.group_by("model").agg(pl.col("seed").max()).rows())
    assert seeds == {"m0": 8, "m1": 2}
    assert done.verdict.verdict == "pass"
    assert done.verdict.errors.candidate.not_run == 0
    assert [len(look.rows) for look in done.verdict.looks[-3:]] == [2, 1, 1]
    assert done.verdict.metrics[1].n_jobs == 2 * 200 * 2


def test_one_seed_does_not_tell_and_a_second_does(tmp_path):
    done = hg.check(seeded(*moody(0.9), seeds=1, most=5), out=tmp_path / "run")
    assert [look.seeds for look in done.verdict.looks[-3:]] == [1, 1, 2]


def test_seeds_are_added_to_the_candidate_where_the_baseline_is_stored(tmp_path):
    stored = baseline(tmp_path / "main", models=[model("m0")], seeds=4, n=200)
    done = hg.check(seeded(model("m0")), out=tmp_path / "run", baseline=stored)
    rows = hg.scan(tmp_path / "run").collect()
    assert rows.filter(pl.col("prompt") == "old")["seed"].max() == 2  # drawn again to see drift, no more
    assert rows.filter(pl.col("prompt") == "new")["seed"].max() == done.verdict.looks[-1].seeds > 2


def test_a_baseline_that_does_not_fit_costs_nothing(tmp_path):
    other = hg.run(suite(n=100, compare=None, gates=[], prompts={"old": "{{ question }}"}), out=tmp_path / "main")
    done = hg.check(suite(0.5), out=tmp_path / "run", baseline=other)
    assert (done.verdict.verdict, done.verdict.exit_code, done.run.done) == ("invalid", 3, 0)
    assert "items" in done.verdict.reason


def test_slices_inform_on_what_was_seen(tmp_path):
    gates = [{"metric": "correct", "margin": 0.05, "slices": ["topic"]}]
    done = hg.check(suite(0.5, gates=gates), out=tmp_path / "run")
    slices = [row for row in done.verdict.metrics if row.tier == "monitor"]
    assert sorted(row.n_items for row in slices) == [26, 27, 27]
    assert not any("not run" in row.reason for row in slices)


def test_scores_are_made_once_and_stored(tmp_path):
    calls = Counter()

    def grade(output, item):
        calls[item["question"]] += 1
        return float(output == str(item["target"]))

    scorers = [{"name": "correct", "type": "python", "call": grade}]
    done = hg.check(suite(0.5, scorers=scorers), out=tmp_path / "run")
    assert sum(calls.values()) == done.run.done == 160
    scores = hg.scan_scores(tmp_path / "run").collect()
    assert scores.height == 160
    assert hg.gate(tmp_path / "run", suite=suite(0.5, scorers=scorers)).verdict == "inconclusive"  # jobs were not run


def test_gates_that_a_check_cannot_judge_are_refused_before_any_request(tmp_path):
    with pytest.raises(ConfigError, match="nothing to check by"):
        hg.check(suite(gates=[{"metric": "correct", "margin": 0.1, "tier": "warning"}]), out=tmp_path / "a")
    anchored = [{"metric": "correct", "margin": 0.05, "against": "anchor"}]
    with pytest.raises(ConfigError, match="needs an anchor run"):
        hg.check(suite(gates=anchored), out=tmp_path / "b")
    assert hg.scan(tmp_path / "b").collect().is_empty()


def test_time_that_is_over_leaves_what_is_known(tmp_path):
    slow = [{"id": "m", "provider": "simulated", "simulate": {"accuracy": 0.9, "latency_s": 0.05}}]
    lanes = [{"models": ["m"], "concurrency": 8}]
    minutes = {"max_minutes": 2.5 / 60}  # two looks of 160 jobs at 160 a second, and some of the third
    done = hg.check(suite(models=slow, lanes=lanes, budget=minutes), out=tmp_path / "run")
    assert (done.verdict.verdict, done.verdict.exit_code) == ("inconclusive", 20)
    assert 1 <= len(done.verdict.looks) < 5
    assert done.verdict.metrics[0].needed_items is not None
    with pytest.raises(Interrupted):
        hg.check(suite(models=slow, lanes=lanes, budget={"max_minutes": 0.1 / 60}, n=300), out=tmp_path / "none")


def test_the_same_check_again_asks_nothing_and_says_the_same(tmp_path):
    one = hg.check(suite(0.93, old=0.95), out=tmp_path / "run")
    again = hg.check(suite(0.93, old=0.95), out=tmp_path / "run")
    assert again.verdict.looks == one.verdict.looks
    assert again.verdict.metrics == one.verdict.metrics
    assert again.run.done == one.run.done


def test_looks_come_one_by_one_in_a_loop_of_ones_own(tmp_path):
    async def watch():
        looks = []

        async def on_look(look):
            await asyncio.sleep(0)
            looks.append(look)

        done = await hg.check_async(suite(0.5), out=tmp_path / "run", on_look=on_look)
        return looks, done

    looks, done = asyncio.run(watch())
    assert looks == done.verdict.looks


def test_nothing_is_asked_beyond_a_look_that_is_not_wanted_yet(tmp_path):
    """An iterator of looks: whoever reads it sets the pace, and may leave."""
    out = tmp_path / "run"

    async def leave():
        steps, stored = [], []
        async for step in hg.stream_check(killed_suite(), out=out):
            steps.append(step)
            await asyncio.sleep(0.2)  # time in which the engine could run ahead
            stored.append(hg.scan(out).collect().height)
            if len(steps) == 2:
                break
        return steps, stored

    steps, stored = asyncio.run(leave())
    assert [look.n_items for look in steps] == [75, 150]
    assert stored == [150, 300]

    async def whole():
        return [step async for step in hg.stream_check(killed_suite(), out=out)]

    *looks, done = asyncio.run(whole())
    assert looks == done.verdict.looks
    assert [shown(look) for look in looks[:2]] == [shown(look) for look in steps]


def test_an_iterator_of_looks_raises_what_the_check_raises(tmp_path):
    async def whole():
        return [
            step
            async for step in hg.stream_check(
                suite(gates=[{"metric": "correct", "margin": 0.1, "tier": "warning"}]), out=tmp_path / "run"
            )
        ]

    with pytest.raises(ConfigError, match="nothing to check by"):
        asyncio.run(whole())


CHECK = """
    import os, signal, sys
    import headgate as hg
    sys.path.insert(0, {tests!r})
    import test_check

    def die(look):
        if look.look == {at}:
            os.kill(os.getpid(), signal.SIGKILL)

    hg.check(test_check.killed_suite(), out={out!r}, on_look=die)
"""


def killed_suite():
    return seeded(model("m0"), seeds=1, n=150, margin=0.01)


def test_killed_at_every_look_it_comes_to_the_same_verdict(tmp_path):
    """Looks at more items, and then at more seeds."""
    whole = hg.check(killed_suite(), out=tmp_path / "whole").verdict
    assert [look.seeds for look in whole.looks][:3] == [1, 1, 2]
    for at in range(1, len(whole.looks) + 1):
        out = tmp_path / f"killed-{at}"
        script = textwrap.dedent(CHECK.format(tests=str(Path(__file__).parent), at=at, out=str(out)))
        killed = subprocess.run([sys.executable, "-c", script], capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        stored = hg.scan(out).collect().height
        assert stored == 2 * whole.looks[at - 1].n_items * whole.looks[at - 1].seeds
        resumed = hg.check(killed_suite(), out=out).verdict
        assert [shown(look) for look in resumed.looks] == [shown(look) for look in whole.looks]
        assert (resumed.verdict, resumed.look_plan) == (whole.verdict, whole.look_plan)
        assert resumed.look_plan


def shown(look):
    return json.dumps([look.n_items, [(row.estimate, row.low, row.high, row.verdict) for row in look.rows]])


def test_errors_are_missing_and_not_left_out(tmp_path):
    faults = {"accuracy": 0.95, "latency_s": 0, "faults": {"server_error": 0.004}}
    models = [{"id": "m", "provider": "simulated", "max_attempts": 1, "simulate": faults}]
    done = hg.check(suite(models=models), out=tmp_path / "run")
    errored = done.verdict.errors.candidate.errored + done.verdict.errors.baseline.errored
    rows = hg.scan(tmp_path / "run").filter(pl.col("status") == "error").collect().height
    assert errored == rows
    assert done.verdict.looks
