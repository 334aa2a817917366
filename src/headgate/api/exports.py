"""Runs in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

from headgate.api.calls import RunPath


def export_run(
    run: RunPath,
    file: RunPath,
    *,
    format: str | None = None,  # noqa: A002 - as the command line has it
    prompt: str | None = None,
    model: str | None = None,
) -> int:
    """Write a run as one file: a row for each job, its result and, by the scorers' names, its scores.

    Parameters
    ----------
    run : path or Run
        The run.
    file : path
        Where to write it; nothing is overwritten, and nothing half-written stays.
    format : str, optional
        ``parquet``, ``csv``, ``jsonl``, ``inspect`` (a log for Inspect) or ``openai-evals`` (its JSON lines); default:
        what the file's name ends with.
    prompt, model : str, optional
        Only rows of these; logs hold one of each.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    ConfigError
        If the format is unknown, the file is there already, or a prompt or model must be chosen.
    StoreError
        If a file of the run is damaged, or the disk refuses.

    Notes
    -----
    A text in CSV that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@``, a tab or a
    carriage return) gets a ``'`` in front; the other formats hold every text as it is.

    Examples
    --------
    >>> import headgate as hg, tempfile
    >>> suite = hg.Suite(
    ...     name="sums",
    ...     items=[{"question": f"{n} + 1 = ?", "target": n + 1} for n in range(20)],
    ...     prompts={"plain": "{{ question }}"},
    ...     models=[{"id": "small", "provider": "simulated", "simulate": {"latency_s": 0}}],
    ...     scorers=[{"name": "correct", "type": "exact_match"}],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = hg.run(suite, out=folder + "/run")
    ...     rows = hg.export_run(run, folder + "/run.csv")
    ...     verdict = hg.gate_scores(folder + "/run.csv", score="correct", min=0.5)
    >>> rows, verdict.verdict
    (20, 'pass')
    """
    from headgate.conduct.export import export_run

    return export_run(Path(run), Path(file), format_name=format, prompt=prompt, model=model)
