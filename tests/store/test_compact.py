import os
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.errors import StoreError
from headgate.store import checksums, part
from headgate.store.compact import compact as compact_run
from headgate.store.layout import RunFolder
from headgate.store.part import footer, open_part
from headgate.store.schema import to_batch, to_results
from headgate.store.segment import SegmentWriter
from store_rows import make_error, make_result


@pytest.fixture
def run(tmp_path):
    (tmp_path / "journal").mkdir()
    return RunFolder(tmp_path)


def write_segment(run, stem, rows, *, seal=True):
    path = run.journal / f"{stem}.arrows"
    writer = SegmentWriter(path)
    for start in range(0, len(rows), 100):
        writer.write(to_batch(rows[start : start + 100]))
    writer.sync()
    writer.seal() if seal else writer.abandon()
    return path


def rows_of(path):
    return [row for batch in open_part(path).read().to_batches() for row in to_results(batch)]


def test_a_segment_becomes_one_sorted_part_of_the_same_stem(run):
    rows = [make_result(number) for number in range(1000)]
    write_segment(run, "0001-0000-a-0001", rows)
    compact_run(run, plan="thisplan")
    [path] = run.parts()
    assert path.name == "0001-0000-a-0001.parquet"
    # Python's sort is stable, as the compaction's must be: equal keys stay in the order of their arrival.
    assert rows_of(path) == sorted(rows, key=lambda row: (row.item_id, row.model, row.seed))
    assert run.segments() == []


def test_settings_of_a_part(run, monkeypatch):
    assert part.ROW_GROUP_ROWS == 65_536
    monkeypatch.setattr(part, "ROW_GROUP_ROWS", 400)
    write_segment(run, "0001-0000-a-0001", [make_result(number) for number in range(1000)])
    compact_run(run, plan="thisplan")
    file = open_part(run.parts()[0])
    assert footer(file) == {"headgate.schema": "4", "headgate.plan": "thisplan"}
    meta = file.metadata
    assert [meta.row_group(group).num_rows for group in range(meta.num_row_groups)] == [400, 400, 200]
    names = [meta.row_group(0).column(number).path_in_schema for number in range(meta.num_columns)]
    assert [names[order.column_index] for order in meta.row_group(0).sorting_columns] == ["item_id", "model", "seed"]
    encoded = set()
    for number, name in enumerate(names):
        column = meta.row_group(0).column(number)
        assert column.compression == "ZSTD"
        assert column.has_column_index
        encoded.update({name} if "RLE_DICTIONARY" in column.encodings else ())
    assert {"item_id", "cluster", "prompt", "model", "status", "stop_reason"} <= encoded
    assert not encoded & {"job_id", "output", "request_id", "started_at", "latency_s", "input_tokens"}


def test_torn_and_empty_segments(run):
    torn = write_segment(run, "0001-0000-a-0001", [make_result(number) for number in range(300)], seal=False)
    torn.write_bytes(torn.read_bytes()[:-100])
    write_segment(run, "0001-0000-a-0002", [])
    (run.journal / "0001-0000-a-0003.arrows").touch()
    compact_run(run, plan="p")
    assert [path.stem for path in run.parts()] == ["0001-0000-a-0001"]
    assert {row.job_id for row in rows_of(run.parts()[0])} == {make_result(number).job_id for number in range(200)}
    assert run.segments() == []


def test_a_live_segment_is_left_alone(run):
    write_segment(run, "0001-0000-a-0001", [make_result(1)])
    live = write_segment(run, "0001-0000-a-0002", [make_result(2)], seal=False)
    compact_run(run, plan="p", live=live)
    assert run.segments() == [live]
    assert [path.stem for path in run.parts()] == ["0001-0000-a-0001"]


def test_a_part_that_is_there_already_is_not_made_again(run):
    segment = write_segment(run, "0001-0000-a-0001", [make_result(1)])
    data = segment.read_bytes()
    compact_run(run, plan="p")
    before = run.parts()[0].stat().st_ino
    segment.write_bytes(data)
    compact_run(run, plan="p")
    assert run.parts()[0].stat().st_ino == before
    assert run.segments() == []


def test_doubles_inside_a_segment(run):
    rows = [make_error(1), make_result(2), make_result(1), make_error(2, generation=9), make_result(3)]
    write_segment(run, "0001-0000-a-0001", rows)
    compact_run(run, plan="p")
    assert {row.job_id: row for row in rows_of(run.parts()[0])} == {
        row.job_id: row for row in (rows[2], rows[1], rows[4])
    }
    assert len(rows_of(run.parts()[0])) == 3


