"""How far strings are apart, by rapidfuzz: whole columns in C++."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from headgate.score.library import load_library
from headgate.score.targets import target_lists

if TYPE_CHECKING:
    import polars as pl

    from headgate.suite.scorers import StringSimilarity

_CLASSES: Final = {
    "levenshtein": "Levenshtein",
    "damerau_levenshtein": "DamerauLevenshtein",
    "osa": "OSA",
    "indel": "Indel",
    "lcs": "LCSseq",
    "hamming": "Hamming",
    "jaro": "Jaro",
    "jaro_winkler": "JaroWinkler",
}


def string_similarity(spec: StringSimilarity, rows: pl.DataFrame) -> pl.Series:
    """Return the similarity of each output to its nearest target, or whether it is near enough; null without a target.

    Examples
    --------
    >>> import polars as pl
    >>> from headgate.suite.scorers import StringSimilarity
    >>> frame = pl.DataFrame({"output": ["kitten"], "target": ["sitting"]})
    >>> spec = StringSimilarity(name="near", type="string_similarity", max_distance=3)
    >>> string_similarity(spec, frame).to_list()
    [1.0]
    """
    import polars as pl

    pairs = pl.DataFrame({"row": range(rows.height), "output": rows["output"], "target": target_lists(rows)})
    pairs = pairs.explode("target").drop_nulls("target").with_columns(_folded(spec, "output"), _folded(spec, "target"))
    value = pl.Series("value", _compare(spec, pairs["output"].to_list(), pairs["target"].to_list()), pl.Float64)
    best = pl.col("value").min() if spec.max_distance is not None else pl.col("value").max()
    found = pairs.select("row").with_columns(value).group_by("row").agg(best)
    whole = pl.DataFrame({"row": range(rows.height)}).join(found, on="row", how="left", maintain_order="left")["value"]
    if spec.max_distance is not None:
        return (whole <= spec.max_distance).cast(pl.Float64)
    return whole if spec.threshold is None else (whole >= spec.threshold).cast(pl.Float64)


def _folded(spec: StringSimilarity, column: str) -> pl.Expr:
    import polars as pl

    text = pl.col(column).str.strip_chars() if spec.strip else pl.col(column)
    return text.str.to_lowercase() if spec.ignore_case else text


def _compare(spec: StringSimilarity, outputs: list[str], targets: list[str]) -> Any:
    metric = getattr(load_library("rapidfuzz.distance"), _CLASSES[spec.metric])
    measure = metric.distance if spec.max_distance is not None else metric.normalized_similarity
    # Its scorers of an empty column are not defined; in double precision, as thresholds are met exactly.
    import numpy as np

    if not outputs:
        return []
    return load_library("rapidfuzz.process").cpdist(outputs, targets, scorer=measure, dtype=np.float64)
