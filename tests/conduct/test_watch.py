"""The watcher, over statistics that the test moves."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headgate.conduct import watch
from headgate.conduct.watch import Watched, Watcher, check_output, write_metrics
from headgate.errors import ConfigError
from headgate.execute.statistics import EngineStatistics, LaneStatistics

LANE = LaneStatistics(
    models=("small",), concurrency=8, allowed=8, in_flight=8, waiting=0, in_backoff=0, deferred=0, admitted=8,
    waits_for="answers",
)  # fmt: skip
START = EngineStatistics(
    elapsed_s=1.0, ok=0, refused=0, errors={}, failures={}, attempts=8, in_flight=8, in_backoff=0, input_tokens=0,
    output_tokens=0, lanes=(LANE,),
)  # fmt: skip


class Run:
    """A run that stands still until it is told to move."""

    def __init__(self, jobs=10):
        self.now, self.pending, self.jobs = START, 0, jobs

    def watched(self):
        run = {"run_id": "1", "name": "sums", "version": "0"}
        return Watched(statistics=lambda: self.now, rows_pending=lambda: self.pending, jobs=lambda: self.jobs, run=run)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(watch, "_TICK_S", 0.02)
    monkeypatch.setattr(watch, "_METRICS_S", 0.1)


def watched(run, act, **options):
    async def main():
        async with Watcher(run.watched(), **options):
            await act()

    asyncio.run(main())


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def events(caplog):
    return [record.message for record in caplog.records if record.name == "headgate.conduct"]


def value(path, name):
    families = text_string_to_metric_families(path.read_text())
    return next(sample.value for family in families for sample in family.samples if sample.name == name)


def test_a_stall_is_said_again_while_it_lasts_and_its_end_once(caplog):
    caplog.set_level(logging.INFO, logger="headgate")
    run = Run()

    async def act():
        await until(lambda: events(caplog).count("stalled") >= 2)
        run.now = replace(START, ok=1)
        await until(lambda: "moving again" in events(caplog))

    watched(run, act, stall_s=0.2)
    *stalls, end = [record for record in caplog.records if record.name == "headgate.conduct"]
    assert {(record.message, record.levelno) for record in stalls} == {("stalled", logging.WARNING)}
    assert (end.message, end.levelno) == ("moving again", logging.INFO)
    first, second = (record.facts["idle_s"] for record in stalls[:2])
    assert 0.2 <= first < second
    facts = stalls[0].facts
    assert facts["message"].endswith("and 10 jobs have no result; small waits for answers (8 in flight)")
    assert (facts["jobs_left"], facts["rows_pending"]) == (10, 0)
    assert facts["lanes"] == [{"lane": "small", "waits_for": "answers"}]


@pytest.mark.parametrize("what", ["jobs", "failures", "commits"])
def test_what_moves_is_no_stall(caplog, what):
    run = Run(jobs=1000)

    async def act():
        for step in range(1, 30):
            if what == "jobs":
                run.now = replace(START, ok=step)
            elif what == "failures":
                run.now = replace(START, failures={"timeout": step})
            else:
                run.pending = 1000 - step
            await asyncio.sleep(0.03)

    watched(run, act, stall_s=0.5)
    assert events(caplog) == []


def test_a_disk_that_is_stuck_at_the_end_is_a_stall(caplog):
    run = Run(jobs=10)
    run.now, run.pending = replace(START, ok=10, lanes=()), 256
    watched(run, lambda: until(lambda: events(caplog)), stall_s=0.1)
    assert caplog.records[0].facts["message"].endswith("0 jobs have no result; 256 rows wait for the disk")


def test_a_finished_run_does_not_stall(caplog):
    run = Run(jobs=10)
    run.now = replace(START, ok=10)
    watched(run, lambda: asyncio.sleep(0.5), stall_s=0.1)
    assert events(caplog) == []


def test_metrics_are_there_at_the_start_kept_current_and_final(tmp_path):
    run, path = Run(), tmp_path / "deep" / "headgate.prom"

    async def act():
        assert value(path, "headgate_running") == 1
        run.now = replace(START, ok=3)
        await until(lambda: value(path, "headgate_jobs_total") == 3)
        run.now = replace(START, ok=10)

    watched(run, act, metrics_file=path)
    assert (value(path, "headgate_running"), value(path, "headgate_jobs_total")) == (0, 10)
    assert list(path.parent.iterdir()) == [path]


def test_metrics_are_final_when_the_run_fails(tmp_path):
    run, path = Run(), tmp_path / "headgate.prom"

    async def act():
        run.now = replace(START, ok=4)
        raise OSError("the run fails")

    with pytest.raises(OSError, match="the run fails"):
        watched(run, act, metrics_file=path)
    assert (value(path, "headgate_running"), value(path, "headgate_jobs_total")) == (0, 4)


def test_a_reader_sees_the_old_metrics_or_the_new(tmp_path):
    path = tmp_path / "headgate.prom"
    write_metrics(path, "a 1\n" * 10_000)
    with path.open() as old:
        write_metrics(path, "b 2\n")
        assert old.read() == "a 1\n" * 10_000
    assert path.read_text() == "b 2\n"


def test_metrics_that_cannot_be_written_any_more_are_a_warning_and_come_back(tmp_path, caplog):
    run, folder = Run(), tmp_path / "metrics"
    path = folder / "headgate.prom"

    async def act():
        shutil.rmtree(folder)
        folder.write_text("no folder any more")
        await until(lambda: events(caplog))
        await asyncio.sleep(0.5)  # several more writes fail
        folder.unlink()
        await until(path.exists)

    watched(run, act, metrics_file=path)
    assert events(caplog) == ["metrics file failed"]
    assert caplog.records[0].facts["message"] == f"the metrics file {path} cannot be written: File exists"
    assert value(path, "headgate_running") == 0


def test_metrics_that_cannot_be_written_at_all_are_an_error_of_the_user(tmp_path):
    (tmp_path / "file").write_text("")

    async def never():
        raise AssertionError

    with pytest.raises(ConfigError, match=r"/file/headgate\.prom: metrics_file: cannot be written: "):
        watched(Run(), never, metrics_file=tmp_path / "file" / "headgate.prom")


@pytest.mark.parametrize(
    ("path", "replaced", "why"),
    [
        ("{folder}", False, "it is no regular file"),
        ("{folder}", True, "it is no regular file"),
        ("/dev/null", True, "it is no regular file"),
        ("{folder}/file/log", False, "{folder}/file is no folder"),
        ("{folder}/file/deep/log", True, "{folder}/file is no folder"),
    ],
)
def test_a_path_that_can_be_no_file_is_refused(tmp_path, path, replaced, why):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        check_output(Path(path.format(folder=tmp_path)), field="log_file", replaced=replaced)
    assert f"cannot be written: {why.format(folder=tmp_path)}; choose another file" in str(caught.value)


def test_a_right_that_is_missing_is_found(tmp_path, monkeypatch):
    (tmp_path / "headgate.prom").write_text("")
    refused = {tmp_path}
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in refused)
    check_output(tmp_path / "headgate.prom", field="log_file")  # appended to: the folder need not be writable
    for replaced, name in [(False, "new/log"), (True, "headgate.prom")]:
        with pytest.raises(ConfigError, match=f"no right to write to {tmp_path}"):
            check_output(tmp_path / name, field="log_file", replaced=replaced)


def test_a_path_that_will_be_made_is_fine_and_nothing_is_made_yet(tmp_path):
    check_output(tmp_path / "new" / "deep" / "log", field="log_file")
    check_output(Path("log.jsonl"), field="log_file")
    check_output(Path("/dev/null"), field="log_file")
    assert list(tmp_path.iterdir()) == []
