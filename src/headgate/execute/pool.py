"""One lane at work: a fixed pool of workers that turns its jobs into results."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Final

from headgate.errors import EndpointError
from headgate.execute.answer import Answer, Failure
from headgate.execute.budget import Budget, CostBound
from headgate.execute.concurrency import Concurrency
from headgate.execute.counts import Counts
from headgate.execute.health import Health
from headgate.execute.queue import JobQueue, Ticket
from headgate.execute.retry import ACTIONS, delay, may_be_billed
from headgate.execute.routing import Route
from headgate.execute.rows import cost_of, make_result
from headgate.execute.statistics import LaneStatistics
from headgate.execute.tokens import TokenEstimate
from headgate.execute.work import Work
from headgate.plan import Job
from headgate.prices import format_usd
from headgate.result import Result

_LOG: Final = logging.getLogger("headgate.engine")
_NO_TOKENS: Final = (0.0, 0.0)
_ROOM_S: Final = 0.5
_SITE_OVERLOADED: Final = 529
"""Of all 5xx the one that asks for less at once, as 429 does."""

Sink = Callable[[Result], Awaitable[None] | None]
"""Takes a result at once; what it returns is awaited before the worker goes on (back-pressure)."""


Attempt = Callable[[Ticket, Health], Awaitable[Answer | Failure | None]]


class Pool:
    """The workers of one lane, their queue, and what they know of their endpoints.

    Parameters
    ----------
    work : Work
        What to do.
    sink : callable
        Takes each result.
    counts : Counts
        Shared with the other pools.
    budget : Budget, optional
        Shared with them too: every model has a price then, and every job a limit of its output.

    Attributes
    ----------
    stopped : bool
        Set it, and no worker takes another job.
    """

    def __init__(
        self,
        work: Work,
        *,
        sink: Sink,
        counts: Counts,
        generation: int,
        rng: random.Random,
        budget: Budget | None = None,
        tokens: Budget | None = None,
    ) -> None:
        self.work = work
        self.queue = JobQueue(work.jobs, capacity=max(256, 4 * work.concurrency))
        self.gate = Concurrency(work.concurrency)
        self.health = {
            model: Health(f"model {model} at {endpoint.name}", concurrency=work.concurrency)
            for model, endpoint in work.endpoints.items()
        }
        self._pools: Mapping[str, Pool] = dict.fromkeys(work.endpoints, self)
        self._sink, self._counts, self._generation, self._rng = sink, counts, generation, rng
        self._tokens = TokenEstimate()
        self._budget, self._bound, self._token_budget = budget, CostBound(work.prices), tokens
        self._overran = False
        self._active: dict[Ticket, None] = {}
        self._held = 0
        self.stopped = False

    def join(self, pools: Mapping[str, Pool]) -> None:
        """Let jobs go to pools that have other endpoints of their models, by the ids of the places."""
        self._pools = pools
        for route in self.work.routes.values():
            for place in route.places:
                self.queue.join(pools[place.id].queue)

    async def work_off(self) -> None:
        """Do jobs until none is left; one worker.

        Raises
        ------
        EndpointError
            If an endpoint cannot serve this run.
        Exception
            Whatever the sink or the source of jobs raises.
        """
        queue, attempt = self.queue, self._whole_attempt()
        routes, reuse = self.work.routes, self.work.reuse
        while not self.stopped and (ticket := queue.take_now() or await queue.take()) is not None:
            if ticket.parked_at is not None:
                ticket.unpark()
            route = routes.get(ticket.job.model.id) if routes else None
            if route is not None and not self._comes_here(ticket, route):
                continue
            if reuse is not None and not ticket.attempts and (answer := await reuse.look_up(ticket)) is not None:
                await self._hand_over(ticket, answer)
                continue
            health = self.health[ticket.asked.model.id]
            outcome = await attempt(ticket, health) if health.circuit.admit(ticket) else None
            if outcome is None:
                ticket.park()
                queue.put_back(ticket, after_s=0.0 if health.dead else health.circuit.wait_s)
                continue
            if isinstance(outcome, Failure) and self._goes_on(ticket, outcome, health):
                continue
            if reuse is not None and isinstance(outcome, Answer):
                reuse.keep(ticket, outcome)
            full = self._sink(self._result(ticket, outcome))
            queue.done()
            if full is not None:
                await self._hold(full)

    async def _hand_over(self, ticket: Ticket, answer: Answer) -> None:
        """Hand over an answer of the cache; it moved no endpoint and cost nothing."""
        self._counts.moved_at = time.monotonic()
        full = self._sink(self._result(ticket, answer))
        self.queue.done()
        if full is not None:
            await self._hold(full)

    def _comes_here(self, ticket: Ticket, route: Route) -> bool:
        """Choose the endpoint of a job's next attempt; hand the job over if that is another lane's."""
        job, pools = ticket.job, self._pools
        place = route.choose(job, pools)
        if place is None:
            ticket.park()
            self.queue.put_back(ticket, after_s=route.wait_s(job, pools))
            return False
        ticket.direct(place, place if route.router is not None else route.home(job.index, job.prompt.name))
        other = pools[place.id]
        if other is self:
            return True
        ticket.park()
        if other.queue.has_room:
            other.queue.give(ticket)
        else:
            self.queue.put_back(ticket, after_s=_ROOM_S)
        return False

    def _whole_attempt(self) -> Attempt:
        """Return how attempts are made: each waits first for the leader of its prefix, then for tokens and money."""
        attempt: Attempt = self._attempt if self._budget is None else self._paid_attempt
        if self._token_budget is not None:
            attempt = partial(self._counted_attempt, attempt)
        return attempt if self.work.leaders is None else partial(self.work.leaders.lead, attempt)

    async def _counted_attempt(self, attempt: Attempt, ticket: Ticket, health: Health) -> Answer | Failure | None:
        """Make an attempt for which the budget of tokens holds the most that it can take."""
        budget, asked = self._token_budget, time.monotonic()
        assert budget is not None
        reserved = await budget.reserve(sum(self._bound.tokens(ticket.asked)))
        ticket.held_s += time.monotonic() - asked
        try:
            outcome = await attempt(ticket, health)
        except BaseException:
            budget.settle(reserved, None)
            raise
        budget.settle(reserved, 0.0 if outcome is None else _tokens_of(outcome))
        return outcome

    async def _paid_attempt(self, ticket: Ticket, health: Health) -> Answer | Failure | None:
        """Make an attempt for which the budget holds the most that it can cost."""
        budget, asked, most_usd = self._budget, time.monotonic(), self._bound.usd(ticket.asked)
        assert budget is not None
        reserved = await budget.reserve(most_usd)
        ticket.held_s += time.monotonic() - asked
        try:
            outcome = await self._attempt(ticket, health)
        except BaseException:  # the run stops, and what is under way may be billed
            budget.settle(reserved, None)
            raise
        cost_usd = 0.0 if outcome is None else self._cost_of(ticket.asked, outcome, most_usd)
        ticket.settled_usd = (ticket.settled_usd or 0.0) + budget.settle(reserved, cost_usd)
        return outcome

    def _cost_of(self, job: Job, outcome: Answer | Failure, most_usd: float) -> float | None:
        """Return what an attempt cost; None where it may have cost something, and nobody says how much."""
        cost_usd = cost_of(outcome, self.work.prices[job.model.id]) if isinstance(outcome, Answer) else None
        if cost_usd is None:
            return None if may_be_billed(outcome) else 0.0
        if cost_usd > most_usd and not self._overran:
            self._overran = True
            said = (
                f"model {job.model.id}: an answer cost {format_usd(cost_usd)}, and only {format_usd(most_usd)} was "
                "reserved: its server counts more tokens than it was sent or allowed, so the cap may be crossed"
            )
            _LOG.warning("reservation exceeded", extra={"facts": {"message": said}})
        return cost_usd

    async def _attempt(self, ticket: Ticket, health: Health) -> Answer | Failure | None:
        """Make an attempt; None if the circuit opened while it waited for its turn."""
        job, lane, gate, active = ticket.asked, self.work.lane, self.gate, self._active
        asked = time.monotonic()
        reserved = self._tokens.reserve(job) if lane.counts_tokens else _NO_TOKENS
        if not gate.try_enter():
            await gate.enter()
        try:
            if not lane.try_acquire(*reserved):
                await lane.acquire(*reserved)
            if not health.circuit.admit(ticket):
                lane.settle(reserved, _NO_TOKENS)
                self._leave(ticket)
                ticket.held_s += time.monotonic() - asked
                return None
            episode, sent = gate.episode, time.monotonic()
            ticket.start(asked, sent)
            self._counts.attempts += 1
            active[ticket] = None
            timeout_s = min(job.model.timeout_s, ticket.left_s(sent))
            outcome = await self.work.endpoints[job.model.id].attempt(job, ticket.attempts, timeout_s=timeout_s)
        except BaseException:  # the run stops
            health.circuit.abandoned(ticket)
            self._leave(ticket)
            raise
        self._counts.moved_at = ended = time.monotonic()
        ticket.end(ended)
        if outcome.quota is not None:
            lane.observe(outcome.quota)
        if isinstance(outcome, Answer):
            gate.succeeded(episode, len(active))
            if lane.counts_tokens and (used := self._tokens.learn(job, outcome)) is not None:
                lane.settle(reserved, used)
        else:
            self._failed(outcome, reserved, episode)
        self._leave(ticket)
        error = health.note(ticket, outcome, first=ticket.attempts == 1)
        if ticket.place is not None:
            health.took(ticket.latency_s)
        return outcome if error is None else self._lose(ticket, error, outcome, health)

    def _lose(self, ticket: Ticket, error: EndpointError, outcome: Answer | Failure, health: Health) -> Failure | None:
        """End the run with its endpoint, or go on if there are others: :meth:`Route.choose` says when none is left."""
        assert isinstance(outcome, Failure)
        facts = {"lane": self.name, "message": str(error)}
        if ticket.place is None:
            _LOG.error("endpoint dead", extra={"facts": facts})
            raise error
        if health.lose(error, outcome):
            _LOG.warning("endpoint lost", extra={"facts": facts})
        return None if health.dead else outcome

    def _leave(self, ticket: Ticket) -> None:
        self._active.pop(ticket, None)
        self.gate.leave()

    def _failed(self, failure: Failure, reserved: tuple[float, float], episode: int) -> None:
        """Count a failure, and tell the lane if it was for asking too much."""
        lane = self.work.lane
        self._counts.failures[failure.kind] += 1
        if failure.kind == "rate_limit" or failure.http_status == _SITE_OVERLOADED:
            self.gate.limited(episode)
            lane.settle(reserved, _NO_TOKENS)
            if failure.retry_after_s is not None:
                lane.pause(failure.retry_after_s)
                _LOG.info("lane paused", extra={"facts": {"lane": self.name, "seconds": failure.retry_after_s}})

    def _goes_on(self, ticket: Ticket, failure: Failure, health: Health) -> bool:
        """Put a failed job where it waits for its next attempt, if there is one."""
        action, model = ACTIONS[failure.kind], ticket.asked.model
        ticket.charged += action.charged
        wait_s = delay(failure, ticket.attempts, rng=self._rng)
        again = action.retry and ticket.charged < model.max_attempts and wait_s < ticket.left_s(time.monotonic())
        soon = again and health.may_retry(failure)
        if _LOG.isEnabledFor(logging.INFO):
            later = {"next_s": round(wait_s, 3) if again else None, "deferred": again and not soon}
            _LOG.info("attempt failed", extra={"facts": {**_facts(ticket, failure), **later}})
        if soon:
            ticket.park(after_s=wait_s)
            self.queue.put_back(ticket, after_s=wait_s)
        elif again:
            ticket.park()
            self.queue.defer(ticket, after_s=wait_s)
        return again

    def _result(self, ticket: Ticket, outcome: Answer | Failure) -> Result:
        counts, model = self._counts, ticket.asked.model.id
        endpoint, price = self.work.endpoints[model], self.work.prices.get(model)
        result = make_result(ticket, outcome, endpoint, price=price, generation=self._generation, now=counts.moved_at)
        counts.add(result)
        return result

    async def _hold(self, full: Awaitable[None]) -> None:
        """Wait until the sink has room again."""
        self._held += 1
        try:
            await full
        finally:
            self._held -= 1

    @property
    def name(self) -> str:
        """How logs call the lane: its models."""
        return "+".join(self.work.models)

    @property
    def in_flight(self) -> int:
        """Attempts under way."""
        return len(self._active)

    def close(self) -> None:
        """Drop the timers; nobody works any more."""
        self.work.lane.close()
        self.queue.close()

    def statistics(self) -> LaneStatistics:
        """Return what the lane is doing; any thread may ask."""
        lane, queue = self.work.lane, self.queue
        return LaneStatistics(
            models=self.work.models,
            concurrency=self.work.concurrency,
            allowed=self.gate.allowed,
            in_flight=len(self._active),
            waiting=lane.waiting,
            in_backoff=queue.in_backoff,
            deferred=queue.deferred,
            admitted=lane.admitted,
            requests_per_minute=lane.requests_per_minute,
            tokens_per_minute=lane.tokens_per_minute,
            input_tokens_per_minute=lane.input_tokens_per_minute,
            output_tokens_per_minute=lane.output_tokens_per_minute,
            paused_s=lane.paused_s,
            waits_for="; ".join(filter(None, self._waits_for())),
        )

    def _waits_for(self) -> Iterator[str]:
        if self._held:
            yield f"the disk: {self._held} results wait to be written"
        for health in self.health.values():
            if not health.circuit.closed:
                yield f"{health.name}, which fails: it is asked again in {health.circuit.wait_s:.0f} s"
        if self._budget is not None and self._budget.waiting:
            yield f"the budget: {self._budget.waiting} attempts wait until others are settled"
        if self._token_budget is not None and self._token_budget.waiting:
            yield f"the budget of tokens: {self._token_budget.waiting} attempts wait until others are settled"
        yield self.work.lane.waits_for()
        active = list(self._active)
        if active:
            yield f"{len(active)} answers, the first for {time.monotonic() - active[0].sent:.0f} s"
        next_s = self.queue.next_s
        if next_s is not None:
            yield f"{self.queue.in_backoff} jobs to be tried again, the first in {next_s:.0f} s"


def _tokens_of(outcome: Answer | Failure) -> float | None:
    """Return the tokens that an attempt took; None where it may have taken some, and nobody says how many."""
    if isinstance(outcome, Answer) and outcome.input_tokens is not None and outcome.output_tokens is not None:
        return outcome.input_tokens + outcome.output_tokens
    return None if may_be_billed(outcome) else 0.0


def _facts(ticket: Ticket, failure: Failure) -> dict[str, object]:
    job = ticket.job
    known = {"job_id": job.job_id, "model": job.model.id, "attempt": ticket.attempts, "kind": failure.kind}
    return {**known, "http_status": failure.http_status, "message": failure.message}
