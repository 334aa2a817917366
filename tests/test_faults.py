"""A disk, a second process or a clock that misbehaves under the real command: one clear line, and nothing is lost."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys

import pytest

import headgate as hg
from command_line import call, call_here, command, done_jobs, settled, wait_for, write_items, write_suite
from headgate.testing import SimulatedServer, Simulation

CONCURRENCY = 64  # of a lane that declares nothing
AT_RISK = 255 + CONCURRENCY
AGAIN = "run the same command again"
SLOW = pytest.mark.slow  # each life of the real command costs a second


@pytest.fixture
def server():
    with SimulatedServer({"m": Simulation(latency_s=0.02)}) as running:
        yield running


def check_refused(ran, *words):
    """Exit code 3, and one line on stderr that says what, where and what to do."""
    assert ran.returncode == 3, ran.stderr
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("headgate: ")
    for word in words:
        assert word in ran.stderr


def check_resumes(suite, run, server, *, jobs):
    """The same command finishes the run: no job that could be read back is sent again, of the others few."""
    kept, before = done_jobs(run), settled(server)
    assert before.total() - len(kept) <= AT_RISK
    again = call_here("run", suite, "--out", run, "--quiet")
    assert again.returncode == 0, again.stderr
    assert len(done_jobs(run)) == jobs
    assert kept <= done_jobs(run)
    assert not kept & set(server.requests - before), "a job that was done was sent again"
    assert hg.verify(run) == []


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.mark.parametrize(("size", "file"), [pytest.param(2_000, "items.parquet", marks=SLOW), (90_000, "journal")])
def test_a_full_disk(tmp_path, server, size, file):
    suite, run = write_suite(tmp_path, server, candidate="same", n_items=120), tmp_path / "run"
    refused = call("run", suite, "--out", run, "--quiet", before=LIMITED.format(size))
    check_refused(refused, f"{run / file}: cannot write", "File too large; free some space", AGAIN)
    assert len(done_jobs(run)) == 0 if file == "items.parquet" else 0 < len(done_jobs(run)) < 720
    check_resumes(suite, run, server, jobs=720)


SMALL_DISK = """
mount -t tmpfs -o size={small} none "$1" || exit 77
shift
"$@"
code=$?
mount -o remount,size=64m none {disk}
cp -a {disk}/run {kept}
exit $code
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a disk of its own needs Linux; the test above runs everywhere")
def test_a_full_disk_of_its_own(tmp_path, server):
    """A real ENOSPC: a small tmpfs in a mount namespace, where the kernel lets us have one."""
    suite, disk, kept = (
        write_suite(tmp_path, server, candidate="same", n_items=120),
        tmp_path / "disk",
        tmp_path / "run",
    )
    disk.mkdir()
    script = SMALL_DISK.format(small="160k", disk=disk, kept=kept)
    words = ["sh", "-c", script, "sh", disk, *command("run", suite, "--out", disk / "run", "--quiet")]
    ran = subprocess.run(["unshare", "--mount", "--map-root-user", *words], capture_output=True, text=True)
    if ran.returncode in {1, 77}:
        pytest.skip(f"no mount namespace here, the test above must do: {ran.stderr.strip()}")
    check_refused(ran, f"{disk / 'run'}", "No space left on device; free some space", AGAIN)
    check_resumes(suite, kept, server, jobs=720)


def obey_permissions():
    """Give up root's right to write everywhere; for the child, before it becomes Python."""
    if sys.platform == "linux":
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
    elif os.geteuid() == 0:
        raise RuntimeError("run the tests as another user than root")


@contextlib.contextmanager
def read_only(folder):
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("what", [".", "run", pytest.param("run/results", marks=SLOW)])
def test_a_read_only_folder(tmp_path, server, what):
    suite, run = write_suite(tmp_path, server, candidate="same", n_items=60), tmp_path / "run"
    if what != ".":
        assert call_here("run", suite, "--out", run, "--quiet", "--limit", "20").returncode == 0
    with read_only(tmp_path / what):
        refused = call("run", suite, "--out", run, "--quiet", preexec_fn=obey_permissions)
    check_refused(refused, f"{run}", "Permission denied; the folder must be writable")
    check_resumes(suite, run, server, jobs=360)


FAILING = """
import errno, os
real, left = os.{name}, [{good}]
def sync(handle):
    left[0] -= 1
    if left[0] < 0:
        raise OSError(errno.EIO, "injected")
    real(handle)
os.{name} = sync
"""


@pytest.mark.skipif(not hasattr(os, "fdatasync"), reason="macOS has no fdatasync, and no other call is patched here")
@pytest.mark.parametrize("good", [pytest.param(0, marks=SLOW), 3])
def test_a_journal_that_cannot_be_synced(tmp_path, server, good):
    """Nothing is sent any more once a commit has failed, but what the workers had in hand."""
    suite, run = write_suite(tmp_path, server, candidate="same", n_items=300), tmp_path / "run"
    refused = call("run", suite, "--out", run, "--quiet", before=FAILING.format(name="fdatasync", good=good))
    check_refused(refused, f"{run / 'journal'}: cannot write the journal: Input/output error; the disk fails", AGAIN)
    check_resumes(suite, run, server, jobs=1800)


COUNTING = """
import atexit, os
real, calls = os.fsync, [0]
def sync(handle):
    calls[0] += 1
    real(handle)
os.fsync = sync
atexit.register(lambda: print(calls[0]))
"""


