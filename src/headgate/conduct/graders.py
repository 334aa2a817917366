"""A user's scoring function or another framework's evaluator at work: paced, retried, in threads, many rows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from headgate.score.callables import Grade, Score, as_score, bind_item, failed_score
from headgate.suite.callables import is_async_callable
from headgate.suite.scorers import Python
from headgate.suite.scorers.evaluator import Evaluator

Row = tuple[str, Mapping[str, Any]]
"""Output and the item's columns."""

_THREADS: Final = 8
_COROUTINES: Final = 32
_CHUNK: Final = 64
_RETRY: Final[Mapping[str, Any]] = {
    "retry": retry_if_exception_type((ConnectionError, TimeoutError)),
    "stop": stop_after_attempt(3),
    "wait": wait_random_exponential(multiplier=0.2, max=5),
    "reraise": True,
}


async def grade_rows(spec: Python | Evaluator, call: Callable[..., Any], rows: Sequence[Row]) -> list[Score]:
    """Score rows with a user's function, in order.

    An async function runs in up to 32 tasks, a sync one in up to 8 threads, a sync evaluator in up to 32; connection
    errors and timeouts that it raises are retried twice, any other exception becomes a null score with its text.

    Parameters
    ----------
    spec : Python or Evaluator
        Bounds and pace; a function with ``batch`` is handed all rows in one call.
    call : callable
        ``call(output)`` or ``call(output, item)``; with ``batch`` these are lists, and a list of scores comes back.
    rows : sequence of (output, item)

    Returns
    -------
    list of Score
        One per row.
    """
    if isinstance(spec, Python) and spec.batch:
        return await _grade_batch(spec, call, rows)
    scores: list[Score | None] = [None] * len(rows)
    grade = bind_item(call)
    pace = None if spec.requests_per_minute is None else AsyncLimiter(1, 60 / spec.requests_per_minute)
    is_async = is_async_callable(call)
    waits = isinstance(spec, Evaluator)  # many ask a model: what waits for an answer needs no core
    limiter = anyio.CapacityLimiter(_COROUTINES if is_async or waits else _THREADS)

    async def one(index: int) -> None:
        if pace is not None:
            await pace.acquire()
        output, item = rows[index]
        if is_async:
            async with limiter:
                scores[index] = await _grade_async(spec, grade, output, item)
        else:
            scores[index] = await anyio.to_thread.run_sync(_grade, spec, grade, output, item, limiter=limiter)

    async def chunk(start: int) -> None:
        part = rows[start : start + _CHUNK]
        scores[start : start + len(part)] = await anyio.to_thread.run_sync(
            _grade_all, spec, grade, part, limiter=limiter
        )

    # A task per row is dear; without a pace a thread takes a chunk of sync calls at once.
    step, work = (1, one) if is_async or waits or pace is not None else (_CHUNK, chunk)
    async with anyio.create_task_group() as group:
        for start in range(0, len(rows), step):
            group.start_soon(work, start)
    return [score for score in scores if score is not None]


async def _grade_batch(spec: Python, call: Callable[..., Any], rows: Sequence[Row]) -> list[Score]:
    """Score all rows with one call; what it raises, or a list of another length, makes all of them null."""
    if not rows:
        return []
    grade, (outputs, items) = bind_item(call), map(list, zip(*rows, strict=True))

    async def call_async() -> Any:
        return await grade(outputs, items)

    found: Any
    try:
        if is_async_callable(call):
            found = await AsyncRetrying(**_RETRY)(call_async)
        else:
            found = await anyio.to_thread.run_sync(partial(Retrying(**_RETRY), grade, outputs, items))
        return _as_many(list(found), len(rows), spec)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything; the rows say so and the run goes on
        return [failed_score(error)] * len(rows)


def _as_many(found: Sequence[Any], count: int, spec: Python) -> list[Score]:
    if len(found) != count:
        return [Score(None, explanation=f"the scorer returned {len(found)} scores for {count} rows")] * count
    return [as_score(value, bounds=spec.bounds) for value in found]


def _grade_all(spec: Python | Evaluator, grade: Grade, rows: Sequence[Row]) -> list[Score]:
    return [_grade(spec, grade, output, item) for output, item in rows]


def _grade(spec: Python | Evaluator, grade: Grade, output: str, item: Mapping[str, Any]) -> Score:
    try:
        return as_score(Retrying(**_RETRY)(grade, output, item), bounds=spec.bounds)
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything; the row says so and the run goes on
        return failed_score(error)


async def _grade_async(spec: Python | Evaluator, grade: Grade, output: str, item: Mapping[str, Any]) -> Score:
    async def call() -> Any:
        return await grade(output, item)

    try:
        return as_score(await AsyncRetrying(**_RETRY)(call), bounds=spec.bounds)
    except Exception as error:  # noqa: BLE001 - likewise
        return failed_score(error)
