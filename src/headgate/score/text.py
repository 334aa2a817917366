"""Scorers that compare text: exact match, contains, regular expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from headgate.suite.model import Contains, ExactMatch, Regex


def exact_match(spec: ExactMatch, output: pl.Expr, target: pl.Expr) -> pl.Expr:
    """Return a Boolean expression: the output equals the target.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.model import ExactMatch
    >>> frame = pl.DataFrame({"output": [" Paris", "paris", None], "target": ["Paris", "Paris", "Paris"]})
    >>> spec = ExactMatch(name="correct", type="exact_match")
    >>> frame.select(exact_match(spec, pl.col("output"), pl.col("target"))).to_series().to_list()
    [True, False, None]
    """
    if spec.strip:
        output, target = output.str.strip_chars(), target.str.strip_chars()
    if spec.ignore_case:
        output, target = output.str.to_lowercase(), target.str.to_lowercase()
    return output == target


def contains(spec: Contains, output: pl.Expr, target: pl.Expr) -> pl.Expr:
    """Return a Boolean expression: the target stands somewhere in the output.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.model import Contains
    >>> frame = pl.DataFrame({"output": ["It is Paris."], "target": ["paris"]})
    >>> spec = Contains(name="has", type="contains", ignore_case=True)
    >>> frame.select(contains(spec, pl.col("output"), pl.col("target"))).item()
    True
    """
    if spec.ignore_case:
        output, target = output.str.to_lowercase(), target.str.to_lowercase()
    return output.str.contains(target, literal=True)


def regex(spec: Regex, output: pl.Expr) -> pl.Expr:
    r"""Return a Boolean expression: the pattern is found in the output.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.model import Regex
    >>> spec = Regex(name="cites", type="regex", pattern=r"\[\d+\]")
    >>> pl.DataFrame({"output": ["see [3]", "none"]}).select(regex(spec, pl.col("output"))).to_series().to_list()
    [True, False]
    """
    return output.str.contains(f"(?i){spec.pattern}" if spec.ignore_case else spec.pattern)
