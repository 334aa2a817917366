"""A verdict as OpenMetrics text, for systems that compare figures from run to run."""

from __future__ import annotations

from typing import Final

from headgate.decide.verdict import WORST_FIRST, Verdict
from headgate.report.exposition import Sample, family
from headgate.report.rows import named_rows

_GATES: Final = {
    "baseline_mean": "Mean of the baseline over items.",
    "candidate_mean": "Mean of the candidate over items.",
    "estimate": "What the rule judges: difference, mean, ratio or share.",
    "low": "Lower limit that decided.",
    "high": "Upper limit that decided.",
    "n_items": "Items that were judged.",
}
_STATUSES: Final = ("ok", "refused", "errored", "not_run", "unscored")


def verdict_openmetrics(verdict: Verdict) -> str:
    """Return the verdict as OpenMetrics text: its word, the figures of each gate and cell, and the jobs of each arm.

    Notes
    -----
    Figures have four digits: a reader that compares them as text would else see every one change in every run. Labels
    hold what is declared, so that a series keeps its name.

    References
    ----------
    OpenMetrics 1.0, text format.
    """
    words: list[Sample] = [({"headgate_verdict": word}, int(word == verdict.verdict)) for word in reversed(WORST_FIRST)]
    lines = [*family("verdict", "stateset", "The verdict.", words)]
    rows = named_rows(verdict.metrics)
    for field, said in _GATES.items():
        values = [({"gate": gate, "cell": cell}, getattr(row, field)) for gate, cell, row in rows]
        samples = [(labels, _rounded(value)) for labels, value in values if value is not None]
        if samples:
            lines += family(f"gate_{field.removeprefix('n_')}", "gauge", said, samples)
    lines += family("jobs", "gauge", "Jobs of an arm, by what became of them.", _jobs(verdict))
    return "\n".join([*lines, "# EOF"]) + "\n"


def _jobs(verdict: Verdict) -> list[Sample]:
    arms = {"candidate": verdict.errors.candidate, "baseline": verdict.errors.baseline, "anchor": verdict.errors.anchor}
    known = [(arm, counts) for arm, counts in arms.items() if counts is not None]
    return [({"arm": arm, "status": status}, getattr(counts, status)) for arm, counts in known for status in _STATUSES]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if isinstance(value, float) else value
