"""Merging: what the whole run holds, and that it is there at once or not at all."""

import errno
import fcntl
import os
import shutil
import signal

import polars as pl
import pytest

from headgate.errors import ConfigError, StoreError, StoreLocked
from headgate.shard import Shard
from headgate.store import checksums, merge
from headgate.store.dataset import find_runs, scan, scan_scores
from headgate.store.layout import RunFolder
from headgate.store.manifest import read_manifest
from headgate.store.merge import merge_shards
from headgate.store.provenance import Git
from headgate.store.run import RunStore
from headgate.store.verify import verify
from store_killer import Killer
from store_rows import make_plan, make_shard, make_suite, plan_results

KILLED = -signal.SIGKILL


@pytest.fixture
def shards(tmp_path):
    return [make_shard(tmp_path / f"shard-{index}", Shard(index, 3)) for index in (1, 2, 3)]


def names(path):
    return sorted(file.name for file in path.iterdir())


def test_the_whole_run_has_every_row_once(shards, tmp_path):
    out = tmp_path / "runs" / "whole"
    merge_shards(reversed(shards), out)
    rows = plan_results(make_plan(tmp_path / "plan", make_suite()))
    found = scan(out).collect()
    assert found.height == len(rows)
    assert dict(found.select("job_id", "output").iter_rows()) == {row.job_id: row.output for row in rows}
    assert verify(out) == []
    assert names(out) == ["SHA256SUMS", "items.parquet", "manifest.json", "results", "scores"]
    assert names(out.parent) == ["whole"]


def test_scores_are_united_and_not_computed_again(shards, tmp_path):
    merge_shards(shards, tmp_path / "whole")
    assert names(tmp_path / "whole" / "scores") == ["correct@1.parquet"]
    whole = scan_scores(tmp_path / "whole").drop("run").collect()
    parts = pl.concat([scan_scores(path).drop("run").collect() for path in shards])
    assert whole.equals(parts)


def test_parts_are_the_same_files(shards, tmp_path):
    merge_shards(shards, tmp_path / "whole")
    for path in shards:
        for part in RunFolder(path).parts():
            assert part.samefile(tmp_path / "whole" / "results" / part.name)
    assert (shards[0] / "items.parquet").samefile(tmp_path / "whole" / "items.parquet")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_parts_are_copied_where_they_cannot_be_linked(shards, tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    merge_shards(shards, tmp_path / "whole")
    parts = [part for path in shards for part in RunFolder(path).parts()]
    copies = RunFolder(tmp_path / "whole").parts()
    assert [copy.read_bytes() for copy in copies] == [part.read_bytes() for part in parts]
    assert not any(copy.samefile(part) for copy, part in zip(copies, parts, strict=True))
    assert verify(tmp_path / "whole") == []


def test_checksums_travel_with_the_files(shards, tmp_path, monkeypatch):
    """A copy that went wrong is found: its sum is the shard's, not one of the copy."""
    monkeypatch.setattr(merge, "_link", lambda source, target: target.write_bytes(source.read_bytes()[:-1] + b"?"))
    merge_shards(shards, tmp_path / "whole")
    problems = {problem.file.name: problem.problem for problem in verify(tmp_path / "whole")}
    for part in RunFolder(tmp_path / "whole").parts():
        assert "checksum" in problems[part.name] or "cannot be read" in problems[part.name]


def test_parts_and_scores_are_not_loaded(shards, tmp_path, monkeypatch):
    """Parts are only linked; of the scores one row group is held at a time."""
    opened, most = [], []
    write = merge.write_part

    def write_part(path, batches, **options):
        def counted():
            for batch in batches:
                most.append(batch.num_rows)
                yield batch

        return write(path, counted(), **options)

    def read_batches(path, **options):
        opened.append(path)
        return real(path, **options)

    real = merge.read_batches
    monkeypatch.setattr(merge, "write_part", write_part)
    monkeypatch.setattr(merge, "read_batches", read_batches)
    monkeypatch.setattr(merge, "ROW_GROUP_ROWS", 3)
    merge_shards(shards, tmp_path / "whole")
    assert opened == [path / "scores" / "correct@1.parquet" for path in shards]
    assert most == [3, 3, 2, 3, 3, 2, 3, 1]


def test_the_manifest_is_that_of_the_whole(shards, tmp_path):
    returned = merge_shards([shards[1], shards[2], shards[0]], tmp_path / "whole")
    manifest = read_manifest(tmp_path / "whole" / "manifest.json")
    parts = [read_manifest(path / "manifest.json") for path in shards]
    assert manifest == returned
    assert (manifest.shard, manifest.merged) == (None, [part.run_id for part in parts])
    assert manifest.run_id not in manifest.merged
    assert (manifest.plan, manifest.suite) == (parts[0].plan, parts[0].suite)
    assert manifest.n_jobs == manifest.plan.n_jobs == 20


def test_different_commits_are_no_commit(shards, tmp_path):
    data = (shards[1] / "manifest.json").read_text()
    git = read_manifest(shards[1] / "manifest.json").git
    assert isinstance(git, Git)
    (shards[1] / "manifest.json").write_text(data.replace(git.commit, "f" * 40))
    run = RunFolder(shards[1])
    checksums.forget(run, [run.manifest])
    checksums.refresh(run)
    assert merge_shards(shards, tmp_path / "whole").git is None
    assert merge_shards([make_shard(tmp_path / "one", Shard(1, 1))], tmp_path / "other").git == git


def test_a_merged_run_goes_on_as_any_other(tmp_path):
    paths = [make_shard(tmp_path / str(index), Shard(index, 2), errors=1) for index in (1, 2)]
    merge_shards(paths, tmp_path / "whole")
    parts = {part: part.read_bytes() for path in paths for part in RunFolder(path).parts()}
    with RunStore.open(tmp_path / "whole") as store:
        assert store.generation == 2
        missing = set(scan(tmp_path / "whole").filter(status="error").collect()["job_id"])
        rows = plan_results(make_plan(tmp_path / "plan", make_suite()), generation=2)
        writer = store.writer()
        for row in rows:
            if row.job_id in missing:
                writer.append(row)
        writer.close()
        store.compact()
        assert store.counts() == {"ok": 20, "error": 0, "refused": 0}
    assert verify(tmp_path / "whole") == []
    assert {part: part.read_bytes() for part in parts} == parts  # the shards share files with it, and keep theirs


@pytest.mark.parametrize("content", ["file", "folder"])
def test_a_place_that_is_taken_is_refused(shards, tmp_path, content):
    out = tmp_path / "whole"
    if content == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError) as caught:
        merge_shards(shards, out)
    assert str(caught.value) == f"{out}: --out: is there already; choose another, or remove it"
    assert (out if content == "file" else out / "notes.txt").read_text() == "mine"


