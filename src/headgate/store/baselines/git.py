"""Bundles in a git repository: each is a commit without parents, under a ref of its own.

Nothing is checked out, so bare and shallow clones will do. ``git push origin 'refs/headgate/*'`` and ``git fetch origin
'refs/headgate/*:refs/headgate/*'`` carry them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from headgate.errors import ConfigError, StoreError
from headgate.store.baselines.bundles import CHUNK, DEPTH
from headgate.store.disk import naming

_REFS: Final = "refs/headgate/baselines"
_PLACE: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")
_WHO: Final = {"NAME": "headgate", "EMAIL": "headgate@localhost"}
_CONFIG: Final = ("core.fsync=all", "core.bigFileThreshold=16m")


class GitRefs:
    """Each bundle is a commit at ``refs/headgate/baselines/NAME``; the ref is created, never moved.

    Parameters
    ----------
    path : Path
        A folder of the repository, with a work tree or bare.

    Raises
    ------
    ConfigError
        If there is no repository, or no git.

    Examples
    --------
    >>> import subprocess, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)
    ...     place = GitRefs(Path(folder))
    ...     made = place.create("names/main/00000001", {"entry.json": b"{}"}, created="2026-01-01T00:00:00+00:00")
    ...     made, place.names("names/main"), list(place.read("names/main/00000001", "entry.json"))
    (True, ['names/main/00000001'], [b'{}'])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if _run(path, "rev-parse", "--git-dir").returncode != 0:
            mend = "name one, like git:PATH, or store baselines in a folder"
            raise ConfigError("is no git repository", field="store", value=f"git:{path}", mend=mend)

    @property
    def address(self) -> str:
        """``git:`` and the path."""
        return f"git:{self.path}"

    def names(self, folder: str) -> list[str]:
        """Return the names of the bundles in a folder."""
        refs = self._git("for-each-ref", "--format=%(refname)", f"{_REFS}/{folder}/").decode().splitlines()
        found = (ref.removeprefix(f"{_REFS}/") for ref in refs)
        return sorted(name for name in found if name.count("/") == DEPTH - 1)

    def create(self, name: str, files: Mapping[str, Path | bytes], *, created: str) -> bool:
        """Make a bundle."""
        if self._has(name):
            return False
        tree = self._tree({file: self._blob(source) for file, source in files.items()})
        commit = self._git("commit-tree", "--no-gpg-sign", "-m", f"headgate baseline: {name}", tree, date=created)
        # An empty old value: the ref is made only if there is none.
        made = _run(self.path, "update-ref", f"{_REFS}/{name}", commit.decode().strip(), "")
        if made.returncode != 0 and not self._has(name):
            raise self._refused("update-ref", made)
        return made.returncode == 0

    def read(self, name: str, file: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        command = _command(self.path, "cat-file", "blob", f"{_REFS}/{name}:{file}")
        with subprocess.Popen(  # noqa: S603 - a fixed program, no shell
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environ()
        ) as process:
            assert process.stdout is not None
            while piece := process.stdout.read(CHUNK):
                yield piece
        if process.returncode != 0:
            raise StoreError(f"{self.address} {_REFS}/{name}:{file}: cannot be read; fetch the refs again")

    def folder(self, name: str) -> Path | None:  # noqa: ARG002 - nothing is checked out
        """Return None: the files are objects."""
        return None

    def _has(self, name: str) -> bool:
        return _run(self.path, "rev-parse", "--verify", "--quiet", f"{_REFS}/{name}").returncode == 0

    def _blob(self, source: Path | bytes) -> str:
        if isinstance(source, bytes):
            return self._git("hash-object", "-w", "--stdin", data=source).decode().strip()
        with naming(source, "read"), source.open("rb") as file:
            return self._git("hash-object", "-w", "--stdin", stdin=file).decode().strip()

    def _tree(self, blobs: Mapping[str, str]) -> str:
        """Write a tree of files and of one level of folders."""
        lines = {file: f"100644 blob {blob}\t{file}" for file, blob in blobs.items() if "/" not in file}
        for folder in {file.split("/")[0] for file in blobs if "/" in file}:
            inner = {
                file.removeprefix(f"{folder}/"): blob for file, blob in blobs.items() if file.startswith(f"{folder}/")
            }
            lines[folder] = f"040000 tree {self._tree(inner)}\t{folder}"
        return self._git("mktree", "-z", data="".join(f"{line}\0" for line in lines.values()).encode()).decode().strip()

    def _git(
        self, *arguments: str, data: bytes | None = None, stdin: IO[bytes] | None = None, date: str | None = None
    ) -> bytes:
        done = _run(self.path, *arguments, data=data, stdin=stdin, date=date)
        if done.returncode != 0:
            raise self._refused(arguments[0], done)
        return done.stdout

    def _refused(self, action: str, done: subprocess.CompletedProcess[bytes]) -> StoreError:
        told = " ".join(done.stderr.decode(errors="replace").split()) or f"exit code {done.returncode}"
        return StoreError(f"{self.address}: git {action} failed: {told[:500]}")


def _run(
    path: Path, *arguments: str, data: bytes | None = None, stdin: IO[bytes] | None = None, date: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - a fixed program, no shell
            _command(path, *arguments),
            input=data,
            stdin=stdin or (subprocess.DEVNULL if data is None else None),
            capture_output=True,
            check=False,
            env=_environ(date),
        )
    except OSError as error:
        raise ConfigError(f"git cannot be started: {error.strerror}", field="store", mend="install git") from error


def _command(path: Path, *arguments: str) -> list[str]:
    return ["git", "-C", str(path), *(word for pair in _CONFIG for word in ("-c", pair)), *arguments]


def _environ(date: str | None = None) -> dict[str, str]:
    """Return an environment in which git finds its repository by the path alone, and has a name to write down."""
    kept = {name: value for name, value in os.environ.items() if name not in _PLACE}
    who = {f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in _WHO.items()}
    when = {} if date is None else {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    return kept | who | when | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
