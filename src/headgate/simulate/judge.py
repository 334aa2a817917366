"""What a simulated judge says of the answers in its prompt: with known errors, a function of hashes."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from headgate.simulate.behaviour import Asked, uniform
from headgate.suite.simulation import JudgeSimulation

_ANSWER: Final = re.compile(r"<((?:first-|second-)?answer-[0-9a-f]{16})>\n(.*?)\n</\1>", re.DOTALL)
_SCALE: Final = re.compile(r"from (-?\d+) \(worst\) to (-?\d+) \(best\)")
_WORDS: Final = {'"yes" or "no"': ("yes", "no"), '"A", "B", "C", "D" or "E"': ("C", "D")}
_PAIR: Final = '"first", "second" or "tie"'
_UNPARSABLE: Final = "That is hard to say."


def judge_reply(judge: JudgeSimulation, asked: Asked, text: str) -> str:
    r"""Return the reply of a simulated judge to the prompt of a judge, as the built-in ones are worded.

    An answer is right where it is the target of the item. Whether the judge errs depends on the answer that it grades
    and on the judge; the share ``jitter`` of its draws on the repeat too.

    Examples
    --------
    >>> asked = Asked(item="1", prompt="given", job="j", target="42", model="m", seed=1, attempt=1)
    >>> fenced = "<answer-0123456789abcdef>\n42\n</answer-0123456789abcdef>"
    >>> judge_reply(JudgeSimulation(), asked, fenced + " from 1 (worst) to 5 (best)")
    '{"reason":"simulated","verdict":5}'
    """
    if uniform("unparsable", asked.model, asked.job) < judge.unparsable:
        return _UNPARSABLE
    answers = [found[1] for found in _ANSWER.findall(text)]
    good = [_called_right(judge, asked, answer) for answer in answers]
    if _PAIR in text:
        return _verdict(_winner(judge, asked, good))
    right = bool(good) and good[0]
    for words, (yes, no) in _WORDS.items():
        if words in text:
            return _verdict(yes if right else no)
    scale = _SCALE.findall(text)
    worst, best = map(int, scale[-1]) if scale else (1, 5)
    return _verdict(best if right else worst)


def _called_right(judge: JudgeSimulation, asked: Asked, answer: str) -> bool:
    right = answer.strip().casefold() == (asked.target or "").strip().casefold()
    anew = uniform("jitter", asked.item, asked.model, asked.seed, answer) < judge.jitter
    draw = uniform("judge", asked.item, asked.model, answer, asked.seed if anew else 0)
    return draw < judge.sensitivity if right else draw >= judge.specificity


def _winner(judge: JudgeSimulation, asked: Asked, good: list[bool]) -> str:
    if uniform("position", asked.model, asked.item, asked.prompt) < judge.position_bias:
        return "first"
    if len(good) != 2 or good[0] == good[1]:
        return "tie"
    return "first" if good[0] else "second"


def _verdict(value: str | int) -> str:
    return msgspec.json.encode({"reason": "simulated", "verdict": value}).decode()
