"""A suite of another tool, of whichever: read, and written as one of headgate's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.errors import ConfigError
from headgate.registry.importers import github_models, openai_evals, promptfoo
from headgate.registry.importers.draft import Draft, Left, safe_name
from headgate.registry.importers.write import left_lines, write_suite
from headgate.suite.documents import load_json, read_document

_LINES = (".jsonl", ".ndjson")
_MEND = "promptfoo's configurations, GitHub Models' prompt files with testData and lines of openai/evals are read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an import.

    Attributes
    ----------
    suite : Path
        The suite file.
    files : list of Path
        All files that were written, the suite first.
    items, prompts, models, scorers : int
        How many of them the suite has.
    left : list of Left
        What was not carried over: where it stands, what it is, and why.
    notes : list of str
        What was chosen where the file leaves it open.
    """

    suite: Path
    files: list[Path]
    items: int
    prompts: int
    models: int
    scorers: int
    left: list[Left]
    notes: list[str]

    def __str__(self) -> str:
        lines = [f"{self.items} items, {self.prompts} prompts, {self.models} models, {self.scorers} scorers"]
        return "\n".join([*lines, *self.notes, *(f"not carried over: {line}" for line in left_lines(self.left))])


def import_suite(source: Path, out: Path) -> Imported:
    """Make a suite of another tool's file, and write it.

    Raises
    ------
    ConfigError
        If the file is missing, broken or of no known kind, nothing in it can be carried over, or a file is there
        already where one is to be written.
    """
    if out.suffix.lower() not in {".yaml", ".yml"}:
        raise ConfigError("is no YAML file", field="--out", value=str(out), mend="end it with .yaml")
    if not source.is_file():
        raise ConfigError("there is no such file", file=source)
    stem = source.name.split(".")[0]
    known = "promptfooconfig"
    name = source.absolute().parent.name if stem == known else stem
    draft = Draft(source=source, name=safe_name(name, "suite"))
    _read(draft)
    files = write_suite(draft, out)
    return Imported(
        suite=out,
        files=files,
        items=len(draft.items),
        prompts=len(draft.prompts),
        models=len(draft.models),
        scorers=len(draft.scorers),
        left=draft.left,
        notes=draft.notes,
    )


def _read(draft: Draft) -> None:
    source = draft.source
    if source.suffix.lower() in _LINES:
        if not openai_evals.is_line(_first(source)):
            raise ConfigError("is of no kind that is imported", file=source, mend=_MEND)
        openai_evals.read_lines(draft)
        return
    data = read_document(source).data
    if promptfoo.is_config(data):
        promptfoo.read_config(draft, data)
    elif github_models.is_prompt(data):
        github_models.read_prompt_file(draft, data)
    else:
        raise ConfigError("is of no kind that is imported", file=source, mend=_MEND)


def _first(path: Path) -> Any:
    """Return the first line's data; None where it is no JSON."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        line = next((line for line in lines if line.strip()), "")
    try:
        return load_json(line)
    except ValueError:
        return None
