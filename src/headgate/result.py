"""The result: one row per job, as the engine yields it and the store keeps it."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "error", "refused"]


class Result(msgspec.Struct, frozen=True, gc=False):
    """One stored row: the output of a job, or its error as data.

    The fields are the columns of ``RUN/results/*.parquet``, in order: first what is always known. Times are
    microseconds since the epoch (UTC), durations are seconds, costs US dollars; ``None`` means unknown, never zero.

    Attributes
    ----------
    status : {"ok", "error", "refused"}
        ``refused`` is an answer (the model or its filter declined), ``error`` means all attempts were used up.
    error_kind : str, optional
        One of the kinds of ``headgate.execute.retry``.
    cost_usd : float, optional
        Of the answer, by its tokens and the price in the manifest; of earlier attempts nothing is known.
    settled_usd : float, optional
        What all attempts took from the run's cap; null without one.
    latency_s : float, optional
        Seconds the last attempt took on the wire, without queueing and earlier attempts.
    queued_s : float
        Seconds the job waited for its lane and between attempts.
    dropped_params : str, optional
        Parameters that the provider's API does not take and that were left out, as a JSON list.
    logprobs_json : str, optional
        A JSON list with ``token`` and ``logprob`` of every token of the output, where they were asked for.
    substitute : str, optional
        What answered in the model's place, where another one was allowed to: such a row is not the model's.
    generation : int
        Which start of this run wrote the row: 1 for the first, one more for each resume.

    Examples
    --------
    >>> row = Result(job_id="0" * 32, item_id="1", prompt="p", prompt_digest="0" * 32, model="m", provider="python",
    ...              endpoint="python", seed=1, status="ok", output="hi", started_at=0, finished_at=1)
    >>> row.output, row.attempts
    ('hi', 1)
    """

    job_id: str
    item_id: str
    prompt: str
    prompt_digest: str
    model: str
    provider: str
    endpoint: str
    seed: int
    status: Status
    started_at: int
    finished_at: int
    cluster: str | None = None
    seed_sent: bool = False
    error_kind: str | None = None
    error_message: str | None = None
    http_status: int | None = None
    output: str | None = None
    reasoning: str | None = None
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    settled_usd: float | None = None
    latency_s: float | None = None
    ttfb_s: float | None = None
    queued_s: float = 0.0
    attempts: int = 1
    served_model: str | None = None
    fallback: bool = False
    cache_hit: bool = False
    generation: int = 1
    request_id: str | None = None
    system_fingerprint: str | None = None
    tool_calls_json: str | None = None
    metadata_json: str | None = None
    api_version: str | None = None
    dropped_params: str | None = None
    logprobs_json: str | None = None
    substitute: str | None = None


COLUMNS: tuple[str, ...] = Result.__struct_fields__
