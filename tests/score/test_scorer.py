from __future__ import annotations

import polars as pl
import pytest

from headgate.errors import ConfigError
from headgate.score.callables import Score
from headgate.score.scorer import answered, attach_scores, check_scorer, direction, is_failure, score_columns, version
from headgate.suite.scorers import Contains, ExactMatch, Numeric, Python, Regex


def results(*rows: tuple[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "job_id": f"j{i}",
                "item_id": f"i{i}",
                "cluster": None,
                "prompt": "p",
                "model": "m",
                "seed": 1,
                "status": status,
                "output": output,
                "target": "yes",
            }
            for i, (status, output) in enumerate(rows)
        ],
        schema_overrides={"cluster": pl.String, "output": pl.String},
    )


def test_an_error_is_no_score_and_a_refusal_is_the_worst_one():
    frame = score_columns(
        ExactMatch(name="s", type="exact_match"),
        results(("ok", "yes"), ("ok", "no"), ("error", None), ("refused", "yes"), ("ok", " ")),
    )
    assert frame.select("job_id", "value", "explanation").rows() == [
        ("j0", 1.0, None),
        ("j1", 0.0, None),
        ("j3", 0.0, "refused"),
        ("j4", 0.0, "empty answer"),
    ]


def test_a_refusal_stays_the_worst_score_when_the_scorer_is_negated():
    frame = score_columns(
        Contains(name="s", type="contains", negate=True), results(("ok", "yes"), ("ok", "no"), ("refused", "no"))
    )
    assert frame["value"].to_list() == [0.0, 1.0, 0.0]


def test_a_missing_target_cannot_be_scored():
    rows = results(("ok", "4")).with_columns(target=pl.lit(None, pl.String))
    frame = score_columns(Numeric(name="s", type="numeric"), rows)
    assert frame.select("value", "explanation").row(0) == (None, "the item has no target to compare with")


def test_python_scores_are_joined_to_the_rows_that_were_judged():
    scorer = Python(name="s", type="python", call=len, bounds=(0, 10), higher_is_better=False)
    frame = results(("ok", "abc"), ("error", None), ("refused", None), ("ok", "x"))
    assert answered(frame).filter(~is_failure())["job_id"].to_list() == ["j0", "j3"]
    scored = attach_scores(scorer, frame, [Score(3.0, "long"), Score(None, explanation="boom")]).sort("job_id")
    assert scored.select("job_id", "value", "label", "explanation").rows() == [
        ("j0", 3.0, "long", None),
        ("j2", 10.0, None, "refused"),
        ("j3", None, None, "boom"),
    ]


def test_the_bounds_of_a_negated_scorer_turn_round():
    assert direction(Python(name="s", type="python", call=len, bounds=(0, 0.25), negate=True)).bounds == (0.75, 1)


def test_the_version_follows_the_declaration_and_the_source():
    def one(output):
        return 1

    def two(output):
        return 2

    plain, loose = ExactMatch(name="a", type="exact_match"), ExactMatch(name="a", type="exact_match", ignore_case=True)
    assert version(plain) != version(loose)
    assert version(Python(name="s", type="python", call=one)) != version(Python(name="s", type="python", call=two))


def test_a_bad_pattern_is_named():
    with pytest.raises(ConfigError, match=r"pattern: '\(' is not a regular expression"):
        check_scorer(Regex(name="r", type="regex", pattern="("))
    with pytest.raises(ConfigError, match="no look-around"):
        check_scorer(Regex(name="r", type="regex", pattern="(?=x)"))
