import asyncio
import errno
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from headgate.errors import StoreError
from headgate.store import disk, segment
from headgate.store.journal import JournalLimits, JournalWriter
from headgate.store.schema import to_results
from headgate.store.segment import inspect_segment, read_segment
from store_rows import as_stored, make_result

NEVER = 3600.0


def read(folder):
    return [
        row for path in sorted(folder.glob("*.arrows")) for batch in read_segment(path) for row in to_results(batch)
    ]


def wait_until(condition, *, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_a_group_commits_when_it_is_full(tmp_path):
    groups = []
    writer = JournalWriter(tmp_path, generation=1, on_commit=groups.append, limits=JournalLimits(commit_s=NEVER))
    rows = [make_result(number) for number in range(writer.limits.commit_rows)]
    for row in rows[:-1]:
        assert writer.append(row) is None
    time.sleep(0.3)
    assert groups == []
    writer.append(rows[-1])
    wait_until(lambda: groups)
    assert groups == [rows]
    assert read(tmp_path) == rows
    writer.close()


def test_a_group_commits_when_its_time_has_come(tmp_path):
    groups = []
    writer = JournalWriter(tmp_path, generation=1, on_commit=groups.append, limits=JournalLimits(commit_s=0.8))
    start = time.monotonic()
    writer.append(make_result(1))
    time.sleep(0.6)
    writer.append(make_result(2))  # does not prolong the wait of the first, to 1.4 s
    wait_until(lambda: groups)
    assert 0.79 < time.monotonic() - start < 1.3
    assert groups == [[make_result(1), make_result(2)]]
    writer.close()


def test_rows_are_synced_before_they_are_acknowledged(tmp_path, monkeypatch):
    happened = []
    sync = disk.sync_data

    def note(handle):
        sync(handle)
        happened.append("sync")

    def check(rows):
        happened.append("commit")
        assert read(tmp_path)[-len(rows) :] == rows

    monkeypatch.setattr(segment, "sync_data", note)
    writer = JournalWriter(tmp_path, generation=1, on_commit=check, limits=JournalLimits(commit_rows=2))
    for number in range(2):
        writer.append(make_result(number))
    wait_until(lambda: writer.committed == 2)
    writer.close()
    assert happened == ["sync", "commit", "sync"]  # the last seals


def test_a_full_buffer_does_not_wait_for_its_time(tmp_path):
    limits = JournalLimits(commit_rows=256, capacity=10, commit_s=NEVER)
    writer = JournalWriter(tmp_path, generation=1, limits=limits)
    for number in range(30):
        writer.append(make_result(number))
    assert writer.committed >= 20
    writer.close()
    assert len(read(tmp_path)) == 30


def test_close_commits_and_seals(tmp_path):
    done = []
    writer = JournalWriter(tmp_path, generation=3, shard=2, on_commit=done.extend, limits=JournalLimits(commit_s=NEVER))
    writer.append(make_result(1))
    assert (writer.pending, writer.committed, writer.closed) == (1, 0, False)
    writer.close()
    writer.close()
    assert (writer.pending, writer.committed, writer.closed) == (0, 1, True)
    [path] = tmp_path.glob("*.arrows")
    assert path.name.startswith("0003-0002-")
    assert inspect_segment(path).sealed
    assert done == [make_result(1)]
    with pytest.raises(StoreError, match="the journal is closed"):
        writer.append(make_result(2))


def test_an_idle_journal_makes_no_file(tmp_path):
    JournalWriter(tmp_path, generation=1).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limits", [{"rotate_rows": 10}, {"rotate_bytes": 8_000}])
def test_segments_rotate(tmp_path, limits):
    writer = JournalWriter(tmp_path, generation=1, limits=JournalLimits(commit_rows=5, **limits))
    rows = [make_result(number) for number in range(30)]
    for row in rows:
        writer.append(row)
        if writer.pending == 5:
            wait_until(lambda: writer.pending == 0)
    writer.close()
    paths = sorted(tmp_path.glob("*.arrows"))
    assert len(paths) >= 3
    assert [path.stem[-4:] for path in paths] == [f"{number:04d}" for number in range(1, len(paths) + 1)]
    assert all(inspect_segment(path).sealed for path in paths)
    assert read(tmp_path) == rows


def test_a_slow_disk_gathers_rows(tmp_path, monkeypatch):
    """What waits while the disk is slow is committed at once after that, in batches of bounded size."""
    monkeypatch.setattr(segment, "sync_data", lambda _: time.sleep(0.05))
    limits = JournalLimits(commit_rows=10, capacity=1000)
    groups = []
    writer = JournalWriter(tmp_path, generation=1, on_commit=groups.append, limits=limits)
    rows = [make_result(number) for number in range(2500)]
    for row in rows:
        writer.append(row)
    writer.close()
    assert [row for group in groups for row in group] == rows
    assert len(groups) < 25
    assert max(batch.num_rows for path in tmp_path.glob("*.arrows") for batch in read_segment(path)) == 256


def watch_a_slow_disk(folder, *, rows, workers, sync_s):
    """Run the production limits on a disk whose every sync takes long; return what was seen at each turn."""
    most, order, held = 0, [], 0

    async def main():
        writer = JournalWriter(folder, generation=1, on_commit=order.extend)
        numbers = iter(range(rows))

        async def work():
            nonlocal most, held
            for number in numbers:
                room = writer.append(make_result(number))
                most = max(most, writer.pending)
                if room is not None:
                    held += 1
                    await room
                await asyncio.sleep(0)

        await asyncio.gather(*(work() for _ in range(workers)))
        await writer.aclose()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "sync_data", lambda _: time.sleep(sync_s))
        asyncio.run(main())
    return most, held, [row.job_id for row in order]


