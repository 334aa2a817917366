"""The command in a child process or in this one, and a suite that asks a loopback server."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import headgate as hg
from headgate.cli.main import run_command

TIMINGS = ("started_at", "finished_at", "latency_s", "ttfb_s", "queued_s", "attempts", "generation")


def write_items(folder, n_items):
    rows = "".join(json.dumps({"id": f"q{n}", "question": f"{n} + 1", "target": n + 1}) + "\n" for n in range(n_items))
    (folder / "items.jsonl").write_text(rows)


def write_suite(folder, server, *, candidate, n_items, **model: Any):
    """Write a suite of two prompts and three seeds: six jobs an item."""
    write_items(folder, n_items)
    fields = {"id": "m", "provider": "simulated", "base_url": server.base_url, "timeout_s": 0.5, "max_attempts": 30}
    suite = {
        "name": "end-to-end",
        "items": "items.jsonl",
        "prompts": {"baseline": {"text": "{{ question }}"}, candidate: {"text": "Sum: {{ question }}"}},
        "models": [fields | model],
        "seeds": 3,
        "scorers": [{"name": "correct", "type": "numeric"}],
        "compare": {"baseline": {"prompt": "baseline"}, "candidate": {"prompt": candidate}},
        "gates": [{"metric": "correct", "margin": 0.05}],
    }
    path = folder / "suite.json"
    path.write_text(json.dumps(suite))
    return path


def command(*words, before=""):
    """Return the command line; ``before`` is Python that runs in the child before headgate does."""
    start = ["-c", f"{before}\nfrom headgate.cli import main\nmain()"] if before else ["-m", "headgate"]
    return [sys.executable, *start, *map(str, words)]


def call(*words, before="", **options: Any):
    return subprocess.run(command(*words, before=before), capture_output=True, text=True, **options)


def call_here(*words, cwd=None, env: Mapping[str, str] | None = None):
    """Run the command in this process, as if started in a folder and, where one is given, with this environment alone.

    It spares the second that imports take; what is only so of a process, such as its exit code, ``call`` shows.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, env or {}, clear=env is not None),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run_command(list(map(str, words)))
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def table(run):
    """Return the rows that a reader sees, without what differs from one run to the next."""
    return hg.scan(run).drop("run", *TIMINGS).sort("job_id").collect()


def done_jobs(run: Path) -> set[str]:
    """Return the jobs that have a row, each once."""
    if not (run / "manifest.json").exists():
        return set()
    jobs = hg.scan(run).select("job_id").collect()["job_id"]
    assert jobs.n_unique() == len(jobs), "a job has two rows"
    return set(jobs)


def settled(server):
    """Wait until the requests of a process that has ended have all arrived; return how many there are by job."""
    before = -1
    while before != server.requests.total():
        before = server.requests.total()
        time.sleep(0.1)
    return server.requests.copy()


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)
