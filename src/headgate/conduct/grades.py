"""What judges said of a run's answers: their rows read back, and made the score of each answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headgate.conduct.judges import SWAPPED, BoundJudge
from headgate.score.callables import Score
from headgate.score.judge import Grade, combine, read_grade
from headgate.score.scorer import is_failure
from headgate.store.dataset import scan
from headgate.store.layout import RunFolder
from headgate.suite.gate import Compare

if TYPE_CHECKING:
    import polars as pl

_COLUMNS = ("item_id", "prompt", "model", "seed", "status", "output", "error_kind", "error_message", "logprobs_json")


def judge_runs(files: RunFolder, judge: BoundJudge, key: str) -> list[RunFolder]:
    """Return the runs of one model of a judge, in the order in which they were made."""
    folder = files.judges / judge.spec.name
    return [RunFolder(file.parent) for file in sorted(folder.glob(f"{key}-*/manifest.json"))]


def read_grades(files: RunFolder, judge: BoundJudge, wanted: pl.Series | None = None) -> dict[str, list[Grade]]:
    """Return all verdicts by the job that is graded, judge by judge.

    Parameters
    ----------
    wanted : Series, optional
        Ids of jobs; default: all.
    """
    import polars as pl

    found: dict[str, list[Grade]] = {}
    for model in judge.models:
        runs = [run.path for run in judge_runs(files, judge, judge.key(model))]
        if not runs:
            continue
        rows = scan(runs).select(_COLUMNS).filter(pl.col("model") == model.id)
        rows = rows if wanted is None else rows.filter(pl.col("item_id").is_in(wanted.implode()))
        for row in rows.collect(engine="streaming").sort("item_id", "prompt", "seed").iter_rows(named=True):
            found.setdefault(row["item_id"], []).append(_grade(judge, row))
    return found


def _grade(judge: BoundJudge, row: Mapping[str, str | None]) -> Grade:
    model, order = row["model"] or "", "swapped" if row["prompt"] == judge.spec.name + SWAPPED else "given"
    if row["status"] == "error":
        reason = f"judge {model} gave no answer: {row['error_kind']}: {row['error_message']}"
        return Grade(None, None, reason, judge=model, order=order)
    if row["status"] == "refused":
        return Grade(None, None, f"judge {model} refused", judge=model, order=order)
    found = read_grade(judge.spec, row["output"], logprobs=row["logprobs_json"])
    value = found.value
    if value is not None and order == "swapped":
        value = 1 - value
    return Grade(value, found.label, found.reason, judge=model, order=order)


def read_scores(
    files: RunFolder, judge: BoundJudge, compare: Compare | None, wanted: pl.Series | None = None
) -> dict[str, Score]:
    """Return the score of each answer that was graded, by its job."""
    if judge.spec.kind != "pairwise" or compare is None:
        found = read_grades(files, judge, wanted)
        return {job: combine(judge.spec, given) for job, given in found.items()}
    pairs = pair_frame(files, compare, wanted)
    grades = read_grades(files, judge, pairs["job_id"])
    scores: dict[str, Score] = {}
    for row in pairs.iter_rows(named=True):
        scores |= _both_sides(judge, row, grades)
    return scores


def _both_sides(judge: BoundJudge, row: Mapping[str, Any], grades: Mapping[str, list[Grade]]) -> dict[str, Score]:
    """Return the score of both answers of a pair: what one wins, the other loses."""
    candidate, baseline = row["job_id"], row["job_id_baseline"]
    if row["failed"] or row["failed_baseline"]:  # what failed has the worst score already
        won = Score(1.0, None, "the other answer failed")
        return {job: won for job, lost in ((candidate, row["failed"]), (baseline, row["failed_baseline"])) if not lost}
    if candidate not in grades:
        return {}
    score = combine(judge.spec, grades[candidate])
    other = None if score.value is None else 1 - score.value
    return {candidate: score, baseline: Score(other, score.label, score.explanation)}


def pair_frame(files: RunFolder, compare: Compare, wanted: pl.Series | None = None) -> pl.DataFrame:
    """Return the answers of both arms side by side: those of the candidate, and with ``_baseline`` the other's.

    Parameters
    ----------
    wanted : Series, optional
        Ids of jobs, of which at least one is in the pair; default: all.

    Returns
    -------
    DataFrame
        item_id, the axis that is not compared, seed; job_id, output and failed (refused, or empty) of both.
    """
    import polars as pl

    axis, other = compare.candidate.axis, "model" if compare.candidate.axis == "prompt" else "prompt"
    rows = scan(files.path).filter(pl.col("status") != "error").with_columns(failed=is_failure())
    keys = ["item_id", other, "seed"]
    arms = [
        rows.filter(pl.col(axis) == arm.value).select(*keys, "job_id", "output", "failed")
        for arm in (compare.candidate, compare.baseline)
    ]
    both = arms[0].join(arms[1], on=keys, suffix="_baseline")
    if wanted is not None:
        ids = wanted.implode()
        both = both.filter(pl.col("job_id").is_in(ids) | pl.col("job_id_baseline").is_in(ids))
    return both.collect(engine="streaming").sort("job_id")
