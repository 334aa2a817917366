"""A process that forks workers and kills them with SIGKILL, so that tests can look at what remains.

``Killer`` is the tests' side. The other side is this file run as a script: it imports once, and every round forks a
worker in a few milliseconds.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "src")]

from headgate.store.baselines.address import open_bundles
from headgate.store.baselines.bundles import Bundles
from headgate.store.baselines.entry import decode_baseline
from headgate.store.baselines.library import Library
from headgate.store.index import contains
from headgate.store.journal import JournalLimits
from headgate.store.layout import RunFolder
from headgate.store.merge import merge_shards
from headgate.store.run import RunStore
from store_rows import make_error, make_result

STEPS = {"open", "os.link", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
STEPS |= {"subprocess.Popen", "obstore.put"}
LIMITS = JournalLimits(commit_rows=8, commit_s=0.005, rotate_rows=150, capacity=64)


def write(run: str, report: int, rows: int) -> None:
    """Resume a run and write what is missing; the ids of committed rows go to ``report``."""
    with RunStore.open(run) as store:
        done = store.done_job_ids()
        missing = [number for number in range(rows) if not contains(done, [make_result(number).job_id])[0]]
        os.write(report, "".join(f"start {make_result(number).job_id}\n" for number in missing).encode())
        writer = store.writer(
            on_commit=lambda rows: os.write(report, "".join(f"done {row.job_id}\n" for row in rows).encode()),
            limits=LIMITS,
        )
        for number in missing:
            writer.append(make_result(number, generation=store.generation))
        writer.close()
        store.compact()


def retry(run: str, report: int, rows: int) -> None:
    """Resume a run and run its errors again; every third fails again."""
    with RunStore.open(run) as store:
        done = store.done_job_ids(retry_errors=True)
        writer = store.writer(limits=LIMITS)
        for number in range(rows):
            if not contains(done, [make_result(number).job_id])[0]:
                make = make_error if number % 3 == 0 else make_result
                writer.append(make(number, generation=store.generation, output=f"again {number}"))
        writer.close()
        store.compact()


def compact(run: str, report: int, rows: int) -> None:
    """Open a run, which compacts its journal."""
    RunStore.open(run).close()


def merge(run: str, report: int, rows: int) -> None:
    """Merge the shards in a folder into its sub-folder ``whole``."""
    merge_shards(sorted(Path(run).glob("shard-*")), Path(run) / "whole")


def save(run: str, store: str, baseline: str) -> None:
    """Save a run as the baseline `main`; each object that is put counts as a step too."""
    bundles = open_bundles(store) if store.startswith("git:") else _objects_or_folder(store)
    Library(bundles).save(RunFolder(Path(run)), decode_baseline(baseline.encode(), where="order"), name="main")


def _objects_or_folder(store: str) -> Bundles:
    if not store.startswith("objects:"):
        return open_bundles(store)
    import obstore
    from obstore.store import LocalStore

    from headgate.store.baselines.objects import Objects

    put = obstore.put

    def told(*arguments: Any, **options: Any) -> Any:
        sys.audit("obstore.put")
        return put(*arguments, **options)

    obstore.put = told
    return Objects(LocalStore(store.removeprefix("objects:")), address=store)


def _kill_at_step(step: int) -> None:
    """Kill this process just before its n-th step: an operation on the file system as Python sees it, or a program."""
    left = step

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in STEPS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _worker(order: dict, report: int) -> None:
    status = 1
    try:
        if order.get("step"):
            _kill_at_step(order["step"])
        if order["do"] == "save":
            save(order["run"], order["store"], order["baseline"])
        else:
            work = {"write": write, "retry": retry, "compact": compact, "merge": merge}[order["do"]]
            work(order["run"], report, order.get("rows", 0))
        status = 0
    finally:
        os._exit(status)


def _serve(order: dict) -> dict:
    read, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _worker(order, report)
    os.close(report)
    deadline = time.monotonic() + order.get("life_s", 60.0)
    said = b""
    while select.select([read], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(read, 1 << 16)
        if not piece:
            break
        said += piece
    else:
        os.kill(pid, signal.SIGKILL)
    while piece := os.read(read, 1 << 16):
        said += piece
    os.close(read)
    _, status = os.waitpid(pid, 0)
    # A line without its end was being written when the worker died: nobody has read it as an acknowledgement.
    return {"exit": os.waitstatus_to_exitcode(status), "said": said[: said.rfind(b"\n") + 1].decode().split("\n")[:-1]}


class Killer:
    """Starts the script and sends it orders; a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def order(self, **order: object) -> tuple[int, list[str]]:
        """Run one worker; return its exit code (-9 when it was killed) and the lines it reported."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order, default=str) + "\n")
        answer = json.loads(self._process.stdout.readline())
        return answer["exit"], answer["said"]


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(_serve(json.loads(line))), flush=True)
