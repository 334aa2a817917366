"""A jinja2 template, in a sandbox that sees the columns of an item and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import jinja2
import jinja2.meta
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headgate.errors import ConfigError

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

    Attributes
    ----------
    variables : frozenset of str
        Names that it reads and does not set.
    assigned : frozenset of str
        Names that it sets for what follows: variables and macros.

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
        if any(jinja2.meta.find_referenced_templates(tree)):
            raise ConfigError("includes another file, and a prompt is one file", file=file, field=where, value=source)
        self.variables: frozenset[str] = frozenset(jinja2.meta.find_undeclared_variables(tree))
        self.assigned: frozenset[str] = frozenset(_assigned(tree))

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


def _assigned(tree: nodes.Template) -> Iterator[str]:
    targets: list[nodes.Node] = [node.target for node in tree.find_all(nodes.Assign)]
    targets += [node.target for node in tree.find_all(nodes.AssignBlock)]
    for target in targets:
        inner = [target, *target.find_all(nodes.Name)]
        yield from (name.name for name in inner if isinstance(name, nodes.Name))
    yield from (node.name for node in tree.find_all(nodes.Macro))
