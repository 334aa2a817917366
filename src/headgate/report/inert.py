"""Untrusted text made inert: what a prompt, a model or a file name says must never act in Markdown or on a terminal."""

from __future__ import annotations

from headgate.decide.table import one_line


def markdown(text: str, *, limit: int = 200) -> str:
    """Return text for a Markdown table cell: no markup, link, mention, reference, HTML or table break acts.

    Every character that is no letter, number or space becomes a numeric reference, which every renderer shows as text.

    Examples
    --------
    >>> markdown("@team #1 |")
    '&#64;team &#35;1 &#124;'
    """
    shown = one_line(text, limit=limit)
    return "".join(
        character if character.isalnum() or character == " " else f"&#{ord(character)};" for character in shown
    )


def terminal(text: str) -> str:
    r"""Return text of several lines, whole, in which nothing but line feeds acts on a terminal.

    Examples
    --------
    >>> terminal("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    # An escape takes up to ten characters.
    return "\n".join(one_line(line, limit=10 * len(line)) for line in text.split("\n"))
