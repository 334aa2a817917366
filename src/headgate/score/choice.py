"""Scorers of an answer among several: a letter, or a label."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

    from headgate.suite.scorers import Classification, MultipleChoice

_DECORATION: Final = r"[\s*_`~\"'(\[{<]*"
_SAYS: Final = r"(?i:answer|choose|pick|select|go\s+with|(?:correct|right|best)\s+(?:option|choice|letter))"
_IS: Final = r"(?i:\s+(?:is|was|would\s+be|must\s+be|should\s+be))?\s*[:=\-]?" + _DECORATION
_KIND: Final = r"(?i:(?:option|choice|letter)\b)?" + _DECORATION
# What may follow a letter that is no word: neither "A cat" nor "I don't" names one.
_AFTER: Final = (
    r"(?:[*_)\]}\"`.,:;!?]|['’](?:\W|$)|\s*(?:\n|$)|"  # noqa: RUF001 - an apostrophe
    r"\s+(?:[^a-z\s]|(?:because|as|since|and|which|is|with|for|given|due)\b))"
)
# In the order in which they are tried; {L} is the class of letters, {l} that of small ones. Of several matches the last
# counts where a text says what its answer is; where it only shows a letter, it must show one alone.
_SAID: Final = (
    r"\\boxed\s*\{\s*(?:\\(?:text|mathrm|textbf)\s*\{)?\s*\(?({L})\b",
    _SAYS + _IS + _KIND + r"({L})" + _AFTER,
    r"(?im)answer(?:\s+is)?\s*[:=]?[\s*_`\"'(\[]*({l})[\s*_`\"')\].]*$",
)
_EDGES: Final = " \t\r\n*_`\"'.:,;!()[]{}"
_SHOWN: Final = (
    r"(?m)^[\s*_`#>(\[]*({L})[\s*_`]*[.):\]](?:\s|\*|$)",
    r"(?:\*\*|__)\s*\(?({L})\)?[.):]?\s*(?:\*\*|__|\s)",
    r"\(({L})\)",
)


def chosen_letter(text: pl.Expr, *, choices: int) -> pl.Expr:
    r"""Return the letter that a text chooses, null where it is not clear which.

    Examples
    --------
    >>> import polars as pl
    >>> texts = ["The answer is (B).", "**C**", "b", "A. Paris", r"so \boxed{D}", "A) yes\nB) no", "I think so"]
    >>> pl.DataFrame({"t": texts}).select(chosen_letter(pl.col("t"), choices=4)).to_series().to_list()
    ['B', 'C', 'B', 'A', 'D', None, None]
    """
    import polars as pl

    last = chr(ord("A") + choices - 1)
    said, shown = (
        [p.replace("{L}", f"[A-{last}]").replace("{l}", f"[a-{last.lower()}]") for p in patterns]
        for patterns in (_SAID, _SHOWN)
    )
    whole = text.str.extract(rf"^\W*([A-{last}a-{last.lower()}])\W*$")
    found = [
        whole,
        *(text.str.extract_all(p).list.last().str.extract(p) for p in said),
        *(_only(text, p) for p in shown),
    ]
    return pl.coalesce(found).str.to_uppercase()


def _only(text: pl.Expr, pattern: str) -> pl.Expr:
    """Return what the group of a pattern matches, where it matches one thing alone."""
    import polars as pl

    found = text.str.extract_all(pattern).list.eval(pl.element().str.extract(pattern)).list.unique()
    return pl.when(found.list.len() == 1).then(found.list.first())


def multiple_choice(spec: MultipleChoice, output: pl.Expr, target: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return a Boolean expression, the letter of the output is the target's, and that letter.

    An output that chooses none is wrong; a target that is no letter cannot be scored.
    """
    import polars as pl

    got, wanted = (chosen_letter(text, choices=spec.choices) for text in (output, target))
    return pl.when(wanted.is_not_null()).then((got == wanted).fill_null(value=False)), got


def given_label(text: pl.Expr, *, labels: list[str]) -> pl.Expr:
    """Return the label that a text gives, as it is declared: the whole text, else the only one that stands in it.

    Examples
    --------
    >>> import polars as pl
    >>> texts = ["**Spam**", "This is not spam but ham.", "It's ham!", "?"]
    >>> pl.DataFrame({"t": texts}).select(given_label(pl.col("t"), labels=["spam", "ham"])).to_series().to_list()
    ['spam', None, 'ham', None]
    """
    import polars as pl

    names = [label.strip() for label in labels]
    bare = text.str.strip_chars(_EDGES).str.to_lowercase()
    whole = [pl.when(bare == name.strip(_EDGES).lower()).then(pl.lit(name)) for name in names]
    # A label inside of a longer one does not stand there by itself: "not relevant" is not "relevant".
    longest = sorted(names, key=len, reverse=True)
    words = "|".join(map(_word, longest))
    found = text.str.extract_all(rf"(?i)(?:{words})").list.eval(
        pl.element().str.to_lowercase().str.replace_all(r"\s+", " ")
    )
    alone = pl.when(found.list.unique().list.len() == 1).then(found.list.first())
    inside = [pl.when(alone == name.lower()).then(pl.lit(name)) for name in names]
    return pl.coalesce(*whole, *inside)


def _word(label: str) -> str:
    """Return the pattern of a label that is no part of a longer word."""
    before, after = (r"\b" if re.match(r"\w", end) else "" for end in (label[0], label[-1]))
    return before + r"\s+".join(map(re.escape, label.split())) + after


def classification(spec: Classification, output: pl.Expr, target: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return a Boolean expression, the output's label is the target, and that label."""
    import polars as pl

    got, wanted = (given_label(text, labels=spec.names) for text in (output, target))
    return pl.when(wanted.is_not_null()).then((got == wanted).fill_null(value=False)), got
