from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.score.numeric import find_number, numeric
from headgate.suite.model import Numeric


def score(spec: Numeric, output: str | None, target: str | None) -> bool | None:
    frame = pl.DataFrame({"output": [output], "target": [target]}, schema={"output": pl.String, "target": pl.String})
    return frame.select(numeric(spec, pl.col("output"), pl.col("target"))).item()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12 + 30 = 42", 42.0),
        ("It costs $1,234.50.", 1234.5),
        ("-3.5e2 degrees", -350.0),
        ("roughly .25", 0.25),
        ("1,2,3", 3.0),
        ("no number", None),
        ("", None),
    ],
)
def test_the_last_number_counts(text, number):
    assert pl.DataFrame({"t": [text]}).select(find_number(pl.col("t"))).item() == number


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_a_number_is_read_back_as_written(number):
    read = pl.DataFrame({"t": [f"The answer is {number!r}"]}).select(find_number(pl.col("t"))).item()
    assert math.isclose(read, number, rel_tol=1e-12, abs_tol=0)


def test_tolerances():
    exact = Numeric(name="n", type="numeric")
    assert score(exact, "42", "42.0") is True
    assert score(exact, "42.001", "42") is False
    assert score(Numeric(name="n", type="numeric", tolerance=0.01), "42.001", "42") is True
    assert score(Numeric(name="n", type="numeric", relative_tolerance=0.1), "109", "100") is True


def test_no_number_is_wrong_but_no_target_cannot_be_scored():
    spec = Numeric(name="n", type="numeric")
    assert score(spec, "none at all", "4") is False
    assert score(spec, "4", "four") is None
    assert score(spec, "4", None) is None
