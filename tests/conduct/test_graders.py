from __future__ import annotations

import threading
import time

import anyio
import pytest

from headgate.conduct.graders import grade_rows
from headgate.suite.model import Python


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
