from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.score.numeric import find_number, numeric
from headgate.suite.scorers import Numeric


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
        ("The total is $ 1,234.", 1234.0),
        ("€1.5 million", 1_500_000.0),
        ("2 billion people", 2e9),
        ("USD 42", 42.0),
        ("EUR12.50 in all", 12.5),
        ("-$5", -5.0),
        ("\u22123 °C", -3.0),
        ("1.5 \u00d7 10^3 m", 1500.0),
        (r"1.5 \times 10^{-2}", 0.015),
        ("6.02e23", 6.02e23),
        ("42 on 2024-01-31", 42.0),
        ("42 on 2024-01-31T10:20:30Z", 42.0),
        ("42 on 31/01/2024 at 12:30", 42.0),
        ("42, said on January 5th, 2024", 42.0),
        ("42, said on 5 January 2024.", 42.0),
        ("42 (version 1.2.3, host 10.0.0.1)", 42.0),
        ("42 in room A113 of covid19", 42.0),
        ("between 10-20", 20.0),
        ("1-2-3", 3.0),
        ("1990\u20131995", 1995.0),
        ("x = -7", -7.0),
        ("about 50%", 50.0),
        ("1'234'567", 1234567.0),
        ("1\u00a0234", 1234.0),
        ("5km", 5.0),
        ("the 3rd", 3.0),
        ("2024-01-31", None),
        ("at 12:30", None),
        ("1e999", math.inf),
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


@pytest.mark.parametrize(
    ("options", "text", "number"),
    [
        ({"take": "first"}, "12 apples of 30", 12.0),
        ({"percent": "fraction"}, "50 %", 0.5),
        ({"percent": "fraction"}, "0.5", 0.5),
        ({"decimal": ","}, "1.234,5", 1234.5),
        ({"decimal": ","}, "1.234.567", 1234567.0),
        ({"decimal": ","}, "0,75", 0.75),
        ({"decimal": ","}, "3,5 am 31.01.2024", 3.5),
    ],
)
def test_ways_of_reading(options, text, number):
    found = pl.DataFrame({"t": [text]}).select(find_number(pl.col("t"), **options)).item()
    assert found == pytest.approx(number)


@given(
    st.integers(-(10**12), 10**12),
    st.sampled_from(["{:,}", "${:,}", "{} units", "**{}**", "= {:.1f}", "{:e}", "{:,} on 2024-05-06"]),
)
def test_a_number_is_read_back_in_every_form(number, form):
    text = form.format(float(number) if "e}" in form or ".1f" in form else number)
    expected = float(f"{float(number):e}") if "e}" in form else number
    assert pl.DataFrame({"t": [text]}).select(find_number(pl.col("t"))).item() == expected


def test_no_number_is_wrong_but_no_target_cannot_be_scored():
    spec = Numeric(name="n", type="numeric")
    assert score(spec, "none at all", "4") is False
    assert score(spec, "4", "four") is None
    assert score(spec, "4", None) is None
    assert score(spec, "1e999", "1e999") is None
    assert score(spec, "1e999", "4") is False
