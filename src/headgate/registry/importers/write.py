"""A draft as files: a suite that loads, its items and prompts beside it; all of them or none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from headgate.errors import ConfigError
from headgate.registry.importers.draft import Draft, Left, ScorerDraft
from headgate.registry.importers.judged import FILES
from headgate.registry.load import load_prompts
from headgate.suite.files import load_suite
from headgate.suite.items import read_rows
from headgate.suite.prompts import Prompt

_MARGIN: Final = 0.05
_GATES: Final = (
    f"gates hold a run against another one, with a margin of {_MARGIN}: promptfoo and evals have no such thing"
)
_ASKING: Final = frozenset({"embedding_similarity", "judge"})
"""Scorers that cost money: of an item that expects nothing they ask nothing."""

_FAILED: Final = "an answer that is empty or refused has the worst score, whatever a scorer of text asks for"


def write_suite(draft: Draft, out: Path) -> list[Path]:
    """Write a suite file, ``items.jsonl`` and a file for each prompt, and return their paths.

    Raises
    ------
    ConfigError
        If nothing is left to ask, or a file is there already; nothing has then been written.
    """
    for what, found in (("item", draft.items), ("prompt", draft.prompts)):
        if not found:
            listed = "".join(f"\n  {line}" for line in left_lines(draft.left))
            raise ConfigError(f"no {what} can be carried over{listed}", file=draft.source)
    files = _files(draft, out.name)
    there = [name for name in files if (out.parent / name).exists()]
    if there:
        mend = "nothing is overwritten: name another place"
        raise ConfigError("is there already", file=out.parent / there[0], mend=mend)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".import-") as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        _prove(Path(folder, out.name), draft)
        for name in reversed(files):  # the suite last: it is there when what it names is
            (out.parent / name).parent.mkdir(exist_ok=True)
            Path(folder, name).rename(out.parent / name)
    return [out.parent / name for name in files]


def _prove(path: Path, draft: Draft) -> None:
    """Read everything back as a run would: the prompts are still the same."""
    suite = load_suite(path)
    assert [prompt.digest for prompt in load_prompts(suite)] == [prompt.digest for prompt in draft.prompts.values()]
    for _ in read_rows(suite.items, base=suite.base, file=path):
        pass


def left_lines(left: list[Left]) -> list[str]:
    """Return what was left, one line for each kind of thing: what, why, how often, and where first."""
    places: dict[tuple[str, str], list[str]] = {}
    for one in left:
        places.setdefault((one.what, one.why), []).append(one.where)
    return [
        f"{what}: {why} ({where[0]}" + (f" and {len(where) - 1} more)" if len(where) > 1 else ")")
        for (what, why), where in places.items()
    ]


def _files(draft: Draft, name: str) -> dict[str, str]:
    columns, scorers, gates = _scorers(draft)
    declared: dict[str, Any] = {"name": draft.name, "items": _items(draft)}
    prompts = {called: _prompt(called, prompt) for called, prompt in draft.prompts.items()}
    declared["prompts"] = {called: path for called, (path, _) in prompts.items()}
    declared["models"] = [{key: value for key, value in model.items() if value != {}} for model in draft.models]
    declared |= {"seeds": draft.seeds} if draft.seeds > 1 else {}
    declared |= {"scorers": scorers, "gates": gates} if scorers else {}
    rows = [{**item, **columns[number]} for number, item in enumerate(draft.items)]
    return {
        name: _comments(draft) + yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=120),
        "items.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        **dict(prompts.values()),
        **{
            path: FILES[path]
            for path in sorted({one["prompt"] for one in scorers if one["type"] == "judge" and "prompt" in one})
        },
    }


def _items(draft: Draft) -> Any:
    """Return where the items are; a column `id` of theirs identifies them only if it does."""
    ids = [item.get("id") for item in draft.items]
    known = {str(one) for one in ids}
    if not any("id" in item for item in draft.items) or (
        len(known) == len(ids) and None not in ids and "" not in known
    ):
        return "items.jsonl"
    for number, item in enumerate(draft.items, 1):
        item["item_number"] = number
    return {"path": "items.jsonl", "id": "item_number"}


def _comments(draft: Draft) -> str:
    lines = [f"Made of {draft.source.name} by `headgate import`."]
    lines += [_GATES, _FAILED] if draft.scorers else []
    lines += draft.notes
    lines += ["", "Not carried over:" if draft.left else "Everything was carried over."]
    lines += [f"- {line}" for line in left_lines(draft.left)]
    return "".join(f"# {_one_line(line)}".rstrip() + "\n" for line in lines) + "\n"


def _one_line(text: str) -> str:
    """Return text that stays in its comment, whatever the names in a stranger's file are."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _prompt(name: str, prompt: Prompt) -> tuple[str, str]:
    """Return the path and the text of a prompt's file, in its own language."""
    path, number = Path(prompt.file or ""), len(prompt.messages)
    if prompt.language == "github-models":
        return f"prompts/{name}.prompt.yml", path.read_text(encoding="utf-8")
    role, content = prompt.messages[0]
    if number == 1 and role == "user" and isinstance(content, str) and content.strip():
        return f"prompts/{name}.txt", content
    messages = [{"role": role, "content": content} for role, content in prompt.messages]
    return f"prompts/{name}.json", json.dumps(messages, ensure_ascii=False, indent=1) + "\n"


def _scorers(draft: Draft) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the columns of each item, the scorers, and a gate for each."""
    columns: list[dict[str, Any]] = [{} for _ in draft.items]
    taken = {column for item in draft.items for column in item}
    scorers, gates = list[dict[str, Any]](), list[dict[str, Any]]()
    for name, scorer in draft.scorers.items():
        scorers.append({"name": name, **scorer.fields, **_expectation(name, scorer, columns, taken)})
        if scorer.gated:
            gates.append({"metric": name, "margin": _MARGIN, **_where(name, scorer, columns, taken)})
    return columns, scorers, gates


def _expectation(name: str, scorer: ScorerDraft, columns: list[dict[str, Any]], taken: set[str]) -> Mapping[str, Any]:
    """Return what a scorer expects: one text where it is the same for all its items, else a column."""
    if scorer.expects is None:
        return {}
    values = set(scorer.values.values())
    is_partial = scorer.fields["type"] in _ASKING and len(scorer.values) < len(columns)
    if len(values) == 1 and not is_partial and (scorer.expects != "target" or not set("{}") & set(*values)):
        return {scorer.expects: values.pop()}
    column = _column(f"expect_{name}", taken)
    nothing = None if scorer.fields["type"] in _ASKING else ""
    for number, row in enumerate(columns):
        row[column] = scorer.values.get(number, nothing)
    return {scorer.expects: f"{{{{ {column} }}}}"}


def _where(name: str, scorer: ScorerDraft, columns: list[dict[str, Any]], taken: set[str]) -> Mapping[str, Any]:
    """Return which items a gate judges: where a scorer is not for all of them, a column says for which."""
    if not scorer.values or len(scorer.values) == len(columns):
        return {}
    column = _column(f"has_{name}", taken)
    for number, row in enumerate(columns):
        row[column] = "yes" if number in scorer.values else "no"
    return {"where": {column: "yes"}}


def _column(name: str, taken: set[str]) -> str:
    name = name.replace("-", "_").replace(".", "_")
    while name in taken:
        name += "_"
    taken.add(name)
    return name
