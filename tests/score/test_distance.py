from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.suite.scorers import StringSimilarity
from score_rows import values

WORD = st.text("abc", min_size=1, max_size=8)


def levenshtein(a: str, b: str) -> int:
    """The table of Wagner and Fischer, the plain way."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@given(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=10), st.integers(0, 4))
@settings(deadline=None)  # the first example imports
def test_levenshtein_is_that_of_the_table(pairs, most):
    near = StringSimilarity(name="s", type="string_similarity", max_distance=most)
    assert values(near, *pairs) == [float(levenshtein(a, b) <= most) for a, b in pairs]
    degree = StringSimilarity(name="s", type="string_similarity")
    assert values(degree, *pairs) == pytest.approx([1 - levenshtein(a, b) / max(len(a), len(b)) for a, b in pairs])


@pytest.mark.parametrize(
    ("metric", "similarity"),
    [
        ("levenshtein", 1 - 2 / 6),
        ("damerau_levenshtein", 1 - 1 / 6),
        ("osa", 1 - 1 / 6),
        ("indel", 1 - 2 / 12),
        ("lcs", 5 / 6),
        ("hamming", 1 - 2 / 6),
        ("jaro", 0.9444444444444445),
        ("jaro_winkler", 0.9611111111111111),
    ],
)
def test_each_metric_is_the_one_of_that_name(metric, similarity):
    """martha and marhta: Winkler's own example."""
    spec = StringSimilarity(name="s", type="string_similarity", metric=metric)
    assert values(spec, ("martha", "marhta")) == [pytest.approx(similarity)]


def test_of_several_targets_the_nearest_counts():
    near = StringSimilarity(name="s", type="string_similarity", max_distance=1)
    assert values(near, ("color", ["couleur", "colour"]), ("color", ["none"]), ("color", []), ("color", None)) == [
        1,
        0,
        None,
        None,
    ]
    degree = StringSimilarity(name="s", type="string_similarity", threshold=0.8)
    assert values(degree, ("color", ["couleur", "colour"]), ("x", ["colour"])) == [1, 0]


def test_case_and_space_count_on_request():
    assert values(StringSimilarity(name="s", type="string_similarity"), (" Ab ", "ab")) == [0.5]
    assert values(StringSimilarity(name="s", type="string_similarity", ignore_case=True), (" Ab ", "ab")) == [1]
    assert values(StringSimilarity(name="s", type="string_similarity", strip=False), ("ab ", "ab")) == [
        pytest.approx(2 / 3)
    ]


def test_a_batch_without_rows_has_no_scores():
    assert values(StringSimilarity(name="s", type="string_similarity")) == []
    assert values(StringSimilarity(name="s", type="string_similarity"), ("a", None)) == [None]
