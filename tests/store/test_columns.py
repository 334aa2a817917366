import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.store.columns import TIME, make_column, make_mask, make_utf8, view_bool, view_int64

LONGS = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    pa.string(): st.text(),
    pa.large_string(): st.text(),
    pa.int64(): LONGS,
    pa.float64(): st.floats(allow_nan=False),
    pa.bool_(): st.booleans(),
    TIME: LONGS,
}


@settings(deadline=None)  # pyarrow.array imports pandas on its first call
@given(st.sampled_from(list(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(st.none() | VALUES[kind]))))
def test_columns_equal_those_of_pyarrow(drawn):
    kind, values = drawn
    column = make_column(values, kind)
    column.validate(full=True)
    assert column.equals(pa.array(values, kind))
    assert column.null_count == values.count(None)


@settings(deadline=None)
@given(st.lists(st.lists(LONGS)), st.integers(0, 3))
def test_numbers_come_back_to_numpy(chunks, skip):
    column = pa.chunked_array([make_column(chunk, pa.int64())[skip:] for chunk in chunks], pa.int64())
    assert view_int64(column).tolist() == [value for chunk in chunks for value in chunk[skip:]]


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans())), st.integers(0, 9))
def test_flags_come_back_to_numpy(chunks, skip):
    column = pa.chunked_array([make_column(chunk, pa.bool_())[skip:] for chunk in chunks], pa.bool_())
    assert view_bool(column).tolist() == [value for chunk in chunks for value in chunk[skip:]]


@settings(deadline=None)
@given(st.lists(st.booleans()))
def test_masks(flags):
    assert make_mask(np.array(flags, np.bool_)).to_pylist() == flags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("\ud800", "\ufffd"),
        ("a\udfffb", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("é\0", "é\0"),
    ],
)
def test_surrogates_are_replaced(text, expected):
    assert make_utf8(text).decode() == expected
