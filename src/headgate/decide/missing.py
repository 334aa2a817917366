"""What became of the jobs, and whether too many of them failed for any verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from headgate.decide.cells import Cell
from headgate.decide.facts import RunFacts, item_numbers
from headgate.decide.serving import count_cached
from headgate.decide.tables import cell_rows
from headgate.decide.verdict import ArmErrors, ArmFacts, Errors
from headgate.stats import fisher_exact

if TYPE_CHECKING:
    import polars as pl

_FISHER: Final = 0.01


def count_arm(facts: RunFacts, cells: Sequence[Cell], *, scorers: Sequence[str]) -> ArmErrors:
    """Count the jobs of an arm by what became of them; ``scorers`` are those of the gates."""
    import polars as pl

    rows = pl.concat([cell_rows(facts.results, cell, "status", "error_kind") for cell in cells])
    counts = {status: int((rows["status"] == status).sum()) for status in ("ok", "refused", "error")}
    errored = rows.filter(pl.col("status") == "error").with_columns(pl.col("error_kind").fill_null("unknown"))
    planned = sum(facts.planned(cell.prompt, cell.model) for cell in cells)
    return ArmErrors(
        planned=planned,
        ok=counts["ok"],
        refused=counts["refused"],
        errored=counts["error"],
        not_run=max(planned - rows.height, 0),
        unscored=_unscored(facts, cells, scorers=scorers, answered=rows.height - errored.height),
        kinds=dict(sorted(errored.group_by("error_kind").len().rows())),
    )


def not_run(facts: RunFacts, cell: Cell) -> int:
    """Return how many planned jobs of a cell have no row."""
    return max(facts.planned(cell.prompt, cell.model) - cell_rows(facts.results, cell, "seed").height, 0)


def too_many_errors(errors: Errors, *, max_error_rate: float) -> str | None:
    """Return why the errors allow no verdict; None when they do.

    An arm has too many when their share exceeds ``max_error_rate``; two arms when their shares differ by more than a
    quarter of it (and Fisher's exact test has p < 0.01).
    """
    arms = {"candidate": errors.candidate} | ({} if errors.baseline is None else {"baseline": errors.baseline})
    for name, arm in arms.items():
        if _share(arm) > max_error_rate:
            return f"{arm.errored} of {_done(arm)} jobs of the {name} errored, more than {max_error_rate:.3g} of them"
    if errors.baseline is None:
        return None
    c, b = errors.candidate, errors.baseline
    apart = abs(_share(c) - _share(b)) > max_error_rate / 4
    if apart and fisher_exact(c.errored, _done(c), b.errored, _done(b)) < _FISHER:
        return f"the arms errored differently: {c.errored} of {_done(c)} jobs against {b.errored} of {_done(b)}"
    return None


def leave_out_substitutes(results: pl.DataFrame, scores: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return results and scores in which what another model answered is missing, as an error is.

    Such a row is paid for and stored, and it says nothing of the model that was asked.
    """
    import polars as pl

    others = results.filter(pl.col("substitute").is_not_null()).select("job_id")
    if others.is_empty():
        return results.drop("substitute"), scores
    other = pl.col("substitute").is_not_null()
    changed = [
        pl.when(other).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in (("status", "error"), ("error_kind", "substitute"))
    ]
    return results.with_columns(changed).drop("substitute"), scores.join(others, on="job_id", how="anti")


def arm_facts(facts: RunFacts, cells: Sequence[Cell]) -> ArmFacts:
    """Return where an arm comes from."""
    import polars as pl

    cached, fallback = count_cached(facts, cells)
    told = pl.col("served_model").filter(pl.col("status") != "error").unique()
    served = pl.concat([cell_rows(facts.results, cell, told) for cell in cells]).to_series()
    return ArmFacts(
        run=facts.run,
        suite_digest=facts.suite_digest,
        plan_digest=facts.plan_digest,
        prompt_digests={name: facts.prompts[name] for name in dict.fromkeys(cell.prompt for cell in cells) if name},
        served_models=sorted(served.drop_nulls().unique().to_list()),
        git=facts.git,
        cached=cached,
        fallback=fallback,
    )


def _unscored(facts: RunFacts, cells: Sequence[Cell], *, scorers: Sequence[str], answered: int) -> int:
    """Count the answered jobs that at least one of the scorers gave no value."""
    if not scorers:
        return 0
    return max(answered - sum(_complete(facts, cell, scorers) for cell in cells), 0)


def _complete(facts: RunFacts, cell: Cell, scorers: Sequence[str]) -> int:
    """Count the jobs of a cell that have a value of every scorer."""
    found = [cell_rows(facts.scores, cell, "item_id", "seed", "value", scorer=name) for name in scorers]
    valued = [rows.drop_nulls("value") for rows in found]
    if len(valued) == 1:
        return valued[0].height
    jobs = np.concatenate(
        [item_numbers(rows) * facts.most_seeds + rows["seed"].to_numpy() - facts.first_seed for rows in valued]
    )
    return int(np.count_nonzero(np.bincount(jobs) == len(valued)))


def _done(arm: ArmErrors) -> int:
    return arm.ok + arm.refused + arm.errored


def _share(arm: ArmErrors) -> float:
    return arm.errored / _done(arm) if _done(arm) else 0.0
