"""Bodies as each server of chat completions words them, after its documentation: what comes out is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.execute.answer import Answer, Failure
from headgate.execute.providers.completion import decode
from headgate.execute.transport import Response

FILTERS = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": False, "severity": "low"}}
ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "azure": (
        {
            "id": "chatcmpl-A",
            "object": "chat.completion",
            "model": "gpt-4o-2024-11-20",
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "logprobs": None,
                    "content_filter_results": FILTERS,
                    "message": {"role": "assistant", "content": "42", "refusal": None},
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}},
            "system_fingerprint": "fp_a",
        },
        {"cached_tokens": 0, "system_fingerprint": "fp_a", "served_model": "gpt-4o-2024-11-20"},
    ),
    "mistral": (
        {
            "id": "m1",
            "model": "magistral-medium-latest",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {
                        "role": "assistant",
                        "prefix": False,
                        "tool_calls": None,
                        "content": [
                            {"type": "thinking", "thinking": [{"type": "text", "text": "6 times 7"}]},
                            {"type": "text", "text": "42"},
                        ],
                    },
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "prompt_audio_seconds": None},
        },
        {"reasoning": "6 times 7", "cached_tokens": None},
    ),
    "groq": (
        {
            "id": "chatcmpl-g",
            "model": "openai/gpt-oss-20b",
            "choices": [
                {
                    "index": 0,
                    "logprobs": None,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "42", "reasoning": "6 times 7"},
                }
            ],
            "usage": {
                "queue_time": 0.04,
                "prompt_time": 0.002,
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "total_time": 0.1,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            "usage_breakdown": None,
            "system_fingerprint": "fp_g",
            "x_groq": {"id": "req_1", "seed": 5},
            "service_tier": "on_demand",
        },
        {"reasoning": "6 times 7", "cached_tokens": 4, "reasoning_tokens": 7},
    ),
    "together": (
        {
            "id": "t1",
            "model": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
            "prompt": [],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "eos",
                    "seed": 5,
                    "text": None,
                    "logprobs": {"tokens": ["42"], "token_ids": [2983], "token_logprobs": [-0.5], "top_logprobs": None},
                    "message": {"role": "assistant", "content": "42", "tool_calls": []},
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
        },
        {"logprobs_json": '[{"token":"42","logprob":-0.5}]', "tool_calls_json": None},
    ),
    "openrouter": (
        {
            "id": "gen-1",
            "provider": "DeepInfra",
            "model": "qwen/qwen3-8b",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "native_finish_reason": "stop",
                    "logprobs": None,
                    "message": {
                        "role": "assistant",
                        "content": "42",
                        "refusal": None,
                        "reasoning": "6 times 7",
                        "reasoning_details": [{"type": "reasoning.text", "text": "6 times 7"}],
                    },
                }
            ],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "cost": 0.0001,
                "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
        },
        {"reasoning": "6 times 7", "cached_tokens": 3, "cache_write_tokens": 2},
    ),
    "deepseek": (
        {
            "id": "d1",
            "model": "deepseek-reasoner",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "logprobs": None,
                    "message": {"role": "assistant", "content": "42", "reasoning_content": "6 times 7"},
                }
            ],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "prompt_cache_hit_tokens": 8,
                "prompt_cache_miss_tokens": 1,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            "system_fingerprint": "fp_d",
        },
        {"reasoning": "6 times 7", "cached_tokens": 8, "reasoning_tokens": 7},
    ),
    "vllm": (
        {
            "id": "chatcmpl-v",
            "model": "qwen3-8b",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "stop_reason": None,
                    "token_ids": None,
                    "logprobs": {"content": [{"token": "42", "logprob": -0.5, "bytes": [52, 50], "top_logprobs": []}]},
                    "message": {
                        "role": "assistant",
                        "content": "42",
                        "refusal": None,
                        "annotations": None,
                        "audio": None,
                        "function_call": None,
                        "tool_calls": [],
                        "reasoning": "6 times 7",
                    },
                }
            ],
            "service_tier": None,
            "system_fingerprint": None,
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None},
            "prompt_logprobs": None,
            "kv_transfer_params": None,
        },
        {"reasoning": "6 times 7", "logprobs_json": '[{"token":"42","logprob":-0.5}]', "cached_tokens": None},
    ),
    "tgi": (
        {
            "object": "chat.completion",
            "id": "",
            "model": "HuggingFaceTB/SmolLM2",
            "system_fingerprint": "3.3.4-sha",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "42"},
                    "logprobs": {"content": [{"token": "42", "logprob": -0.5, "top_logprobs": []}]},
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
        },
        {"logprobs_json": '[{"token":"42","logprob":-0.5}]', "system_fingerprint": "3.3.4-sha"},
    ),
    "llama-cpp": (
        {
            "choices": [
                {
                    "finish_reason": "stop",
                    "index": 0,
                    "message": {"role": "assistant", "content": "42", "reasoning_content": "6 times 7"},
                    "logprobs": {
                        "content": [{"id": 2983, "token": "42", "bytes": [52, 50], "logprob": -0.5, "top_logprobs": []}]
                    },
                }
            ],
            "model": "gguf",
            "system_fingerprint": "b6000-abc",
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 5}},
            "id": "chatcmpl-l",
            "timings": {"cache_n": 5, "prompt_n": 4, "predicted_n": 1},
        },
        {"reasoning": "6 times 7", "cached_tokens": 5, "logprobs_json": '[{"token":"42","logprob":-0.5}]'},
    ),
}


def decoded(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer | Failure:
    return decode(Response(status, headers or {}, json.dumps(body).encode(), 0.25))


@pytest.mark.parametrize("provider", ANSWERS)
def test_answers(provider: str):
    body, wanted = ANSWERS[provider]
    found = decoded(body)
    assert isinstance(found, Answer), found
    assert (found.status, found.output, found.stop_reason) == ("ok", "42", "stop")
    assert (found.input_tokens, found.output_tokens) == (9, 1)
    assert found.served_model == body["model"]
    assert {name: getattr(found, name) for name in wanted} == wanted


IN_FLIGHT = {"code": 402, "message": "why", "metadata": {"limit_source": "openrouter_in_flight_budget"}}
ERRORS: list[tuple[str, int, Any, dict[str, str], str, float | None]] = [
    ("azure", 401, {"error": {"code": "401", "message": "why"}}, {}, "auth", None),
    ("azure", 401, {"statusCode": 401, "message": "why"}, {}, "auth", None),
    ("azure", 404, {"error": {"code": "DeploymentNotFound", "message": "why"}}, {}, "not_found", None),
    ("azure", 429, {"error": {"code": "429", "message": "why"}}, {"retry-after-ms": "7500"}, "rate_limit", 7.5),
    (
        "azure",
        429,
        {"error": {"code": "NoCapacity", "message": "why"}},
        {"x-ratelimit-reset-tokens": "0"},
        "rate_limit",
        None,
    ),
    ("azure", 400, {"error": {"code": "OperationNotSupported", "message": "why"}}, {}, "invalid_request", None),
    ("azure", 503, {"error": {"code": "ServiceUnavailable", "message": "why"}}, {}, "overloaded", None),
    ("mistral", 401, {"message": "why", "request_id": "r"}, {}, "auth", None),
    ("mistral", 402, {"object": "error", "message": "why", "type": "payment_required"}, {}, "quota", None),
    (
        "mistral",
        429,
        {"object": "error", "message": "why", "type": "service_tier_capacity_exceeded", "code": "3505"},
        {},
        "rate_limit",
        None,
    ),
    (
        "mistral",
        400,
        {"object": "error", "message": "why", "type": "invalid_request_error", "param": None},
        {},
        "invalid_request",
        None,
    ),
    (
        "groq",
        400,
        {
            "error": {
                "message": "why",
                "type": "invalid_request_error",
                "code": "json_validate_failed",
                "failed_generation": "{",
            }
        },
        {},
        "invalid_request",
        None,
    ),
    (
        "groq",
        413,
        {"error": {"message": "why", "type": "tokens", "code": "rate_limit_exceeded"}},
        {},
        "invalid_request",
        None,
    ),
    (
        "groq",
        429,
        {"error": {"message": "why", "type": "tokens", "code": "rate_limit_exceeded"}},
        {"retry-after": "2"},
        "rate_limit",
        2.0,
    ),
    ("groq", 498, {"error": {"message": "why", "type": "flex_tier_capacity_exceeded"}}, {}, "overloaded", None),
    (
        "together",
        429,
        {"id": "x", "error": {"message": "why", "type": "credit_limit", "param": None, "code": None}},
        {},
        "rate_limit",
        None,
    ),
    ("together", 402, {"error": {"message": "why", "type": "insufficient_funds"}}, {}, "quota", None),
    ("together", 503, {"error": {"message": "why", "type": "service_unavailable"}}, {}, "overloaded", None),
    ("together", 524, {"error": {"message": "why"}}, {}, "transient", None),
    ("openrouter", 402, {"error": IN_FLIGHT}, {"retry-after": "3"}, "rate_limit", 3.0),
    (
        "openrouter",
        402,
        {"error": {"code": 402, "message": "why", "metadata": {"limit_source": "openrouter_credits"}}},
        {},
        "quota",
        None,
    ),
    (
        "openrouter",
        403,
        {"error": {"code": 403, "message": "why", "metadata": {"limit_source": "openrouter_key_limit"}}},
        {},
        "quota",
        None,
    ),
    ("openrouter", 404, {"error": {"code": 404, "message": "why"}}, {}, "not_found", None),
    (
        "openrouter",
        200,
        {"error": {"code": 502, "message": "why", "metadata": {"provider_name": "X", "raw": "boom"}}},
        {},
        "transient",
        None,
    ),
    ("openrouter", 200, {"error": {"code": 429, "message": "why"}, "user_id": "u"}, {}, "rate_limit", None),
    (
        "deepseek",
        402,
        {"error": {"message": "why", "type": "unknown_error", "param": None, "code": "invalid_request_error"}},
        {},
        "quota",
        None,
    ),
    ("deepseek", 422, {"error": {"message": "why", "type": "invalid_request_error"}}, {}, "invalid_request", None),
    ("deepseek", 429, {"error": {"message": "why"}}, {}, "rate_limit", None),
    ("deepseek", 503, {"error": {"message": "why", "type": "service_unavailable_error"}}, {}, "overloaded", None),
    (
        "vllm",
        400,
        {"object": "error", "message": "why", "type": "BadRequestError", "param": None, "code": 400},
        {},
        "invalid_request",
        None,
    ),
    (
        "vllm",
        400,
        {"error": {"message": "why: maximum context length is 8", "type": "BadRequestError", "code": 400}},
        {},
        "context_length",
        None,
    ),
    ("vllm", 404, {"error": {"message": "why", "type": "NotFoundError", "code": 404}}, {}, "not_found", None),
    (
        "vllm",
        500,
        {"error": {"message": "why", "type": "InternalServerError", "param": None, "code": 500}},
        {},
        "transient",
        None,
    ),
    ("tgi", 422, {"error": "why", "error_type": "validation"}, {}, "invalid_request", None),
    ("tgi", 424, {"error": "why", "error_type": "generation"}, {}, "transient", None),
    ("tgi", 429, {"error": "why", "error_type": "overloaded"}, {}, "rate_limit", None),
    ("llama-cpp", 503, {"error": {"code": 503, "message": "why", "type": "unavailable_error"}}, {}, "overloaded", None),
    (
        "llama-cpp",
        400,
        {"error": {"code": 400, "message": "why", "type": "exceed_context_size_error", "n_ctx": 8}},
        {},
        "context_length",
        None,
    ),
    ("llama-cpp", 401, {"error": {"code": 401, "message": "why", "type": "authentication_error"}}, {}, "auth", None),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number: int):
    provider, status, body, headers, kind, wait_s = ERRORS[number]
    found = decoded(body, status, headers)
    assert isinstance(found, Failure), (provider, found)
    assert (provider, found.kind, found.retry_after_s) == (provider, kind, wait_s)
    assert found.message.startswith("why")
