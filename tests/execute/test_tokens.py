"""How many tokens an attempt is thought to use."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execute_jobs import PROMPT, a_job, a_model
from headgate.execute.answer import Answer
from headgate.execute.tokens import TokenEstimate, message_size, output_limit
from headgate.identity import canonical_json
from headgate.suite.prompts import MessagePart, Prompt

LENGTH = len(a_job().messages)


def used(inputs: int | None, outputs: int | None) -> Answer:
    return Answer(output="x", input_tokens=inputs, output_tokens=outputs)


def test_the_first_guess():
    inputs, outputs = TokenEstimate().reserve(a_job())
    assert inputs == pytest.approx(1.1 * 0.28 * LENGTH + 4)
    assert outputs == 256.0


@pytest.mark.parametrize(
    ("params", "outputs"),
    [
        ({"max_tokens": 64}, 64),
        ({"max_completion_tokens": 8}, 8),
        ({"max_completion_tokens": 8, "max_tokens": 64}, 8),
        ({"max_tokens": None}, 256),
        ({"max_tokens": "many"}, 256),
        ({"temperature": 0}, 256),
    ],
)
def test_a_declared_limit_is_what_goes_out(params: dict[str, Any], outputs: float):
    job = a_job(model=a_model(params=params))
    assert TokenEstimate().reserve(job)[1] == outputs


def test_a_declared_limit_stays_whatever_is_learned():
    estimate, job = TokenEstimate(), a_job(model=a_model(params={"max_tokens": 64}))
    for _ in range(100):
        estimate.learn(job, used(10, 3))
    assert estimate.reserve(job)[1] == 64


def test_it_learns_what_a_lane_uses():
    estimate, job, rng = TokenEstimate(), a_job(), random.Random(1)
    for _ in range(500):
        estimate.learn(job, used(2 * LENGTH, round(rng.uniform(20, 40))))
    inputs, outputs = estimate.reserve(job)
    assert inputs == pytest.approx(1.1 * 2 * LENGTH + 4)  # a language of many tokens a byte, and a tenth to spare
    assert outputs == pytest.approx(30, abs=5)


def test_one_odd_answer_changes_little():
    estimate = TokenEstimate()
    estimate.learn(a_job(), used(5, 10_256))
    assert estimate.output_tokens == pytest.approx(256 + 0.05 * 10_000)


@pytest.mark.parametrize(("inputs", "outputs", "told"), [(7, 2, (7, 2)), (None, 2, (0, 2)), (7, None, (7, 0))])
def test_it_tells_what_was_used(inputs: int | None, outputs: int | None, told: tuple[float, float]):
    assert TokenEstimate().learn(a_job(), used(inputs, outputs)) == told


def test_a_limit_that_the_prompt_declares_counts_too():
    prompt = Prompt(name="plain", messages=PROMPT.messages, params={"max_tokens": 12})
    assert TokenEstimate().reserve(a_job(prompt=prompt))[1] == 12


@pytest.mark.parametrize(
    ("params", "limit"),
    [
        ({"max_tokens": 5, "n": 4}, 20),
        ({"max_tokens": 5, "n": 1}, 5),
        ({"max_tokens": 5, "n": None}, 5),
        ({"max_tokens": True}, None),
        ({"max_tokens": 0}, None),
        ({"max_tokens": 5.0}, None),
        ({}, None),
    ],
)
def test_only_a_whole_number_limits_the_output(params: dict[str, Any], limit: int | None):
    assert output_limit(params) == limit


def test_a_server_that_does_not_say_teaches_nothing():
    estimate = TokenEstimate()
    assert estimate.learn(a_job(), used(None, None)) is None
    assert estimate.reserve(a_job()) == TokenEstimate().reserve(a_job())


@given(answers=st.lists(st.tuples(st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6)), max_size=50))
def test_an_estimate_stays_within_what_was_seen(answers: list[tuple[int | None, int | None]]):
    estimate, job = TokenEstimate(), a_job()
    for inputs, outputs in answers:
        estimate.learn(job, used(inputs, outputs))
    most_input = max([0.28 * LENGTH, *(inputs or 0 for inputs, _ in answers)])
    most_output = max([256, *(outputs or 0 for _, outputs in answers)])
    inputs, outputs = estimate.reserve(job)
    assert 4 < inputs <= 1.1 * most_input + 4 + 1e-6
    assert 0 <= outputs <= most_output


def an_image_job(*images: str, text: str = "Name it."):
    parts = [{"type": "text", "text": text}, *({"type": "image_url", "image_url": {"url": url}} for url in images)]
    prompt = Prompt(name="p", messages=(("user", (MessagePart("text", text), MessagePart("image", "{{ photo }}"))),))
    messages = canonical_json([{"role": "user", "content": parts}])
    return a_job(prompt=prompt, messages=messages)


def test_images_are_counted_apart_from_text():
    small = an_image_job("https://h/x")
    size, images = message_size(small)
    assert (size, images) == (len(small.messages), 1)
    data = "data:image/png;base64," + "A" * 100_000
    assert message_size(an_image_job(data, data))[1] == 2
    assert message_size(an_image_job(data))[0] < 200
    tricked = an_image_job(text='{"image_url":{"url":"data:image/png;base64,AAAA"}}')
    assert message_size(tricked) == (len(tricked.messages), 0)


def test_a_large_image_is_not_taken_for_text():
    estimate = TokenEstimate()
    data = "data:image/png;base64," + "A" * 100_000
    inputs, _ = estimate.reserve(an_image_job(data))
    assert 500 < inputs < 3000
