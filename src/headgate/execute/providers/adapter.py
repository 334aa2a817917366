"""What every wire format is to an endpoint: how requests look, and what responses mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from headgate.execute.answer import Answer, Failure
from headgate.execute.secret import Secret
from headgate.execute.transport import Response
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the requests of one prompt to one model share; made once, before the first request.

    Attributes
    ----------
    path : str
        Where they go, after the endpoint's base URL.
    shared : object
        What the adapter's ``encode`` makes of the model's name and the parameters.
    dropped : tuple of str
        Parameters that this API does not take and that are left out, as the suite allows.
    """

    path: str
    shared: Any
    dropped: tuple[str, ...] = ()


class Adapter(Protocol):
    """A wire format: two pure functions, ``encode`` and ``decode``, and what stands around them."""

    @property
    def sends_seed(self) -> bool:
        """Whether the job's seed stands in the request."""
        ...

    @property
    def api_version(self) -> str | None:
        """Of the API that is spoken, where it has one; it stands in every row."""
        ...

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share.

        Raises
        ------
        ConfigError
            If a parameter, or a part of a message, is one that this API does not take.
        """
        ...

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request."""
        ...

    def decode(self, response: Response) -> Answer | Failure:
        """Return what a response says: an answer, or why it is none."""
        ...

    def headers(self, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of every request, the key among them."""
        ...
