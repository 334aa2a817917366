"""Scorers of overlap with references: BLEU, chrF, GLEU, ROUGE, token F1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from headgate.score.library import load_library

if TYPE_CHECKING:
    from headgate.suite.scorers import Bleu, Chrf, Gleu, Rouge, TokenF1

_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_ROUGE_WORD: Final = re.compile(r"[a-z0-9]+")
_LONGEST: Final = 4

Overlap = Callable[[str, list[str]], float]


def bleu(spec: Bleu) -> Overlap:
    """Return sentence BLEU against the targets, by sacrebleu, with its effective order and smoothing; from 0 to 1.

    Source: Post 2018, "A Call for Clarity in Reporting BLEU Scores".
    """
    metric = load_library("sacrebleu.metrics").BLEU(
        tokenize=spec.tokenize, lowercase=spec.ignore_case, effective_order=True
    )
    return lambda output, targets: min(metric.sentence_score(output, targets).score / 100, 1.0)


def chrf(spec: Chrf) -> Overlap:
    """Return sentence chrF against the targets, by sacrebleu; from 0 to 1.

    Source: Popovic 2015, "chrF: character n-gram F-score for automatic MT evaluation".
    """
    metric = load_library("sacrebleu.metrics").CHRF(word_order=spec.word_order, lowercase=spec.ignore_case)
    return lambda output, targets: min(metric.sentence_score(output, targets).score / 100, 1.0)


def gleu(spec: Gleu) -> Overlap:
    """Return GLEU: matching 1- to 4-grams over those of the output or the target, whichever has more.

    Source: Wu et al. 2016, "Google's Neural Machine Translation System", section 9.1.

    Examples
    --------
    >>> from headgate.suite.scorers import Gleu
    >>> gleu(Gleu(name="g", type="gleu"))("the cat", ["the cat sat"])
    0.5
    """

    def words(text: str) -> list[str]:
        return (text.lower() if spec.ignore_case else text).split()

    def score(output: str, target: str) -> float:
        ours, theirs = _all_grams(words(output)), _all_grams(words(target))
        most = max(ours.total(), theirs.total())
        return (ours & theirs).total() / most if most else 0.0

    return lambda output, targets: max(score(output, target) for target in targets)


def _all_grams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(gram for n in range(1, _LONGEST + 1) for gram in _grams(words, n))


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(n)), strict=False))


def rouge(spec: Rouge) -> Overlap:
    """Return ROUGE-N or ROUGE-L of words, without stemming, as Google's rouge-score counts it.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries".

    Examples
    --------
    >>> from headgate.suite.scorers import Rouge
    >>> rouge(Rouge(name="r", type="rouge", variant="rouge1", measure="recall"))("the cat", ["the cat sat down"])
    0.5
    """
    count = _common_subsequence() if spec.variant == "rougeL" else _common_grams(int(spec.variant[-1]))

    def score(output: str, target: str) -> float:
        shared, ours, theirs = count(*(_ROUGE_WORD.findall(text.lower()) for text in (output, target)))
        precision, recall = shared / max(ours, 1), shared / max(theirs, 1)
        if spec.measure != "f1":
            return precision if spec.measure == "precision" else recall
        return 2 * precision * recall / (precision + recall) if shared else 0.0

    return lambda output, targets: max(score(output, target) for target in targets)


Count = Callable[[list[str], list[str]], tuple[int, int, int]]
"""Words of output and target to what they share, and what each has."""


def _common_grams(n: int) -> Count:
    def count(output: list[str], target: list[str]) -> tuple[int, int, int]:
        ours, theirs = Counter(_grams(output, n)), Counter(_grams(target, n))
        return (ours & theirs).total(), ours.total(), theirs.total()

    return count


def _common_subsequence() -> Count:
    similarity = load_library("rapidfuzz.distance").LCSseq.similarity

    def count(output: list[str], target: list[str]) -> tuple[int, int, int]:
        return similarity(output, target), len(output), len(target)

    return count


def token_f1(spec: TokenF1) -> Overlap:
    """Return F1 of the words that output and target share, as SQuAD has it; the best of several targets.

    Source: the evaluation script of SQuAD 1.1 (Rajpurkar et al. 2016).

    Examples
    --------
    >>> from headgate.suite.scorers import TokenF1
    >>> token_f1(TokenF1(name="f1", type="token_f1"))("It is the Seine.", ["the Seine", "Seine river"])
    0.5
    """
    del spec

    def score(output: str, target: str) -> float:
        ours, theirs = Counter(squad_words(output)), Counter(squad_words(target))
        if not ours or not theirs:
            return float(ours == theirs)
        return 2 * (ours & theirs).total() / (ours.total() + theirs.total())

    return lambda output, targets: max(score(output, target) for target in targets)


def squad_words(text: str) -> list[str]:
    """Return the words that SQuAD compares: no case, punctuation or articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()
