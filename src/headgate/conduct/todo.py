"""Which jobs of a plan are still to be run, and in which lane."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt

from headgate.conduct.options import RunOptions
from headgate.conduct.prepare import Prepared
from headgate.execute.work import Work
from headgate.plan import Job, Plan
from headgate.shard import WHOLE, Shard
from headgate.store.index import contains

_CHUNK: Final = 8192


def open_jobs(prepared: Prepared, options: RunOptions) -> bytearray:
    """Return one byte per job: 1 where it is still to be run."""
    plan = prepared.plan
    n_items = len(plan.items) if options.limit is None else min(len(plan.items), options.limit)
    todo = shard_of(prepared).mark_jobs(n_items, cells=len(plan.cells))
    if options.pilot is not None:
        np.frombuffer(todo, np.uint8).reshape(n_items, -1)[_drawn(plan)[options.pilot :]] = 0
    done = prepared.store.done_job_ids(retry_errors=options.retry_errors)
    if len(done):
        flags = np.frombuffer(todo, np.uint8)
        for start in range(0, len(todo), _CHUNK):
            ours = start + np.flatnonzero(flags[start : start + _CHUNK])
            flags[ours[contains(done, map(plan.job_id, ours.tolist()))]] = 0
    return todo


def _drawn(plan: Plan) -> npt.NDArray[np.int64]:
    """Return the items of a plan in an order that its digest draws."""
    rng = np.random.Generator(np.random.Philox(key=int(plan.digest[:16], 16)))
    return rng.permutation(len(plan.items))


def shard_of(prepared: Prepared) -> Shard:
    """Return the part of the plan that this run takes."""
    return prepared.store.manifest.shard or WHOLE


def lane_jobs(plan: Plan, todo: bytearray, lane: Work) -> Iterator[Job]:
    """Return the jobs of a lane that are still to be run, in the plan's order, as they are asked for.

    Of a model with several endpoints these are the jobs that go to one of the lane first.
    """
    cells = len(plan.cells)
    wanted = [cell.model.id in lane.endpoints or cell.model.id in lane.routes for cell in plan.cells]
    left = np.frombuffer(todo, np.uint8).reshape(-1, cells) * np.array(wanted, np.uint8)
    places: Iterator[int] = chain.from_iterable(_ones(left.reshape(-1)))
    if lane.routes:
        routes = [lane.routes.get(cell.model.id) for cell in plan.cells]

        def starts_here(index: int) -> bool:
            route = routes[index % cells]
            return route is None or route.home(index, plan.cells[index % cells].prompt.name).id in lane.endpoints

        places = filter(starts_here, places)
    return plan.jobs(places)


def _ones(flags: npt.NDArray[np.uint8]) -> Iterator[list[int]]:
    """Yield the places of what is not zero, some at a time."""
    for start in range(0, len(flags), _CHUNK):
        yield (np.flatnonzero(flags[start : start + _CHUNK]) + start).tolist()
