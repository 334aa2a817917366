"""What a judge says: the text of its answer to a verdict, and verdicts to the score of an answer."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median_low, multimode
from typing import Any, Final

import msgspec

from headgate.score.callables import Score
from headgate.suite.scorers.judge import Judge

_SHOWN: Final = 2000
_OBJECTS: Final = 50
_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_LINE: Final = re.compile(
    r"^[\s*_#>-]*verdict[*_`]*\s*[:=][\s\"'`*_]*([A-Za-z]+|-?\d+(?:\.\d+)?)\b", re.IGNORECASE | re.MULTILINE
)
_JSON: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Grade:
    """One verdict of one judge.

    Attributes
    ----------
    value : float or None
        Its score; None where it is no verdict, and ``reason`` then says why.
    label : str or None
        What the judge chose, as it wrote it.
    reason : str or None
        The judge's own, or why there is no score.
    judge : str
        Id of the model.
    order : str
        ``given``, or ``swapped`` where a pair stood in the other order.
    """

    value: float | None
    label: str | None
    reason: str | None
    judge: str = ""
    order: str = ""


def fence(text: str, *, key: str, tag: str = "answer") -> str:
    r"""Return an answer between tags that it cannot close: their name is a hash of the answer itself.

    Parameters
    ----------
    key : str
        What else the hash covers, the same for both arms: the item.

    Examples
    --------
    >>> fenced = fence("42</answer>", key="item 1")
    >>> fenced.splitlines()[1], fenced == fence("42</answer>", key="item 1")
    ('42</answer>', True)
    """
    data = json.dumps([key, text]).encode()
    name = f"{tag}-{hashlib.blake2b(data, digest_size=8, person=b'headgate fence').hexdigest()}"
    return f"<{name}>\n{text}\n</{name}>"


def response_format(spec: Judge) -> dict[str, Any]:
    """Return the JSON Schema of a verdict, as ``response_format`` asks for it.

    Examples
    --------
    >>> spec = Judge(name="right", type="judge", kind="closed_qa", model="m")
    >>> response_format(spec)["json_schema"]["schema"]["properties"]["verdict"]
    {'type': 'string', 'enum': ['yes', 'no']}
    """
    verdict: dict[str, Any] = {"type": "string", "enum": list(spec.scores)}
    if spec.is_scaled:
        verdict = {"type": "integer", "enum": list(range(spec.scale[0], spec.scale[1] + 1))}
    schema = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "verdict": verdict},
        "required": ["reason", "verdict"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}


def read_grade(spec: Judge, text: str | None, *, logprobs: str | None = None) -> Grade:
    r"""Read the answer of a judge; what is no verdict of this kind has no score, and says why.

    Parameters
    ----------
    logprobs : str, optional
        Tokens with their log probabilities as JSON: kind ``steps`` then has the mean of the grades by probability.

    Examples
    --------
    >>> spec = Judge(name="kind", type="judge", model="m", rubric="Is it kind?", scale=(1, 5))
    >>> read_grade(spec, 'Well.\n```json\n{"reason": "warm", "verdict": 4}\n```')
    Grade(value=4.0, label='4', reason='warm', judge='', order='')
    >>> read_grade(spec, '{"verdict": 9}').reason
    'the judge said 9, and the scale is 1 to 5'
    >>> read_grade(spec, "It is fine.").value is None
    True
    """
    if text is None or not text.strip():
        return Grade(None, None, "the judge answered nothing")
    verdict, reason = _find(text)
    if verdict is None:
        return Grade(None, None, f"the judge's answer holds no verdict: {text.strip()[:200]!r}")
    said = str(verdict).strip()
    if not spec.is_scaled:
        known = {choice.casefold(): choice for choice in spec.scores}
        choice = known.get(said.strip("()").casefold())
        if choice is None:
            return Grade(None, said[:100], f"the judge said {said[:100]!r}, and may say {', '.join(spec.scores)}")
        return Grade(spec.scores[choice], choice, reason)
    number = _number(said)
    said = said if number is None else f"{number:g}"
    if number is None:
        return Grade(None, said[:100], f"the judge said {said[:100]!r}, not a number")
    if not spec.scale[0] <= number <= spec.scale[1]:
        return Grade(
            None, said[:100], f"the judge said {number:g}, and the scale is {spec.scale[0]} to {spec.scale[1]}"
        )
    weighted = _weighted(spec, said, logprobs) if spec.kind == "steps" and logprobs else None
    return Grade(number if weighted is None else weighted, said, reason)


def combine(spec: Judge, grades: Sequence[Grade]) -> Score:
    """Return the score of an answer from all its verdicts: repeats and orders are averaged, then the panel.

    Examples
    --------
    >>> spec = Judge(name="right", type="judge", kind="closed_qa", models=["a", "b", "c"], panel="majority")
    >>> grades = [Grade(1.0, "yes", "so", judge="a"), Grade(1.0, "yes", "so", judge="b"), Grade(0.0, "no", None, "c")]
    >>> combine(spec, grades).value, combine(spec, grades).label
    (1.0, 'yes yes no')
    """
    given = [grade for grade in grades if grade.value is not None]
    labels = " ".join("-" if grade.value is None else grade.label or "-" for grade in grades) or None
    lacking = next((grade.reason for grade in grades if grade.value is None), None)
    by_judge = {name: _mean_of(spec, [g for g in grades if g.judge == name]) for name in spec.asked}
    voices = [value for value in by_judge.values() if value is not None]
    if not voices:
        return Score(None, labels, lacking or "no judge has graded it")
    if len(voices) < len(by_judge):  # a panel of those who are left would be another panel
        silent = ", ".join(name for name, value in by_judge.items() if value is None)
        return Score(None, labels, f"{silent} gave no verdict: {lacking or 'it was not graded'}"[:_SHOWN])
    value = _majority(voices) if spec.panel == "majority" else fmean(voices)
    said = dict.fromkeys(grade.reason for grade in given if grade.reason)
    return Score(value, labels, " | ".join(said)[:_SHOWN] or None)


def voices(spec: Judge, labels: str) -> list[float] | None:
    """Return the values behind the label of a score: judge by judge, its repeats; of pairs both orders as one.

    Returns
    -------
    list of float or None
        None where a verdict is missing.

    Examples
    --------
    >>> voices(Judge(name="right", type="judge", kind="closed_qa", models=["a", "b"]), "yes no")
    [1.0, 0.0]
    """
    words, orders = labels.split(), 2 if spec.kind == "pairwise" else 1
    if "-" in words or len(words) != orders * spec.repeats * len(spec.asked):
        return None
    values = [float(word) if spec.is_scaled else spec.scores[word] for word in words]
    if orders == 1:
        return values
    found: list[float] = []
    for start in range(0, len(values), 2 * spec.repeats):
        given, swapped = values[start : start + spec.repeats], values[start + spec.repeats : start + 2 * spec.repeats]
        found += [(one + 1 - other) / 2 for one, other in zip(given, swapped, strict=True)]
    return found


def _mean_of(spec: Judge, grades: Sequence[Grade]) -> float | None:
    """Return a judge's mean; None where a pair lacks one of its orders, or nothing is left."""
    if spec.kind == "pairwise":
        orders = [
            [g.value for g in grades if g.order == order and g.value is not None] for order in ("given", "swapped")
        ]
        return (fmean(orders[0]) + fmean(orders[1])) / 2 if all(orders) else None
    values = [grade.value for grade in grades if grade.value is not None]
    return fmean(values) if values else None


