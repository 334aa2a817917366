"""The history of a prompt: the commits where its digest changed, each with the verdicts on that version."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from headgate.errors import ConfigError
from headgate.registry.catalogue import Catalogue, split_inline
from headgate.registry.formats import dotprompt
from headgate.registry.git import Commit, Repository
from headgate.registry.labels import FILE as LABELS
from headgate.registry.labels import read_labels
from headgate.registry.load import split_address
from headgate.registry.notes import Note, read_notes
from headgate.registry.tree import CommitTree


@dataclass(frozen=True, slots=True)
class Change:
    """A commit where a digest changed.

    Attributes
    ----------
    digest : str, optional
        From here on; None where the prompt is gone, or cannot be read (``problem`` says why).
    verdicts : tuple of (commit, note)
        What was found about this version, on whatever commit.
    """

    commit: Commit
    digest: str | None
    problem: str | None
    verdicts: tuple[tuple[str, Note], ...]


Probe = Callable[[str], tuple[str | None, str | None]]
"""Digest and problem in a commit, by its id."""


def prompt_history(git: Repository, address: str, *, start: str) -> list[Change]:
    """Return the commits up to one where the digest of a prompt changed, the latest first.

    A partial that changed counts. A prompt that is named by its suite (``suite.yaml:name``) is followed from file to
    file; a file that moved begins anew.

    Raises
    ------
    ConfigError
        If no commit has such a prompt.
    """
    suite = split_inline(address)
    path = split_address(address)[0] if suite is None else suite[0]
    alone = suite is None and not path.lower().endswith(dotprompt.ENDINGS)
    under = path if alone else posixpath.dirname(path) if suite is None else ""

    def probe(commit: str) -> tuple[str | None, str | None]:
        tree = CommitTree(git, commit, under=under or None)
        entry = Catalogue(tree).find(address)
        gone = path not in tree.paths
        return entry.digest, None if gone or entry.prompt is not None else entry.problem

    changes = list(_changes(git, probe, start=start, path=under or "."))
    if all(change.digest is None for change in changes):
        raise ConfigError("is no prompt in any commit of this history", value=address, mend=_mend(git))
    return changes


def label_history(git: Repository, name: str, label: str, *, start: str) -> list[Change]:
    """Return the commits up to one where a label came to point to another version, the latest first.

    Raises
    ------
    ConfigError
        If no commit has such a label.
    """

    def probe(commit: str) -> tuple[str | None, str | None]:
        try:
            found = read_labels(CommitTree(git, commit, under=LABELS)).get(name, {}).get(label)
        except ConfigError as error:
            return None, str(error)
        return None if found is None else found.digest, None

    changes = list(_changes(git, probe, start=start, path=LABELS))
    if not changes:
        raise ConfigError("is no label in any commit of this history", value=f"{name} {label}", mend=_mend(git))
    return changes


def _changes(git: Repository, probe: Probe, *, start: str, path: str) -> Iterator[Change]:
    known = lru_cache(maxsize=None)(probe)
    notes = read_notes(git)
    for commit in git.commits(start, path):
        digest, problem = known(commit.id)
        before = {known(parent)[0] for parent in commit.parents} or {None}
        if digest not in before:
            about = tuple((on, note) for on, note in notes if digest in note["prompt_digests"].values())
            yield Change(commit, digest, problem, about)


def _mend(git: Repository) -> str:
    cut = "this clone's history is cut: git fetch --unshallow"
    return cut if git.is_shallow else "headgate prompts list names them"
