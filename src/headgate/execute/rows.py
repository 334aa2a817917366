"""From a job and its last outcome to the row that is stored."""

from __future__ import annotations

from typing import Final

from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import Endpoint
from headgate.execute.queue import Ticket
from headgate.execute.reuse import mark_redrawn
from headgate.prices import ModelPrice
from headgate.result import Result

_NO_ANSWER: Final = Answer(output=None)


def cost_of(answer: Answer, price: ModelPrice) -> float | None:
    """Return what an answer cost in US dollars; None where its server does not tell the tokens."""
    return price.cost_usd(answer.input_tokens, answer.output_tokens, answer.cached_tokens, answer.cache_write_tokens)


def make_result(
    ticket: Ticket,
    outcome: Answer | Failure,
    endpoint: Endpoint,
    *,
    price: ModelPrice | None = None,
    generation: int,
    now: float,
) -> Result:
    """Return the row of a job.

    Parameters
    ----------
    price : ModelPrice, optional
        What the model's tokens cost.
    now : float
        Seconds of the monotonic clock. Only the start of a job is read from the wall clock, so that a clock that is set
        in the middle makes no job end before it began.
    """
    job, item, prompt, model, place = ticket.job, ticket.job.item, ticket.job.prompt, ticket.job.model, ticket.place
    answer, failure = (_NO_ANSWER, outcome) if isinstance(outcome, Failure) else (outcome, None)
    elapsed_s, ttfb_s, hit = now - ticket.pulled, outcome.ttfb_s, ticket.reuse == "hit"
    # In the order of the fields: 42 of them by name cost three times as much.
    return Result(
        job.job_id,
        item.item_id,
        prompt.name,
        prompt.digest,
        model.id,
        model.provider if place is None else place.model.provider,
        endpoint.name if place is None else place.name,
        job.seed,
        answer.status if failure is None else "error",
        ticket.started_at,
        ticket.started_at + int(1e6 * elapsed_s),  # finished_at
        item.cluster,
        endpoint.sends_seed,
        None if failure is None else failure.kind,
        None if failure is None else failure.message,
        outcome.http_status,
        answer.output,
        answer.reasoning,
        answer.stop_reason,
        answer.input_tokens,
        answer.output_tokens,
        answer.cached_tokens,
        answer.cache_write_tokens,
        answer.reasoning_tokens,
        None if price is None else cost_of(answer, price),
        0.0 if hit else ticket.settled_usd,
        None if hit else int(1e4 * ticket.latency_s + 0.5) / 1e4,
        None if ttfb_s is None else int(1e4 * ttfb_s + 0.5) / 1e4,
        int(1e4 * (elapsed_s - ticket.busy_s) + 0.5) / 1e4,  # queued_s
        ticket.attempts,
        answer.served_model,
        answer.fallback or place is not ticket.home,
        hit,
        generation,
        answer.request_id,
        answer.system_fingerprint,
        answer.tool_calls_json,
        answer.metadata_json if ticket.reuse != "redrawn" else mark_redrawn(answer.metadata_json),
        endpoint.api_version,
        endpoint.dropped(ticket.asked),
        answer.logprobs_json,
        None if place is None else place.substitute,
    )
