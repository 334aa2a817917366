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
    if isinstance(outcome, Failure):
        answer, status, error_kind, error_message = _NO_ANSWER, "error", outcome.kind, outcome.message
    else:
        answer, status, error_kind, error_message = outcome, outcome.status, None, None
    elapsed_s, latency_s, settled_usd = now - ticket.pulled, int(1e4 * ticket.latency_s + 0.5) / 1e4, ticket.settled_usd
    metadata_json, hit = answer.metadata_json, False
    if ticket.reuse:
        hit = ticket.reuse == "hit"
        settled_usd, latency_s = (0.0, None) if hit else (settled_usd, latency_s)
        metadata_json = metadata_json if hit else mark_redrawn(metadata_json)
    ttfb_s = outcome.ttfb_s
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
        status,
        ticket.started_at,
        ticket.started_at + int(1e6 * elapsed_s),  # finished_at
        item.cluster,
        endpoint.sends_seed,
        error_kind,
        error_message,
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
        settled_usd,
        latency_s,
        ttfb_s if ttfb_s is None else int(1e4 * ttfb_s + 0.5) / 1e4,
        int(1e4 * (elapsed_s - ticket.busy_s) + 0.5) / 1e4,  # queued_s
        ticket.attempts,
        answer.served_model,
        answer.fallback or place is not ticket.home,
        hit,
        generation,
        answer.request_id,
        answer.system_fingerprint,
        answer.tool_calls_json,
        metadata_json,
        endpoint.api_version,
        endpoint.dropped(ticket.asked),
        answer.logprobs_json,
        None if place is None else place.substitute,
    )
