"""Which runs may become a baseline, which baseline a suite gets, and what luck would do to the bar."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr, ndtri

import headgate as hg
from headgate.cli.commands import write_verdict
from headgate.conduct.baselines import suite_parts
from headgate.conduct.judging import read_facts
from headgate.decide import decide_paired
from headgate.decide.cells import differing
from headgate.errors import BaselineMissing, ConfigError, Interrupted, StoreError
from headgate.shard import Shard
from headgate.store.layout import RunFolder
from headgate.store.run import RunStore
from simulated import SPREAD
from store_rows import make_plan, make_suite, plan_results
from stored_baselines import finished_run, repository

PAIR = {"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}}


def answer(messages, item, prompt, seed):
    """Wrong for one item in seven, another one with each seed."""
    return "wrong" if (int(item["target"]) + seed) % 7 == 0 else item["target"]


def suite(**changes):
    fields = {
        "name": "sums",
        "items": [{"q": f"{n}?", "target": str(n)} for n in range(60)],
        "prompts": {"old": "{{ q }}", "new": "Say: {{ q }}"},
        "models": [{"id": "m", "provider": "python", "call": answer}],
        "seeds": 2,
        "scorers": [{"name": "correct", "type": "exact_match"}],
        "compare": PAIR,
        "gates": [{"metric": "correct", "margin": 0.2}],
    }
    return hg.Suite(**(fields | changes))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def judged(run, **options):
    """Gate a run, and keep the verdict beside it as the command does."""
    verdict = hg.gate(run, **options)
    write_verdict(verdict, Path(run) / "verdict.json")
    return verdict


# --- what may become a baseline ---


def test_a_finished_run_is_a_baseline_of_its_own_suite(tmp_path, store):
    run = hg.run(suite(first_seed=5), out=tmp_path / "run", arm="baseline")
    saved = hg.save_baseline(run, store=store)
    looked = hg.find_baseline(suite(), store=store)
    assert (looked.found, looked.key, looked.nearest, looked.differs) == (saved, saved.key, None, ())
    assert (saved.n_items, saved.first_seed, saved.last_seed, saved.suite) == (60, 5, 6, "sums")
    assert looked.next_seed == 7
    assert hg.list_baselines(store=store) == [saved]


def test_a_run_of_both_arms_is_stored_as_its_baseline_arm(tmp_path, store):
    saved = hg.save_baseline(hg.run(suite(), out=tmp_path / "run"), store=store)
    assert list(saved.parts["prompts"]) == ["old"]
    alone = hg.run(suite(), out=tmp_path / "alone", arm="baseline")
    assert hg.save_baseline(alone, store=store).key == saved.key


@pytest.mark.parametrize("axis", ["prompt", "model", "none"])
def test_one_key_means_that_no_key_of_a_mismatch_differs(tmp_path, store, axis):
    """The key covers what the gate compares: where it is the same, no verdict is invalid for it."""
    models = [{"id": name, "provider": "python", "model": name, "call": answer} for name in ("m", "n")]
    compare = {"prompt": PAIR, "model": {"baseline": {"model": "m"}, "candidate": {"model": "n"}}, "none": None}[axis]
    declared = suite(models=models, compare=compare)
    arms = {"baseline": "baseline", "candidate": "candidate"} if compare else dict.fromkeys(["baseline", "candidate"])
    stored = hg.run(declared.model_copy(update={"first_seed": 9}), out=tmp_path / "stored", arm=arms["baseline"])
    run = hg.run(declared, out=tmp_path / "run", arm=arms["candidate"])
    saved = hg.save_baseline(stored, store=store)
    assert hg.find_baseline(declared, store=store).found == saved
    facts = [read_facts(Path(path), None) for path in (run, stored)]
    assert differing(*facts, compare=declared.compare, scorers=["correct"]) == []
    assert hg.gate(run, baseline=saved.address, store=store).verdict == "pass"


def refused(run, kind, problem, *, store, name="main"):
    with pytest.raises(kind, match=problem) as caught:
        hg.save_baseline(run, store=store, name=name)
    assert not store.exists()
    return caught.value


def test_a_run_that_is_not_finished_is_refused(tmp_path, store):
    run = hg.run(suite(), out=tmp_path / "run", limit=10)
    error = refused(run, StoreError, r"has 40 of 240 jobs; .*only a run that is finished and whole", store=store)
    assert error.exit_code == 3
    hg.run(suite(), out=run)
    hg.save_baseline(run, store=store)


def test_a_run_that_is_being_written_is_refused(tmp_path, store):
    run = finished_run(tmp_path / "run")
    with RunStore.open(run) as opened:
        writer = opened.writer()
        writer.append(next(iter(_rows(run))))
        refused(run, StoreError, "is still being written, or its end was lost; wait for it", store=store)
        writer.close()


def _rows(run):
    return plan_results(make_plan(run.parent / "plan", make_suite()))


@pytest.mark.parametrize("pattern", ["items.parquet", "results/*", "scores/*"])
def test_a_damaged_run_is_refused(tmp_path, store, pattern):
    run = finished_run(tmp_path / "run")
    (path,) = run.glob(pattern)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    refused(run, StoreError, f"{path.name}: differs from its checksum", store=store)


def test_a_run_that_nothing_seals_is_refused(tmp_path, store):
    run = finished_run(tmp_path / "run")
    (run / "SHA256SUMS").unlink()
    refused(run, StoreError, "has no line in SHA256SUMS", store=store)


def test_a_run_without_its_scores_is_refused(tmp_path, store):
    run = finished_run(tmp_path / "run")
    next(RunFolder(run).scores.iterdir()).unlink()
    (run / "SHA256SUMS").write_text(
        "".join(line for line in (run / "SHA256SUMS").read_text().splitlines(keepends=True) if "scores" not in line)
    )
    refused(run, ConfigError, "has no scores of correct", store=store)


def test_a_run_that_was_not_scored_again_after_its_last_jobs_is_refused(tmp_path, store):
    run = finished_run(tmp_path / "run", errors=1)
    with RunStore.open(run) as opened:
        writer = opened.writer()
        writer.append(_rows(run)[0])
        writer.close()
        opened.compact()
    refused(run, StoreError, "19 scores for 20 answers; score it again: headgate score", store=store)


def test_a_run_with_too_many_errors_is_refused(tmp_path, store):
    run = finished_run(tmp_path / "run", errors=2)
    refused(run, StoreError, r"2 of 20 jobs errored, more than 0\.01 of them; .*--retry-errors", store=store)
    hg.save_baseline(finished_run(tmp_path / "few", errors=2, policy={"max_error_rate": 0.1}), store=store)


def test_errors_of_the_other_arm_do_not_count(tmp_path, store):
    pair = {"baseline": {"prompt": "candidate"}, "candidate": {"prompt": "baseline"}}
    run = finished_run(tmp_path / "run", errors=1, compare=pair)  # the first job is of prompt `baseline`
    assert hg.scan(run).filter(pl.col("status") == "error").collect()["prompt"].to_list() == ["baseline"]
    hg.save_baseline(run, store=store)


def test_a_shard_is_refused(tmp_path, store):
    run = finished_run(tmp_path / "run", shard=Shard(1, 2))
    assert refused(run, ConfigError, "is shard 1/2 of a plan; merge all shards", store=store).exit_code == 2


def test_a_run_without_the_baseline_arm_is_refused(tmp_path, store):
    run = hg.run(suite(), out=tmp_path / "run", arm="candidate")
    refused(
        run, ConfigError, "does not hold the baseline arm, prompt old; run it: headgate run SUITE --arm", store=store
    )


def test_what_is_no_run_is_refused(tmp_path, store):
    refused(tmp_path, ConfigError, "is not a run directory", store=store)


def test_a_name_that_is_none_is_refused_before_anything_is_read(tmp_path, store):
    refused(tmp_path / "none", ConfigError, "cannot name a baseline", store=store, name="a/b")


# --- ratchets ---


def test_rows_that_were_a_candidate_are_refused_and_new_seeds_are_not(tmp_path, store):
    declared = suite(compare=None)
    main = hg.run(declared, out=tmp_path / "main")
    change = hg.run(suite(compare=None, prompts={"old": "{{ q }}!", "new": "Say: {{ q }}"}), out=tmp_path / "change")
    assert judged(change, baseline=main).verdict == "pass"
    error = refused(change, ConfigError, "was judged as a candidate", store=store)
    assert error.exit_code == 2
    assert "headgate baseline refresh SUITE" in str(error)
    hg.save_baseline(main, store=store)  # it was the baseline of that verdict

    looked = hg.find_baseline(declared, store=store)
    again = declared.model_copy(update={"first_seed": looked.next_seed})
    drawn = hg.run(again, out=tmp_path / "again")
    assert hg.save_baseline(drawn, store=store).first_seed == 3
    jobs = [set(hg.scan(run).collect()["job_id"]) for run in (main, drawn)]
    assert jobs[0].isdisjoint(jobs[1])


@pytest.mark.parametrize("verdict", ["fail", "inconclusive"])
def test_it_does_not_matter_what_the_verdict_was(tmp_path, store, verdict):
    margin = {"fail": {"min": 0.99}, "inconclusive": {"min": 0.85}}[verdict]
    run = hg.run(suite(compare=None, gates=[{"metric": "correct", **margin}]), out=tmp_path / "run")
    assert judged(run).verdict == verdict
    refused(run, ConfigError, "was judged as a candidate", store=store)


def test_the_baseline_arm_of_a_run_that_was_judged_may_be_kept(tmp_path, store):
    run = hg.run(suite(), out=tmp_path / "run")
    judged(run)
    hg.save_baseline(run, store=store)
    judged(run, baseline="baseline:main", store=store)
    hg.save_baseline(run, store=store)


def test_so_may_a_baseline_model_whose_prompts_the_candidate_shares(tmp_path, store):
    models = [{"id": name, "provider": "python", "model": name, "call": answer} for name in ("m", "n")]
    pair = {"baseline": {"model": "m"}, "candidate": {"model": "n"}}
    run = hg.run(suite(models=models, compare=pair), out=tmp_path / "run")
    judged(run)
    assert list(hg.save_baseline(run, store=store).parts["models"]) == ["m"]


def test_arms_that_changed_places_are_seen_through(tmp_path, store):
    """The gate was given another suite: what this run calls its baseline was the candidate."""
    run = hg.run(suite(), out=tmp_path / "run")
    judged(run, suite=suite(compare={"baseline": PAIR["candidate"], "candidate": PAIR["baseline"]}))
    refused(run, ConfigError, "was judged as a candidate", store=store)


def test_a_verdict_that_cannot_be_read_is_not_passed_over(tmp_path, store):
    run = hg.run(suite(), out=tmp_path / "run")
    (run.path / "verdict.json").write_text('{"schema": "headgate.verdict/v1"}')
    refused(run, ConfigError, "a verdict cannot be read", store=store)


def draws(rng, *, n, seeds):
    """Return what draws item means of one and the same model and prompt, and its true mean."""
    difficulty = SPREAD * rng.standard_normal(n)
    chance = ndtr(ndtri(0.85) * np.sqrt(1 + SPREAD**2) + difficulty)
    return (lambda: rng.binomial(seeds, chance) / seeds), float(chance.mean())


def after_changes(rng, *, changes, keep, n=200, seeds=1):
    """Judge changes that change nothing, one after the other; return how far the bar then lies above the truth."""
    draw, truth = draws(rng, n=n, seeds=seeds)
    bar = draw()
    for _ in range(changes):
        candidate = draw()
        passed = decide_paired(candidate, bar, margin=0.05).verdict == "pass"
        bar = keep(bar=bar, candidate=candidate, passed=passed, draw=draw)
    return float(bar.mean()) - truth


POLICIES = {
    "ratchet": lambda bar, candidate, passed, draw: candidate if passed else bar,
    "redrawn when one passes": lambda bar, candidate, passed, draw: draw() if passed else bar,
    "redrawn on a schedule": lambda bar, candidate, passed, draw: draw(),
}


def inflation(name, *, chains, changes):
    rng = np.random.default_rng(7)
    bars = [after_changes(rng, changes=changes, keep=POLICIES[name]) for _ in range(chains)]
    return float(np.mean(bars)), float(np.std(bars) / np.sqrt(chains))


def test_a_bar_that_lucky_candidates_set_rises_and_one_that_is_drawn_again_does_not():
    """Why `save` refuses: six changes without any effect lift the bar by two points, half of the margin's room."""
    bias, error = inflation("ratchet", chains=120, changes=6)
    assert bias - 3 * error > 0.015
    bias, error = inflation("redrawn on a schedule", chains=120, changes=6)
    assert abs(bias) < 3 * error


