"""Scorers of overlap with references: machine translation, summaries, extracted answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headgate.suite.scorers.base import Thresholded


class Bleu(Thresholded):
    """Sentence BLEU of sacrebleu, from 0 to 1; several targets are its references (needs `headgate[scorers]`)."""

    type: Literal["bleu"] = Field(description="The kind of scorer")
    tokenize: Literal["13a", "intl", "char", "zh", "none"] = Field("13a", description="Tokenizer of sacrebleu")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")


class Chrf(Thresholded):
    """Sentence chrF of sacrebleu, from 0 to 1; several targets are its references (needs `headgate[scorers]`)."""

    type: Literal["chrf"] = Field(description="The kind of scorer")
    word_order: int = Field(0, ge=0, le=4, description="Word n-grams up to this length count too; 2: chrF++")
    ignore_case: bool = Field(False, description="Upper and lower case are alike")


class Gleu(Thresholded):
    """Sentence GLEU: the lower of precision and recall of 1- to 4-grams; of several targets the best."""

    type: Literal["gleu"] = Field(description="The kind of scorer")
    ignore_case: bool = Field(True, description="Upper and lower case are alike")


class Rouge(Thresholded):
    """ROUGE-N or ROUGE-L, from 0 to 1; of several targets the best (needs `headgate[scorers]`)."""

    type: Literal["rouge"] = Field(description="The kind of scorer")
    variant: Literal["rouge1", "rouge2", "rouge3", "rouge4", "rougeL"] = Field(
        "rougeL", description="n-grams of this length, or the longest common subsequence of words"
    )
    measure: Literal["f1", "precision", "recall"] = Field("f1", description="Which of the three")


class TokenF1(Thresholded):
    """F1 of the words that output and target share, as SQuAD has it; of several targets the best."""

    type: Literal["token_f1"] = Field(description="The kind of scorer")
