"""What the registry asks of git: commits, trees and blobs by id, notes. No checkout, no shell, no user's identity."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.errors import ConfigError, GitError

NOTES_REF: Final = "refs/notes/headgate"
_TIMEOUT_S: Final = 120.0
_ENVIRONMENT: Final = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_NOBODY: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "headgate"), ("EMAIL", "headgate@localhost"))
}
_FIELDS: Final = "%H%x1f%P%x1f%cI%x1f%s"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its id, those of its parents, when it was committed (ISO 8601), and the first line of its message."""

    id: str
    parents: tuple[str, ...]
    committed: str
    subject: str


class Repository:
    """A git repository, seen from a folder in it: paths are relative to that folder.

    Parameters
    ----------
    folder : Path
        Any folder of a working tree, or a bare repository.

    Raises
    ------
    ConfigError
        If the folder is in no repository.
    GitError
        If git is not installed, or refuses (the owner of the folder is another user).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs: dict[str, bytes] = {}
        try:
            self.is_shallow = self.run("rev-parse", "--is-shallow-repository").strip() == b"true"
        except GitError as error:
            if "not a git repository" in str(error):
                raise ConfigError("is in no git repository", file=folder) from None
            raise

    def run(self, *arguments: str, stdin: bytes = b"", identity: bool = False) -> bytes:
        """Run git and return its output; ``identity`` gives it a neutral author.

        Raises
        ------
        GitError
            If git is not installed, takes too long, or refuses; with its own words.
        """
        command = ["git", "--literal-pathspecs", "-C", str(self.folder), *arguments]
        environ = os.environ | _ENVIRONMENT | (_NOBODY if identity else {})
        try:
            done = subprocess.run(  # noqa: S603  # a fixed program; what is not ours stands behind `--` or is an id
                command, input=stdin, capture_output=True, timeout=_TIMEOUT_S, check=False, env=environ
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GitError(f"git {arguments[0]} cannot be run: {error}") from error
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise GitError(f"git {arguments[0]}: {words}")
        return done.stdout

    def top(self) -> Path | None:
        """Return the top folder of the working tree; None in a bare repository."""
        try:
            return Path(os.fsdecode(self.run("rev-parse", "--show-toplevel").removesuffix(b"\n")))
        except GitError:
            return None

    def resolve(self, revision: str) -> str:
        """Return the id of the commit that a revision names.

        Raises
        ------
        ConfigError
            If there is no such commit here.
        """
        try:
            found = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except GitError:
            cut = "; the history of this clone is cut: fetch more of it (git fetch --unshallow)"
            mend = "name a branch, a tag or a commit" + (cut if self.is_shallow else "")
            raise ConfigError("is no commit of this repository", field="revision", value=revision, mend=mend) from None
        return found.decode().strip()

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor of two commits, if the history here holds one."""
        try:
            return self.run("merge-base", one, other).decode().strip()
        except GitError:
            return None

    def commits(self, start: str, path: str) -> Iterator[Commit]:
        """Yield the commits up to one that changed what lies at a path, the latest first."""
        output = self.run("log", "-z", f"--format={_FIELDS}", start, "--", path)
        for record in output.decode(errors="replace").split("\0"):
            if record:
                commit, parents, committed, subject = record.split("\x1f", 3)
                yield Commit(commit, tuple(parents.split()), committed, subject)

    def files(self, commit: str, under: str | None = None) -> dict[str, str]:
        """Return the files of a commit, path to blob id; links and submodules are none."""
        found: dict[str, str] = {}
        only = () if under is None else ("--", under)
        for record in self.run("ls-tree", "-r", "-z", commit, *only).split(b"\0"):
            if record:
                facts, path = record.split(b"\t", 1)
                mode, _, blob = facts.decode().split(" ")
                if mode.startswith("100"):
                    found[shown_path(path)] = blob
        return found

    def read_blobs(self, blobs: list[str]) -> dict[str, bytes]:
        """Return the content of blobs by their ids; each is read once."""
        wanted = [blob for blob in dict.fromkeys(blobs) if blob not in self._blobs]
        output = self.run("cat-file", "--batch", stdin="\n".join(wanted).encode()) if wanted else b""
        at = 0
        for blob in wanted:
            end = output.index(b"\n", at)
            kind = output[at:end].split(b" ")
            if len(kind) != 3:
                raise GitError(f"git cat-file: {blob} is not in this clone")
            start, size = end + 1, int(kind[2])
            self._blobs[blob] = output[start : start + size]
            at = start + size + 1
        return {blob: self._blobs[blob] for blob in blobs}

    def notes(self) -> dict[str, str]:
        """Return the annotated objects, id to the blob of the note."""
        output = self.run("notes", f"--ref={NOTES_REF}", "list")
        return {line.split(" ")[1]: line.split(" ")[0] for line in output.decode().splitlines()}

    def write_note(self, commit: str, text: bytes) -> None:
        """Replace the note of a commit."""
        self.run("notes", f"--ref={NOTES_REF}", "add", "--force", "--file=-", commit, stdin=text, identity=True)


def shown_path(path: bytes) -> str:
    r"""Return a path as text; bytes that are not UTF-8 as escapes.

    Examples
    --------
    >>> shown_path(b"prompts/\xff.txt")
    'prompts/\\xff.txt'
    """
    return path.decode("utf-8", "backslashreplace")
