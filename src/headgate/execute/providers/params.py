"""The parameters of a prompt and a model on their way into an API that is not OpenAI's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, cast

from headgate.errors import ConfigError
from headgate.execute.providers.adapter import choose_params
from headgate.suite.model import Model
from headgate.suite.prompts import Prompt

OPENAI: Final = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "verbosity",
    }
)
"""Names that a suite may use with every provider: each adapter gives them in its own words, or refuses them."""

EXTRA: Final = "extra_body"


class ParamReader:
    """Parameters that an adapter takes one by one, and gives in its API's words; the model's go before the prompt's.

    Three kinds of names: those of :data:`OPENAI`, which an adapter takes by :meth:`take`, and which are an error or are
    dropped where its API has nothing for them; the API's own, which pass as they stand; and all others, which are
    mistakes. ``extra_body`` holds what goes into the body unread. A null is no parameter.

    Parameters
    ----------
    untaken : mapping of str to str
        OpenAI's names that the API does not take, each with the reason.
    own : collection of str
        The API's own names.

    Attributes
    ----------
    dropped : tuple of str
        What is left out, as the model allows.

    Raises
    ------
    ConfigError
        If something is given that the API does not take.

    Examples
    --------
    >>> model = Model(id="m", provider="openai", params={"max_tokens": 5, "topK": 3})
    >>> reader = ParamReader(model, Prompt(name="p", messages=()), untaken={}, own={"topK", "topP"})
    >>> reader.take("max_tokens"), reader.take("seed"), reader.own()
    (5, None, {'topK': 3})
    >>> ParamReader(model, Prompt(name="p", messages=()), untaken={}, own={"topP"})
    Traceback (most recent call last):
    headgate.errors.ConfigError: models.m.params.topK: 3 is no parameter of provider openai; did you mean 'topP'?
    """

    def __init__(self, model: Model, prompt: Prompt, *, untaken: Mapping[str, str], own: Collection[str] = ()) -> None:
        given, self.dropped = choose_params(model, prompt, untaken)
        self._left = {name: value for name, value in given.items() if value is not None}
        self._model, self._prompt, self._own = model, prompt, own
        known = OPENAI.union(own, {EXTRA})
        for name, value in self._left.items():
            if name not in known:
                near = get_close_matches(name, known, n=1)
                mend = f"did you mean {near[0]!r}?" if near else f"if the API takes it, put it into `{EXTRA}`"
                raise self.wrong(name, f"is no parameter of provider {model.provider}", value=value, mend=mend)

    def take(self, name: str) -> Any:
        """Return a parameter, which is then taken; None where it is not given."""
        return self._left.pop(name, None)

    def renamed(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Return those of some names, by what the API calls them."""
        return {theirs: self._left.pop(ours) for ours, theirs in names.items() if ours in self._left}

    def mapping(self, name: str) -> dict[str, Any]:
        """Return a parameter that is a mapping; empty where it is not given."""
        value = self.take(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.wrong(name, "is not a mapping", value=value)
        return dict(value)

    def own(self) -> dict[str, Any]:
        """Return what is left, all of it the API's own, with ``extra_body`` over it."""
        extra = self.mapping(EXTRA)
        assert not OPENAI.intersection(self._left), self._left
        return {**self._left, **extra}

    def wrong(self, name: str, problem: str, *, value: Any, mend: str | None = None) -> ConfigError:
        """Return the error of a value that is none, at the place where it stands."""
        if name in self._model.params:
            return ConfigError(problem, field=f"models.{self._model.id}.params.{name}", value=value, mend=mend)
        field = f"prompts.{self._prompt.name}.params.{name}"
        return ConfigError(problem, file=self._prompt.file, field=field, value=value, mend=mend)

    def missing(self, name: str, problem: str, *, mend: str) -> ConfigError:
        """Return the error of a parameter that the API needs."""
        return ConfigError(problem, field=f"models.{self._model.id}.params.{name}", mend=mend)


def stop_sequences(reader: ParamReader) -> list[str] | None:
    """Take ``stop``: a text or a list of them."""
    stop = reader.take("stop")
    return [stop] if isinstance(stop, str) else stop


def max_tokens(reader: ParamReader) -> Any:
    """Take the limit of the output, by either of its names."""
    newer, older = reader.take("max_completion_tokens"), reader.take("max_tokens")
    return older if newer is None else newer


def response_format(reader: ParamReader) -> Mapping[str, Any] | Literal["json"] | None:
    """Take ``response_format``: a schema with its ``name`` and ``schema``, any JSON, or free text (None)."""
    value = reader.take("response_format")
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return "json"
        case {"type": "json_schema", "json_schema": {"schema": dict()} as described}:
            return cast("Mapping[str, Any]", described)
        case _:
            raise reader.wrong("response_format", "is not OpenAI's form", value=value, mend=_FORMAT)


def json_schema(reader: ParamReader) -> Mapping[str, Any] | None:
    """Take ``response_format`` for an API that takes schemas alone."""
    wanted = response_format(reader)
    if wanted == "json":
        raise reader.wrong("response_format", "is no format of this API", value="json_object", mend=_FORMAT)
    return wanted


_FORMAT: Final = "write {type: json_schema, json_schema: {name: NAME, schema: {...}}}"


def tools(reader: ParamReader, make: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """Take ``tools``: functions in OpenAI's form, made into the API's; others, the API's own, as they stand."""
    value = reader.take("tools")
    if value is None:
        return []
    if not isinstance(value, list):
        raise reader.wrong("tools", "is not a list", value=value)
    made: list[Any] = []
    for tool in value:
        match tool:
            case {"type": "function", "function": {"name": str()} as function}:
                made.append(make(function))
            case {"type": "function"}:
                raise reader.wrong("tools", "has a function without a name", value=tool)
            case _:
                made.append(tool)
    return made


def tool_choice(reader: ParamReader) -> str | tuple[str, str] | dict[str, Any] | None:
    """Take ``tool_choice``: ``auto``, ``none``, ``required``, (``function``, NAME), or the API's own mapping."""
    value = reader.take("tool_choice")
    match value:
        case None | "auto" | "none" | "required":
            return cast("str | None", value)
        case {"type": "function", "function": {"name": str() as name}}:
            return ("function", name)
        case dict():
            return cast("dict[str, Any]", value)
        case _:
            mend = "write auto, none, required, or {type: function, function: {name: NAME}}"
            raise reader.wrong("tool_choice", "is not OpenAI's form", value=value, mend=mend)
