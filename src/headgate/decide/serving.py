"""Whether both arms were served alike: the same model, at the same endpoints, in the same versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from headgate.decide.cells import Cell, Match
from headgate.decide.facts import RunFacts
from headgate.decide.table import describe_shares
from headgate.decide.verdict import ServingRow
from headgate.stats import fisher_exact

if TYPE_CHECKING:
    import polars as pl

_INVALIDATING: Final = ("served_model", "dropped_params")
"""What makes the arms another comparison than the one that was declared: another model, or another question."""

_TELLING: Final = ("endpoint", "deployment", "api_version", "system_fingerprint", "fallback")
"""What may make a difference although the suite declares it to be the same."""

_ALL_ROWS: Final = frozenset({"dropped_params", "api_version", "fallback", "endpoint"})
"""Columns in which null is a value; in the others it is not known."""

_KEYS: Final = ("prompt", "model")
_P: Final = 0.01
_NONE: Final = "none"


def count_serving(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return how many answers of each prompt and model were served how, from rows of results.

    A gateway's own names for what stands behind it count as deployments. Errors were served by nobody, and a
    substitute's answers are not the model's.
    """
    import polars as pl

    answered = rows.filter((pl.col("status") != "error") & pl.col("substitute").is_null())
    named = answered.with_columns(deployment=pl.col("metadata_json").str.json_path_match("$.x-litellm-model-id"))
    return named.group_by(*_KEYS, *_INVALIDATING, *_TELLING, "cache_hit").len()


def serving_rows(
    candidate: RunFacts, baseline: RunFacts | None, found: Sequence[Match], *, most: float
) -> list[ServingRow]:
    """Return in what the arms were served differently.

    Parameters
    ----------
    most : float
        Share of an arm that may be served otherwise: it can shift a mean by as much as the same share of errors.

    Notes
    -----
    An arm that is another model is served by another: of it only fallbacks are compared.
    """
    if baseline is None or candidate.serving is None or baseline.serving is None:
        return []
    rows: list[ServingRow] = []
    for match in found:
        if match.baseline is None:
            continue
        ours, theirs = match.candidate, match.baseline
        same = candidate.models.get(ours.model) == baseline.models.get(theirs.model)
        names = (*_INVALIDATING, *_TELLING) if same else ("fallback",)
        pair = (_of(candidate.serving, ours), _of(baseline.serving, theirs))
        rows += [row for name in names for row in _differs(name, match, pair, most=most)]
    return rows


def served_apart(rows: Sequence[ServingRow]) -> str | None:
    """Return why the arms cannot be compared; None where they can."""
    row = next((row for row in rows if row.invalid), None)
    if row is None:
        return None
    where = " ".join(row.cell.values())
    what = "different models answered" if row.name == "served_model" else "different parameters were left out"
    return (
        f"{what} in the two arms on {where}: {describe_shares(row.candidate)} against {describe_shares(row.baseline)}; "
        "ask both arms again, at the same time"
    )


def count_cached(facts: RunFacts, cells: Sequence[Cell]) -> tuple[int, int]:
    """Return how many answers of some cells came from the cache, and how many from another endpoint than the first."""
    import polars as pl

    if facts.serving is None:
        return 0, 0
    rows = pl.concat([_of(facts.serving, cell) for cell in cells])
    return tuple(int(rows.filter(pl.col(name))["len"].sum()) for name in ("cache_hit", "fallback"))  # type: ignore[return-value]


def _of(serving: pl.DataFrame, cell: Cell) -> pl.DataFrame:
    import polars as pl

    return serving.filter((pl.col("prompt") == cell.prompt) & (pl.col("model") == cell.model))


def _differs(name: str, match: Match, pair: tuple[pl.DataFrame, pl.DataFrame], *, most: float) -> Iterator[ServingRow]:
    counts = [_counts(rows, name) for rows in pair]
    totals = [sum(count.values()) for count in counts]
    if not all(totals):
        return
    values = sorted(set().union(*counts))
    shares = [{value: count[value] / total for value in count} for count, total in zip(counts, totals, strict=True)]
    gaps = {value: abs(shares[0].get(value, 0) - shares[1].get(value, 0)) for value in values}
    value = max(gaps, key=gaps.__getitem__)
    distance = sum(gaps.values()) / 2
    level = _P / len(values)
    told = (counts[0].get(value, 0), totals[0], counts[1].get(value, 0), totals[1])
    if distance > most and (p_value := fisher_exact(*told)) < level:
        yield ServingRow(
            name=name,
            cell=match.name,
            candidate=dict(_in_order(shares[0])),
            baseline=dict(_in_order(shares[1])),
            distance=distance,
            p_value=float(p_value),
            invalid=name in _INVALIDATING,
        )


def _counts(rows: pl.DataFrame, name: str) -> dict[str, int]:
    import polars as pl

    column = pl.col(name).cast(pl.String)
    column = column.fill_null(_NONE) if name in _ALL_ROWS else column
    found = rows.lazy().group_by(column.alias("value")).agg(pl.col("len").sum()).drop_nulls("value").collect()
    return dict(found.iter_rows())


def _in_order(shares: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
