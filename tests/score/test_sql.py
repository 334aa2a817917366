from __future__ import annotations

import pytest

from headgate.errors import ConfigError
from headgate.score.scorer import check_scorer
from headgate.suite.scorers import SqlValid
from score_rows import scored, values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SELECT a, b FROM t WHERE c > 1 ORDER BY a;", 1),
        ("WITH x AS (SELECT 1) SELECT * FROM x", 1),
        ("INSERT INTO t VALUES (1)", 1),
        ("SELECT 1; SELECT 2", 1),
        ("hello", 0),
        ("I think so", 0),
        ("select", 0),
        ("SELECT a FROM", 0),
        ("VACUUM t", 0),
        ("-- nothing", 0),
        ("```sql\nSELECT 1\n```", 0),
        ("(" * 5000, 0),
    ],
)
def test_sql(text, value):
    assert values(SqlValid(name="s", type="sql_valid"), (text, None)) == [value]


def test_sql_in_a_fence():
    spec = SqlValid(name="s", type="sql_valid", extract=True, dialect="mysql")
    texts = ["So:\n```sql\nSELECT `id` FROM `users`;\n```\nDone.", "SELECT 1", "So:\n```\nnone\n```"]
    assert values(spec, *((text, None) for text in texts)) == [1, 1, 0]


def test_what_may_be_named():
    spec = SqlValid(name="s", type="sql_valid", statements=["select"], tables=["t", "main.u"])
    texts = [
        "SELECT * FROM T JOIN main.u",
        "WITH x AS (SELECT 1 FROM t) SELECT * FROM x",
        "SELECT * FROM v",
        "DELETE FROM t",
    ]
    found = scored(spec, [{"output": text} for text in texts])
    assert found["value"].to_list() == [1, 1, 0, 0]
    assert found["explanation"].to_list()[2:] == ["table v is not allowed", "a delete statement is not allowed"]


def test_a_dialect_that_there_is_not_is_an_error():
    with pytest.raises(ConfigError, match="dialect: 'klingon' is no dialect of sqlglot"):
        check_scorer(SqlValid(name="s", type="sql_valid", dialect="klingon"))
