import random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from headgate.errors import StoreError
from headgate.store.schema import RESULTS, to_batch, to_results
from headgate.store.segment import SegmentState, SegmentWriter, inspect_segment, read_segment
from store_rows import any_result, as_stored, make_error, make_result

BATCHES = [
    [make_result(1), make_error(2, error_message="timed \x00 out")],
    [make_result(3, output="naïve ✓")],
    [make_result(4), make_result(5), make_result(6)],
]


def write(path, batches, *, seal=True):
    writer = SegmentWriter(path)
    sizes = [0]
    for rows in batches:
        writer.write(to_batch(rows))
        writer.sync()
        sizes.append(writer.size)
    if seal:
        writer.seal()
    else:
        writer.abandon()
    return sizes


def rows_of(path):
    return [row for batch in read_segment(path) for row in to_results(batch)]


@pytest.fixture(scope="module")
def segment(tmp_path_factory):
    """A small segment, as bytes, and the number of rows that its first n bytes must give."""
    path = tmp_path_factory.mktemp("segment") / "a.arrows"
    sizes = write(path, BATCHES)
    rows = [row for batch in BATCHES for row in batch]
    counts = [0, *(sum(map(len, BATCHES[: n + 1])) for n in range(len(BATCHES)))]

    def expected(length):
        return rows[: max(count for size, count in zip(sizes, counts, strict=True) if size <= length)]

    return path.read_bytes(), rows, expected


def check_truncations(path, segment, lengths):
    data, _, expected = segment
    for length in lengths:
        path.write_bytes(data[:length])
        assert rows_of(path) == expected(length), length


def check_flips(path, segment, bits):
    """A flipped bit stops the reading; it never gives a row that was not written."""
    data, rows, _ = segment
    stopped = 0
    for bit in bits:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        got = rows_of(path)
        assert got == rows[: len(got)], bit
        stopped += len(got) < len(rows)
    return stopped


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(any_result, min_size=1, max_size=3), min_size=1, max_size=3))
def test_rows_come_back(tmp_path_factory, batches):
    path = tmp_path_factory.mktemp("segment") / "a.arrows"
    write(path, batches)
    assert rows_of(path) == [as_stored(row) for batch in batches for row in batch]
    assert inspect_segment(path) == SegmentState(rows=sum(map(len, batches)), sealed=True, torn=False)


def test_every_truncation_reads_as_a_prefix(tmp_path, segment):
    """Every length in the last batch, every seventh elsewhere; all of them in the slow twin."""
    total = len(segment[0])
    check_truncations(tmp_path / "a", segment, [*range(0, total, 7), *range(total - 3000, total + 1)])


@pytest.mark.slow
def test_every_truncation_of_all_reads_as_a_prefix(tmp_path, segment):
    check_truncations(tmp_path / "a", segment, range(len(segment[0]) + 1))


def test_zero_filled_tails_are_never_rows(tmp_path, segment):
    data, _, expected = segment
    path = tmp_path / "a"
    for length in range(0, len(data), 29):
        path.write_bytes(data[:length].ljust(len(data), b"\0"))
        unchanged = len(data) - len(data[length:].lstrip(b"\0"))  # what was zero anyway is not lost
        assert rows_of(path) == expected(unchanged), length


def test_zero_filled_pages_are_never_rows(tmp_path, segment):
    """Lost pages anywhere, as after a power loss with delayed allocation."""
    data, rows, _ = segment
    path = tmp_path / "a"
    for start in range(0, len(data) - 512, 128):
        path.write_bytes(data[:start] + bytes(512) + data[start + 512 :])
        got = rows_of(path)
        assert got == rows[: len(got)], start


def test_bit_flips_are_detected(tmp_path, segment):
    total = len(segment[0]) * 8
    bits = random.Random(20260101).sample(range(total), 1500)
    stopped = check_flips(tmp_path / "a", segment, bits)
    # What is not detected lies where it changes nothing: padding, names of metadata, the end of the stream.
    assert stopped > 0.6 * len(bits)


@pytest.mark.slow
def test_all_bit_flips_are_detected(tmp_path, segment):
    check_flips(tmp_path / "a", segment, range(len(segment[0]) * 8))


def test_flips_in_the_body_of_a_batch_always_stop(tmp_path):
    path = tmp_path / "a"
    write(path, [[make_result(1, output="x" * 4000)]])
    data = path.read_bytes()
    start = data.index(b"x" * 4000)
    for position in random.Random(1).sample(range(start, start + 4000), 100):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        assert rows_of(path) == []


def test_a_stream_without_checksums_is_not_believed(tmp_path):
    path = tmp_path / "a.arrows"
    with ipc.new_stream(str(path), RESULTS) as stream:
        stream.write_batch(to_batch([make_result(1)]))
    assert rows_of(path) == []


def test_foreign_columns_are_not_believed(tmp_path):
    path = tmp_path / "a.arrows"
    writer = SegmentWriter(path, schema=pa.schema([("job_id", pa.int64())]))
    writer.seal()
    assert rows_of(path) == []


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PAR1 something else", b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 4])
def test_nonsense_has_no_rows(tmp_path, content):
    path = tmp_path / "a.arrows"
    path.write_bytes(content)
    assert rows_of(path) == []
    assert inspect_segment(path) == SegmentState(rows=0, sealed=False, torn=bool(content))


def test_inspect_tells_open_sealed_and_torn(tmp_path):
    path = tmp_path / "a.arrows"
    write(path, BATCHES, seal=False)
    assert inspect_segment(path) == SegmentState(rows=6, sealed=False, torn=False)
    path.write_bytes(path.read_bytes()[:-5])
    assert inspect_segment(path) == SegmentState(rows=3, sealed=False, torn=True)


def test_a_live_segment_reads_while_it_is_written(tmp_path):
    writer = SegmentWriter(tmp_path / "a.arrows")
    writer.write(to_batch(BATCHES[0]))
    writer.sync()
    assert rows_of(tmp_path / "a.arrows") == BATCHES[0]
    writer.write(to_batch(BATCHES[1]))
    writer.seal()
    assert rows_of(tmp_path / "a.arrows") == BATCHES[0] + BATCHES[1]


def test_plain_readers_read_sealed_segments(tmp_path):
    path = tmp_path / "a.arrows"
    write(path, BATCHES)
    assert ipc.open_stream(str(path)).read_all().num_rows == 6


def test_a_segment_is_never_appended_to(tmp_path):
    write(tmp_path / "a.arrows", BATCHES)
    with pytest.raises(FileExistsError):
        SegmentWriter(tmp_path / "a.arrows")


def test_a_missing_segment_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"gone\.arrows: cannot read: No such file"):
        list(read_segment(tmp_path / "gone.arrows"))
