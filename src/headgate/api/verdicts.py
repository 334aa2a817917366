"""Verdicts and estimates on runs that are stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgate.api.calls import RunPath
from headgate.conduct.baselines import (
    anchor_path,
    baseline_path,
)
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError
from headgate.suite.suite import Suite

if TYPE_CHECKING:
    from headgate.stats import Estimate


def gate(
    run: RunPath,
    *,
    baseline: RunPath | None = None,
    anchor: RunPath | None = None,
    suite: Suite | None = None,
    candidate: str | None = None,
    store: RunPath | None = None,
) -> Verdict:
    """Judge a stored run by its gates.

    Parameters
    ----------
    run : path or Run
        The candidate's run; with a ``compare`` that both arms are in, the only one needed.
    baseline : path, Run or str, optional
        The baseline's run; or a stored one: ``baseline:NAME``, or ``auto`` for the newest that may replace the
        suite's baseline arm.
    anchor : path, Run or str, optional
        The run of the last release, for gates with ``against: anchor``; or a stored one: ``baseline:NAME``.
    suite : Suite, optional
        Whose gates hold; default: the suite that the run was started with.
    candidate : str, optional
        ``prompt=NAME`` or ``model=NAME``: judge this arm in place of the declared candidate.
    store : str or path, optional
        Where stored baselines are; as for :func:`save_baseline`.

    Returns
    -------
    Verdict
        ``print`` shows it as a table; ``to_json()`` is the file ``verdict.json``.

    Raises
    ------
    ConfigError
        If there is nothing to judge: no gates, an unknown arm, missing scores.
    BaselineMissing
        If the store holds no such baseline; the parts that differ in the nearest are named.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(150)],
    ...     prompts={"old": "{{ question }}", "new": "Sum: {{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated",
    ...              "simulate": {"accuracy": {"old": 0.95, "new": 0.5}, "latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ...     compare={"baseline": {"prompt": "old"}, "candidate": {"prompt": "new"}},
    ...     gates=[{"metric": "correct", "margin": 0.05}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     verdict = hg.gate(hg.run(suite, out=folder + "/run"))
    >>> verdict.verdict, verdict.exit_code
    ('fail', 1)
    """
    from headgate.conduct.judging import gate_runs

    path = Path(run)
    return gate_runs(
        path,
        baseline=baseline_path(baseline, run=path, suite=suite, store=store),
        anchor=anchor_path(anchor, run=path, store=store),
        suite=suite,
        candidate=candidate,
    )


def compare(
    candidate: RunPath,
    baseline: RunPath,
    *,
    metric: str,
    prompt: str | None = None,
    model: str | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the difference of a metric between two runs, paired by item; an estimate, not a verdict.

    Parameters
    ----------
    metric : str
        A scorer's name, or a built-in metric.
    prompt, model : str, optional
        Which cell, where the runs have several.

    Returns
    -------
    Estimate
        Candidate minus baseline, with a two-sided interval.

    Raises
    ------
    ConfigError
        If a run lacks the metric, no cell pairs, or several do.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> def suite(accuracy):
    ...     return hg.Suite(
    ...         name="sums",
    ...         items=[{"q": f"{n} + 1 = ?", "target": n + 1} for n in range(100)],
    ...         prompts={"p": "{{ q }}"},
    ...         models=[{"id": "small", "provider": "simulated", "simulate": {"accuracy": accuracy, "latency_s": 0}}],
    ...         scorers=[{"name": "correct", "type": "exact_match"}])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     old, new = (hg.run(suite(a), out=f"{folder}/{a}") for a in (0.9, 0.5))
    ...     difference = hg.compare(new, old, metric="correct")
    >>> difference.low < difference.value < difference.high < 0
    True
    """
    from headgate.conduct.estimates import compare_cells

    cells = compare_cells(Path(candidate), Path(baseline), metric, confidence=confidence)
    chosen = [cell for cell in cells if prompt in {None, cell.prompt} and model in {None, cell.model}]
    if len(chosen) != 1:
        known = "; ".join(f"prompt {cell.prompt}, model {cell.model}" for cell in cells)
        raise ConfigError(
            f"{len(chosen)} cells fit", field="compare", mend=f"choose one by `prompt` and `model`: {known}"
        )
    if chosen[0].estimate is None:
        raise ConfigError("fewer than two items have a value in both runs", file=Path(candidate), field=metric)
    return chosen[0].estimate