def test_retried_errors_are_superseded(run):
    first = [make_error(number) if number % 4 == 0 else make_result(number) for number in range(200)]
    write_segment(run, "0001-0000-a-0001", first[:100])
    write_segment(run, "0001-0000-a-0002", first[100:])
    compact_run(run, plan="p")
    again = [
        make_error(number, generation=2) if number % 8 == 0 else make_result(number, generation=2)
        for number in range(0, 100, 4)
    ]
    untouched = run.parts()[1].stat()
    write_segment(run, "0002-0000-b-0001", again)
    compact_run(run, plan="p")
    one, two, three = run.parts()
    assert two.stat() == untouched  # nothing of it was superseded
    assert {row.job_id for row in rows_of(one)} == {row.job_id for row in first[:100] if row.status != "error"}
    assert {row.job_id for row in rows_of(three)} == {row.job_id for row in again}
    rows = rows_of(one)
    assert rows == sorted(rows, key=lambda row: (row.item_id, row.model, row.seed))
    assert footer(open_part(one))["headgate.plan"] == "p"


def test_an_error_never_supersedes_an_answer(run):
    """Two writers, such as a re-scheduled pod that still lives: the later one's error loses."""
    write_segment(run, "0001-0000-a-0001", [make_result(1, status="refused")])
    write_segment(run, "0002-0000-b-0001", [make_error(1, generation=2), make_result(2, generation=2)])
    compact_run(run, plan="p")
    assert [[(row.status, row.generation) for row in rows_of(path)] for path in run.parts()] == [
        [("refused", 1)],
        [("ok", 2)],
    ]


def test_a_part_without_rows_goes(run):
    write_segment(run, "0001-0000-a-0001", [make_error(1), make_error(2)])
    compact_run(run, plan="p")
    write_segment(run, "0002-0000-b-0001", [make_result(1, generation=2), make_result(2, generation=2)])
    compact_run(run, plan="p")
    assert [path.stem for path in run.parts()] == ["0002-0000-b-0001"]
    assert list(checksums.read_sums(run)) == ["results/0002-0000-b-0001.parquet"]


def test_checksums_follow(run):
    write_segment(run, "0001-0000-a-0001", [make_error(1), make_result(2)])
    compact_run(run, plan="p")
    before = checksums.read_sums(run)
    write_segment(run, "0002-0000-b-0001", [make_result(1, generation=2)])
    compact_run(run, plan="p")
    after = checksums.read_sums(run)
    assert list(after) == ["results/0001-0000-a-0001.parquet", "results/0002-0000-b-0001.parquet"]
    assert after["results/0001-0000-a-0001.parquet"] != before["results/0001-0000-a-0001.parquet"]
    assert all(checksums.sha256(run.path / name) == value for name, value in after.items())


def test_strays_go(run):
    run.results.mkdir()
    (run.results / "0001-0000-a-0001.parquet.tmp").write_bytes(b"half")
    (run.path / "SHA256SUMS.tmp").write_bytes(b"half")
    compact_run(run, plan="p")
    assert list(run.results.iterdir()) == []
    assert not (run.path / "SHA256SUMS.tmp").exists()


def test_a_damaged_part_stops_compaction_and_keeps_the_segment(run):
    segment = write_segment(run, "0001-0000-a-0001", [make_result(1)])
    compact_run(run, plan="p")
    run.parts()[0].write_bytes(b"not parquet")
    segment = write_segment(run, "0002-0000-b-0001", [make_result(2)])
    with pytest.raises(StoreError, match=r"0001-0000-a-0001\.parquet: cannot be read"):
        compact_run(run, plan="p")
    assert run.segments() == [segment]


def test_pandas_stays_out(tmp_path):
    """59 MB that nobody asked for: see store/columns.py."""
    root = Path(__file__).parents[2]
    script = """
import sys
from pathlib import Path
from headgate.store.compact import compact
from headgate.store.index import done_keys
from headgate.store.journal import JournalWriter
from headgate.store.layout import RunFolder
from headgate.store.run import count_statuses
from store_rows import make_error, make_result
run = RunFolder(Path(sys.argv[1]))
for rows in ([make_error(1), make_result(2)], [make_result(1, output="é")]):
    writer = JournalWriter(run.journal, generation=1)
    for row in rows:
        writer.append(row)
    writer.close()
    assert count_statuses(run)
compact(run, plan="p")
assert len(done_keys(run.sources(), retry_errors=True)) == 2
sys.exit("pandas" in sys.modules)
"""
    (tmp_path / "journal").mkdir()
    environ = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