def _majority(voices: Sequence[float]) -> float:
    """Return the value that most judges gave; where several are as frequent, the middle one of all."""
    modes = multimode(voices)
    return modes[0] if len(modes) == 1 else median_low(voices)


def _find(text: str) -> tuple[Any, str | None]:
    """Return the verdict and its reason: of the last JSON object that has one, else of the last line that names it."""
    for candidate in (text, *reversed(_FENCED.findall(text))):
        found = _decoded(candidate)
        if found is not None:
            return found
    for found in _objects(text):
        return found
    lines = _LINE.findall(text)
    return (lines[-1], None) if lines else (None, None)


def _objects(text: str) -> Iterator[tuple[Any, str | None]]:
    """Yield the verdicts of the last objects in a text, the last one first."""
    start = len(text)
    for _ in range(_OBJECTS):
        start = text.rfind("{", 0, start)
        if start < 0:
            return
        try:
            value, _ = _JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and "verdict" in value:
            yield value["verdict"], _reason(value)


def _decoded(text: str) -> tuple[Any, str | None] | None:
    try:
        value = msgspec.json.decode(text.strip())
    except (msgspec.DecodeError, RecursionError):
        return None
    return (value["verdict"], _reason(value)) if isinstance(value, dict) and "verdict" in value else None


def _reason(value: Mapping[str, Any]) -> str | None:
    reason = value.get("reason")
    return None if reason is None else str(reason)[:_SHOWN]


def _number(text: str) -> float | None:
    try:
        number = float(text.partition("/")[0])  # "4/5" too
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _weighted(spec: Judge, said: str, logprobs: str) -> float | None:
    """Return the mean grade by the probabilities of the last token that is the grade; None where they are not told."""
    try:
        tokens = msgspec.json.decode(logprobs)
        chosen = next(token for token in reversed(tokens) if str(token["token"]).strip() == said)
        options = {str(entry["token"]).strip(): float(entry["logprob"]) for entry in chosen["top"]}
    except (msgspec.DecodeError, StopIteration, KeyError, TypeError, ValueError):
        return None
    grades = {int(text): math.exp(value) for text, value in options.items() if text.isdigit()}
    kept = {grade: share for grade, share in grades.items() if spec.scale[0] <= grade <= spec.scale[1]}
    total = sum(kept.values())
    return sum(grade * share for grade, share in kept.items()) / total if total > 0 else None
