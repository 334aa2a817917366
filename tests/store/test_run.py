import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from headgate.errors import ConfigError, StoreError, StoreLocked
from headgate.store.index import contains
from headgate.store.journal import JournalLimits
from headgate.store.run import RunStore
from headgate.store.verify import verify
from store_rows import make_error, make_result, make_run, plan_results


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "runs" / "one"
    return path, *make_run(path)


def fill(store, rows, **limits):
    writer = store.writer(limits=JournalLimits(**limits))
    for row in rows:
        writer.append(row)
    writer.close()


def test_a_run_from_start_to_end(made):
    path, plan, manifest = made
    with RunStore.create(path, manifest) as store:
        assert store.generation == 1
        assert len(store.done_job_ids()) == 0
        fill(store, plan_results(plan))
        assert store.counts() == {"ok": 20, "error": 0, "refused": 0}
        store.compact()
        assert store.counts() == {"ok": 20, "error": 0, "refused": 0}
        assert contains(store.done_job_ids(), plan.job_ids()).all()
    assert sorted(file.name for file in path.iterdir()) == ["SHA256SUMS", "items.parquet", "manifest.json", "results"]
    assert verify(path) == []


def test_resuming(made):
    path, plan, manifest = made
    rows = plan_results(plan)
    with RunStore.create(path, manifest) as store:
        fill(store, [*rows[:5], make_error(0, job_id=plan.job_id(5))])
    with RunStore.open(path) as store:
        assert (store.generation, store.manifest) == (2, manifest)
        assert not list(path.glob("journal/*.arrows"))  # what was left is compacted first
        assert contains(store.done_job_ids(), plan.job_ids(0, 7)).tolist() == [True] * 6 + [False]
        assert contains(store.done_job_ids(retry_errors=True), plan.job_ids(0, 7)).tolist() == [True] * 5 + [False] * 2
        assert store.counts() == {"ok": 5, "error": 1, "refused": 0}
        fill(store, plan_results(plan, generation=2)[5:])
        assert store.counts() == {"ok": 20, "error": 0, "refused": 0}  # though both rows of job 5 are still there
        store.compact()
        assert store.counts() == {"ok": 20, "error": 0, "refused": 0}
    assert verify(path) == []
    assert RunStore.open(path).generation == 3


def test_generations_count_segments_too(made):
    path, _, manifest = made
    with RunStore.create(path, manifest) as store:
        fill(store, [make_result(1)])
    with RunStore.open(path) as store:
        fill(store, [make_result(2)])
    with RunStore.open(path) as store:
        assert store.generation == 3


def test_compacting_while_writing(made):
    path, _, manifest = made
    with RunStore.create(path, manifest) as store:
        writer = store.writer(limits=JournalLimits(commit_rows=1, rotate_rows=2))
        for number in range(5):
            writer.append(make_result(number))
            while writer.pending:
                pass
        store.compact()
        assert list(path.glob("journal/*.arrows")) == [writer.segment]
        assert store.counts()["ok"] == 5
        with pytest.raises(StoreError, match="the journal is open already"):
            store.writer()
        writer.append(make_result(5))
    assert RunStore.open(path).counts()["ok"] == 6


def test_closing_seals(made):
    path, _, manifest = made
    store = RunStore.create(path, manifest)
    writer = store.writer(limits=JournalLimits(commit_s=3600.0))
    writer.append(make_result(1))
    store.close()
    store.close()
    assert writer.committed == 1
    assert not (path / "journal" / "lock").exists()


def test_commits_reach_the_loop(made):
    path, plan, manifest = made
    done = []

    async def main():
        with RunStore.create(path, manifest) as store:
            writer = store.writer(on_commit=done.extend)
            for row in plan_results(plan):
                assert writer.append(row) is None
            await writer.aclose()

    asyncio.run(main())
    assert done == plan_results(plan)


def test_a_run_is_created_once(made):
    path, _, manifest = made
    RunStore.create(path, manifest).close()
    with pytest.raises(StoreError, match=r"manifest\.json: is there already"):
        RunStore.create(path, manifest)
    RunStore.open(path).close()


def test_results_without_a_manifest_are_refused(made):
    path, _, manifest = made
    (path / "results").mkdir()
    (path / "results" / "a.parquet").touch()
    with pytest.raises(StoreError, match=r"holds results but no manifest\.json; use another folder"):
        RunStore.create(path, manifest)
    assert not (path / "journal").exists()


def test_what_is_no_run_is_not_opened(tmp_path):
    with pytest.raises(ConfigError, match=r"is not a run directory: it has no manifest\.json"):
        RunStore.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


HOLD = """
import sys
from headgate.store.run import RunStore
store = RunStore.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_another_process_is_kept_out(made):
    path, _, manifest = made
    RunStore.create(path, manifest).close()
    root = Path(__file__).parents[2]
    environ = os.environ | {"PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=rf"runs/one: another process writes to this run \(pid {process.pid} on "):
            RunStore.open(path)
        process.kill()
    with RunStore.open(path) as store:  # killed, not closed: the lock file is still there, and locks nobody out
        assert store.generation == 1


def test_a_read_only_place_is_named():
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "run"
        _, manifest = make_run(path)
        Path(name).chmod(0o755)
        path.chmod(0o555)
        user = os.geteuid()
        if user == 0:  # root may write everywhere: be someone else for a moment
            os.seteuid(65534)
        try:
            with pytest.raises(
                StoreError, match="run: cannot open the run: Permission denied; the folder must be writable"
            ):
                RunStore.create(path, manifest)
        finally:
            os.seteuid(user)
        path.chmod(0o755)


def test_scores_are_written_beside_results(made):
    path, _, manifest = made
    import polars as pl

    row = make_result(1)
    frame = pl.DataFrame(
        {
            "job_id": [row.job_id], "item_id": ["i"], "cluster": [None], "prompt": ["p"], "model": ["m"],
            "seed": [1], "value": [1.0], "label": [None], "explanation": [None],
        }
    )  # fmt: skip
    with RunStore.create(path, manifest) as store:
        fill(store, [row])
        store.compact()
        assert store.write_scores(frame, scorer="correct", version="1") == path / "scores" / "correct@1.parquet"
    assert [problem for problem in verify(path) if not problem.unfinished] == []
