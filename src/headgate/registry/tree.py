"""Files by path from a root, as they lie in a folder or stood in a commit."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from headgate.errors import ConfigError, GitError
from headgate.registry.git import Repository, shown_path
from headgate.registry.source import Source
from headgate.suite.plain import unix_lines

_SKIPPED: Final = {"node_modules", "__pycache__"}


class Tree(Protocol):
    """Files by path from a root; links are none."""

    @property
    def name(self) -> str:
        """What errors call it: empty for a folder, the revision of a commit."""
        ...

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all files, with ``/`` between folders."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file's content.

        Raises
        ------
        ConfigError
            If there is no such file.
        """
        ...

    def warm(self, paths: list[str]) -> None:
        """Say which files will be read, so that they can be read together."""
        ...


class FolderTree:
    """The files of a folder; in a working tree of git, those that it does not ignore.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("A")
    ...     tree = FolderTree(Path(folder))
    ...     sorted(tree.paths), tree.read("a.txt")
    (['a.txt'], b'A')
    """

    name = ""

    def __init__(self, root: Path) -> None:
        listed = self._listed(root)
        found = (root / path for path in (_walk(root) if listed is None else listed))
        files = (path for path in found if path.is_file() and not path.is_symlink())
        self._files = {shown_path(os.fsencode(path.relative_to(root).as_posix())): path for path in files}
        self.paths = frozenset(self._files)

    def _listed(self, root: Path) -> list[str] | None:
        try:
            git = Repository(root)
            output = git.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        except (ConfigError, GitError):
            return None
        return [os.fsdecode(path) for path in output.split(b"\0") if path]

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        if path not in self._files:
            raise ConfigError("there is no such file", file=path)
        try:
            return self._files[path].read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", file=path) from error

    def warm(self, paths: list[str]) -> None:
        """Do nothing: files are read one by one."""


class CommitTree:
    """The files of a commit, read from git's objects.

    Parameters
    ----------
    git : Repository
        Where the commit is.
    commit : str
        Its id.
    under : str, optional
        Only the files below this folder.
    """

    def __init__(self, git: Repository, commit: str, *, under: str | None = None) -> None:
        self._git = git
        self.name = commit[:12]
        self._files = git.files(commit, under)
        self.paths = frozenset(self._files)

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        if path not in self._files:
            raise ConfigError("there is no such file", file=f"{self.name}:{path}")
        blob = self._files[path]
        return self._git.read_blobs([blob])[blob]

    def warm(self, paths: list[str]) -> None:
        """Read files with one call of git."""
        self._git.read_blobs([self._files[path] for path in paths if path in self._files])


def read_text(tree: Tree, path: str) -> str:
    """Return a file's text, with line feeds at the ends of its lines.

    Raises
    ------
    ConfigError
        If there is no such file, or it is not UTF-8.
    """
    data = tree.read(path)
    try:
        return unix_lines(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8", file=named(tree, path), line=line, mend="save the file as UTF-8") from error


def named(tree: Tree, path: str) -> Path:
    """Return how errors name a file of a tree."""
    return Path(f"{tree.name}:{path}" if tree.name else path)


def beside(path: str, other: str) -> str:
    """Return the path of a file that another one names from its folder.

    Examples
    --------
    >>> beside("suites/a.yaml", "../prompts/b.txt")
    'prompts/b.txt'
    """
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), other))


def open_source(tree: Tree, path: str) -> Source:
    """Return a prompt file of a tree for its reader.

    Raises
    ------
    ConfigError
        If there is no such file, or it is not UTF-8.
    """

    def other(name: str) -> str | None:
        near = beside(path, name)
        return read_text(tree, near) if near in tree.paths else None

    return Source(named(tree, path), read_text(tree, path), other)


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if _is_walked(here / name)]
        yield from ((here / name).relative_to(root).as_posix() for name in files)


def _is_walked(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _SKIPPED
    return not hidden and not (folder / "pyvenv.cfg").exists()
