"""Which place an address names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from headgate.errors import ConfigError
from headgate.store.baselines.bundles import Bundles
from headgate.store.baselines.directory import Directory

VARIABLE: Final = "HEADGATE_BASELINES"
DEFAULT: Final = ".headgate/baselines"


def open_bundles(address: str | os.PathLike[str] | None = None) -> Bundles:
    """Open the place that an address names.

    Parameters
    ----------
    address : str or path, optional
        A folder; ``git:`` with a path of a repository, or without for the one around; or a URL that obstore opens, such
        as ``s3://bucket/folder``. Default: what ``HEADGATE_BASELINES`` says, else ``.headgate/baselines``.

    Raises
    ------
    ConfigError
        If the address is none, or its repository or credentials are not there.

    Examples
    --------
    >>> open_bundles("baselines").address, open_bundles("file:///srv/baselines").address
    ('baselines', '/srv/baselines')
    """
    chosen = os.fspath(address) if address is not None else os.environ.get(VARIABLE) or DEFAULT
    if not chosen:
        raise ConfigError("is empty", field="store", value=chosen, mend="name a folder, git: or a URL")
    if chosen.startswith("git:"):
        from headgate.store.baselines.git import GitRefs

        return GitRefs(Path(chosen.removeprefix("git:") or "."))
    if "://" not in chosen:
        return Directory(Path(chosen))
    if chosen.startswith("file:"):
        return Directory(_file(chosen))
    from headgate.store.baselines.objects import open_objects

    return open_objects(chosen)


def _file(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise ConfigError("names another host", field="store", value=url, mend="write it like file:///path")
    return Path(unquote(parts.path))
