"""Which runs may be merged: what is refused, and how it is said."""

import shutil

import msgspec
import pytest

from headgate.errors import ConfigError, PlanMismatch, StoreError
from headgate.shard import Shard
from headgate.store.layout import RunFolder
from headgate.store.manifest import Manifest, read_manifest
from headgate.store.merge import merge_shards
from headgate.store.run import RunStore
from headgate.store.shards import read_shards
from headgate.store.verify import verify
from store_rows import fill, make_plan, make_run, make_shard, make_suite, plan_results, scores_of


@pytest.fixture
def shards(tmp_path):
    """Three finished shards of a plan with 5 items of 4 jobs: 8, 8 and 4 jobs."""
    return [make_shard(tmp_path / f"shard-{index}", Shard(index, 3)) for index in (1, 2, 3)]


def refused(paths, kind, *, out=None):
    """Merge, see it refused with nothing written, and return the error."""
    folder = paths[0].parent
    before = sorted(folder.rglob("*"))
    with pytest.raises(kind) as caught:
        merge_shards(paths, out or folder / "whole")
    assert sorted(folder.rglob("*")) == before
    assert type(caught.value) is kind
    return caught.value


def rewrite(path, **changes):
    """Change a run's manifest."""
    data = msgspec.json.decode((path / "manifest.json").read_bytes()) | changes
    (path / "manifest.json").write_bytes(msgspec.json.encode(data))


def test_shards_are_read_in_their_order(shards):
    assert [str(run.shard) for run in read_shards(reversed(shards))] == ["1/3", "2/3", "3/3"]


def test_shards_of_three_that_are_there(shards):
    assert [read_manifest(path / "manifest.json").n_jobs for path in shards] == [8, 8, 4]
    assert [verify(path) for path in shards] == [[], [], []]


def test_a_missing_shard_is_named(shards):
    error = refused(shards[:2], StoreError)
    assert str(error) == "the shards are not complete:\n  shard 3/3 is missing"
    assert error.exit_code == 3
    assert "shards 1/3, 3/3 are missing" in str(refused([shards[1]], StoreError))


def test_of_many_missing_shards_ten_are_named(tmp_path):
    make_shard(tmp_path / "a", Shard(2, 40))
    error = refused([tmp_path / "a"], StoreError)
    assert "shards 1/40, 3/40, 4/40, 5/40, 6/40, 7/40, 8/40, 9/40, 10/40, 11/40 and 29 more are missing" in str(error)


def test_everything_that_is_missing_is_named_at_once(shards, tmp_path):
    lacking = tmp_path / "lacking"
    plan = make_plan(lacking, make_suite())
    manifest = msgspec.structs.replace(read_manifest(shards[0] / "manifest.json"), shard=Shard(2, 3))
    with RunStore.create(lacking, manifest) as store:
        fill(store, plan_results(plan)[4:7])
    error = refused([shards[0], lacking], StoreError)
    assert str(error).splitlines() == [
        "the shards are not complete:",
        "  shard 3/3 is missing",
        f"  shard 2/3 ({lacking}) lacks 5 of 8 jobs; resume it: headgate run SUITE --shard 2/3 --out {lacking}",
    ]


def test_an_unfinished_journal_is_refused_and_left_alone(shards):
    """All rows are there; the process died before it compacted them."""
    path = shards[1]
    rows = plan_results(make_plan(path.with_name("plan"), make_suite()))
    shutil.rmtree(path / "results")
    shutil.rmtree(path / "scores")
    with RunStore.open(path) as store:
        fill(store, rows[4:8] + rows[16:20])
        segments = {file.name: file.read_bytes() for file in RunFolder(path).segments()}
    assert segments
    error = refused(shards, StoreError)
    assert f"shard 2/3 ({path}) is still being written, or its end was lost; wait for it, or resume it: " in str(error)
    assert {file.name: file.read_bytes() for file in RunFolder(path).segments()} == segments


def test_a_shard_that_a_process_has_open_is_refused(shards):
    with RunStore.open(shards[2]):
        error = refused(shards, StoreError)
    assert f"shard 3/3 ({shards[2]}) is still being written" in str(error)


def test_scores_of_another_version_and_of_no_version(shards):
    (shards[1] / "scores" / "correct@1.parquet").unlink()
    with RunStore.open(shards[2]) as store:
        store.write_scores(scores_of(shards[2]), scorer="correct", version="2")
    error = refused(shards, StoreError)
    assert "the same scores of 'correct' (version 1 in 1/3; version 2 in 3/3); score all by one suite: " in str(error)


def test_a_scorer_that_one_shard_has_more(shards):
    with RunStore.open(shards[0]) as store:
        store.write_scores(scores_of(shards[0]), scorer="polite", version="1")
    assert "the same scores of 'polite' (version 1 in 1/3)" in str(refused(shards, StoreError))