@pytest.mark.parametrize("workers", [1, 64, 512])
def test_a_slow_disk_holds_the_producers_back(tmp_path, workers):
    """Never more than 255 rows and one per worker wait for the disk: what kill -9 would make us pay twice."""
    most, held, order = watch_a_slow_disk(tmp_path, rows=6000, workers=workers, sync_s=0.05)
    assert held > 0
    assert 256 <= most <= 255 + workers
    expected = [make_result(number).job_id for number in range(6000)]
    assert order == expected
    assert [row.job_id for row in read(tmp_path)] == expected


SLOW_DISK = """
import asyncio, resource, sys, time
from pathlib import Path
from headgate.store import segment
from headgate.store.journal import JournalWriter
from store_rows import make_result

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform != "darwin" else 1024)

async def main():
    writer = JournalWriter(Path(sys.argv[1]), generation=1)
    numbers = iter(range(24_000))
    seen = []
    async def work():
        for number in numbers:
            if number in (6_000, 23_999):
                seen.append(peak())
            if (room := writer.append(make_result(number, output="x" * 8000))) is not None:
                await room
            await asyncio.sleep(0)
    await asyncio.gather(*(work() for _ in range(256)))
    await writer.aclose()
    print(seen[-1] - seen[0])

sync = segment.sync_data
segment.sync_data = lambda handle: (time.sleep(0.02), sync(handle))
asyncio.run(main())
"""


def run_script(script, *arguments):
    root = Path(__file__).parents[2]
    environ = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root / 'tests'}"}
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, env=environ, text=True, capture_output=True, check=True).stdout


def test_memory_is_flat_when_the_disk_is_slow(tmp_path):
    """18,000 rows of 8 kB more, 144 MB, do not pile up."""
    grown_kb = int(run_script(SLOW_DISK, tmp_path))
    assert grown_kb < 16_000
    assert len(read(tmp_path)) == 24_000


