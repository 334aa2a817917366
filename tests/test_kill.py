"""kill -9 at any moment of the real command: nothing is lost, nothing is there twice, little is paid again."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from dataclasses import dataclass, field

import pytest

import headgate as hg
from command_line import call, command, done_jobs, settled, table, write_suite
from headgate.testing import Faults, SimulatedServer, Simulation

CONCURRENCY = 64  # of a lane that declares nothing
FAULTS = ("rate_limit", "server_error", "overloaded", "drop", "truncate", "html", "empty", "hang")


def simulation(share=0.0):
    faults = Faults(**dict.fromkeys(FAULTS, share))
    return Simulation(accuracy={"baseline": 0.9, "worse": 0.8}, latency_s=0.005, faults=faults)


@dataclass
class Kills:
    """What the kills cost: for each, the jobs that were asked for and have no row."""

    lost: list[int] = field(default_factory=list)
    while_starting: int = 0

    def __str__(self):
        cost = f"{sum(self.lost)} requests for nothing, {max(self.lost)} by one kill at most"
        return f"{len(self.lost)} kills, {self.while_starting} of them before the first request; {cost}"


def live_and_die(words, server, *, rng, most):
    """Kill the command after a random number of requests, or sooner: while it starts and compacts, as a rule."""
    enough = server.requests.total() + rng.randrange(1, most)
    until = time.monotonic() + (rng.uniform(0, 1.5) if rng.random() < 0.3 else 300)
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and server.requests.total() < enough and time.monotonic() < until:
        time.sleep(0.002)
    child.kill()
    return child.wait()


def kill_until_finished(suite, run, server, *, jobs, rng, kills):
    """Kill at least so many lives, at an even pace over the jobs, and let the last one finish.

    After each kill, what can be read back counts as done: no further request may be sent for it.
    """
    killed, done = Kills(), set()
    words = command("run", suite, "--out", run, "--quiet")
    while True:
        before = server.requests.copy()
        if len(killed.lost) < kills:
            share = (jobs - len(done)) // (kills + 1 - len(killed.lost))
            code = live_and_die(words, server, rng=rng, most=max(2, min(500, share)))
        else:
            code = subprocess.run(words).returncode
        sent = settled(server) - before
        assert not done & set(sent), "a job that was done was sent again"
        rows = done_jobs(run)
        assert done <= rows, "a row that could be read back is gone"
        done = rows
        if code == 0:
            return killed
        assert code == -signal.SIGKILL
        killed.lost.append(len(set(sent) - done))
        killed.while_starting += not sent


def check_killed(tmp_path, *, n_items, share, seed, kills):
    jobs = 6 * n_items
    with SimulatedServer({"m": simulation(share)}) as server:
        suite, run = write_suite(tmp_path, server, candidate="worse", n_items=n_items), tmp_path / "killed"
        whole = call("run", suite, "--out", tmp_path / "whole")
        assert whole.returncode == 0, whole.stderr
        server.requests.clear()
        killed = kill_until_finished(suite, run, server, jobs=jobs, rng=random.Random(seed), kills=kills)
        print(killed)
        assert len(killed.lost) >= kills
        if not share:  # what waits to be tried again is neither in flight nor answered
            assert max(killed.lost) <= CONCURRENCY + 255
            assert server.requests.total() == jobs + sum(killed.lost)
    assert table(run).equals(table(tmp_path / "whole"))
    assert len(done_jobs(run)) == jobs
    scores = [hg.scan_scores(tmp_path / name).drop("run").sort("job_id").collect() for name in ("whole", "killed")]
    assert scores[0].equals(scores[1])
    assert hg.verify(run) == []
    assert not (run / "journal").exists()
    verdicts = [hg.gate(tmp_path / name) for name in ("whole", "killed")]
    assert [verdict.verdict for verdict in verdicts] == ["fail", "fail"]
    assert verdicts[0].metrics == verdicts[1].metrics


def test_ten_kills_cost_little(tmp_path):
    check_killed(tmp_path, n_items=400, share=0.0, seed=1, kills=10)


@pytest.mark.slow
def test_kills_among_faults(tmp_path):
    check_killed(tmp_path, n_items=2000, share=0.05 / len(FAULTS), seed=2, kills=20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_200_kills_over_10_000_jobs(tmp_path):
    check_killed(tmp_path, n_items=1667, share=0.0, seed=3, kills=200)
