"""The files that a user writes, YAML, TOML or JSON: a suite, a canary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headgate.errors import ConfigError
from headgate.suite.canary import Canary
from headgate.suite.documents import Document, read_document
from headgate.suite.suite import Suite


def load_suite(path: str | Path) -> Suite:
    """Read a suite file.

    Parameters
    ----------
    path : str or Path
        A ``.yaml``, ``.yml``, ``.toml`` or ``.json`` file. Paths in it are relative to its folder.

    Returns
    -------
    Suite

    Raises
    ------
    ConfigError
        If the file is missing or broken, or anything in it is wrong; one error names every problem, one a line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "suite.yaml")
    ...     _ = file.write_text('''
    ... name: sums
    ... items: [{question: one and one, target: "2"}]
    ... prompts: {plain: "{{ question }}"}
    ... models: [{id: small, provider: simulated}]
    ... ''')
    ...     suite = load_suite(file)
    >>> suite.name, suite.items.rows, suite.file.name
    ('sums', [{'question': 'one and one', 'target': '2'}], 'suite.yaml')
    """
    return make_suite(read_document(Path(path)))


def make_suite(document: Document) -> Suite:
    """Return the suite that a document declares.

    Raises
    ------
    ConfigError
        If anything in it is wrong; one error names every problem, one a line.
    """
    document = _mapping(document)
    return Suite.model_validate(document.data, context=document)


def load_canary(path: str | Path) -> Canary:
    r"""Read a canary file; as :func:`load_suite`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "canary.toml")
    ...     _ = file.write_text('name = "bot"\ntraffic = {stable = "v1", canary = "v2"}')
    ...     load_canary(file).traffic.canary
    'v2'
    """
    document = _mapping(read_document(Path(path)))
    return Canary.model_validate(document.data, context=document)


def _mapping(document: Document) -> Document:
    if not isinstance(document.data, dict):
        raise ConfigError("is empty" if document.data is None else "is not a mapping", file=document.file)
    return replace(document, data={key: value for key, value in document.data.items() if key != "$schema"})
