from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ConfigError
from headgate.score.scorer import check_scorer
from headgate.score.text import contains, exact_match, regex
from headgate.suite.scorers import Contains, EndsWith, ExactMatch, Regex, StartsWith
from score_rows import values

TEXTS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), min_size=1, max_size=20)


def column(expression: pl.Expr, rows: list[tuple[str | None, str | None]]) -> list[bool | None]:
    frame = pl.DataFrame(rows, schema={"output": pl.String, "target": pl.String}, orient="row")
    return frame.select(expression).to_series().to_list()


@given(TEXTS)
def test_exact_match_is_python_equality(rows):
    spec = ExactMatch(name="s", type="exact_match", strip=False)
    assert column(exact_match(spec, pl.col("output"), [pl.col("target")]), rows) == [a == b for a, b in rows]


@given(TEXTS)
def test_contains_is_python_in(rows):
    spec = Contains(name="s", type="contains")
    assert column(contains(spec, pl.col("output"), [pl.col("target")]), rows) == [b in a for a, b in rows]


@pytest.mark.parametrize(
    ("options", "output", "target", "right"),
    [
        ({}, "  Paris\n", "Paris", True),
        ({"strip": False}, "Paris ", "Paris", False),
        ({}, "paris", "Paris", False),
        ({"ignore_case": True}, "PARIS", "paris", True),
        ({}, "Paris", None, None),
        ({}, None, "Paris", None),
    ],
)
def test_exact_match_options(options, output, target, right):
    spec = ExactMatch(name="s", type="exact_match", **options)
    assert column(exact_match(spec, pl.col("output"), [pl.col("target")]), [(output, target)]) == [right]


def test_contains_takes_the_target_literally():
    spec = Contains(name="s", type="contains")
    assert column(contains(spec, pl.col("output"), [pl.col("target")]), [("a.c", "."), ("abc", ".")]) == [True, False]


def test_regex_ignores_case_on_request():
    rows = [("See [12]", None), ("see 12", None)]
    assert column(regex(Regex(name="s", type="regex", pattern=r"SEE \["), pl.col("output")), rows) == [False, False]
    loose = Regex(name="s", type="regex", pattern=r"SEE \[", ignore_case=True)
    assert column(regex(loose, pl.col("output")), rows) == [True, False]


TARGETS = st.lists(st.text("ab", min_size=1, max_size=2), max_size=3)


@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=4), TARGETS), min_size=1, max_size=8))
def test_several_targets_are_a_loop_over_them(rows):
    def check(spec, right, fold=any):
        assert values(spec, *rows) == [
            float(fold(right(o, t) for t in targets)) if targets else None for o, targets in rows
        ]

    check(ExactMatch(name="s", type="exact_match"), str.__eq__)
    check(Contains(name="s", type="contains"), str.__contains__)
    check(Contains(name="s", type="contains", match="all"), str.__contains__, all)
    check(StartsWith(name="s", type="starts_with"), str.startswith)
    check(EndsWith(name="s", type="ends_with"), str.endswith)


@pytest.mark.parametrize(
    ("kind", "text", "target"), [(StartsWith, "  Yes, it is", "yes"), (EndsWith, "it is Yes \n", "YES")]
)
def test_beginnings_and_ends(kind, text, target):
    name = kind.model_fields["type"].annotation.__args__[0]
    assert values(kind(name="s", type=name), (text, target)) == [0]
    assert values(kind(name="s", type=name, ignore_case=True), (text, target)) == [1]
    assert values(kind(name="s", type=name, ignore_case=True, strip=False), (text, target)) == [0]


def test_what_a_pattern_finds_is_compared():
    spec = ExactMatch(name="s", type="exact_match", pattern=r"(?i)answer:\s*(.+)", ignore_case=True)
    assert values(
        spec, ("So.\nAnswer: Paris ", "paris"), ("answer: Rome", "paris"), ("Paris", "paris"), ("x", None)
    ) == [1, 0, 0, None]
    with pytest.raises(ConfigError, match=r"pattern: 'abc' has no group"):
        check_scorer(ExactMatch(name="s", type="exact_match", pattern="abc"))
    with pytest.raises(ConfigError, match="is not a regular expression"):
        check_scorer(ExactMatch(name="s", type="exact_match", pattern="(a"))