@pytest.mark.slow
def test_a_bar_that_is_drawn_again_only_when_one_passes_keeps_some_of_its_luck():
    """A high bar lets nobody pass, so it stays: draw again on a schedule, whatever the verdicts were."""
    found = {name: inflation(name, chains=2000, changes=6) for name in POLICIES}
    bias, error = found["redrawn when one passes"]
    assert bias > 5 * error
    assert bias < 0.6 * found["ratchet"][0]
    assert found["ratchet"][0] > 0.02
    assert abs(found["redrawn on a schedule"][0]) < 3 * found["redrawn on a schedule"][1]


# --- what a suite gets ---


@pytest.fixture
def stored(tmp_path, store):
    run = hg.run(suite(first_seed=3), out=tmp_path / "main", arm="baseline")
    return hg.save_baseline(run, store=store)


def test_a_gate_takes_a_stored_baseline_by_name_key_id_or_by_itself(tmp_path, store, stored):
    run = hg.run(suite(), out=tmp_path / "run")
    plain = hg.gate(run, baseline=tmp_path / "main")
    for address in ("baseline:main", f"baseline:{stored.key}", f"baseline:{stored.id[:8]}", "auto"):
        verdict = hg.gate(run, baseline=address, store=store)
        assert (verdict.metrics, verdict.errors) == (plain.metrics, plain.errors)
        assert verdict.baseline.run == f"baseline:{stored.id}"


