"""A client in the shape of OpenAI's, for what takes one: chat completions, whole, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn


class Shape(dict[str, Any]):
    """A response: a mapping whose entries are attributes too.

    Examples
    --------
    >>> response = shaped({"choices": [{"message": {"content": "hi", "refusal": None}}]})
    >>> response.choices[0].message.content, response["choices"][0]["message"].get("refusal")
    ('hi', None)
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """Return it as a plain mapping."""
        return dict(self)


def shaped(value: Any) -> Any:
    """Return JSON data whose mappings have attributes."""
    if isinstance(value, Mapping):
        return Shape({str(name): shaped(one) for name, one in value.items()})
    return [shaped(one) for one in value] if isinstance(value, list) else value


class Client:
    """The client.

    Parameters
    ----------
    complete : callable
        Takes the body of a request; sync or async, as ``create`` then is.
    """

    def __init__(self, complete: Callable[[Mapping[str, Any]], Any]) -> None:
        self.chat = Shape(completions=_Completions(complete))
        self.responses = self.embeddings = self.moderations = _Absent()


class _Completions:
    def __init__(self, complete: Callable[[Mapping[str, Any]], Any]) -> None:
        self._complete = complete

    def create(self, **request: Any) -> Any:
        found = self._complete(request)
        return shaped(found) if isinstance(found, Mapping) else _later(found)


class _Absent:
    """What frameworks look for in a client, and headgate does not serve."""

    def create(self, **_: Any) -> NoReturn:
        raise NotImplementedError("headgate hands over chat completions: not responses, embeddings or moderations")


async def _later(found: Any) -> Any:
    return shaped(await found)
