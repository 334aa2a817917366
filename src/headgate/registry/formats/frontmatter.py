"""A text file that begins with YAML between two lines of ``---``."""

from __future__ import annotations

from dataclasses import replace

from headgate.errors import ConfigError
from headgate.registry.source import Source
from headgate.suite.documents import Document, parse_yaml

_FENCE = "---"


def split_frontmatter(source: Source) -> tuple[Document | None, str]:
    """Return the YAML and the text below it; None and the whole text where there is none.

    Blank lines and lines that begin with ``#`` (a licence) may stand before the first fence.

    Raises
    ------
    ConfigError
        If the second fence is missing, or what stands between them is no YAML mapping.
    """
    lines = source.text.split("\n")
    start = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if start is None or lines[start].rstrip() != _FENCE:
        return None, source.text
    end = next((at for at in range(start + 1, len(lines)) if lines[at].rstrip() == _FENCE), None)
    if end is None:
        raise ConfigError("has no second line of ---", file=source.file, line=start + 1, mend="close the YAML with one")
    # Blank lines in place of what stands above keep the lines of errors right.
    document = parse_yaml("\n" * (start + 1) + "\n".join(lines[start + 1 : end]), source.file)
    if document.data is None:
        document = replace(document, data={})
    if not isinstance(document.data, dict):
        raise ConfigError("is not a mapping", file=source.file, line=start + 2)
    return document, "\n".join(lines[end + 1 :])
