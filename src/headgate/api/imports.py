"""Suites of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgate.api.calls import RunPath

if TYPE_CHECKING:
    from headgate.registry.importers.read import Imported


def import_suite(source: RunPath, out: RunPath) -> Imported:
    r"""Make a suite of another tool's file: promptfoo's configuration, a ``.prompt.yml`` with items, evals' JSON lines.

    Parameters
    ----------
    source : path
        The file.
    out : path
        The suite file to write; ``items.jsonl`` and the prompts go beside it. Nothing is overwritten.

    Returns
    -------
    Imported
        What was written, and in ``left`` what was not carried over: where it stands, what it is, and why. The suite
        lists it at its top.

    Raises
    ------
    ConfigError
        If the file is missing, broken or of no known kind, or nothing in it can be asked; nothing is then written.

    Examples
    --------
    >>> import headgate as hg, pathlib, tempfile
    >>> config = '''
    ... prompts: ["Say {{word}} in French"]
    ... providers: [openai:gpt-5-mini]
    ... tests:
    ...   - {vars: {word: hello}, assert: [{type: icontains, value: bonjour}, {type: webhook, value: 'http://h'}]}
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     source = pathlib.Path(folder, "promptfooconfig.yaml")
    ...     _ = source.write_text(config)
    ...     made = hg.import_suite(source, folder + "/suite.yaml")
    ...     suite = hg.load_suite(made.suite)
    >>> suite.models[0].name, [scorer.name for scorer in suite.scorers]
    ('gpt-5-mini', ['icontains'])
    >>> made.left
    [Left(where='tests.0.assert.1', what='assertion webhook', why='it is a program')]
    """
    from headgate.registry.importers.read import import_suite

    return import_suite(Path(source), Path(out))