@pytest.mark.parametrize("kind", ["git", "file"])
def test_a_copy_is_kept_beside_the_run_where_the_store_has_no_files(tmp_path, kind, monkeypatch):
    address = f"git:{repository(tmp_path / 'r')}" if kind == "git" else f"file://{tmp_path}/objects"
    saved = hg.save_baseline(hg.run(suite(), out=tmp_path / "runs" / "main", arm="baseline"), store=address)
    run = hg.run(suite(), out=tmp_path / "runs" / "pr", arm="candidate")
    monkeypatch.setenv("HEADGATE_BASELINES", address)
    assert hg.gate(run, baseline="baseline:main").verdict == "pass"
    copy = tmp_path / "runs" / ".baselines" / saved.id
    assert copy.exists() == (kind == "git")
    assert hg.scan(tmp_path / "runs" / "*").collect()["run"].n_unique() == 2, "the copy is not among the runs"


def test_what_is_not_found_names_the_key_and_what_differs_in_the_nearest(tmp_path, store, stored):
    changed = suite(prompts={"old": "{{ q }}?", "new": "Say: {{ q }}"}, seeds=3)
    run = hg.run(changed, out=tmp_path / "run")
    with pytest.raises(BaselineMissing) as caught:
        hg.gate(run, baseline="auto", store=store)
    assert caught.value.keys == ("prompts.old", "seeds")
    assert caught.value.exit_code == 3
    key = hg.find_baseline(changed, store=store).key
    for word in (
        key,
        stored.id,
        stored.created,
        "differs in prompts.old, seeds",
        "headgate baseline refresh",
        str(store),
    ):
        assert word in str(caught.value)