@SLOW
def test_files_that_cannot_be_synced(tmp_path, server):
    """The first, the last and some between: items, manifest, segment, part, checksums, scores."""
    suite = write_suite(tmp_path, server, candidate="same", n_items=20)
    calls = int(call("run", suite, "--out", tmp_path / "whole", "--quiet", before=COUNTING).stdout)
    for good in (0, calls // 3, 2 * calls // 3, calls - 1):
        server.requests.clear()
        run = tmp_path / str(good)
        refused = call("run", suite, "--out", run, "--quiet", before=FAILING.format(name="fsync", good=good))
        check_refused(refused, f"{run}", "Input/output error; the disk fails", AGAIN)
        check_resumes(suite, run, server, jobs=120)


def test_a_second_process_is_refused(tmp_path, server):
    suite, run = write_suite(tmp_path, server, candidate="same", n_items=300, timeout_s=60), tmp_path / "run"
    with subprocess.Popen(command("run", suite, "--out", run, "--quiet")) as first:
        wait_for(lambda: server.requests.total() > 100)
        first.send_signal(signal.SIGSTOP)
        second = call("run", suite, "--out", run, "--quiet")
        first.send_signal(signal.SIGCONT)
    check_refused(second, f"{run}: another process", f"pid {first.pid} on ")
    assert first.returncode == 0
    assert len(done_jobs(run)) == server.requests.total() == 1800
    assert hg.verify(run) == []


def test_two_that_start_at_once(tmp_path, server):
    """Of two different suites, one gets the folder whole, and the other is told why not."""
    run = tmp_path / "run"
    suites = []
    for name, n_items in (("one", 50), ("two", 60)):
        (tmp_path / name).mkdir()
        suites.append(write_suite(tmp_path / name, server, candidate=name, n_items=n_items))
    for _ in range(2):
        both = [
            subprocess.Popen(command("run", suite, "--out", run, "--quiet"), stderr=subprocess.PIPE, text=True)
            for suite in suites
        ]
        said = [child.communicate(timeout=60)[1] for child in both]
        codes = [child.returncode for child in both]
        winner = codes.index(0)
        assert codes[1 - winner] == 3 or (codes[1 - winner] == 2 and "holds a run of another plan" in said[1 - winner])
        assert len(done_jobs(run)) == (300, 360)[winner]
        assert hg.verify(run) == []
        shutil.rmtree(run)


@pytest.mark.parametrize("what", ["run", pytest.param("run/journal", marks=SLOW)])
def test_a_folder_removed_under_the_run(tmp_path, server, what):
    suite, run = write_suite(tmp_path, server, candidate="same", n_items=300), tmp_path / "run"
    child = subprocess.Popen(command("run", suite, "--out", run, "--quiet"), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: server.requests.total() > 500)
    moved = tmp_path / "moved"
    (tmp_path / what).rename(moved)
    sent = server.requests.total()
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 3
    assert said.startswith(f"headgate: {run / 'journal'}")
    assert said.endswith(
        f"was removed or moved while the run wrote to it; move it back if it still exists, then {AGAIN}\n"
    )
    assert server.requests.total() - sent < 2 * AT_RISK, "it went on although its rows were nowhere"
    shutil.rmtree(tmp_path / what, ignore_errors=True)
    moved.rename(tmp_path / what)
    check_resumes(suite, run, server, jobs=1800)


JUMPING = """
import time
calls, real, real_ns = [0], time.time, time.time_ns
def shift():
    calls[0] += 1
    return {first} if calls[0] < 40 else {later}
time.time, time.time_ns = (lambda: real() + shift()), (lambda: real_ns() + 10**9 * shift())
"""
HOUR, DAY = 3600, 86_400

ANSWERS = """
import os, time

def answer(messages):
    time.sleep(0.001)
    number = int(messages[-1]["content"].split()[0])
    if number % 3 == 0 and "FAIL" in os.environ:
        raise ValueError(os.environ["FAIL"])
    return str(number + 1)
"""


def test_a_clock_that_jumps(tmp_path):
    """An hour back between two generations, and within each: the later generation's row counts all the same."""
    write_items(tmp_path, 150)
    (tmp_path / "answers.py").write_text(ANSWERS)
    suite, run = tmp_path / "suite.yaml", tmp_path / "run"
    suite.write_text(
        'name: clock\nitems: items.jsonl\nprompts: {p: {text: "{{ question }}"}}\n'
        'models: [{id: m, provider: python, call: "answers:answer", max_attempts: 1}]\n'
        "scorers: [{name: correct, type: numeric}]\n"
    )
    jumps = [(0, -HOUR), (-2 * HOUR, DAY), (-DAY, -DAY + HOUR)]
    for generation, (first, later) in enumerate(jumps, 1):
        environ = os.environ | ({"FAIL": f"in {generation}"} if generation < 3 else {})
        jumping = JUMPING.format(first=first, later=later)
        ran = call("run", suite, "--out", run, "--quiet", "--retry-errors", before=jumping, env=environ)
        assert ran.returncode == 0, ran.stderr
        frame = hg.scan(run).collect()
        assert frame["job_id"].n_unique() == len(frame) == 150
        retried = frame.filter(frame["item_id"].str.slice(1).cast(int) % 3 == 0)
        assert len(retried) == 50
        assert retried["generation"].unique().to_list() == [generation]
        assert retried["status"].unique().to_list() == ["ok" if generation == 3 else "error"]
        assert frame["latency_s"].is_between(0.001, 30).all()
        assert frame["queued_s"].is_between(0, 30).all()
        assert (frame["finished_at"] - frame["started_at"]).dt.total_seconds().is_between(0, 30).all()
        assert hg.verify(run) == []
    assert set(frame.filter(frame["item_id"] == "q1")["generation"]) == {1}
