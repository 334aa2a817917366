"""What `headgate baseline` does: save, list, show, find and draw again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

import headgate.api as hg
from headgate.cli.commands import numbered, run_name
from headgate.cli.output import print_json, print_line
from headgate.cli.running import command_line, run_shown
from headgate.decide.table import one_line
from headgate.errors import BaselineMissing
from headgate.report.terminal import format_table
from headgate.store.baselines.address import open_bundles
from headgate.store.baselines.library import Library

_SHORT: Final = 12
_UNITS: Final = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def save(run: Path, *, name: str, store: str | None, json: bool, quiet: bool) -> None:
    """Store a finished run, and let a name mean it."""
    saved = hg.save_baseline(run, name=name, store=store)
    if json:
        print_json({**_facts(saved), "name": name})
    elif not quiet:
        print_line(f"{name} is {_told(saved)}")


def listed(*, store: str | None, json: bool) -> None:
    """List all baselines, the newest first."""
    library = Library(open_bundles(store))
    found, names = library.entries(), _names(library)
    if json:
        print_json(
            {"store": library.address, "baselines": [{**_facts(one), "names": names.get(one.id, [])} for one in found]}
        )
        return
    heads = ["names", "id", "key", "created", "commit", "prompts", "models", "items", "seeds"]
    print_line(format_table(heads, [_row(one, names.get(one.id, [])) for one in found]))


def show(word: str, *, store: str | None, json: bool) -> None:
    """Show one baseline, and the history of its name."""
    library = Library(open_bundles(store))
    word = word.removeprefix("baseline:")
    found = library.find(word)
    moves = library.moves(word) if word in library.names() else []
    if json:
        print_json({**_facts(found), "moves": msgspec.to_builtins(moves)})
        return
    commit = "none" if found.git is None else found.git.commit + (" (dirty)" if found.git.dirty else "")
    facts = {
        "id": found.id,
        "key": found.key,
        "suite": found.suite,
        "run": found.run_id,
        "created": f"{found.created} ({_age(found)} ago)",
        "commit": commit,
        "ci": found.ci_url or "none",
        "items": f"{found.n_items:,}",
        "seeds": _seeds(found),
        "size": f"{found.size:,} bytes",
        **{
            f"{kind} {name}": value
            for kind in ("prompts", "models", "scorers")
            for name, value in found.parts[kind].items()
        },
    }
    print_line(format_table(["fact", "value"], facts.items()))
    if moves:
        print_line("")
        print_line(format_table(["moved", "id", "key"], [[move.moved, move.id, move.key] for move in reversed(moves)]))


def find(path: Path, *, store: str | None, json: bool, quiet: bool) -> int:
    """Look for the baseline of a suite; 0 when there is one, else 3."""
    library = Library(open_bundles(store))
    looked = hg.find_baseline(hg.load_suite(path), store=store)
    found = looked.found
    folder = None if found is None else library.bundles.folder(found.bundle)
    if json:
        nearest = None if looked.nearest is None else {"id": looked.nearest.id, "differs": list(looked.differs)}
        facts = {"store": library.address, "key": looked.key, "parts": looked.parts, "next_seed": looked.next_seed}
        print_json({**facts, "found": found and _facts(found), "path": folder and str(folder), "nearest": nearest})
    elif found is not None:
        print_line(found.address if folder is None else str(folder))
        if not quiet:
            sys.stderr.write(f"headgate: {_told(found)}\n")
    if found is None:
        sys.stderr.write(f"headgate: {library.address}: {one_line(str(looked), limit=4000)}\n")
    return 0 if found is not None else BaselineMissing.exit_code


def refresh(
    path: Path,
    *,
    name: str,
    store: str | None,
    out: Path | None,
    options: Mapping[str, Any],
    json: bool,
    quiet: bool,
) -> None:
    """Draw the baseline arm of a suite with seeds that nobody used, and save it."""
    suite = hg.load_suite(path)
    suite = numbered(suite, hg.find_baseline(suite, store=store).next_seed)
    arm = None if suite.compare is None else "baseline"
    folder = out or Path("runs") / run_name(suite, arm or "baseline", None)
    given = {"--name": name, "--store": store, "--allow-host": options.get("allow_hosts"), "--out": folder}
    again = command_line("baseline refresh", path, given)
    run_shown(suite, out=folder, options={**options, "arm": arm}, quiet=quiet, again=again)
    save(folder, name=name, store=store, json=json, quiet=quiet)


def _names(library: Library) -> dict[str, list[str]]:
    """Return the names of each baseline, by its id."""
    found: dict[str, list[str]] = {}
    for name, move in library.names().items():
        found.setdefault(move.id, []).append(name)
    return found


def _facts(baseline: hg.Baseline) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(baseline)
    return {**facts, "address": baseline.address, "age_s": round(baseline.age_s())}


def _row(baseline: hg.Baseline, names: Sequence[str]) -> list[str]:
    commit = "-" if baseline.git is None else baseline.git.commit[:_SHORT] + ("+" if baseline.git.dirty else "")
    prompts, models = (", ".join(baseline.parts[kind]) for kind in ("prompts", "models"))
    identity, key = baseline.id[:_SHORT], baseline.key[:_SHORT]
    items = f"{baseline.n_items:,}"
    return [", ".join(names) or "-", identity, key, baseline.created, commit, prompts, models, items, _seeds(baseline)]


def _seeds(baseline: hg.Baseline) -> str:
    return f"{baseline.first_seed} to {baseline.last_seed}"


def _told(baseline: hg.Baseline) -> str:
    return f"{baseline.id[:_SHORT]} (key {baseline.key[:_SHORT]}), seeds {_seeds(baseline)}, drawn {_age(baseline)} ago"


def _age(baseline: hg.Baseline) -> str:
    """Return how old a baseline is, in whole units."""
    age = max(baseline.age_s(), 0.0)
    unit, size = next(((unit, size) for unit, size in _UNITS if age >= 2 * size), ("seconds", 1))
    return f"{age // size:.0f} {unit}"