def test_an_empty_store_says_so(tmp_path, store):
    run = hg.run(suite(), out=tmp_path / "run")
    with pytest.raises(BaselineMissing, match=r"no baseline has key .*, and there is no other"):
        hg.gate(run, baseline="auto", store=store)
    assert not store.exists()


def test_a_baseline_that_is_named_and_does_not_fit_is_invalid_and_says_why(tmp_path, store, stored):
    other = suite(items=[{"q": f"{n}?", "target": str(n)} for n in range(50)])
    verdict = hg.gate(hg.run(other, out=tmp_path / "run"), baseline="baseline:main", store=store)
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 3)
    assert verdict.reason.endswith("differ in more than what is compared: items")


def test_the_candidate_alone_gets_its_baseline_by_the_suite(tmp_path, store, stored):
    run = hg.run(suite(), out=tmp_path / "run", arm="candidate")
    with pytest.raises(ConfigError, match="does not hold the baseline prompt; name the suite: --suite SUITE"):
        hg.gate(run, baseline="auto", store=store)
    assert hg.gate(run, baseline="auto", store=store, suite=suite()).verdict == "pass"


def test_a_candidate_model_alone_gets_its_baseline(tmp_path, store):
    models = [{"id": name, "provider": "python", "model": name, "call": answer} for name in ("m", "n")]
    declared = suite(models=models, compare={"baseline": {"model": "m"}, "candidate": {"model": "n"}})
    saved = hg.save_baseline(hg.run(declared, out=tmp_path / "main", arm="baseline"), store=store)
    run = hg.run(declared, out=tmp_path / "run", arm="candidate")
    assert hg.gate(run, baseline="auto", store=store).baseline.run == saved.address


