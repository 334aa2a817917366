"""What every wire format is to an endpoint: how requests look, and what responses mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from headgate.errors import ConfigError
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
    warning : str, optional
        What the user should know before anything is sent.
    """

    path: str
    shared: Any
    dropped: tuple[str, ...] = ()
    warning: str | None = None


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


@runtime_checkable
class Signer(Protocol):
    """An adapter whose requests are signed one by one."""

    def sign(self, url: str, body: bytes, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of one request to a URL; they go beside those of ``headers``."""
        ...


_NEVER: Final = {
    "stream": "answers are read whole",
    "stream_options": "answers are read whole",
    "model": "the name of the model is `model`, beside `params`",
    "messages": "the prompt says them",
}
"""Parameters that no API is sent from a suite, and why."""


def choose_params(model: Model, prompt: Prompt, untaken: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the parameters of a prompt and a model that an API takes, and the names of those that are left out.

    Parameters
    ----------
    untaken : mapping of str to str
        Parameters that the API does not take, each with the reason; those that are never sent need not be among them.

    Raises
    ------
    ConfigError
        If one of them is given and the model does not say ``on_unsupported: drop``.

    Examples
    --------
    >>> model = Model(id="m", provider="openai", params={"top_k": 5, "top_p": 1}, on_unsupported="drop")
    >>> choose_params(model, Prompt(name="p", messages=()), {"top_k": "OpenAI has none"})
    ({'top_p': 1}, ('top_k',))
    """
    params, refused = {**prompt.params, **model.params}, {**_NEVER, **untaken}
    dropped = tuple(name for name in params if name in refused)
    if dropped and model.on_unsupported == "error":
        raise refuse_param(model, prompt, dropped[0], refused[dropped[0]])
    return {name: value for name, value in params.items() if name not in refused}, dropped


def refuse_param(model: Model, prompt: Prompt, name: str, reason: str) -> ConfigError:
    """Return the error for a parameter that an API does not take, at the place where it stands."""
    ours = name in model.params
    return ConfigError(
        f"cannot be sent to {model.id} ({model.provider}): {reason}",
        file=None if ours else prompt.file,
        field=f"models.{model.id}.params.{name}" if ours else f"prompts.{prompt.name}.params.{name}",
        value=model.params[name] if ours else prompt.params[name],
        mend="take it out, or set `on_unsupported: drop` on the model",
    )


def refuse_images(model: Model, prompt: Prompt) -> ConfigError:
    """Return the error for a prompt with images and an API that takes none; no image is dropped."""
    problem = f"holds an image, and {model.provider} takes text alone ({model.id})"
    mend = "ask a model that takes images"
    return ConfigError(problem, file=prompt.file, field=f"prompts.{prompt.name}", mend=mend)
