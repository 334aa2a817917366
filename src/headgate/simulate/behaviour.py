"""What a simulated model does with a request: all of it a function of hashes, so that every run is the same run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final

from headgate.suite.simulation import Simulation

_NORMAL: Final = NormalDist()
_WORDS: Final = ("maple", "granite", "violet", "harbour", "lantern", "ember")
REFUSAL: Final = "I cannot help with that."
FAULTS: Final = ("rate_limit", "server_error", "overloaded", "drop", "truncate", "html", "empty", "hang")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a simulated model knows of a request.

    Attributes
    ----------
    item, prompt, job : str
        Names of the item and the prompt, and the id of the job.
    target : str, optional
        The right answer.
    attempt : int
        Of this job, from 1.
    """

    item: str
    prompt: str
    job: str
    target: str | None
    model: str
    seed: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Reaction:
    """What comes back.

    Attributes
    ----------
    fault : str, optional
        One of :data:`FAULTS`; then there is no answer.
    """

    output: str
    right: bool
    refused: bool
    latency_s: float
    fault: str | None


def react(simulation: Simulation, asked: Asked) -> Reaction:
    """Return what a simulated model does.

    The chance of a right answer is a probit of the item's difficulty; its mean over items is the declared accuracy.
    Whether it is right depends on (item, prompt, model, seed), a fault and the latency on (job, attempt).

    Examples
    --------
    >>> asked = Asked(item="1", prompt="p", job="j", target="42", model="m", seed=1, attempt=1)
    >>> react(Simulation(accuracy=1.0), asked).output
    '42'
    """
    chance = probability(simulation, item=asked.item, prompt=asked.prompt)
    right = uniform("answer", asked.item, asked.prompt, asked.model, asked.seed) < chance
    refused = uniform("refusal", asked.job) < simulation.faults.refusal
    ratio = 1.0 if right else simulation.wrong_latency_ratio
    wobble = _NORMAL.inv_cdf(uniform("latency", asked.job, asked.attempt))
    return Reaction(
        output=REFUSAL if refused else _answer(asked, right=right),
        right=right and not refused,
        refused=refused,
        latency_s=simulation.latency_s * ratio * math.exp(simulation.latency_spread * wobble),
        fault=_fault(simulation, asked),
    )


def probability(simulation: Simulation, *, item: str, prompt: str) -> float:
    """Return the chance of a right answer to an item.

    Notes
    -----
    ``Phi(Phi^-1(accuracy) * sqrt(1 + spread^2) + spread * z)`` with z standard normal over items has mean ``accuracy``.
    """
    accuracy = simulation.accuracy
    if isinstance(accuracy, Mapping):
        accuracy = accuracy.get(prompt, 0.9)
    if accuracy in {0.0, 1.0} or simulation.spread == 0:
        return accuracy
    difficulty = _NORMAL.inv_cdf(uniform("difficulty", item))
    return _NORMAL.cdf(_centre(accuracy, simulation.spread) + simulation.spread * difficulty)


def uniform(*key: Any) -> float:
    """Return a number strictly between 0 and 1 that is a hash of the key.

    Examples
    --------
    >>> uniform("a", 1) == uniform("a", 1) != uniform("a", 2)
    True
    """
    text = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 11
    return (number + 0.5) / (1 << 53)


@lru_cache(maxsize=256)
def _centre(accuracy: float, spread: float) -> float:
    return _NORMAL.inv_cdf(accuracy) * math.sqrt(1 + spread**2)


def _fault(simulation: Simulation, asked: Asked) -> str | None:
    draw = uniform("fault", asked.job, asked.attempt)
    for fault in FAULTS:
        draw -= getattr(simulation.faults, fault)
        if draw < 0:
            return fault
    return None


def _answer(asked: Asked, *, right: bool) -> str:
    if right:
        return asked.target if asked.target is not None else "yes"
    pick = int(uniform("wrong", asked.item, asked.prompt, asked.model, asked.seed) * 1000)
    try:
        number = float(asked.target or "")
    except ValueError:
        number = math.inf
    if math.isfinite(number):
        step = max(1.0, abs(number) // 100)  # no tolerance of a scorer takes it for right
        return f"{number + (1 + pick % 9) * step:.12g}"
    words = [word for word in _WORDS if (asked.target or "").lower() not in word] or ["nothing"]
    return words[pick % len(words)]