def test_without_a_comparison_a_baseline_is_named(tmp_path, store):
    main = hg.run(suite(compare=None), out=tmp_path / "main")
    run = hg.run(suite(compare=None, prompts={"old": "{{ q }}!", "new": "Tell: {{ q }}"}), out=tmp_path / "run")
    hg.save_baseline(main, store=store)
    with pytest.raises(ConfigError, match="the suite declares none; declare `compare`, or name a baseline"):
        hg.gate(run, baseline="auto", store=store)
    verdict = hg.gate(run, baseline="baseline:main", store=store)
    assert (verdict.verdict, len(verdict.metrics)) == ("pass", 2)


def test_the_candidate_that_a_stored_run_holds_is_no_baseline(tmp_path, store):
    """Its rows lie in the same files, but only the baseline arm was saved."""
    run = hg.run(suite(), out=tmp_path / "run")
    hg.save_baseline(run, store=store)
    swapped = suite(compare={"baseline": PAIR["candidate"], "candidate": {"prompt": "third"}},
                    prompts={"new": "Say: {{ q }}", "third": "3 {{ q }}"})  # fmt: skip
    change = hg.run(swapped, out=tmp_path / "change", arm="candidate")
    with pytest.raises(ConfigError, match="'new' is no prompt of the baseline run; it has old"):
        hg.gate(change, baseline="baseline:main", store=store)


def test_a_release_is_an_anchor_and_its_candidate_is_not(tmp_path, store):
    """The stored run has a prompt `new` too: a change that was not released, and always wrong."""
    models = [{"id": "m", "provider": "python", "call": wrong_if_new}]
    released = hg.run(suite(models=models), out=tmp_path / "v1")
    hg.save_baseline(released, store=store, name="release-1.2")
    gates = [{"metric": "correct", "margin": 0.2, "against": "anchor"}]
    run = hg.run(suite(models=models, gates=gates), out=tmp_path / "run")
    verdict = hg.gate(run, anchor="baseline:release-1.2", store=store)
    assert verdict.metrics[0].baseline_mean == 1.0
    assert hg.gate(run, anchor=released).metrics[0].baseline_mean == 0.0  # a plain run is taken as it is
    with pytest.raises(ConfigError, match="finds baselines only; name it: baseline:release"):
        hg.gate(run, anchor="auto", store=store)


def wrong_if_new(messages, item, prompt):
    return "wrong" if prompt == "new" else item["target"]


def test_a_suite_has_the_same_key_as_its_run(tmp_path):
    run = hg.run(suite(), out=tmp_path / "run")
    assert hg.save_baseline(run, store=tmp_path / "store").parts == suite_parts(suite())


def test_seeds_that_a_check_may_add_are_left_to_it(store):
    assert hg.find_baseline(suite(policy={"max_seeds": 9}), store=store).next_seed == 12
    assert hg.find_baseline(suite(), store=store).next_seed == 3


# --- check ---


def cells(run):
    return sorted(hg.scan(run).select("prompt").unique().collect()["prompt"])


def test_a_check_asks_only_the_candidate_where_a_baseline_is_found(tmp_path, store, stored):
    done = hg.check(suite(), out=tmp_path / "run", baseline="auto", store=store)
    assert (done.verdict.verdict, cells(done.run.path)) == ("pass", ["new", "old"])
    counts = hg.scan(done.run.path).collect()["prompt"].value_counts()
    assert dict(counts.iter_rows()) == {"new": 120, "old": 12}  # a tenth of the baseline, to see that it stands
    assert done.verdict.baseline.run == stored.address


def test_a_check_asks_both_arms_where_none_is_found_and_says_so(tmp_path, store, caplog):
    with caplog.at_level(logging.WARNING, "headgate.conduct"):
        done = hg.check(suite(), out=tmp_path / "run", baseline="auto", store=store)
    assert (done.verdict.verdict, cells(done.run.path)) == ("pass", ["new", "old"])
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "no baseline has key" in record.facts["message"]
    assert record.facts["message"].endswith("both arms are asked")


