"""OpenAI chat completions, as OpenAI, Azure, vLLM, TGI, llama.cpp and most gateways speak them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from headgate.errors import ConfigError
from headgate.execute.providers.adapter import Form, choose_params, refuse_images
from headgate.execute.providers.completion import decode
from headgate.execute.providers.dialects import DIALECTS, LIMITS, Dialect
from headgate.execute.secret import Secret
from headgate.plan import Job
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

_ENCODER: Final = msgspec.json.Encoder()


class ChatCompletions:
    """The adapter of this API.

    Parameters
    ----------
    dialect : Dialect, optional
        How the server speaks it; default: whatever the suite says goes out as it stands.
    api_version : str, optional
        Of the API, where it has versions.
    simulated : bool
        Tell the server which job it is: the simulated provider answers by it.
    """

    decode = staticmethod(decode)

    def __init__(
        self,
        dialect: Dialect = DIALECTS["openai-compatible"],
        *,
        api_version: str | None = None,
        simulated: bool = False,
    ) -> None:
        self._dialect, self._simulated, self.api_version = dialect, simulated, api_version
        self.sends_seed = dialect.seed is not None
        self._seed = b"" if dialect.seed is None else b',"%b":' % dialect.seed.encode()

    def form(self, model: Model, prompt: Prompt) -> Form:
        """Return what the requests of a prompt to a model share; the model's parameters go before the prompt's.

        Raises
        ------
        ConfigError
            If the server does not take a parameter, or images.
        """
        dialect = self._dialect
        if prompt.has_images and not dialect.images:
            raise refuse_images(model, prompt)
        params, dropped = choose_params(model, prompt, self._untaken(model, prompt))
        spelled = spell(params, dialect, model=model)
        shared = encode_frame(model=model.name, params=spelled)
        return Form(path=self._path(model), shared=shared, dropped=dropped, warning=self._warning(model, spelled))

    def encode(self, job: Job, form: Form) -> bytes:
        """Return the body of a job's request."""
        before, after = form.shared
        seed = b"%b%d" % (self._seed, job.seed) if self._seed else b""
        told = b',"metadata":' + _ENCODER.encode(_metadata(job)) if self._simulated else b""
        return b"".join((before, job.item.messages[job.prompt.name], after, seed, told, b"}"))

    def headers(self, key: Secret | None) -> Mapping[str, str]:
        """Return the headers of every request, the key among them."""
        shared = {"content-type": "application/json", "accept": "application/json"}
        name, before = self._dialect.key
        return shared if key is None else {**shared, name: before + key.reveal()}

    def _path(self, model: Model) -> str:
        versioned = self._dialect.versioned_path
        if versioned is None or model.api_version in {None, "v1"}:
            return self._dialect.path
        return versioned.format(model=quote(model.name, safe=""), version=quote(model.api_version or "", safe=""))

    def _warning(self, model: Model, params: Mapping[str, Any]) -> str | None:
        pins, chosen = self._dialect.pins, params.get("provider")
        if not pins or (isinstance(chosen, dict) and not chosen.keys().isdisjoint(pins)):
            return None
        return (
            f"models.{model.id}: several hosts may serve this model, some of them quantized, and answers differ; "
            f"name the one in params, such as provider: {{{pins[0]}: [NAME]}}"
        )

    def _untaken(self, model: Model, prompt: Prompt) -> Mapping[str, str]:
        dialect = self._dialect
        wanted = {**prompt.params, **model.params}.get("response_format")
        if dialect.schemas or not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
            return dialect.untaken
        return {**dialect.untaken, "response_format": "it takes no JSON schema, only `type: json_object`"}


def _metadata(job: Job) -> Mapping[str, str]:
    known = {"item": job.item.item_id, "prompt": job.prompt.name, "job": job.job_id}
    return known if job.item.target is None else {**known, "target": job.item.target}


def spell(params: Mapping[str, Any], dialect: Dialect, *, model: Model) -> dict[str, Any]:
    """Return parameters as a server wants them spelled, its defaults among them; the job's seed is not one of them.

    Raises
    ------
    ConfigError
        If two names of one parameter say two things.

    Examples
    --------
    >>> model = Model(id="m", provider="openai")
    >>> spell({"max_tokens": 5, "seed": 1}, DIALECTS["openai"], model=model)
    {'max_completion_tokens': 5}
    >>> spell({"logprobs": True, "top_logprobs": 3, "tool_choice": "required"}, DIALECTS["together"], model=model)
    {'tool_choice': 'required', 'logprobs': 3}
    """
    spelled = {name: value for name, value in params.items() if name not in {"seed", dialect.seed}}
    if dialect.limit is not None and (limit := one_limit(spelled, LIMITS, model=model)) is not None:
        spelled = {name: value for name, value in spelled.items() if name not in LIMITS} | {dialect.limit: limit}
    if spelled.get("tool_choice") == "required":
        spelled["tool_choice"] = dialect.force_tool
    if dialect.logprobs == "count" and isinstance(spelled.get("logprobs"), bool):
        count = spelled.pop("top_logprobs", None) or 1
        if spelled.pop("logprobs"):
            spelled["logprobs"] = count
    for name, value in dialect.defaults.items():
        given = spelled.get(name)
        if isinstance(value, dict) and isinstance(given, dict):
            spelled[name] = {**value, **given}
        else:
            spelled.setdefault(name, value)
    return spelled


def one_limit(params: Mapping[str, Any], names: tuple[str, ...], *, model: Model) -> Any:
    """Return the limit of the output that parameters give under any of its names; None where they give none.

    Raises
    ------
    ConfigError
        If two of the names give different ones.
    """
    given = {name: params[name] for name in names if name in params}
    if len(set(map(repr, given.values()))) > 1:
        field = f"models.{model.id}.params.{next(iter(given))}"
        problem = f"and {' and '.join(list(given)[1:])} limit the same, and differ"
        raise ConfigError(problem, field=field, value=next(iter(given.values())), mend="give one of them")
    return next(iter(given.values()), None)


def encode_frame(*, model: str, params: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Encode what the requests of one prompt to one model share: what stands before their messages, and after.

    Examples
    --------
    >>> encode_frame(model="m", params={"top_p": 1})
    (b'{"model":"m","messages":', b',"top_p":1')
    """
    pairs = [(_ENCODER.encode(name), _ENCODER.encode(value)) for name, value in params.items()]
    after = b"".join(b",%b:%b" % pair for pair in pairs)
    return b'{"model":%b,"messages":' % _ENCODER.encode(model), after
