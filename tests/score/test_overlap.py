"""Overlap against the reference libraries: sacrebleu, rouge-score, nltk; and SQuAD's own script restated."""

from __future__ import annotations

import re
import string
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.suite.scorers import Bleu, Chrf, ExactMatch, Gleu, Rouge, TokenF1
from score_rows import values

TEXT = st.lists(
    st.sampled_from(["the", "a", "cat", "Cat", "sat", "on", "mat,", "mat.", "dog's", "3", "über"]),
    min_size=1,
    max_size=12,
).map(" ".join)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5)


@given(PAIRS)
@settings(max_examples=50, deadline=None)
def test_bleu_and_chrf_are_those_of_sacrebleu(pairs):
    from sacrebleu import sentence_bleu, sentence_chrf

    assert values(Bleu(name="s", type="bleu"), *pairs) == [min(sentence_bleu(o, [t]).score / 100, 1) for o, t in pairs]
    assert values(Chrf(name="s", type="chrf"), *pairs) == [min(sentence_chrf(o, [t]).score / 100, 1) for o, t in pairs]


def test_several_references_are_those_of_sacrebleu():
    from sacrebleu import sentence_bleu, sentence_chrf

    output, references = "the cat sat there", ["a cat sat down there", "the cat was there"]
    bleu, chrf = (sentence(output, references).score / 100 for sentence in (sentence_bleu, sentence_chrf))
    assert values(Bleu(name="s", type="bleu"), (output, references)) == [bleu]
    assert values(Chrf(name="s", type="chrf"), (output, references)) == [chrf]
    assert values(Chrf(name="s", type="chrf", word_order=2), (output, references)) == [
        sentence_chrf(output, references, word_order=2).score / 100
    ]
    assert values(Bleu(name="s", type="bleu", threshold=bleu), (output, references), ("no", references)) == [1, 0]


@pytest.fixture(scope="module")
def rouge_scorer():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sklearn", None)  # nltk imports it where it is, for seconds
        from rouge_score.rouge_scorer import RougeScorer
    return RougeScorer


@pytest.mark.parametrize("variant", ["rouge1", "rouge2", "rouge3", "rougeL"])
@pytest.mark.parametrize(("measure", "field"), [("f1", "fmeasure"), ("precision", "precision"), ("recall", "recall")])
def test_rouge_is_that_of_rouge_score(rouge_scorer, variant, measure, field):
    reference = rouge_scorer([variant])

    @given(PAIRS)
    @settings(max_examples=40, deadline=None)
    def check(pairs):
        expected = [getattr(reference.score(t, o)[variant], field) for o, t in pairs]
        spec = Rouge(name="s", type="rouge", variant=variant, measure=measure)
        assert values(spec, *pairs) == pytest.approx(expected, abs=1e-12)

    check()


def test_of_several_targets_rouge_takes_the_best(rouge_scorer):
    output, targets = "the cat sat", ["a dog ran", "the cat sat down"]
    best = max(rouge_scorer(["rougeL"]).score(t, output)["rougeL"].fmeasure for t in targets)
    assert values(Rouge(name="s", type="rouge"), (output, targets)) == [best]


@given(PAIRS)
@settings(max_examples=50, deadline=None)
def test_gleu_is_that_of_nltk(pairs):
    from nltk.translate.gleu_score import sentence_gleu

    expected = [sentence_gleu([t.split()], o.split()) for o, t in pairs]
    assert values(Gleu(name="s", type="gleu", ignore_case=False), *pairs) == pytest.approx(expected)


def squad_normal(text: str) -> str:
    """The normalisation of SQuAD's evaluation, restated."""
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_f1(output: str, target: str) -> float:
    ours, theirs = squad_normal(output).split(), squad_normal(target).split()
    if not ours or not theirs:
        return float(ours == theirs)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 0.0 if shared == 0 else 2 / (len(ours) / shared + len(theirs) / shared)


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=5))
def test_token_f1_and_exact_match_are_those_of_squad(pairs):
    f1 = values(TokenF1(name="s", type="token_f1"), *pairs)
    assert f1 == pytest.approx([max(squad_f1(o, t) for t in targets) for o, targets in pairs])
    exact = values(ExactMatch(name="s", type="exact_match", normalize="squad"), *pairs)
    assert exact == [float(any(squad_normal(o) == squad_normal(t) for t in targets)) for o, targets in pairs]


@pytest.mark.parametrize("kind", [Bleu, Chrf, Gleu, Rouge, TokenF1])
def test_without_a_target_nothing_is_scored_and_an_empty_answer_is_the_worst(kind):
    spec = kind(name="s", type=kind.model_fields["type"].annotation.__args__[0])
    assert values(spec, ("text", None), ("text", []), (" ", ["text"])) == [None, None, 0]
    assert values(spec, ("...", ["!?"]), ("x", [""])) is not None  # words of neither: a number, not an error
