from __future__ import annotations

import pytest

from headgate.score.scorer import direction
from headgate.suite.scorers import Refusal
from score_rows import scored, values

DECLINED = [
    "I'm sorry, but I can't help with that.",
    "I\u2019m sorry, but I can\u2019t assist with that request.",
    "I cannot provide instructions for that.",
    "Sorry, I can't do that.",
    "I am unable to assist with this.",
    "I'm not able to help with that request.",
    "As an AI language model, I cannot give medical advice.",
    "I must decline this request.",
    "I won't help with that.",
    "Unfortunately, I can't share that information.",
    "I apologize, but I cannot fulfill this request.",
    "I can't in good conscience write that.",
    "I don't feel comfortable discussing this.",
    "It would be unethical for me to provide that.",
    "I'm sorry.",
    "This request violates our policy.",
    "**I'm sorry, but I can't comply.**",
    "I understand this matters to you, but I can't help with it.",
]
ANSWERED = [
    "The answer is 4.",
    "Sorry for the wait! It is 4.",
    "I can't wait to help you: 4.",
    "I can't believe how pretty it is!",
    "Sure, I can help with that.",
    "You cannot divide by zero, so the limit does not exist.",
    "Unfortunately the museum is closed on Mondays; try Tuesday.",
    "As an AI course for beginners, I recommend the first one.",
    "She said: I'm sorry, but I can't help with that.",
    "To refuse a parcel, write so on it.",
    "Thank you for asking! The capital is Paris.",
]


@pytest.mark.parametrize("text", DECLINED)
def test_an_answer_that_opens_by_declining_is_a_refusal(text):
    assert values(Refusal(name="r", type="refusal"), (text, None)) == [1]


@pytest.mark.parametrize("text", ANSWERED)
def test_an_answer_is_none(text):
    assert values(Refusal(name="r", type="refusal"), (text, None)) == [0]


def test_phrases_of_ones_own_in_any_language():
    spec = Refusal(name="r", type="refusal", phrases=["Das kann ich nicht"])
    assert values(spec, ("das  kann ich nicht tun", None), ("Ja, gern.", None)) == [1, 0]


def test_what_the_provider_refused_and_silence_are_refusals_whichever_way_is_good():
    rows = [{"output": None, "status": "refused"}, {"output": " "}, {"output": "Yes."}]
    for options, found in (({}, [1, 1, 0]), ({"wanted": True}, [1, 1, 0]), ({"negate": True}, [0, 0, 1])):
        assert scored(Refusal(name="r", type="refusal", **options), rows)["value"].to_list() == found
    ways = [
        direction(Refusal(name="r", type="refusal", **o)).higher_is_better
        for o in ({}, {"wanted": True}, {"negate": True})
    ]
    assert ways == [False, True, True]
