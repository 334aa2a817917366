from __future__ import annotations

import threading
import time

import anyio
import pytest

from headgate.conduct.graders import grade_rows
from headgate.suite.scorers import Python


def grade(call, rows, **options):
    spec = Python(name="s", type="python", call=call, **options)
    return anyio.run(grade_rows, spec, call, rows)


def test_rows_keep_their_order():
    scores = grade(lambda output, item: float(output) / item["of"], [(str(i), {"of": 1000}) for i in range(500)])
    assert [score.value for score in scores] == [i / 1000 for i in range(500)]


def test_an_async_function():
    async def call(output, item):
        await anyio.sleep(0.001)
        return output == item["target"]

    assert [s.value for s in grade(call, [("a", {"target": "a"}), ("b", {"target": "a"})])] == [1.0, 0.0]


def test_an_object_with_an_async_call():
    class Grader:
        async def __call__(self, output):
            return 0.5

    assert grade(Grader(), [("a", {})])[0].value == 0.5


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_function_that_raises_on_one_row_costs_that_row_only(kind):
    def call(output):
        return 1 / int(output)

    async def async_call(output):
        return 1 / int(output)

    scores = grade(call if kind == "sync" else async_call, [("1", {}), ("0", {}), ("2", {})])
    assert [s.value for s in scores] == [1.0, None, 0.5]
    assert scores[1].explanation == "ZeroDivisionError: division by zero"


def test_a_connection_error_is_retried():
    tries = []

    def call(output):
        tries.append(output)
        if len(tries) < 3:
            raise ConnectionError("gone")
        return 1

    assert grade(call, [("x", {})])[0].value == 1.0
    assert len(tries) == 3


def test_another_error_is_not_retried():
    tries = []

    def call(output):
        tries.append(output)
        raise ValueError("no")

    assert grade(call, [("x", {})])[0].explanation == "ValueError: no"
    assert len(tries) == 1


def test_sync_functions_run_beside_each_other_in_threads():
    together = threading.Barrier(4, timeout=20)

    def call(output):
        together.wait()
        return 1

    assert [s.value for s in grade(call, [("x", {})] * 256)] == [1.0] * 256


def test_the_pace_is_kept():
    started = []
    grade(lambda output: started.append(time.monotonic()) or 1, [("x", {})] * 6, requests_per_minute=1200)
    assert started[-1] - started[0] >= 5 * 0.05 * 0.9


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_batch_is_one_call_of_lists(kind):
    calls = []

    def call(outputs, items):
        calls.append(outputs)
        return [output == item["target"] for output, item in zip(outputs, items, strict=True)]

    async def async_call(outputs, items):
        return call(outputs, items)

    rows = [(str(n), {"target": str(n % 3)}) for n in range(100)]
    scores = grade(call if kind == "sync" else async_call, rows, batch=True)
    assert [score.value for score in scores] == [float(n < 3) for n in range(100)]
    assert len(calls) == 1
    assert grade(call, [], batch=True) == []


@pytest.mark.parametrize(
    ("returned", "values", "reason"),
    [
        ([1, float("nan"), "x"], [1, None, None], "the scorer returned nan"),
        ([1, 2, 3], [1, None, None], "the scorer returned 2.0, outside its bounds [0, 1]"),
        ([1], [None] * 3, "the scorer returned 1 scores for 3 rows"),
        (None, [None] * 3, "TypeError: 'NoneType' object is not iterable"),
        (7, [None] * 3, "TypeError: 'int' object is not iterable"),
    ],
)
def test_what_a_batch_returns_becomes_scores_or_reasons(returned, values, reason):
    scores = grade(lambda outputs: returned, [("a", {}), ("b", {}), ("c", {})], batch=True)
    assert [score.value for score in scores] == values
    assert scores[1].explanation == reason


def test_a_batch_that_raises_costs_all_its_rows_and_no_more():
    scores = grade(lambda outputs: 1 / 0, [("a", {}), ("b", {})], batch=True)
    assert [score.explanation for score in scores] == ["ZeroDivisionError: division by zero"] * 2
