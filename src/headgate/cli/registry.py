"""What the commands of the prompt registry do: read files and commits, print facts or JSON."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from headgate.cli.output import print_json, print_line
from headgate.decide.verdict import Verdict
from headgate.errors import ConfigError, HeadgateError
from headgate.identity import canonical_json, digest
from headgate.registry.affected import affected_suites
from headgate.registry.catalogue import Catalogue, Entry, problem_of, split_inline
from headgate.registry.diff import Difference, diff_prompts
from headgate.registry.git import Repository
from headgate.registry.history import Change, label_history, prompt_history
from headgate.registry.labels import FILE as LABELS
from headgate.registry.labels import Labels, check_labels, labelled_files, read_labels, write_label
from headgate.registry.load import format_of, read_prompt, split_address
from headgate.registry.lock import FILE as LOCK
from headgate.registry.lock import check_lock, read_lock, write_lock
from headgate.registry.notes import attach_note, commit_of, make_note
from headgate.registry.root import find_root
from headgate.registry.tree import CommitTree, FolderTree, Tree
from headgate.report.inert import terminal
from headgate.report.terminal import format_table
from headgate.suite.prompts import Prompt, content_text

_SHORT = 12


def list_prompts(revision: str | None, *, root: Path | None, json: bool) -> None:
    """List the prompts of a commit or of the folder."""
    here = _root(root)
    catalogue, labels = _catalogue(_tree(here, revision))
    entries = catalogue.entries.values()
    if json:
        listed = [{**_facts(entry), "labels": _labels_of(entry.address, labels)} for entry in entries]
        print_json({"root": str(here), "state": catalogue.digest, "prompts": listed})
        return
    rows = [
        [_short(entry.digest), entry.address, entry.format, ", ".join(_labels_of(entry.address, labels))]
        for entry in entries
    ]
    print_line(format_table(["digest", "prompt", "format", "labels"], rows))
    for entry in entries:
        if entry.problem is not None:
            _warn(f"{entry.address}: {entry.problem}")


def show_prompt(address: str, *, at: str | None, root: Path | None, json: bool) -> None:
    """Show one prompt."""
    entry = _entry(address, at=at, root=root)
    prompt = _readable(entry)
    if json:
        print_json({**_facts(entry), **_content(prompt)})
        return
    print_line(f"{terminal(entry.address)}: {entry.format}, {prompt.language}")
    print_line(f"digest {prompt.digest}")
    for role, content in prompt.messages:
        print_line(f"\n[{role}]\n{terminal(content_text(content))}")
    for name, facts in (("parameters", prompt.params), ("defaults", prompt.defaults)):
        if facts:
            print_line(f"\n{name}: {terminal(canonical_json(dict(facts)).decode())}")
    if entry.problem is not None:
        _warn(f"is not sent: {entry.problem}")


def diff_two(before: str, after: str | None, *, base: str | None, root: Path | None, json: bool) -> None:
    """Show what differs between two prompts."""
    at = base or ("HEAD" if after is None else None)
    old, new = _entry(before, at=at, root=root), _entry(after or before, at=None, root=root)
    found = diff_prompts(_readable(old), _readable(new))
    if json:
        sides = {"before": {**_facts(old), "at": at}, "after": {**_facts(new), "at": None}}
        print_json({**sides, "differences": [dataclasses.asdict(part) for part in found]})
        return
    print_line(f"{terminal(old.address)} {_short(old.digest)} -> {terminal(new.address)} {_short(new.digest)}")
    for part in found:
        print_line(f"\n{terminal(part.place)}")
        for line in _diff_lines(part):
            print_line(terminal(line))


def show_log(name: str, revision: str, *, label: str | None, root: Path | None, json: bool) -> None:
    """Show the history of a prompt or of a label."""
    here = _root(root)
    git = Repository(here)
    start = git.resolve(revision)
    if label is None:
        changes = prompt_history(git, _relative(name, here), start=start)
    else:
        changes = label_history(git, name, label, start=start)
    if json:
        facts = {"prompt": name, "label": label, "shallow": git.is_shallow, "changes": list(map(_change, changes))}
        print_json(facts)
        return
    for change in changes:
        commit = change.commit
        print_line(f"{commit.id[:_SHORT]} {commit.committed} {_short(change.digest)} {terminal(commit.subject)}")
        if change.problem is not None:
            print_line(f"    cannot be read: {terminal(change.problem)}")
        for on, note in change.verdicts:
            words = f"{note['verdict']} {note['created']} run {note['run']} on {on[:_SHORT]}: {note['reason']}"
            print_line(f"    {terminal(words)}")
    if git.is_shallow:
        _warn("the history of this clone is cut: git fetch --unshallow for all of it")


def show_state(revision: str, *, root: Path | None, json: bool) -> None:
    """Print the prompt state of a commit."""
    here = _root(root)
    git = Repository(here)
    commit = git.resolve(revision)
    catalogue, _ = _catalogue(CommitTree(git, commit))
    if json:
        print_json({"commit": commit, "state": catalogue.digest, "prompts": catalogue.digests})
    else:
        print_line(catalogue.digest)


def lock_prompts(*, root: Path | None, json: bool, quiet: bool) -> None:
    """Write the lock."""
    here = _root(root)
    catalogue, _ = _catalogue(FolderTree(here))
    digests = write_lock(here, catalogue)
    for entry in catalogue.entries.values():
        if entry.prompt is None:
            _warn(f"{entry.address}: is not locked: {entry.problem}")
    if json:
        print_json({"lock": str(here / LOCK), "state": catalogue.digest, "prompts": digests})
    elif not quiet:
        print_line(f"{len(digests)} prompts locked in {terminal(str(here / LOCK))}")


def verify_prompts(*, root: Path | None, json: bool, quiet: bool) -> int:
    """Check prompts against lock and labels; 0 when all is as they say, else 3."""
    here = _root(root)
    tree = FolderTree(here)
    catalogue, labels = _catalogue(tree)
    locked = read_lock(tree)
    if LOCK not in tree.paths and LABELS not in tree.paths:
        raise ConfigError(f"has neither {LOCK} nor {LABELS}", file=here, mend="headgate prompts lock writes the first")
    problems = [*(check_lock(locked, catalogue) if LOCK in tree.paths else ()), *check_labels(labels, catalogue)]
    if json:
        print_json(
            {"root": str(here), "locked": len(locked), "labels": len(labelled_files(labels)), "problems": problems}
        )
    else:
        for problem in problems:
            _warn(problem)
        if not problems and not quiet:
            print_line(f"{len(locked)} prompts and {len(labelled_files(labels))} labels are what they were")
    return HeadgateError.exit_code if problems else 0


def label_prompt(name: str, label: str, address: str, *, root: Path | None, json: bool, quiet: bool) -> None:
    """Point a label to a prompt."""
    here = _root(root)
    made = write_label(here, name=name, label=label, address=_relative(address, here))
    if json:
        print_json({"name": name, "label": label, "file": made.file, "digest": made.digest})
    elif not quiet:
        print_line(f"{terminal(f'{name} {label} is {made.file} {made.digest}')}")
        print_line(f"commit {terminal(str(here / LABELS))} to promote it")


def attach_verdict(path: Path, *, commit: str | None, root: Path | None, json: bool, quiet: bool) -> None:
    """Note a verdict on a commit."""
    file = path / "verdict.json" if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from error
    Verdict.from_json(data)  # refuses what is none
    verdict: dict[str, Any] = msgspec.json.decode(data)
    git = Repository(_root(root))
    on = git.resolve(commit or commit_of(verdict))
    note = make_note(verdict, digest=digest(verdict))
    new = attach_note(git, on, note)
    if json:
        print_json({"commit": on, "new": new, "note": note})
    elif not quiet:
        print_line(f"{note['verdict']} {'noted' if new else 'was noted'} on {on}")


def show_affected(suites: Sequence[str], *, base: str, head: str | None, root: Path | None, json: bool) -> None:
    """Name the suites that must run."""
    here = _root(root)
    git = Repository(here)
    start, end = git.resolve(base), git.resolve(head or "HEAD")
    common = git.merge_base(start, end)
    before = CommitTree(git, common or start)
    after: Tree = FolderTree(here) if head is None else CommitTree(git, end)
    found = affected_suites(before, after, suites=[_relative(suite, here) for suite in suites])
    if common is None:
        _warn(f"the history here does not reach where it left {base}: compared with {base} itself")
    if json:
        parts = {affected.suite: list(affected.changed) for affected in found}
        print_json({"base": common or start, "head": head and end, "suites": list(parts), "changed": parts})
        return
    for affected in found:
        print_line(terminal(f"{affected.suite}: {', '.join(affected.changed)}"))


def _root(root: Path | None) -> Path:
    if root is not None and not root.is_dir():
        raise ConfigError("there is no such folder", file=root, field="--root")
    return find_root(Path()) if root is None else root.resolve()


def _tree(root: Path, revision: str | None) -> Tree:
    if revision is None:
        return FolderTree(root)
    git = Repository(root)
    return CommitTree(git, git.resolve(revision))


def _catalogue(tree: Tree) -> tuple[Catalogue, Labels]:
    labels = read_labels(tree)
    return Catalogue(tree, named=[*labelled_files(labels), *_own(read_lock(tree))]), labels


def _own(locked: Mapping[str, str]) -> Iterator[str]:
    """Yield the locked addresses that are files: a prompt inside a suite is found through it."""
    yield from (address for address in locked if split_inline(address) is None)


def _entry(address: str, *, at: str | None, root: Path | None) -> Entry:
    """Return the prompt of an address: from a commit, or from the disk, where git may ignore it."""
    here = _root(root)
    relative = _relative(address, here)
    if at is not None or split_inline(address) is not None:
        return Catalogue(_tree(here, at)).find(relative)
    near = Path(address)
    prompt = read_prompt(near if Path(split_address(address)[0]).exists() else here / address, name=relative)
    return Entry(relative, format_of(address) or "", prompt, problem_of(prompt))


def _relative(address: str, root: Path) -> str:
    """Return an address relative to the root: a file that is there from here, else as it stands."""
    inline = split_inline(address)
    path = split_address(address)[0] if inline is None else inline[0]
    file = Path(path).absolute()
    if file.exists() and file.is_relative_to(root):
        return file.relative_to(root).as_posix() + address.removeprefix(path)
    return address


def _readable(entry: Entry) -> Prompt:
    if entry.prompt is None:
        raise ConfigError(entry.problem or "cannot be read")
    return entry.prompt


def _labels_of(address: str, labels: Labels) -> list[str]:
    return [
        f"{name}={label}" for name, declared in labels.items() for label, to in declared.items() if to.file == address
    ]


def _facts(entry: Entry) -> dict[str, Any]:
    return {"prompt": entry.address, "format": entry.format, "digest": entry.digest, "problem": entry.problem}


def _content(prompt: Prompt) -> dict[str, Any]:
    variables = None
    if problem_of(prompt) is None and prompt.variables is not None:
        variables = sorted(prompt.variables)
    return {
        "language": prompt.language,
        "messages": [{"role": role, "content": content_text(content)} for role, content in prompt.messages],
        "params": dict(prompt.params),
        "defaults": dict(prompt.defaults),
        "partials": dict(prompt.partials),
        "variables": variables,
    }


def _change(change: Change) -> dict[str, Any]:
    facts = dataclasses.asdict(change.commit)
    verdicts = [{"on": on, **note} for on, note in change.verdicts]
    return {**facts, "digest": change.digest, "problem": change.problem, "verdicts": verdicts}


def _diff_lines(part: Difference) -> Iterator[str]:
    if isinstance(part.before, str) and isinstance(part.after, str):
        lines = difflib.unified_diff(part.before.split("\n"), part.after.split("\n"), lineterm="", n=2)
        yield from list(lines)[2:]
    else:
        yield from (f"- {_value(part.before)}", f"+ {_value(part.after)}")


def _value(value: Any) -> str:
    return "(none)" if value is None else canonical_json(value).decode()


def _short(found: str | None) -> str:
    return "-" if found is None else found[:_SHORT]


def _warn(text: str) -> None:
    sys.stderr.write(f"{terminal(text)}\n")
