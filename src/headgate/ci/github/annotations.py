"""Rows of a verdict as annotations on the prompt that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.ci.github.commands import command
from headgate.ci.result import Result
from headgate.decide.table import one_line
from headgate.decide.verdict import WORST_FIRST, MetricRow, Verdict
from headgate.store.manifest import Manifest, PromptFacts

MOST: Final = 10
"""Annotations of a kind that a step may make; GitHub drops the rest."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A line of a file of the repository."""

    file: str
    line: int


def annotate(result: Result, *, workspace: Path) -> list[str]:
    """Return the workflow commands: an error or a warning for each row that does not pass, worst first.

    Parameters
    ----------
    result : Result
        A verdict, and the manifest that names the prompts' files.
    workspace : Path
        The checkout that paths are relative to; a file outside it is not named.
    """
    if result.verdict is None:
        return [command("error", f"headgate: no verdict: {one_line(result.missing, limit=500)}")]
    kinds: dict[str, list[str]] = {"error": [], "warning": []}
    for row in sorted(result.verdict.metrics, key=lambda row: WORST_FIRST.index(row.verdict)):
        if row.verdict != "pass" and row.tier != "monitor":
            kind = "error" if row.tier == "blocking" and row.verdict in {"fail", "invalid"} else "warning"
            kinds[kind].append(_annotation(kind, row, result, workspace))
    if not kinds["error"] and result.verdict.verdict in {"fail", "invalid"}:
        kinds["error"].append(command("error", f"headgate: {one_line(result.verdict.reason, limit=500)}"))
    return [line for kind, lines in kinds.items() for line in _limited(kind, lines)]


def _limited(kind: str, lines: list[str]) -> list[str]:
    if len(lines) <= MOST:
        return lines
    left = len(lines) - MOST + 1
    return [*lines[: MOST - 1], command(kind, f"headgate: {left} more rows do not pass; see the job summary")]


def _annotation(kind: str, row: MetricRow, result: Result, workspace: Path) -> str:
    cell = " ".join(one_line(value, limit=60) for value in row.cell.values())
    title = f"headgate: {row.verdict}: {one_line(row.name, limit=60)}"
    place = _place(row, result, workspace)
    where: dict[str, str | int] = {} if place is None else {"file": place.file, "line": place.line}
    return command(kind, f"{cell}: {one_line(row.reason, limit=500)}", {**where, "title": title})


def _place(row: MetricRow, result: Result, workspace: Path) -> _Place | None:
    if result.manifest is None or result.verdict is None:
        return None
    prompt = _prompt(row, result.verdict, result.manifest)
    if prompt is None or prompt.file is None:
        return None
    path = Path(prompt.file).resolve()
    root = workspace.resolve()
    if not path.is_relative_to(root) or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    return _Place(path.relative_to(root).as_posix(), changed_line(text, prompt, _baseline(result)))


def _prompt(row: MetricRow, verdict: Verdict, manifest: Manifest) -> PromptFacts | None:
    names = [row.cell["prompt"]] if "prompt" in row.cell else list(verdict.candidate.prompt_digests)
    return manifest.plan.prompts.get(names[0]) if len(names) == 1 else None


def _baseline(result: Result) -> PromptFacts | None:
    assert result.verdict is not None
    assert result.manifest is not None
    arm = result.verdict.baseline
    names = [] if arm is None else list(arm.prompt_digests)
    return result.manifest.plan.prompts.get(names[0]) if len(names) == 1 else None


def changed_line(text: str, prompt: PromptFacts, baseline: PromptFacts | None) -> int:
    r"""Return the line of a prompt's file where it begins to differ from the baseline's messages, from 1.

    Any format of file will do: the line is the first that is the message's own line, or holds it.

    Examples
    --------
    >>> facts = lambda text: PromptFacts(digest="", messages=[("user", text)], params={}, file=None)
    >>> changed_line("content: |\n  Be kind.\n  Be short.\n", facts("Be kind.\nBe short."), facts("Be kind."))
    3
    """
    lines = [line.strip() for line in text.splitlines()]
    for wanted in (
        *_changes(prompt, baseline),
        *(line for _, content in prompt.messages for line in content.splitlines()),
    ):
        sought = wanted.strip()
        if sought in lines:
            return lines.index(sought) + 1
        found = next((number for number, line in enumerate(lines, 1) if sought and sought in line), None)
        if found is not None:
            return found
    return 1


def _changes(prompt: PromptFacts, baseline: PromptFacts | None) -> Iterator[str]:
    """Return the lines of the prompt that the baseline does not have in the same place, in order."""
    theirs = [] if baseline is None else [content.splitlines() for _, content in baseline.messages]
    for number, (_, content) in enumerate(prompt.messages):
        other = theirs[number] if number < len(theirs) else []
        for place, line in enumerate(content.splitlines()):
            if place >= len(other) or other[place] != line:
                yield line
