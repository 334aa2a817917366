"""What a gateway tells of the server behind it: which one answered, and whether it was the first that was tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from headgate.execute.answer import Answer

_MARKS: Final = ("x-litellm-model-id", "ngrok-aig-model")
"""Headers that name what stood behind the gateway; only these are stored."""

_FALLBACKS: Final = "x-litellm-attempted-fallbacks"
_LONGEST: Final = 200


def is_gateway(headers: Mapping[str, str]) -> bool:
    """Tell whether a response came through a gateway that names what is behind it; those do so every time.

    Examples
    --------
    >>> is_gateway({"content-type": "application/json"})
    False
    """
    return any(name in headers for name in (*_MARKS, _FALLBACKS))


def note_gateway(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """Return an answer with what its gateway says of it, if it came through one.

    Parameters
    ----------
    headers : mapping
        Names in lower case.

    Notes
    -----
    https://docs.litellm.ai/docs/proxy/response_headers and https://ngrok.com/docs/ai-gateway.

    Examples
    --------
    >>> noted = note_gateway(Answer(output="hi"), {"x-litellm-model-id": "eu-1", "x-litellm-attempted-fallbacks": "1"})
    >>> noted.metadata_json, noted.fallback
    ('{"x-litellm-model-id":"eu-1"}', True)
    """
    said = {name: value[:_LONGEST] for name in _MARKS if (value := headers.get(name))}
    fell_back = headers.get(_FALLBACKS, "0").strip() not in {"", "0", "None"}
    if not said and not fell_back:
        return answer
    metadata = msgspec.json.encode(said).decode() if said else None
    return msgspec.structs.replace(answer, metadata_json=metadata, fallback=fell_back)
