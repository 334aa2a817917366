"""What an evaluator asks of a model: a chat completion request as a job, and the job's result as its response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.identity import canonical_json, digest
from headgate.plan import Job
from headgate.result import Result
from headgate.suite.items import Item
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt


def make_job(model: Model, request: Mapping[str, Any], *, number: int) -> Job:
    """Return a request as a job; its parameters give way to those that the suite declares for the model.

    Parameters
    ----------
    request : mapping
        As to ``/chat/completions``; its ``model`` does not count.
    number : int
        Of the request: the same may be asked twice.

    Examples
    --------
    >>> job = make_job(Model(id="m", provider="simulated"), {"messages": [], "temperature": 0}, number=1)
    >>> job.messages, job.prompt.params
    (b'[]', {'temperature': 0})
    """
    params = {name: value for name, value in request.items() if name not in {"messages", "model"}}
    name = digest(params)[:16]  # endpoints keep what the requests of a prompt share, by its name
    item = Item(
        item_id=digest([request["messages"], params])[:16],
        cluster=None,
        target=None,
        messages={name: canonical_json(request["messages"])},
    )
    prompt = Prompt(name=name, messages=(), params=params)
    return Job(number, digest([item.item_id, model.identity, number]), item, prompt, model, 1)


def make_response(result: Result) -> dict[str, Any]:
    """Return the result of such a job in the shape of a chat completion response."""
    calls = None if result.tool_calls_json is None else msgspec.json.decode(result.tool_calls_json)
    message: dict[str, Any] = {"role": "assistant", "content": result.output}
    message["refusal"] = (result.output or "") if result.status == "refused" else None
    if calls:
        message["tool_calls"] = calls
    usage = None
    if result.input_tokens is not None and result.output_tokens is not None:
        sums = {"prompt_tokens": result.input_tokens, "completion_tokens": result.output_tokens}
        usage = {**sums, "total_tokens": result.input_tokens + result.output_tokens}
    choice = {"index": 0, "message": message, "finish_reason": result.stop_reason or "stop", "logprobs": None}
    return {
        "id": result.request_id or result.job_id,
        "object": "chat.completion",
        "created": result.finished_at // 1_000_000,
        "model": result.served_model or result.model,
        "choices": [choice],
        "usage": usage,
    }
