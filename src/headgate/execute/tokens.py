"""How many tokens an attempt will use: reserved before it goes out, learned from what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.execute.answer import Answer
from headgate.plan import Job

_PER_BYTE: Final = 0.28
_LEARN: Final = 0.05
_MARGIN: Final = 1.1
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_IMAGE: Final = b'"image_url":{'
_DATA: Final = b'"url":"data:'
_IMAGE_BYTES: Final = 4000
"""What an image is taken for beside text: about a thousand tokens."""

MOST_IMAGE_TOKENS: Final = 50_000
"""More than any provider counts for one image."""


def output_limit(params: Mapping[str, Any]) -> int | None:
    """Return the most tokens that a request may bring by its parameters, for all its ``n`` answers; None: no limit.

    Examples
    --------
    >>> output_limit({"max_tokens": 10, "n": 2}), output_limit({"temperature": 0})
    (20, None)
    """
    limit = next((value for name in _LIMITS if type(value := params.get(name)) is int and value > 0), None)
    answers = params.get("n")
    return limit * answers if limit is not None and type(answers) is int and answers > 1 else limit


def message_size(job: Job) -> tuple[int, int]:
    """Return the bytes of a job's messages without its images, and how many of these there are."""
    messages = job.messages
    if not job.prompt.has_images:
        return len(messages), 0
    size, start = len(messages), messages.find(_DATA)
    while start >= 0:
        end = messages.index(b'"', start + len(_DATA))
        size -= end - start
        start = messages.find(_DATA, end)
    return size, messages.count(_IMAGE)


class TokenEstimate:
    """Learns the tokens of a lane's requests; the first guess is 0.28 a byte in, and 256 out.

    A declared ``max_tokens`` is what goes out, because providers reserve it.

    Examples
    --------
    >>> estimate = TokenEstimate()
    >>> estimate.output_tokens
    256.0
    """

    __slots__ = ("output_tokens", "per_byte")

    def __init__(self) -> None:
        self.per_byte, self.output_tokens = _PER_BYTE, 256.0

    def reserve(self, job: Job) -> tuple[float, float]:
        """Return the input and output tokens to reserve for an attempt."""
        limit = output_limit(job.model.params) or output_limit(job.prompt.params)
        inputs = _MARGIN * self.per_byte * _weight(job) + 4
        return inputs, self.output_tokens if limit is None else limit

    def learn(self, job: Job, answer: Answer) -> tuple[float, float] | None:
        """Take in what an answer used, and return it; None where the server does not say."""
        if answer.input_tokens is None and answer.output_tokens is None:
            return None
        inputs, outputs = answer.input_tokens or 0, answer.output_tokens or 0
        if inputs:
            self.per_byte += _LEARN * (inputs / max(1, _weight(job)) - self.per_byte)
        self.output_tokens += _LEARN * (outputs - self.output_tokens)
        return float(inputs), float(outputs)


def _weight(job: Job) -> int:
    size, images = message_size(job)
    return size + _IMAGE_BYTES * images
