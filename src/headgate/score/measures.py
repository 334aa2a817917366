"""Scorers of what stands beside the text in a result."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from headgate.score.callables import Score
from headgate.score.text import within

if TYPE_CHECKING:
    import polars as pl

    from headgate.suite.scorers import Limit, Perplexity, StopReason


def limit(spec: Limit) -> pl.Expr:
    """Return a Boolean expression: the number of a column is within its limits; null where it is not known.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.scorers import Limit
    >>> frame = pl.DataFrame({"latency_s": [0.5, 3.0, None]})
    >>> frame.select(limit(Limit(name="fast", type="limit", column="latency_s", max=1.0))).to_series().to_list()
    [True, False, None]
    """
    import polars as pl

    total = spec.column == "total_tokens"
    number = pl.col("input_tokens") + pl.col("output_tokens") if total else pl.col(spec.column)
    return within(number, low=spec.min, high=spec.max)


def stop_reason(spec: StopReason) -> pl.Expr:
    """Return a Boolean expression: the model stopped for one of the reasons; null where it is not known."""
    import polars as pl

    return pl.col("stop_reason").str.to_lowercase().is_in([reason.lower() for reason in spec.reasons])


class _Token(msgspec.Struct, gc=False):
    logprob: float


_DECODER = msgspec.json.Decoder(list[_Token])


def perplexity(spec: Perplexity) -> Callable[[str | None], float | Score]:
    """Return a function: perplexity of the log probabilities of an answer's tokens.

    Examples
    --------
    >>> from headgate.suite.scorers import Perplexity
    >>> score = perplexity(Perplexity(name="ppl", type="perplexity"))
    >>> round(score('[{"token": "a", "logprob": -0.6931471805599453}]'), 12)
    2.0
    """

    def grade(logprobs: str | None) -> float | Score:
        if logprobs is None:
            return Score(None, explanation="the result has no log probabilities; ask the model for them in `params`")
        try:
            found = [token.logprob for token in _DECODER.decode(logprobs)]
        except msgspec.DecodeError as error:
            return Score(None, explanation=f"the log probabilities cannot be read: {error}")
        if not found:
            return Score(None, explanation="there is no token")
        mean = math.fsum(found) / len(found)
        if spec.normalized:
            return math.exp(min(mean, 0.0))
        if spec.max is not None:
            return float(-mean <= math.log(spec.max))
        try:
            return math.exp(-mean)
        except OverflowError:  # a token of probability 0, as providers write it
            return Score(None, explanation="the perplexity is too large for a number")

    return grade
