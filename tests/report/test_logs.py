"""The log: one JSON object a line, whatever the facts are."""

from __future__ import annotations

import json
import logging
import threading
from contextvars import copy_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.execute.secret import Secret
from headgate.report.logs import JsonFormatter, open_log

ENGINE = logging.getLogger("headgate.engine")
TREE = logging.getLogger("headgate")

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20) | st.builds(Path),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner) | st.sets(st.integers()),
    max_leaves=20,
)


def line(event="attempt failed", facts=None, level=logging.WARNING, **more):
    record = logging.LogRecord("headgate.engine", level, "", 0, event, None, None)
    record.__dict__.update(facts=facts, **more)
    return JsonFormatter().format(record)


def lines(path):
    return [json.loads(line) for line in path.read_bytes().decode("ascii").splitlines()]


def test_a_line_has_time_level_event_run_and_facts():
    said = line("lane paused", {"lane": "small", "paused_s": 3.0, "status": 429}, created=1_700_000_000.1234)
    assert said == (
        '{"time": "2023-11-14T22:13:20.123Z", "level": "warning", "event": "lane paused", "run_id": null,'
        ' "lane": "small", "paused_s": 3.0, "status": 429}'
    )


@given(st.text(), st.dictionaries(st.text(), ANYTHING))
def test_every_line_is_one_strict_json_object_that_does_nothing_to_a_terminal(event, facts):
    said = line(event, facts)
    assert said.isascii()
    assert said.isprintable()

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(said, parse_constant=refuse)
    assert {"time", "level", "event", "run_id"} <= read.keys()
    json.dumps(read, ensure_ascii=False).encode()  # no half of a surrogate pair


def test_facts_cannot_pose_as_another_run_or_time():
    read = json.loads(line(facts={"run_id": "other", "time": "never", "level": "info", "event": "x", "n": 1}))
    assert (read["run_id"], read["level"], read["event"], read["n"]) == (None, "warning", "attempt failed", 1)
    assert read["time"] != "never"


def test_long_texts_are_cut():
    read = json.loads(line(facts={"message": "x" * 10_000, "list": ["y" * 501], "k" * 600: 1}))
    assert read["message"] == "x" * 497 + "..."
    assert read["list"] == ["y" * 497 + "..."]
    assert max(map(len, read)) == 500


def test_a_key_that_strays_into_the_facts_is_not_shown():
    read = json.loads(line(facts={"key": Secret("sk-canary"), "deep": [{"key": Secret("sk-canary")}]}))
    assert (read["key"], read["deep"]) == ("***", [{"key": "***"}])


def test_an_exception_is_named_without_its_traceback():
    error = ValueError("a\nb")
    said = line(exc_info=(ValueError, error, None))
    assert json.loads(said)["error"] == "ValueError('a\\nb')"


def test_lines_are_appended_as_they_come(tmp_path):
    path = tmp_path / "deep" / "log.jsonl"
    for run_id in ("one", "two"):
        with open_log(path, run_id=run_id):
            ENGINE.debug("attempt failed", extra={"facts": {"kind": "timeout"}})
            ENGINE.error("endpoint dead")
            assert lines(path)[-1]["event"] == "endpoint dead"  # before it is closed
    assert [(said["run_id"], said["level"], said["event"]) for said in lines(path)] == [
        ("one", "debug", "attempt failed"),
        ("one", "error", "endpoint dead"),
        ("two", "debug", "attempt failed"),
        ("two", "error", "endpoint dead"),
    ]


def test_without_a_file_nothing_is_said_and_nothing_changes(capsys):
    before = (TREE.level, list(TREE.handlers))
    with open_log(None, run_id="one"):
        assert not ENGINE.isEnabledFor(logging.INFO)
        ENGINE.error("endpoint dead")
    assert (TREE.level, list(TREE.handlers)) == before
    assert capsys.readouterr() == ("", "")


def test_runs_side_by_side_have_their_own_lines(tmp_path):
    both = threading.Barrier(2, timeout=30)

    def run(run_id):
        with open_log(tmp_path / run_id, run_id=run_id):
            for step in range(50):
                both.wait()
                ENGINE.info("attempt failed", extra={"facts": {"step": step}})
            both.wait()

    threads = [threading.Thread(target=copy_context().run, args=(run, run_id)) for run_id in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run_id in ("one", "two"):
        assert [(said["run_id"], said["step"]) for said in lines(tmp_path / run_id)] == [(run_id, n) for n in range(50)]


def test_the_level_is_what_it_was_when_the_last_file_is_closed(tmp_path):
    TREE.setLevel(logging.ERROR)
    try:
        one, two = open_log(tmp_path / "one", run_id="one"), open_log(tmp_path / "two", run_id="one")
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)
        ENGINE.info("circuit closed")
        assert lines(tmp_path / "two")[0]["event"] == "circuit closed"
        two.__exit__(None, None, None)
        assert TREE.level == logging.ERROR
    finally:
        TREE.setLevel(logging.NOTSET)
    assert [type(handler) for handler in TREE.handlers] == [logging.NullHandler]


def test_handlers_of_the_user_get_the_same_records(caplog):
    with caplog.at_level(logging.INFO, logger="headgate"), open_log(None, run_id="one"):
        ENGINE.info("circuit opened", extra={"facts": {"endpoint": "small"}})
    assert [(record.message, record.facts) for record in caplog.records] == [("circuit opened", {"endpoint": "small"})]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_said_once_and_ends_nothing(caplog):
    with open_log(Path("/dev/full"), run_id="one"):
        for _ in range(3):
            ENGINE.warning("lane paused")
    said = [record for record in caplog.records if record.message == "log file failed"]
    assert [record.facts["message"] for record in said] == [
        "lines of the log file /dev/full are lost: [Errno 28] No space left on device"
    ]


def test_a_file_that_cannot_be_opened_is_an_error_of_the_user(tmp_path):
    with (
        pytest.raises(ConfigError, match=r": log_file: cannot be written: Is a directory"),
        open_log(tmp_path, run_id="1"),
    ):
        pass
