"""Real processes, really killed: nothing acknowledged is lost, nothing is there twice."""

import itertools
import random
import shutil
import signal
import time

import pyarrow.parquet as pq
import pytest

from headgate.store.dataset import scan
from headgate.store.layout import RunFolder
from headgate.store.run import RunStore
from headgate.store.verify import verify
from store_killer import Killer
from store_rows import make_error, make_result, make_run

KILLED = -signal.SIGKILL


def rows_of(path):
    """What a reader sees: job id to (status, generation, output)."""
    frame = scan(path).select("job_id", "status", "generation", "output").collect()
    rows = {row[0]: row[1:] for row in frame.iter_rows()}
    assert len(rows) == frame.height, "a job has two rows"
    return rows


def timed(killer, **order):
    """Run a worker that nobody kills; return the seconds it lived."""
    started = time.monotonic()
    assert killer.order(**order)[0] == 0
    return time.monotonic() - started


def write_until_done(path, killer, *, rows, chance, whole_s):
    """Write ``rows`` rows with workers that live for up to a third of ``whole_s``; return how many were killed."""
    _, manifest = make_run(path, jobs=rows)
    RunStore.create(path, manifest).close()
    acknowledged, killed, code, life_s = set(), 0, KILLED, whole_s / 3
    while code == KILLED:
        code, said = killer.order(do="write", run=path, rows=rows, life_s=chance.uniform(0.0, life_s))
        started = {line.split()[1] for line in said if line.startswith("start")}
        assert not started & acknowledged, "a committed job was run again"
        acknowledged |= {line.split()[1] for line in said if line.startswith("done")}
        assert acknowledged <= set(rows_of(path)), "a committed row is lost"
        killed += code == KILLED
        life_s *= 1.02  # a machine that became slower must come to an end too
    assert code == 0
    assert set(rows_of(path)) == {make_result(number).job_id for number in range(rows)}
    assert sum(pq.read_metadata(part).num_rows for part in RunFolder(path).parts()) == rows
    assert not (path / "journal").exists()
    assert not verify(path)
    return killed


def kill_writers(folder, *, rows, kills, seed):
    """Write runs of ``rows`` rows until ``kills`` workers were killed: how long one lives is chance."""
    chance, killed = random.Random(seed), 0
    _, manifest = make_run(folder / "unharmed", jobs=rows)
    RunStore.create(folder / "unharmed", manifest).close()
    with Killer() as killer:
        whole_s = timed(killer, do="write", run=folder / "unharmed", rows=rows)
        for number in itertools.count():
            killed += write_until_done(folder / str(number), killer, rows=rows, chance=chance, whole_s=whole_s)
            if killed >= kills:
                return


def test_killed_writers_lose_nothing(tmp_path):
    kill_writers(tmp_path, rows=4000, kills=6, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_writers_lose_nothing_soak(tmp_path, seed):
    kill_writers(tmp_path, rows=60_000, kills=60, seed=seed)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """A run of two generations whose journal is not compacted, and what a reader must see.

    The second generation repeated the errors of the first; its segments still lie in the journal.
    """
    path = tmp_path_factory.mktemp("unfinished") / "run"
    _, manifest = make_run(path, jobs=80)
    first = [make_error(number) if number % 4 == 0 else make_result(number) for number in range(80)]
    second = [make_error(n, generation=2) if n % 3 == 0 else make_result(n, generation=2) for n in range(0, 80, 4)]
    with RunStore.create(path, manifest) as store:
        write_segments(store, first[:40], first[40:])
        store.compact()
    with RunStore.open(path) as store:
        write_segments(store, second[:5], second[5:])
    expected = {row.job_id: (row.status, row.generation, row.output) for row in [*first, *second]}
    return path, expected


def write_segments(store, *groups):
    for rows in groups:
        writer = store.writer()
        for row in rows:
            writer.append(row)
        writer.close()


def test_superseding_killed_at_every_step(tmp_path, unfinished):
    """Killed before each operation on the file system in turn; after each, a reader sees the same table."""
    path, expected = unfinished
    with Killer() as killer:
        step, code = 0, KILLED
        while code == KILLED:
            step += 1
            copy = tmp_path / str(step)
            shutil.copytree(path, copy)
            code, _ = killer.order(do="compact", run=copy, step=step)
            assert rows_of(copy) == expected, step
            assert killer.order(do="compact", run=copy)[0] == 0
            assert rows_of(copy) == expected, step
            assert sum(pq.read_metadata(part).num_rows for part in RunFolder(copy).parts()) == 80, step
            assert not RunFolder(copy).segments()
            assert not verify(copy), step
    assert code == 0
    assert step > 20  # each of the parts, segments, checksums and temporary files was a step


def kill_compaction(path, expected, *, kills, seed, folder):
    """Compact copies of a run until ``kills`` workers were killed, at random moments."""
    chance, killed = random.Random(seed), 0
    with Killer() as killer:
        shutil.copytree(path, folder / "unharmed")
        whole_s = timed(killer, do="compact", run=folder / "unharmed")
        while killed < kills:
            copy = folder / f"{seed}-{killed}"
            shutil.copytree(path, copy)
            code, life_s = KILLED, whole_s
            while code == KILLED:
                code, _ = killer.order(do="compact", run=copy, life_s=chance.uniform(0.0, life_s))
                life_s *= 1.2  # a machine that became slower must come to an end too
                assert rows_of(copy) == expected
                killed += code == KILLED
            assert code == 0
            assert not verify(copy)
            shutil.rmtree(copy)


def test_compaction_killed_at_random_moments(tmp_path, unfinished):
    kill_compaction(*unfinished, kills=6, seed=1, folder=tmp_path)


@pytest.mark.slow
def test_compaction_killed_at_random_moments_soak(tmp_path, unfinished):
    kill_compaction(*unfinished, kills=200, seed=2, folder=tmp_path)


def test_retries_killed_at_random_moments(tmp_path):
    """Errors are run again under fire: at the end every job has one row, and no answer became an error."""
    path = tmp_path / "run"
    _, manifest = make_run(path, jobs=600)
    with RunStore.create(path, manifest) as store:
        writer = store.writer()
        for number in range(600):
            writer.append(make_error(number) if number % 2 else make_result(number))
    chance, code, killed = random.Random(3), KILLED, 0
    with Killer() as killer:
        while code == KILLED:
            life = chance.uniform(0.02, 0.2) if killed < 10 else 60.0
            code, _ = killer.order(do="retry", run=path, rows=600, life_s=life)
            rows = rows_of(path)
            assert len(rows) == 600
            assert all(rows[make_result(number).job_id][0] == "ok" for number in range(0, 600, 2))
            killed += code == KILLED
    assert code == 0
    statuses = [rows_of(path)[make_result(number).job_id][0] for number in range(1, 600, 2)]
    assert statuses == ["error" if number % 3 == 0 else "ok" for number in range(1, 600, 2)]
    assert not verify(path)
