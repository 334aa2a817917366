"""A result as a Markdown page for a job summary or a comment, within a budget of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from headgate.ci.result import Result
from headgate.decide.verdict import WORST_FIRST, ArmErrors, ArmFacts, Verdict
from headgate.report.inert import markdown
from headgate.report.markdown import drift_markdown, looks_markdown, verdict_markdown

NOTE_BYTES: Final = 400
"""Kept free for the line that says what was left out."""

SHOWN: Final = 5
"""Prompts and models of an arm that are named."""


def result_page(result: Result, *, run_url: str, most_bytes: int, origin: str = "") -> str:
    """Return the page: verdict and rows, looks, drift, and where all of it comes from.

    Parameters
    ----------
    result : Result
        What it tells. All text of it is inert; see :mod:`headgate.report.inert`.
    run_url : str
        Address of the workflow run, from GitHub itself; empty for none.
    most_bytes : int
        UTF-8 bytes that it may take. Sections are left out from the end until it does, then rows; the page says so.
    origin : str
        A sentence of headgate's own that says who measured; empty for none.
    """
    if result.verdict is None:
        return _unknown(result, run_url)
    verdict = result.verdict
    sections = {"looks": looks_markdown(verdict), "drift": drift_markdown(verdict), "facts": _facts(result, run_url)}
    sections = {name: text for name, text in sections.items() if text}
    head = f"{origin}\n\n" if origin else ""
    budget = most_bytes - NOTE_BYTES - len(head.encode())
    dropped: list[str] = []
    table = verdict_markdown(verdict)
    for name in list(sections):
        if _size(table, *sections.values()) > budget:
            del sections[name]
            dropped.append(name)
    if _size(table) > budget:
        table, shown = _shortened(verdict, budget)
        dropped.append(f"{len(verdict.metrics) - shown} of {len(verdict.metrics)} rows")
    note = [f"Left out here for want of room: {', '.join(dropped)}. verdict.json holds all of it.\n"] if dropped else []
    return head + "\n".join([table, *sections.values(), *note])


def _size(*texts: str) -> int:
    return sum(len(text.encode()) + 1 for text in texts)


def _shortened(verdict: Verdict, budget: int) -> tuple[str, int]:
    """Return as much of the table as fits, worst rows first, and how many rows that is."""
    rows = sorted(verdict.metrics, key=lambda row: (row.tier != "blocking", WORST_FIRST.index(row.verdict)))
    shown = len(rows) // 2
    while shown > 0:
        table = verdict_markdown(msgspec.structs.replace(verdict, metrics=rows[:shown]))
        if _size(table) <= budget:
            return table, shown
        shown //= 2
    bare = {arm: _bare(getattr(verdict.errors, arm)) for arm in ("candidate", "baseline", "anchor")}
    errors = msgspec.structs.replace(verdict.errors, **bare)
    return verdict_markdown(msgspec.structs.replace(verdict, metrics=[], items=[], errors=errors)), 0


def _bare(counts: ArmErrors | None) -> ArmErrors | None:
    return None if counts is None else msgspec.structs.replace(counts, kinds={})


def _unknown(result: Result, run_url: str) -> str:
    lines = ["## ⛔ headgate: no verdict", "", markdown(result.missing, limit=500), ""]
    lines.append("Nothing is known about the change, so it does not pass. The log of the step says what went wrong.")
    return "\n".join([*lines, *([f"\n- [workflow run]({run_url})"] if run_url else [])]) + "\n"


def _facts(result: Result, run_url: str) -> str:
    assert result.verdict is not None
    verdict = result.verdict
    lines = [f"- [workflow run]({run_url}), with its artifacts"] if run_url else []
    if result.cost_usd is not None:
        lines.append(f"- spent: {result.cost_usd:.4f} USD")
    arms = {"candidate": verdict.candidate, "baseline": verdict.baseline, "anchor": verdict.anchor}
    lines += [f"- {name}: {', '.join(_arm(arm))}" for name, arm in arms.items() if arm is not None]
    lines.append(f"- made {markdown(verdict.created)}")
    return "\n".join(["### Facts", "", *lines]) + "\n"


def _arm(arm: ArmFacts) -> Iterator[str]:
    yield f"run {markdown(arm.run)}"
    yield from (
        f"prompt {markdown(name)} {markdown(digest[:12])}" for name, digest in islice(arm.prompt_digests.items(), SHOWN)
    )
    if arm.served_models:
        yield f"served by {' '.join(markdown(name) for name in arm.served_models[:SHOWN])}"
    if arm.git is not None:
        yield f"commit {markdown(arm.git.commit[:12])}" + (" with changes" if arm.git.dirty else "")
