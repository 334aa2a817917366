"""Reading what is new: growing files, torn lines, renamed and replaced ones, whole files, buckets, bad lines."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.errors import ConfigError
from headgate.traffic.feed import READERS, Feed
from headgate.traffic.storage import BucketFiles, LocalFiles, open_storage

NOW = 2_000_000_000.0


def line(n, **more):
    return json.dumps({"time": 1_700_000_000 + n, "id": f"r{n}", **more}) + "\n"


def write(path, *numbers, mode="a"):
    with path.open(mode) as file:
        file.writelines(line(n) for n in numbers)


def feed(*places, marks=(), read="plain"):
    return Feed(
        [open_storage(str(place)) for place in places], READERS[read], columns={}, marks=marks, clock=lambda: NOW
    )


def ids(batch):
    return [row.id for _, row in batch.rows]


def test_lines_come_once_as_a_file_grows(tmp_path):
    log = tmp_path / "a.jsonl"
    write(log, 1, 2)
    reading = feed(log)
    assert ids(reading.take(10)) == ["r1", "r2"]
    assert ids(reading.take(10)) == []
    write(log, 3)
    assert ids(reading.take(10)) == ["r3"]
    write(log, 4)
    assert ids(feed(log, marks=reading.marks()).take(10)) == ["r4"]


def test_a_torn_last_line_is_waited_for(tmp_path):
    log = tmp_path / "a.jsonl"
    whole = line(2)
    log.write_text(line(1) + whole[:20])
    reading = feed(log)
    assert ids(reading.take(10)) == ["r1"]
    with log.open("a") as file:
        file.write(whole[20:])
    batch = reading.take(10)
    assert (ids(batch), batch.bad) == (["r2"], [])


def test_every_cut_comes_to_the_same_rows(tmp_path):
    write(tmp_path / "a.jsonl", *range(0, 40, 2))
    write(tmp_path / "b.jsonl", *range(1, 40, 2))
    for limit in (1, 3, 100):
        marks, found = (), []
        for _ in range(60):
            reading = feed(tmp_path, marks=marks)  # a new process each time
            found += ids(reading.take(limit))
            marks = reading.marks()
        assert found == [f"r{n}" for n in range(40)]  # merged by time


def test_a_rotated_log_goes_on_under_its_new_name(tmp_path):
    for name in ("app.jsonl.1", "app-old.jsonl"):  # sorted after and before the name in use
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        log = folder / "app.jsonl"
        write(log, 1, 2)
        reading = feed(folder)
        assert ids(reading.take(10)) == ["r1", "r2"]
        reading = feed(folder, marks=reading.marks())
        write(log, 3)
        log.rename(folder / name)
        write(log, 4)
        assert sorted(ids(reading.take(10))) == ["r3", "r4"]
        assert ids(feed(folder, marks=reading.marks()).take(10)) == []


def test_a_truncated_log_is_read_from_its_start(tmp_path):
    log = tmp_path / "app.jsonl"
    write(log, 1, 2, 3)
    reading = feed(log)
    reading.take(10)
    marks = reading.marks()
    write(log, 5, 6, 7, 8, mode="w")
    assert ids(feed(log, marks=marks).take(10)) == ["r5", "r6", "r7", "r8"]


def test_bad_lines_are_named_and_the_rest_is_read(tmp_path):
    log = tmp_path / "a.jsonl"
    log.write_bytes(
        line(1).encode()
        + b"{not json\n\n[1]\n\xff\xfe\n"
        + b'{"time": "noon", "id": "x"}\n{"id": "y"}\n{"time": 1700000000, "latency_s": -1}\n{"time": 1e300}\n'
        + b'{"time": 1700000000, "status": "maybe"}\n'
        + b"[" * 100_000
        + b"\n"
        + line(2).encode()
    )
    batch = feed(log).take(100)
    assert ids(batch) == ["r1", "r2"]
    assert len(batch.bad) == 9
    assert all(text.startswith(f"{log}: before byte ") for text in batch.bad)
    for reason in ("is not JSON", "is no record", "'noon' is no time", "time: is missing", "latency_s", "'maybe'"):
        assert any(reason in text for text in batch.bad), reason


def test_a_clock_that_is_ahead_is_bad(tmp_path):
    log = tmp_path / "a.jsonl"
    log.write_text(json.dumps({"time": NOW + 7200, "id": "x"}) + "\n" + json.dumps({"time": NOW, "id": "y"}) + "\n")
    batch = feed(log).take(10)
    assert ids(batch) == ["y"]
    assert "in the future" in batch.bad[0]


def test_parquet_files_are_read_once_and_resumed_inside(tmp_path):
    rows = [{"time": 1_700_000_000.0 + n, "id": f"p{n}", "latency_s": 0.5} for n in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    reading = feed(tmp_path)
    assert ids(reading.take(2)) == ["p0", "p1"]
    reading = feed(tmp_path, marks=reading.marks())
    assert ids(reading.take(10)) == ["p2", "p3", "p4"]
    assert ids(feed(tmp_path, marks=reading.marks()).take(10)) == []


def test_a_parquet_file_that_is_not_finished_is_named_once_and_waited_for(tmp_path):
    pq.write_table(pa.Table.from_pylist([{"time": 1_700_000_000.0, "id": "p"}]), tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[:-10])
    reading = feed(tmp_path)
    batch = reading.take(10)
    assert "not finished" in batch.bad[0]
    assert reading.take(10).bad == []
    (tmp_path / "a.parquet").write_bytes(data)
    assert ids(reading.take(10)) == ["p"]


def test_a_json_file_is_a_document_or_a_list_of_them(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([json.loads(line(n)) for n in (1, 2)], indent=2))
    (tmp_path / "b.json").write_text(json.dumps(json.loads(line(3)), indent=2))
    reading = feed(tmp_path)
    assert ids(reading.take(10)) == ["r1", "r2", "r3"]
    assert ids(feed(tmp_path, marks=reading.marks()).take(10)) == []


def test_more_files_than_are_open_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("headgate.traffic.feed.OPEN", 3)
    for n in range(10):
        write(tmp_path / f"{n:02}.jsonl", 10 * n, 10 * n + 1)
    assert ids(feed(tmp_path).take(100)) == [f"r{10 * n + k}" for n in range(10) for k in (0, 1)]


def test_a_bucket_reads_as_a_folder(tmp_path):
    write(tmp_path / "a.jsonl", 1, 2)
    reading = feed(tmp_path.as_uri())
    assert isinstance(open_storage(tmp_path.as_uri()), BucketFiles)
    assert ids(reading.take(10)) == ["r1", "r2"]
    write(tmp_path / "a.jsonl", 3)
    assert ids(feed(tmp_path.as_uri(), marks=reading.marks()).take(10)) == ["r3"]


def test_a_bucket_of_no_known_kind_is_a_usage_error():
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_storage("s4://bucket/x")


def test_hidden_and_other_files_of_a_folder_are_left_out(tmp_path):
    write(tmp_path / ".a.jsonl", 1)
    (tmp_path / "b.txt").write_text(line(2))
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".git" / "c.jsonl", 3)
    write(tmp_path / "d.jsonl", 4)
    assert [file.name for file in LocalFiles(str(tmp_path)).files()] == [str(tmp_path / "d.jsonl")]
