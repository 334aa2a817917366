"""Files that ``headgate init`` and ``headgate demo`` write: suites to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from headgate import __version__
from headgate.errors import ConfigError

SYSTEMS: Final = {
    "argo": "build the image of argo/Dockerfile, then kubectl apply -f argo/",
    "github": "headgate check {suite}, then commit and push",
    "gitlab": "headgate check {suite}, then commit and push",
    "tekton": "build the image of tekton/Dockerfile, then kubectl apply -f tekton/",
}
"""Systems that :func:`write_pipeline` has files for, and what to do with them."""

_DEMO_ITEMS: Final = 500
_VERSION: Final = b"@VERSION@"


def write_suite(folder: Path) -> list[Path]:
    """Write the starter suite into a folder; nothing is overwritten.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.

    Returns
    -------
    list of Path
        The files written, ``suite.yaml`` first.

    Raises
    ------
    ConfigError
        If one of the files exists already; then nothing is written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_suite(Path(folder))]
    ['suite.yaml', 'items.jsonl', 'baseline.prompt.yml', 'candidate.prompt.yml', 'scorers.py']
    """
    return _write_new(folder, _template("suite"))


def write_pipeline(system: str, folder: Path) -> list[Path]:
    r"""Write the files that run a suite in a CI system, and the starter suite where there is no ``suite.yaml``.

    They install the version of headgate that writes them; nothing is overwritten.

    Parameters
    ----------
    system : str
        One of :data:`SYSTEMS`.
    folder : Path
        The root of the repository.

    Raises
    ------
    ConfigError
        If one of the files exists already; then nothing is written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = write_pipeline("github", Path(folder))
    ...     print(*sorted(path.name for path in files if path.parent.name == "workflows"), sep="\n")
    headgate-baseline.yml
    headgate-comment.yml
    headgate-shards.yml
    headgate.yml
    """
    files = {} if (folder / "suite.yaml").exists() else _template("suite")
    pipeline = _files(_templates() / system, Path())
    pinned = {path: data.replace(_VERSION, __version__.encode()) for path, data in pipeline.items()}
    return _write_new(folder, files | pinned)


def write_demo(folder: Path) -> Path:
    """Write the demo's suite, prompts and items into a folder, where they are not there yet; return the suite file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_demo(Path(folder)).name
    'suite.yaml'
    """
    rows = [_sum(number) for number in range(_DEMO_ITEMS)]
    items = "".join(json.dumps(row) + "\n" for row in rows).encode()
    files = _template("demo") | {Path("data/items.jsonl"): items}
    _write(folder, {path: data for path, data in files.items() if not (folder / path).exists()})
    return folder / "suite.yaml"


def _sum(number: int) -> dict[str, object]:
    first, second = 11 + 7 * number, 13 + number * number % 89
    return {"id": f"sum-{number:03d}", "question": f"{first} + {second}", "target": first + second}


def _templates() -> Traversable:
    return resources.files("headgate.ci") / "templates"


def _template(name: str) -> dict[Path, bytes]:
    root = _templates() / name
    suite = Path("suite.yaml")
    return {suite: (root / suite.name).read_bytes()} | _files(root, Path())


def _files(folder: Traversable, path: Path) -> dict[Path, bytes]:
    found: dict[Path, bytes] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and entry.name != "__pycache__":
            found |= _files(entry, path / entry.name)
        elif entry.is_file():
            found[path / entry.name] = entry.read_bytes()
    return found


def _write_new(folder: Path, files: Mapping[Path, bytes]) -> list[Path]:
    for path in files:
        if (folder / path).exists():
            raise ConfigError("exists already", file=folder / path, mend="choose another folder, or move it away")
    return _write(folder, files)


def _write(folder: Path, files: Mapping[Path, bytes]) -> list[Path]:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return [folder / path for path in files]
