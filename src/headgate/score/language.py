"""Scorer of language: which one the output is in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headgate.score.callables import Score
from headgate.score.library import load_library

if TYPE_CHECKING:
    from headgate.suite.scorers import Language


def language(spec: Language) -> Callable[[str, list[str] | None], Score]:
    """Return a function: whether an output is in a target's language (ISO 639-1); the label is the one that it is in.

    Examples
    --------
    >>> from headgate.suite.scorers import Language
    >>> score = language(Language(name="german", type="language", target="de"))
    >>> score("Das Haus steht am Ende der langen Straße.", ["de"])
    Score(value=1.0, label='de', explanation=None)
    """
    identifier = _identifier()

    def grade(output: str, targets: list[str] | None) -> Score:
        if targets is None:
            return Score(None, explanation="the item has no target to compare with")
        found, probability = identifier.classify(output)
        if probability < spec.min_probability:
            return Score(None, found, f"it is {found} with probability {probability:.2f} only")
        return Score(float(found in {target.strip().lower() for target in targets}), found)

    return grade


@functools.cache
def _identifier() -> Any:
    """Return the identifier with its 139 languages; the model is read once."""
    library = load_library("py3langid.langid")
    return library.LanguageIdentifier.from_model_file(library.MODEL_FILE, norm_probs=True)
