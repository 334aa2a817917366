from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.score.choice import chosen_letter, given_label
from headgate.suite.scorers import Classification, MultipleChoice
from score_rows import scored, values


def letter(text, choices=10):
    return pl.DataFrame({"t": [text]}).select(chosen_letter(pl.col("t"), choices=choices)).item()


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("B", "B"),
        ("b", "B"),
        (" (b) ", "B"),
        ("**B**", "B"),
        ("B.", "B"),
        ("B. Paris", "B"),
        ("B) Paris", "B"),
        ("(B) Paris, as it is the capital", "B"),
        ("**B. Paris**", "B"),
        ("The answer is (B)", "B"),
        ("The answer is B.", "B"),
        ("The answer is **B**.", "B"),
        ("The correct answer is: B", "B"),
        ("Answer: B", "B"),
        ("answer: b", "B"),
        ("**Answer:** (B)", "B"),
        ("ANSWER: B\n", "B"),
        ("Final Answer: option B", "B"),
        ("The correct option is B, because a cat is no dog.", "B"),
        ("I would choose B.", "B"),
        (r"Therefore $\boxed{B}$.", "B"),
        (r"\boxed{\text{B}}", "B"),
        ("A. red\nB. blue\n\nThe answer is B", "B"),
        ("The answer is A. Wait, no. The answer is B.", "B"),
        ("Let me think.\n\nB", None),
        ("A. red\nB. blue", None),
        ("It is (A) or (B).", None),
        ("The answer is a cat.", None),
        ("The answer is I don't know", None),
        ("I don't know", None),
        ("A cat sat", None),
        ("", None),
    ],
)
def test_the_letter_that_a_text_chooses(text, chosen):
    assert letter(text) == chosen


@given(
    st.sampled_from("ABCD"),
    st.sampled_from(["The answer is ({}).", "Answer: {}", "{}", "**{}**", "{}) yes", "\\boxed{{{}}}"]),
)
def test_every_letter_is_read_in_every_form(one, form):
    assert letter(form.format(one), choices=4) == one


def test_a_letter_that_there_is_not_is_no_answer():
    assert letter("The answer is E.", choices=4) is None


def test_scores_have_the_letter_as_their_label():
    found = scored(
        MultipleChoice(name="right", type="multiple_choice"),
        [
            {"output": "Answer: B", "target": "B"},
            {"output": "(C)", "target": "b"},
            {"output": "hm", "target": "B"},
            {"output": "B", "target": "42"},
        ],
    )
    assert found.rows() == [
        (1.0, "B", None),
        (0.0, "C", None),
        (0.0, None, None),
        (None, "B", "the target is no letter"),
    ]


def test_a_label_is_the_whole_text_or_the_only_one_in_it():
    labels = ["relevant", "not relevant", "e-mail (spam)"]
    texts = [
        "Relevant.",
        "It is not  relevant",
        "relevant or not relevant?",
        "**Not Relevant**",
        "E-mail (spam)",
        "none",
        "irrelevant",
    ]
    found = pl.DataFrame({"t": texts}).select(given_label(pl.col("t"), labels=labels)).to_series().to_list()
    assert found == ["relevant", "not relevant", None, "not relevant", "e-mail (spam)", None, None]


def test_an_answer_without_a_label_is_wrong_and_a_target_without_one_is_missing():
    spec = Classification(name="kind", type="classification", labels=["spam", "ham"])
    assert values(spec, ("spam", "spam"), ("ham", "spam"), ("eggs", "spam"), ("spam", "eggs"), ("", "spam")) == [
        1,
        0,
        0,
        None,
        0,
    ]
