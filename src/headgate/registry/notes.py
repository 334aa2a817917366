"""Verdicts on commits: one JSON line each, in git notes below ``refs/notes/headgate``.

Lines stand sorted and once, so that notes of two clones merge with ``git notes merge -s cat_sort_uniq``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from headgate.errors import ConfigError
from headgate.identity import canonical_json
from headgate.registry.git import Repository
from headgate.suite.documents import load_json

_SCHEMA: Final = "headgate.note/v1"
_FACTS: Final = ("verdict", "exit_code", "reason", "created", "alpha")
_ARM: Final = ("run", "suite_digest", "plan_digest", "prompt_digests")

Note = dict[str, Any]
"""A verdict's short facts: the verdict, its digest, and the prompts it is about."""


def make_note(verdict: Mapping[str, Any], *, digest: str) -> Note:
    """Return the note of a verdict.

    Parameters
    ----------
    verdict : mapping
        ``verdict.json``.
    digest : str
        Content id of that file's JSON.

    Examples
    --------
    >>> arm = {"run": "r1", "suite_digest": "s", "plan_digest": "p", "prompt_digests": {"new": "d"}, "git": None}
    >>> verdict = {"verdict": "pass", "exit_code": 0, "reason": "", "created": "", "alpha": 0.05, "candidate": arm}
    >>> make_note(verdict, digest="v")["prompt_digests"]
    {'new': 'd'}
    """
    candidate = verdict["candidate"]
    return {
        "schema": _SCHEMA,
        "verdict_digest": digest,
        **{key: verdict[key] for key in _FACTS},
        **{key: candidate[key] for key in _ARM},
    }


def commit_of(verdict: Mapping[str, Any]) -> str:
    """Return the commit that a verdict speaks of: the one that its candidate was run from.

    Raises
    ------
    ConfigError
        If the run knows no commit, or files differed from it.
    """
    git = verdict["candidate"].get("git")
    mend = "name the commit that it holds for with --commit"
    if git is None:
        raise ConfigError("the candidate was run outside of git", field="candidate.git", mend=mend)
    if git["dirty"]:
        raise ConfigError(
            "files differed from the commit when the candidate was run", field="candidate.git.dirty", mend=mend
        )
    commit: str = git["commit"]
    return commit


def attach_note(git: Repository, commit: str, note: Note) -> bool:
    """Add a line to the note of a commit; return whether it is new."""
    known = _lines(git, commit)
    line = canonical_json(note)
    if line in known:
        return False
    git.write_note(commit, b"\n".join(sorted({*known, line})) + b"\n")
    return True


def _lines(git: Repository, commit: str) -> list[bytes]:
    blob = git.notes().get(commit)
    return [] if blob is None else [line for line in git.read_blobs([blob])[blob].split(b"\n") if line]


def read_notes(git: Repository) -> list[tuple[str, Note]]:
    """Return all notes with the commits that they are on; lines that are none of ours are passed over."""
    blobs = git.notes()
    texts = git.read_blobs(list(blobs.values()))
    return [(commit, note) for commit, blob in sorted(blobs.items()) for note in _parse(texts[blob].split(b"\n"))]


def _parse(lines: Iterable[bytes]) -> list[Note]:
    found: list[Note] = []
    for line in lines:
        try:
            note = load_json(line.decode())
        except ValueError:
            continue
        whole = isinstance(note, dict) and note.keys() >= {"schema", "verdict_digest", *_FACTS, *_ARM}
        if whole and note["schema"] == _SCHEMA and isinstance(note["prompt_digests"], dict):
            found.append(note)
    return found
