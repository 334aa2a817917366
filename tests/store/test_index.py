from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import StoreError
from headgate.store.index import contains, done_keys, job_keys, read_columns, repeated, source_keys, superseded
from headgate.store.part import write_part
from headgate.store.schema import to_batch
from store_rows import make_error, make_result

# Few bytes, and zeros among them: numpy drops trailing zeros of byte strings when it shows them.
KEYS = st.lists(st.sampled_from([0, 1, 255]), min_size=16, max_size=16).map(bytes)


def column(*chunks):
    return pa.chunked_array([pa.array([key.hex() for key in chunk], pa.string()) for chunk in chunks], pa.string())


def as_bytes(keys):
    return [bytes(row) for row in np.ascontiguousarray(keys).view(np.uint8).reshape(-1, 16)]


@settings(deadline=None)
@given(st.lists(st.lists(KEYS)))
def test_keys_are_the_bytes_of_the_ids(chunks):
    assert as_bytes(job_keys(column(*chunks))) == [key for chunk in chunks for key in chunk]


@settings(deadline=None)
@given(st.lists(KEYS), st.lists(KEYS))
def test_contains_is_membership(done, asked):
    keys = np.unique(job_keys(column(done)))
    assert contains(keys, [key.hex() for key in asked]).tolist() == [key in done for key in asked]


@settings(deadline=None)
@given(st.lists(KEYS))
def test_repeated_is_what_stands_twice(keys):
    assert as_bytes(repeated(job_keys(column(keys)))) == sorted({key for key in keys if keys.count(key) > 1})


@pytest.mark.parametrize("wrong", ["0" * 31, "0" * 33, "0" * 31 + "g", "0" * 31 + "A", "", None])
def test_other_ids_are_refused(wrong):
    ids = pa.chunked_array([pa.array(["0" * 32, wrong], pa.string())])
    with pytest.raises(ValueError, match="not 32 hexadecimal characters"):
        job_keys(ids)
    with pytest.raises(StoreError, match="a table: a job_id is not 32"):
        source_keys(pa.table({"job_id": ids}))


def table(rows):
    return pa.Table.from_batches([to_batch(rows)])


ROWS = st.builds(
    lambda job, status, generation, finished: make_result(
        job, status=status, generation=generation, finished_at=finished
    ),
    st.integers(0, 4),
    st.sampled_from(["ok", "refused", "error"]),
    st.integers(1, 2),
    st.integers(0, 1),
)


@settings(deadline=None)
@given(st.lists(st.lists(ROWS, min_size=1, max_size=8), max_size=4))
def test_superseded_equals_its_obvious_twin(groups):
    best = {}
    losers = defaultdict(list)
    for source, rows in enumerate(groups):
        for number, row in enumerate(rows):
            rank = (row.status != "error", row.generation, row.finished_at, source, number)
            known = best.setdefault(row.job_id, rank)
            if known is not rank:
                best[row.job_id] = max(known, rank)
                *_, lost_source, lost_number = min(known, rank)
                losers[lost_source].append(lost_number)
    found = superseded([table(rows) for rows in groups])
    assert [rows.tolist() for rows in found] == [sorted(losers[source]) for source in range(len(groups))]


def test_done_is_what_has_a_row(tmp_path):
    rows = [make_result(1), make_error(2), make_result(3, status="refused"), make_error(3), make_result(1)]
    write_part(tmp_path / "a.parquet", [to_batch(rows)], plan="p")
    ids = [make_result(number).job_id for number in (1, 2, 3, 4)]
    done = done_keys([tmp_path / "a.parquet"])
    assert (len(done), done.dtype, done.nbytes) == (3, np.dtype("S16"), 48)
    assert contains(done, ids).tolist() == [True, True, True, False]
    retried = done_keys([tmp_path / "a.parquet"], retry_errors=True)
    assert contains(retried, ids).tolist() == [True, False, True, False]
    assert len(done_keys([])) == 0


def test_a_damaged_part_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    write_part(path, [to_batch([make_result(number) for number in range(500)])], plan="p")
    data = bytearray(path.read_bytes())
    data[8:200] = bytes(192)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"a\.parquet: cannot be read: .*; restore it from a copy, or remove it"):
        read_columns(path, ["job_id"])
