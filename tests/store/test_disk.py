import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headgate.errors import StoreError, StoreLocked
from headgate.store.disk import FileLock, make_folder, naming, remove, replace_bytes, replacing, staging

HOLD = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.write(handle, f"pid {os.getpid()} on elsewhere".encode())
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until its stdin closes."""
    path = tmp_path / "run" / "journal" / "lock"
    make_folder(path.parent)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield path, process
        process.stdin.close()


def test_a_lock_held_elsewhere_names_the_process(holder):
    path, process = holder
    with pytest.raises(StoreLocked) as caught:
        FileLock(path)
    holder = f"(pid {process.pid} on elsewhere)"
    assert (
        str(caught.value) == f"{path.parent.parent}: another process writes to this run {holder}; wait for it or end it"
    )


def test_a_lock_ends_with_its_process(holder):
    path, process = holder
    process.kill()
    process.wait()
    lock = FileLock(path)
    assert path.read_text().startswith(f"pid {os.getpid()} on ")
    lock.release()


def test_a_lock_keeps_its_own_process_out_too(tmp_path):
    lock = FileLock(tmp_path / "lock")
    with pytest.raises(StoreLocked, match=f"pid {os.getpid()} on "):
        FileLock(tmp_path / "lock")
    lock.release()
    lock.release()
    FileLock(tmp_path / "lock").release()
    assert not (tmp_path / "lock").exists()


def test_a_lock_file_that_was_removed_meanwhile_locks_nothing(tmp_path, monkeypatch):
    """The holder removes the file between our open and our flock: we must lock the file that is there now."""
    path, real = tmp_path / "lock", os.open
    opened = []

    def open_and_lose(name, *arguments, **options):
        handle = real(name, *arguments, **options)
        opened.append(handle)
        if len(opened) == 1:
            path.unlink()
        return handle

    monkeypatch.setattr(os, "open", open_and_lose)
    lock = FileLock(path)
    assert len(opened) == 2
    with pytest.raises(StoreLocked):
        FileLock(path)
    lock.release()


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "a"
    replace_bytes(path, b"old")

    def fail_halfway():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_bytes() == b"old"
    replace_bytes(path, b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"new")]


def test_replacing_syncs_before_and_after_the_rename(tmp_path, monkeypatch):
    happened = []
    real = os.fsync

    def fsync(handle):
        name = str(Path(f"/proc/self/fd/{handle}").readlink()) if sys.platform == "linux" else ""
        happened.append((name, (tmp_path / "a").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    replace_bytes(tmp_path / "a", b"new")
    assert [there for _, there in happened] == [False, True]
    if sys.platform == "linux":
        assert [name for name, _ in happened] == [f"{tmp_path}/a.tmp", str(tmp_path)]


def test_remove_is_content_with_nothing(tmp_path):
    remove(tmp_path / "gone")
    (tmp_path / "here").touch()
    remove(tmp_path / "here")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "; free some space and run the same command again: committed rows are kept"),
        (errno.EROFS, "; the folder must be writable"),
        (errno.EIO, "; the disk fails: look at it, then run the same command again: committed rows are kept"),
        (errno.ENOENT, ""),
    ],
)
def test_errors_name_path_action_and_mend(tmp_path, number, mend):
    with pytest.raises(StoreError) as caught, naming(tmp_path, "write"):
        raise OSError(number, "whatever the library says")
    assert str(caught.value) == f"{tmp_path}: cannot write: {os.strerror(number)}{mend}"


def test_folders_that_many_stage_at_once_are_each_published_whole(tmp_path):
    """Each start sweeps what was left; none may sweep what another one writes, or has just made."""
    failed = []

    def publish(number):
        try:
            for turn in range(8):
                with staging(tmp_path / ".new") as folder:
                    (folder / "a").write_text(f"{number}")
                    (folder / "b").write_text(f"{number}")
                    folder.rename(tmp_path / f"{number}-{turn}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=publish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list((tmp_path / ".new").iterdir()) == []
    published = [path for path in tmp_path.iterdir() if path.name != ".new"]
    assert len(published) == 64
    assert {(path / "a").read_text() == (path / "b").read_text() == path.name.split("-")[0] for path in published} == {
        True
    }


def test_a_staged_folder_goes_when_its_block_fails(tmp_path):
    def fail():
        with staging(tmp_path) as folder:
            (folder / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
