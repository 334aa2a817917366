"""Untrusted text made inert: what a prompt, a model or a file name says must never act in Markdown or on a terminal."""

from __future__ import annotations

from typing import Final

from headgate.decide.table import one_line

_QUIET: Final = frozenset("_.,")
_JOINER: Final = "&#8288;"


def markdown(text: str, *, limit: int = 200) -> str:
    """Return text for a Markdown table cell: no markup, link, mention, reference, HTML or table break acts.

    Every character that is no letter, number or space becomes a numeric reference, which every renderer shows as text.
    An invisible word joiner follows it, but for ``_``, ``.`` and ``,``: GitLab looks for mentions, references, emoji
    and links in the rendered text, where a reference to ``@`` is ``@`` again.

    Examples
    --------
    >>> markdown("@team #1 |")
    '&#64;&#8288;team &#35;&#8288;1 &#124;&#8288;'
    """
    return "".join(map(_inert, one_line(text, limit=limit)))


def _inert(character: str) -> str:
    if character.isalnum() or character == " ":
        return character
    return f"&#{ord(character)};" + ("" if character in _QUIET else _JOINER)


def terminal(text: str) -> str:
    r"""Return text of several lines, whole, in which nothing but line feeds acts on a terminal.

    Examples
    --------
    >>> terminal("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    # An escape takes up to ten characters.
    return "\n".join(one_line(line, limit=10 * len(line)) for line in text.split("\n"))
