"""Scores made of the scores of others: the weighted mean of several, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headgate.errors import StoreError
from headgate.score.scorer import KEYS
from headgate.store.part import read_batches
from headgate.suite.scorers import Weighted

if TYPE_CHECKING:
    import polars as pl

_ROWS: Final = 16_384


def weighted_mean(spec: Weighted, weights: Mapping[str, float], parts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the scores of a weighted scorer from those of its parts, whose rows are the same.

    Where a part could not be scored, the mean cannot either. A part without weight has no say.

    Parameters
    ----------
    weights : mapping of str to float
        Of the parts, by name.
    parts : mapping of str to DataFrame
        Their scores, in one order.
    """
    import polars as pl

    chosen = {name: weights[name] for name in spec.of if weights[name] > 0}
    first = next(iter(parts.values()))
    values = pl.DataFrame({name: parts[name]["value"] for name in chosen})
    total = pl.sum_horizontal((pl.col(name) * weight for name, weight in chosen.items()), ignore_nulls=False)
    mean = (total / sum(chosen.values())).clip(0.0, 1.0)
    if spec.threshold is not None:
        mean = (mean >= spec.threshold).cast(pl.Float64)
    absent = pl.coalesce(pl.when(pl.col(name).is_null()).then(pl.lit(f"{name} could not be scored")) for name in chosen)
    made = values.select(value=1 - mean if spec.negate else mean, label=pl.lit(None, pl.String), explanation=absent)
    return pl.concat([first.select(KEYS), made], how="horizontal")


def stored_parts(files: Mapping[str, Path]) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield the stored scores of several scorers side by side, some thousand rows at a time.

    Raises
    ------
    StoreError
        If they are not of the same rows in the same order.
    """
    streams = {name: _frames(path) for name, path in files.items()}
    for together in zip(*streams.values(), strict=True):
        ids = [frame["job_id"] for frame in together]
        if not all(one.equals(ids[0]) for one in ids):
            raise StoreError(f"{next(iter(files.values())).parent}: scores are of different rows; score the run again")
        yield dict(zip(streams, together, strict=True))


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file in frames of one size, whichever way it is cut itself."""
    import polars as pl

    rest: list[pl.DataFrame] = []
    for batch in read_batches(path, [*KEYS, "value"], rows=_ROWS):
        rest.append(pl.DataFrame(pl.from_arrow(batch)))
        if sum(frame.height for frame in rest) >= _ROWS:
            whole = pl.concat(rest)
            yield whole[:_ROWS]
            rest = [whole[_ROWS:]]
    left: Sequence[pl.DataFrame] = [frame for frame in rest if frame.height]
    if left:
        yield pl.concat(left)