def test_surrogates_are_stored_safely(tmp_path):
    row = make_result(1, output="half \ud83d of a pair", metadata_json='{"\udc00": 1}', item_id="\ud800")
    writer = JournalWriter(tmp_path, generation=1)
    writer.append(row)
    writer.close()
    assert read(tmp_path) == [as_stored(row)]
    assert read(tmp_path)[0].output == "half \ufffd of a pair"


def test_a_full_journal_blocks_a_thread(tmp_path, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(segment, "sync_data", lambda _: gate.wait(10))
    writer = JournalWriter(tmp_path, generation=1, limits=JournalLimits(commit_rows=1, capacity=20))
    written = []

    def produce():
        for number in range(100):
            writer.append(make_result(number))
            written.append(number)

    producer = threading.Thread(target=produce)
    producer.start()
    wait_until(lambda: writer.pending == 20)
    time.sleep(0.05)
    assert (len(written), writer.pending) == (19, 20)
    gate.set()
    producer.join(10)
    writer.close()
    assert len(read(tmp_path)) == 100


def test_a_full_journal_is_awaited(tmp_path, monkeypatch):
    """64 producers, room for 20: never more than their sum waits, and none of them waits for ever."""
    monkeypatch.setattr(segment, "sync_data", lambda _: time.sleep(0.002))
    most = 0

    async def main():
        writer = JournalWriter(tmp_path, generation=1, limits=JournalLimits(commit_rows=5, capacity=20))
        numbers = iter(range(2000))

        async def produce():
            nonlocal most
            for number in numbers:
                if (room := writer.append(make_result(number))) is not None:
                    await room
                most = max(most, writer.pending)

        await asyncio.gather(*(produce() for _ in range(64)))
        await writer.aclose()

    asyncio.run(main())
    assert len(read(tmp_path)) == 2000
    assert 20 <= most < 20 + 64


def test_a_producer_that_is_cancelled_does_no_harm(tmp_path, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(segment, "sync_data", lambda _: gate.wait(10))

    async def main():
        writer = JournalWriter(tmp_path, generation=1, limits=JournalLimits(commit_rows=1, capacity=1))
        room = writer.append(make_result(1))
        assert room is not None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(room), 0.01)
        room.cancel()
        gate.set()
        await writer.aclose()

    asyncio.run(main())
    assert read(tmp_path) == [make_result(1)]


def test_commits_are_reported_in_the_event_loop(tmp_path):
    async def main():
        done, threads = [], set()

        def on_commit(rows):
            done.extend(rows)
            threads.add(threading.current_thread())

        writer = JournalWriter(tmp_path, generation=1, on_commit=on_commit, limits=JournalLimits(commit_rows=7))
        rows = [make_result(number) for number in range(50)]
        for row in rows:
            assert writer.append(row) is None
        await writer.aclose()
        assert done == rows  # all of them, before aclose returns
        assert threads == {threading.main_thread()}

    asyncio.run(main())


def test_a_loop_that_is_gone_does_not_hurt(tmp_path):
    async def start():
        return JournalWriter(tmp_path, generation=1, on_commit=lambda _: None, limits=JournalLimits(commit_s=NEVER))

    writer = asyncio.run(start())
    writer.append(make_result(1))
    writer.close()
    assert read(tmp_path) == [make_result(1)]


def refuse(number):
    def call(*_):
        raise OSError(number, os.strerror(number))

    return call


def check_failed(writer, groups, message):
    """The failure reaches whoever calls next, again and again, and nothing is acknowledged."""
    wait_until(lambda: writer.closed)
    for _ in range(2):
        with pytest.raises(StoreError, match=message):
            writer.append(make_result(9))
    with pytest.raises(StoreError, match=message):
        writer.close()
    assert groups == []


def test_a_failed_sync_is_final(tmp_path, monkeypatch):
    groups = []
    writer = JournalWriter(tmp_path, generation=1, on_commit=groups.append, limits=JournalLimits(commit_s=0.0))
    monkeypatch.setattr(segment, "sync_data", refuse(errno.EIO))
    writer.append(make_result(1))
    wait_until(lambda: writer.closed)
    monkeypatch.undo()  # a sync that would succeed now says nothing about the pages that were dropped
    check_failed(writer, groups, "cannot write the journal: Input/output error")


def test_a_failed_sync_while_sealing_surfaces_at_close(tmp_path, monkeypatch):
    writer = JournalWriter(tmp_path, generation=1, limits=JournalLimits(commit_rows=1))
    writer.append(make_result(1))
    wait_until(lambda: writer.committed == 1)
    monkeypatch.setattr(segment, "sync_data", refuse(errno.EIO))
    with pytest.raises(StoreError, match="cannot seal the journal: Input/output error"):
        writer.close()
    assert read(tmp_path) == [make_result(1)]


def test_a_failure_wakes_those_who_wait(tmp_path, monkeypatch):
    gate = threading.Event()

    def fail(_):
        gate.wait(10)
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(segment, "sync_data", fail)

    async def main():
        writer = JournalWriter(tmp_path, generation=1, limits=JournalLimits(commit_rows=1, capacity=1))
        room = writer.append(make_result(1))
        gate.set()
        with pytest.raises(StoreError, match="Input/output error"):
            await room

    asyncio.run(main())


def test_a_missing_folder_is_final(tmp_path):
    groups = []
    writer = JournalWriter(tmp_path / "gone", generation=1, on_commit=groups.append, limits=JournalLimits(commit_s=0.0))
    writer.append(make_result(1))
    check_failed(writer, groups, "gone: cannot write the journal: No such file or directory")


def test_a_read_only_folder_is_final():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        folder.mkdir()
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        groups = []
        user = os.geteuid()
        if user == 0:  # root may write everywhere: be someone else for a moment
            os.seteuid(65534)
        try:
            writer = JournalWriter(folder, generation=1, on_commit=groups.append, limits=JournalLimits(commit_s=0.0))
            writer.append(make_result(1))
            check_failed(writer, groups, "cannot write the journal: Permission denied; the folder must be writable")
        finally:
            os.seteuid(user)


def test_a_row_that_does_not_fit_is_final(tmp_path):
    groups = []
    writer = JournalWriter(tmp_path, generation=1, on_commit=groups.append, limits=JournalLimits(commit_s=0.0))
    writer.append(make_result(1, output=7))
    check_failed(writer, groups, f"job {make_result(1).job_id}: int does not fit column 'output'")


def test_a_callback_that_fails_is_final(tmp_path):
    def fail(_):
        raise KeyError("mine")

    writer = JournalWriter(tmp_path, generation=1, on_commit=fail, limits=JournalLimits(commit_s=0.0))
    writer.append(make_result(1))
    check_failed(writer, [], "the journal failed: KeyError: 'mine'")
    assert read(tmp_path) == [make_result(1)]


FULL_DISK = """
import resource, sys, time
from pathlib import Path
from headgate.errors import StoreError
from headgate.store.journal import JournalLimits, JournalWriter
from store_rows import make_result

resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
done = []
writer = JournalWriter(Path(sys.argv[1]), generation=1, on_commit=done.extend, limits=JournalLimits(commit_rows=10))
try:
    for number in range(5000):
        writer.append(make_result(number))
        while writer.pending >= 10 and not writer.closed:
            time.sleep(0.001)
    writer.close()
except StoreError as error:
    print(error)
print(len(done))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs RLIMIT_FSIZE")
def test_a_full_disk_is_final_and_keeps_what_was_acknowledged(tmp_path):
    message, done = run_script(FULL_DISK, tmp_path).splitlines()
    mend = "free some space and run the same command again: committed rows are kept"
    assert message.endswith(f"cannot write the journal: File too large; {mend}")
    kept = read(tmp_path)
    assert int(done) > 0
    assert len(kept) >= int(done)
    assert kept == [make_result(number) for number in range(len(kept))]
