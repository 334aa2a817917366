"""Scorers that compare text: exact match, contains, starts and ends with, regular expression, length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headgate.score.targets import all_targets, any_target

if TYPE_CHECKING:
    import polars as pl

    from headgate.suite.scorers import Contains, EndsWith, ExactMatch, Length, Regex, StartsWith


def exact_match(spec: ExactMatch, output: pl.Expr, targets: Sequence[pl.Expr]) -> pl.Expr:
    """Return a Boolean expression: the output equals a target.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.scorers import ExactMatch
    >>> frame = pl.DataFrame({"output": [" Paris", "paris", None], "target": ["Paris", "Paris", "Paris"]})
    >>> spec = ExactMatch(name="correct", type="exact_match")
    >>> frame.select(exact_match(spec, pl.col("output"), [pl.col("target")])).to_series().to_list()
    [True, False, None]
    """
    fold = squad_form if spec.normalize == "squad" else _folding(ignore_case=spec.ignore_case, strip=spec.strip)
    if spec.pattern is not None:  # an output without a match is wrong, and not without a score
        output = output.str.extract(spec.pattern).fill_null("")
    return any_target([fold(output) == fold(target) for target in targets])


def squad_form(text: pl.Expr) -> pl.Expr:
    """Return text as SQuAD compares it: no case, punctuation, articles, or more than one space.

    Source: the evaluation script of SQuAD 1.1 (Rajpurkar et al. 2016).

    Examples
    --------
    >>> import polars as pl
    >>> pl.DataFrame({"t": ["The  Eiffel-Tower."]}).select(squad_form(pl.col("t"))).item()
    'eiffeltower'
    """
    bare = text.str.to_lowercase().str.replace_all(r"[[:punct:]]", "").str.replace_all(r"\b(?:a|an|the)\b", " ")
    return bare.str.replace_all(r"\s+", " ").str.strip_chars()


def contains(spec: Contains, output: pl.Expr, targets: Sequence[pl.Expr]) -> pl.Expr:
    """Return a Boolean expression: a target, or each of them, stands somewhere in the output.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.scorers import Contains
    >>> frame = pl.DataFrame({"output": ["It is Paris."], "target": ["paris"]})
    >>> spec = Contains(name="has", type="contains", ignore_case=True)
    >>> frame.select(contains(spec, pl.col("output"), [pl.col("target")])).item()
    True
    """
    fold = _folding(ignore_case=spec.ignore_case, strip=False)
    found = [fold(output).str.contains(fold(target), literal=True) for target in targets]
    return any_target(found) if spec.match == "any" else all_targets(found)


def starts_with(spec: StartsWith, output: pl.Expr, targets: Sequence[pl.Expr]) -> pl.Expr:
    """Return a Boolean expression: the output starts with a target."""
    fold = _folding(ignore_case=spec.ignore_case, strip=spec.strip)
    return any_target([fold(output).str.starts_with(fold(target)) for target in targets])


def ends_with(spec: EndsWith, output: pl.Expr, targets: Sequence[pl.Expr]) -> pl.Expr:
    """Return a Boolean expression: the output ends with a target."""
    fold = _folding(ignore_case=spec.ignore_case, strip=spec.strip)
    return any_target([fold(output).str.ends_with(fold(target)) for target in targets])


def regex(spec: Regex, output: pl.Expr) -> pl.Expr:
    r"""Return a Boolean expression: the pattern is found in the output.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.scorers import Regex
    >>> spec = Regex(name="cites", type="regex", pattern=r"\[\d+\]")
    >>> pl.DataFrame({"output": ["see [3]", "none"]}).select(regex(spec, pl.col("output"))).to_series().to_list()
    [True, False]
    """
    return output.str.contains(f"(?i){spec.pattern}" if spec.ignore_case else spec.pattern)


def length(spec: Length, output: pl.Expr, tokens: pl.Expr) -> pl.Expr:
    """Return a Boolean expression: the output is as long as asked for.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.scorers import Length
    >>> frame = pl.DataFrame({"output": ["one two", "one two three"]})
    >>> spec = Length(name="brief", type="length", unit="words", max=2)
    >>> frame.select(length(spec, pl.col("output"), pl.lit(None))).to_series().to_list()
    [True, False]
    """
    counts = {
        "chars": output.str.len_chars(),
        "words": output.str.count_matches(r"\S+"),
        "lines": output.str.strip_chars("\n").str.count_matches("\n", literal=True) + 1,
        "tokens": tokens,
    }
    return within(counts[spec.unit], low=spec.min, high=spec.max)


def within(number: pl.Expr, *, low: float | None, high: float | None) -> pl.Expr:
    """Return a Boolean expression: a number is within its limits; null where it is null."""
    import polars as pl

    checks = [number >= low] if low is not None else []
    checks += [number <= high] if high is not None else []
    return pl.when(number.is_not_null()).then(pl.all_horizontal(checks))


def _folding(*, ignore_case: bool, strip: bool) -> Callable[[pl.Expr], pl.Expr]:
    def fold(text: pl.Expr) -> pl.Expr:
        text = text.str.strip_chars() if strip else text
        return text.str.to_lowercase() if ignore_case else text

    return fold
