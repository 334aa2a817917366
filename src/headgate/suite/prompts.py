"""A prompt: one version of the text under test, its template variables, rendering, and content digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import jinja2
import jinja2.meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headgate.errors import ConfigError
from headgate.identity import canonical_json, digest

_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
)
# A template names columns of the item and nothing else: `range` or `dict` would hide a missing column of that name.
_ENVIRONMENT.globals.clear()
del _ENVIRONMENT.filters["random"]  # a rendered prompt depends on the item alone


class Template:
    """A jinja2 template in the sandbox, where an undefined variable is an error.

    Parameters
    ----------
    source : str
        The template text.
    file, where : str, optional
        What an error names.

    Raises
    ------
    ConfigError
        If the text is not a template; on rendering, if a variable is missing or an operation is forbidden.

    Examples
    --------
    >>> Template("Say {{ word | upper }}!").render({"word": "hi"})
    'Say HI!'
    >>> sorted(Template("{{ a }} {% if b %}{{ c.d }}{% endif %}").variables)
    ['a', 'b', 'c']
    """

    def __init__(self, source: str, *, file: str | None = None, where: str | None = None) -> None:
        self.source, self._file, self._where = source, file, where
        try:
            tree = _ENVIRONMENT.parse(source)
            self._compiled = _ENVIRONMENT.from_string(tree)
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(
                f"is not a jinja2 template: {error.message}", file=file, line=error.lineno, field=where, value=source
            ) from error
        self.variables: frozenset[str] = frozenset(jinja2.meta.find_undeclared_variables(tree))

    def render(self, variables: Mapping[str, Any], *, row: str | None = None) -> str:
        """Render with the columns of one item; ``row`` names the item in errors."""
        try:
            return self._compiled.render(variables)
        except jinja2.UndefinedError as error:
            names = ", ".join(sorted(map(str, variables))) or "none"
            raise ConfigError(
                f"cannot be rendered{f' for {row}' if row else ''}: {error.message}",
                file=self._file,
                field=self._where,
                value=self.source,
                mend=f"the item's columns are: {names}",
            ) from error
        except Exception as error:  # a template runs the user's own expressions: whatever they raise is their error
            raise ConfigError(
                f"cannot be rendered{f' for {row}' if row else ''}: {type(error).__name__}: {error}",
                file=self._file,
                field=self._where,
                value=self.source,
            ) from error


@dataclass(frozen=True)
class Prompt:
    """One prompt version.

    Attributes
    ----------
    name : str
        Its name in the suite; not part of the digest.
    messages : tuple of (role, template source)
        Chat messages in order.
    params : mapping
        Sampling parameters and response format that the prompt's file carries; merged with the model's.
    file : str, optional
        Where it came from; not part of the digest.

    Examples
    --------
    >>> prompt = Prompt(name="v1", messages=(("user", "Hi {{ who }}"),))
    >>> prompt.render({"who": "you"})
    b'[{"content":"Hi you","role":"user"}]'
    """

    name: str
    messages: tuple[tuple[str, str], ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    file: str | None = None

    @cached_property
    def digest(self) -> str:
        """Content id: the same messages and parameters have the same digest in every file format."""
        messages = [{"role": role, "content": content} for role, content in self.messages]
        return digest({"messages": messages, "params": dict(self.params)})

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """The compiled messages."""
        return tuple(
            Template(content, file=self.file, where=f"prompts.{self.name}.messages.{index}")
            for index, (_, content) in enumerate(self.messages)
        )

    @cached_property
    def variables(self) -> frozenset[str]:
        """Columns that the templates name."""
        return frozenset().union(*(template.variables for template in self.templates))

    def render(self, variables: Mapping[str, Any], *, row: str | None = None) -> bytes:
        """Return the chat messages for one item as canonical JSON.

        Raises
        ------
        ConfigError
            If a variable is missing or the template fails.
        """
        rendered = [
            {"role": role, "content": template.render(variables, row=row)}
            for (role, _), template in zip(self.messages, self.templates, strict=True)
        ]
        return canonical_json(rendered)