def test_an_empty_folder_is_taken(shards, tmp_path):
    (tmp_path / "whole").mkdir()
    merge_shards(shards, tmp_path / "whole")
    assert verify(tmp_path / "whole") == []


def test_a_relative_place(shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    merge_shards([path.relative_to(tmp_path) for path in shards], RunFolder(tmp_path).path.relative_to(tmp_path) / "w")
    assert verify(tmp_path / "w") == []


def test_a_second_merge_into_one_place_is_kept_out(shards, tmp_path):
    hidden = tmp_path / ".whole.merge.tmp"
    hidden.mkdir()
    handle = os.open(hidden, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(StoreLocked, match="whole: another process merges into it"):
            merge_shards(shards, tmp_path / "whole")
    finally:
        os.close(handle)
    merge_shards(shards, tmp_path / "whole")


def test_a_disk_that_refuses_leaves_nothing(shards, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(merge, "write_manifest", refuse)
    with pytest.raises(StoreError, match="whole: cannot merge: No space left on device; free some space"):
        merge_shards(shards, tmp_path / "whole")
    assert names(tmp_path) == ["shard-1", "shard-2", "shard-3"]


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_step_there_is_no_run_or_a_whole_one(shards, tmp_path, stride):
    """Killed before operations on the file system in turn; the next merge succeeds and leaves nothing else."""
    before = {file: file.read_bytes() for path in shards for file in path.rglob("*") if file.is_file()}
    out = tmp_path / "whole"
    step, code, absent = 0, KILLED, 0
    with Killer() as killer:
        while code == KILLED:
            step += stride
            code, _ = killer.order(do="merge", run=tmp_path, step=step)
            if out.exists():
                assert verify(out) == [], step
            else:
                absent += 1
                assert find_runs(str(tmp_path / "*")) == shards, step
                assert killer.order(do="merge", run=tmp_path)[0] == 0
                assert verify(out) == [], step
            assert names(tmp_path) == ["shard-1", "shard-2", "shard-3", "whole"], step
            assert {file: file.read_bytes() for file in before} == before, step
            shutil.rmtree(out)
    assert code == 0
    assert absent * stride > 40  # links, scores, manifest, checksums and their temporary files were steps
