"""Where a registry begins: the folder that its paths are relative to."""

from __future__ import annotations

from pathlib import Path

from headgate.errors import ConfigError, GitError
from headgate.registry.git import Repository
from headgate.registry.labels import FILE as LABELS
from headgate.registry.lock import FILE as LOCK


def find_root(folder: Path) -> Path:
    """Return the nearest folder with ``prompts.lock`` or ``prompts.labels.json``, from here up; else git's top folder.

    Outside of git it is the folder itself; in a bare repository too.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     here = Path(folder).resolve()
    ...     _ = (here / "prompts.lock").write_text("")
    ...     (here / "deep" / "deeper").mkdir(parents=True)
    ...     find_root(here / "deep" / "deeper") == here
    True
    """
    here = folder.resolve()
    try:
        top = Repository(here).top()
    except (ConfigError, GitError):
        top = None
    for place in (here, *here.parents):
        if (place / LOCK).is_file() or (place / LABELS).is_file():
            return place
        if place == top:
            break
    return top or here