def test_a_name_that_is_not_there_ends_a_check(tmp_path, store):
    with pytest.raises(BaselineMissing, match="no baseline is called 'main'"):
        hg.check(suite(), out=tmp_path / "run", baseline="baseline:main", store=store)


def stopped(tmp_path, store, **options):
    """Begin a check, and stop it before its first answer."""
    with pytest.raises(Interrupted):
        hg.check(suite(), out=tmp_path / "run", store=store, watch=lambda conductor: conductor.stop(), **options)


def test_a_resumed_check_keeps_the_baseline_that_it_began_with(tmp_path, store, stored):
    stopped(tmp_path, store, baseline="baseline:main")
    other = hg.run(suite(first_seed=50), out=tmp_path / "other", arm="baseline")
    assert hg.save_baseline(other, store=store).id != stored.id  # the name means another one now
    done = hg.check(suite(), out=tmp_path / "run", baseline="baseline:main", store=store)
    assert done.verdict.baseline.run == stored.address


def test_a_check_that_began_without_one_goes_on_without(tmp_path, store):
    stopped(tmp_path, store, baseline="auto")
    hg.save_baseline(hg.run(suite(first_seed=50), out=tmp_path / "other", arm="baseline"), store=store)
    done = hg.check(suite(), out=tmp_path / "run", baseline="auto", store=store)
    assert cells(done.run.path) == ["new", "old"]


@pytest.mark.parametrize("baseline", ["auto", None, "runs/main"])
def test_a_check_is_not_resumed_with_another_baseline(tmp_path, store, stored, baseline):
    stopped(tmp_path, store, baseline="baseline:main")
    with pytest.raises(ConfigError, match="give --baseline baseline:main to resume it, or choose another --out"):
        hg.check(suite(), out=tmp_path / "run", baseline=baseline, store=store)


def test_a_damaged_note_of_it_is_named(tmp_path, store, stored):
    stopped(tmp_path, store, baseline="baseline:main")
    (tmp_path / "run" / "baseline.json").write_text("{")
    with pytest.raises(StoreError, match=r"baseline\.json: is damaged"):
        hg.check(suite(), out=tmp_path / "run", baseline="baseline:main", store=store)


def test_a_baseline_that_left_the_store_is_named(tmp_path, store, stored):
    stopped(tmp_path, store, baseline="baseline:main")
    shutil.rmtree(store / stored.bundle)
    with pytest.raises(StoreError, match=f"{stored.id}/entry.json"):
        hg.check(suite(), out=tmp_path / "run", baseline="baseline:main", store=store)


def test_different_numbers_of_seeds_are_judged_item_by_item(tmp_path, store):
    """A baseline of five seeds, a candidate of two: a mismatch of keys, but not of what is compared."""
    hg.save_baseline(hg.run(suite(seeds=5, first_seed=9), out=tmp_path / "main", arm="baseline"), store=store)
    run = hg.run(suite(), out=tmp_path / "run", arm="candidate")
    verdict = hg.gate(run, baseline="baseline:main", store=store)
    assert (verdict.verdict, verdict.metrics[0].n_items, verdict.metrics[0].n_jobs) == ("pass", 60, 60 * 7)
    assert hg.find_baseline(suite(), store=store).differs == ("seeds",)


def test_entries_are_what_the_published_names_say(tmp_path, store, stored):
    """The layout of a folder is a promise: CI caches and buckets keep it for months."""
    facts = json.loads((store / "entries" / stored.key / stored.id / "entry.json").read_text())
    assert facts["schema"] == "headgate.baseline/v1"
    move = json.loads((store / "names" / "main" / "00000001" / "entry.json").read_text())
    assert (move["name"], move["key"], move["id"]) == ("main", stored.key, stored.id)
    files = {path.relative_to(store / stored.bundle).parts[0] for path in (store / stored.bundle).rglob("*")}
    assert files == {"entry.json", "manifest.json", "items.parquet", "results", "scores", "SHA256SUMS"}
    assert list(itertools.islice(hg.scan(store / stored.bundle).collect()["prompt"].unique(), 2)) == ["old"]
