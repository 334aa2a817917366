"""Similarity of meaning: embeddings of outputs and targets from an OpenAI-shaped endpoint, paced and retried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import anyio
import httpx
import msgspec
import numpy as np
import numpy.typing as npt
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from headgate.execute.secret import Secret
from headgate.score.callables import Score
from headgate.suite.scorers import EmbeddingSimilarity

_ATTEMPTS: Final = 5
_LONGEST_WAIT_S: Final = 60.0
Vector = npt.NDArray[np.float64]


class _Embedding(msgspec.Struct, gc=False):
    index: Annotated[int, msgspec.Meta(ge=0)]
    embedding: list[float]


class _Response(msgspec.Struct, gc=False):
    data: list[_Embedding]


_DECODER: Final = msgspec.json.Decoder(_Response)


class _RetryableError(Exception):
    """The endpoint may answer later; ``after_s`` is what it asks to wait."""

    def __init__(self, text: str, after_s: float = 0.0) -> None:
        super().__init__(text)
        self.after_s = after_s


class _FailedError(Exception):
    """The endpoint will not answer this request."""


async def similarities(
    spec: EmbeddingSimilarity, key: Secret | None, pairs: Sequence[tuple[str, str | None]]
) -> list[Score]:
    """Score pairs of output and target by the cosine of their embeddings, in order.

    Each text is asked for once. A request that fails (after five attempts, where it may be tried again) makes the
    pairs null that need it, with the reason; the others stand.

    Parameters
    ----------
    key : Secret, optional
        Sent as a bearer token to the scorer's own address, and nowhere else: redirects are not followed.
    """
    texts = list(dict.fromkeys(text for pair in pairs if pair[1] is not None for text in pair if text is not None))
    chunks = [texts[start : start + spec.batch_size] for start in range(0, len(texts), spec.batch_size)]
    found: dict[str, Vector | str] = {}
    limiter = anyio.CapacityLimiter(spec.concurrency)
    pace = None if spec.requests_per_minute is None else AsyncLimiter(1, 60 / spec.requests_per_minute)
    headers = {} if key is None else {"authorization": f"Bearer {key.reveal()}"}
    async with httpx.AsyncClient(timeout=spec.timeout_s, headers=headers) as client:

        async def ask(chunk: list[str]) -> None:
            async with limiter:
                found.update(await _embed(spec, client, chunk, pace))

        async with anyio.create_task_group() as group:
            for chunk in chunks:
                group.start_soon(ask, chunk)
    return [_score(spec, found, output, target) for output, target in pairs]


def _score(spec: EmbeddingSimilarity, found: Mapping[str, Vector | str], output: str, target: str | None) -> Score:
    if target is None:
        return Score(None, explanation="the item has no target to compare with")
    ours, theirs = found[output], found[target]
    for one in (ours, theirs):
        if isinstance(one, str):
            return Score(None, explanation=one)
    assert not isinstance(ours, str)
    assert not isinstance(theirs, str)
    if ours.shape != theirs.shape:
        return Score(None, explanation="the embeddings differ in length")
    scale = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    if not np.isfinite(scale) or scale == 0:
        return Score(None, explanation="an embedding has no direction")
    cosine = min(max(float(ours @ theirs) / scale, -1.0), 1.0)
    return Score(cosine if spec.threshold is None else float(cosine >= spec.threshold))


async def _embed(
    spec: EmbeddingSimilarity, client: httpx.AsyncClient, texts: list[str], pace: AsyncLimiter | None
) -> dict[str, Vector | str]:
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_RetryableError), stop=stop_after_attempt(_ATTEMPTS), wait=_wait, reraise=True
    )
    try:
        vectors: list[Vector] = await retrying(_request, spec, client, texts, pace)
    except (_RetryableError, _FailedError) as error:
        return dict.fromkeys(texts, f"embeddings: {error}"[:500])
    return dict(zip(texts, vectors, strict=True))


def _wait(state: RetryCallState) -> float:
    error = None if state.outcome is None else state.outcome.exception()
    asked = error.after_s if isinstance(error, _RetryableError) else 0.0
    return max(asked, wait_random_exponential(multiplier=0.2, max=10)(state))


async def _request(
    spec: EmbeddingSimilarity, client: httpx.AsyncClient, texts: list[str], pace: AsyncLimiter | None
) -> list[Vector]:
    if pace is not None:
        await pace.acquire()
    body = {"model": spec.model, "input": texts, "encoding_format": "float", **spec.params}
    try:
        response = await client.post(f"{spec.base_url.rstrip('/')}/embeddings", json=body)
    except httpx.HTTPError as error:
        raise _RetryableError(f"{type(error).__name__}") from error
    if response.status_code in {408, 409, 425, 429} or response.status_code >= 500:
        raise _RetryableError(f"HTTP {response.status_code}", _seconds(response.headers.get("retry-after")))
    if response.status_code != 200:
        raise _FailedError(f"HTTP {response.status_code}")
    try:
        return _vectors(_DECODER.decode(response.content).data, len(texts))
    except msgspec.DecodeError as error:
        raise _FailedError(f"the response is not that of an embeddings endpoint: {error}") from error


def _vectors(data: Iterable[_Embedding], count: int) -> list[Vector]:
    by_place: dict[int, Any] = {entry.index: np.array(entry.embedding, np.float64) for entry in data}
    if set(by_place) != set(range(count)):
        raise _FailedError(f"{len(by_place)} embeddings came for {count} texts")
    return [by_place[place] for place in range(count)]


def _seconds(text: str | None) -> float:
    try:
        return min(max(float(text or 0), 0.0), _LONGEST_WAIT_S)
    except ValueError:  # a date: the endpoint's clock is not ours
        return 0.0