def test_scores_that_were_not_computed_again(shards):
    with RunStore.open(shards[0]) as store:
        store.write_scores(scores_of(shards[0]).head(3), scorer="correct", version="1")
    again = f"score it again: headgate score {shards[0]}"
    assert f"shard 1/3 ({shards[0]}) has 3 scores correct@1 for 8 answers; {again}" in str(refused(shards, StoreError))


def test_errors_have_no_scores_and_are_complete(tmp_path):
    paths = [make_shard(tmp_path / str(index), Shard(index, 2), errors=3) for index in (1, 2)]
    merge_shards(paths, tmp_path / "whole")
    assert verify(tmp_path / "whole") == []


def test_another_plan_is_refused_with_its_keys(shards, tmp_path):
    other = make_shard(tmp_path / "other", Shard(3, 3), seeds=3)
    error = refused([*shards[:2], other], PlanMismatch)
    assert error.keys == ("seeds",)
    assert str(error) == (
        f"{other}: is a shard of another plan than {shards[0]}: seeds differ; merge shards of one plan"
    )
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"gates": [{"metric": "correct", "min": 0.5}]}, ("gates",)),
        ({"policy": {"alpha": 0.1}, "scorers": [{"name": "correct", "type": "numeric"}]}, ("policy.alpha", "scorers")),
    ],
)
def test_suites_that_judge_differently_are_refused(shards, tmp_path, changes, keys):
    other = make_shard(tmp_path / "other", Shard(3, 3), **changes)
    error = refused([*shards[:2], other], PlanMismatch)
    assert error.keys == keys
    assert f"is a shard of another suite than {shards[0]}: {', '.join(keys)} differ" in str(error)


def test_limits_and_addresses_may_differ(shards, tmp_path):
    changes = {"lanes": [{"models": ["small"], "concurrency": 3}], "name": "renamed"}
    other = make_shard(tmp_path / "other", Shard(3, 3), **changes)
    assert merge_shards([*shards[:2], other], tmp_path / "whole").suite["lanes"] == []


def test_another_count_is_refused(shards, tmp_path):
    other = make_shard(tmp_path / "other", Shard(3, 4))
    error = refused([*shards[:2], other], ConfigError)
    assert str(error) == f"{other}: is shard 3/4, and {shards[0]} is shard 1/3; merge shards of one count"


def test_a_shard_that_is_there_twice_is_refused(shards, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(shards[0], copy)
    error = refused([*shards, copy], ConfigError)
    assert str(error) == f"{copy}: is shard 1/3, and so is {shards[0]}; merge each shard once"


def test_a_whole_run_and_no_run_are_refused(shards, tmp_path):
    plan, manifest = make_run(tmp_path / "run")
    with RunStore.create(tmp_path / "run", manifest) as store:
        fill(store, plan_results(plan))
        store.compact()
    error = refused([shards[0], tmp_path / "run"], ConfigError)
    assert str(error) == f"{tmp_path}/run: is no shard of a run; merge what was run with --shard i/n"
    assert "is not a run directory" in str(refused([shards[0], tmp_path / "nothing"], ConfigError))


def test_rows_of_another_shard_are_found(shards):
    """A part that was copied over by hand: every job of the plan is there, some of them twice."""
    [stray] = RunFolder(shards[0]).parts()
    shutil.copy(stray, shards[1] / "results")
    error = refused(shards, StoreError)
    assert f"{shards[1]}/results: holds 8 jobs of other shards, such as " in str(error)


def test_a_damaged_file_is_found(shards):
    [part] = RunFolder(shards[1]).parts()
    data = bytearray(part.read_bytes())
    data[100] ^= 1
    part.write_bytes(data)
    assert str(part) in str(refused(shards, StoreError))


def test_items_that_are_not_those_of_the_manifest(shards):
    facts = msgspec.to_builtins(read_manifest(shards[0] / "manifest.json").plan)
    for path in shards:
        rewrite(path, plan=facts | {"items": facts["items"] | {"digest": "0" * 32}})
    assert f"{shards[0]}/items.parquet: its items are not those of the manifest" in str(refused(shards, StoreError))


def test_a_shard_in_the_manifest_that_is_none_is_damage(shards):
    rewrite(shards[0], shard={"index": 4, "count": 3})
    with pytest.raises(StoreError, match=r"is damaged: .*is no shard"):
        read_manifest(shards[0] / "manifest.json")
    rewrite(shards[0], shard={"index": 1, "count": 3})
    assert isinstance(read_manifest(shards[0] / "manifest.json"), Manifest)


def test_shards_of_other_seeds_merge(tmp_path):
    shards = [make_shard(tmp_path / f"shard-{index}", Shard(index, 2), first_seed=7) for index in (1, 2)]
    assert merge_shards(shards, tmp_path / "whole").plan.first_seed == 7
    assert verify(tmp_path / "whole") == []
