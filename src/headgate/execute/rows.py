"""From a job and its last outcome to the row that is stored."""

from __future__ import annotations

from typing import Final

from headgate.execute.answer import Answer, Failure
from headgate.execute.endpoint import Endpoint
from headgate.execute.queue import Ticket
from headgate.result import Result

_NO_ANSWER: Final = Answer(output=None)


def make_result(
    ticket: Ticket, outcome: Answer | Failure, endpoint: Endpoint, *, generation: int, now: float
) -> Result:
    """Return the row of a job.

    Parameters
    ----------
    now : float
        Seconds of the monotonic clock. Only the start of a job is read from the wall clock, so that a clock that is set
        in the middle makes no job end before it began.
    """
    job = ticket.job
    item, prompt, model = job.item, job.prompt, job.model
    answer, failure = (_NO_ANSWER, outcome) if isinstance(outcome, Failure) else (outcome, None)
    elapsed_s = now - ticket.pulled
    return Result(
        job_id=job.job_id,
        item_id=item.item_id,
        cluster=item.cluster,
        prompt=prompt.name,
        prompt_digest=prompt.digest,
        model=model.id,
        provider=model.provider,
        endpoint=endpoint.name,
        seed=job.seed,
        seed_sent=endpoint.sends_seed,
        status=answer.status if failure is None else "error",
        error_kind=None if failure is None else failure.kind,
        error_message=None if failure is None else failure.message,
        http_status=outcome.http_status,
        output=answer.output,
        reasoning=answer.reasoning,
        stop_reason=answer.stop_reason,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cached_tokens=answer.cached_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        started_at=ticket.started_at,
        finished_at=ticket.started_at + int(1e6 * elapsed_s),
        latency_s=int(1e4 * ticket.latency_s + 0.5) / 1e4,
        ttfb_s=None if outcome.ttfb_s is None else int(1e4 * outcome.ttfb_s + 0.5) / 1e4,
        queued_s=int(1e4 * (elapsed_s - ticket.busy_s) + 0.5) / 1e4,
        attempts=ticket.attempts,
        served_model=answer.served_model,
        generation=generation,
        request_id=answer.request_id,
        system_fingerprint=answer.system_fingerprint,
        tool_calls_json=answer.tool_calls_json,
    )
