"""A prompt: one version of the text under test, its template variables, rendering, and content digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from headgate.errors import ConfigError
from headgate.identity import canonical_json, digest
from headgate.suite.handlebars import HandlebarsTemplate
from headgate.suite.plain import Language, PlainTemplate, canonical_form, unix_lines
from headgate.suite.templates import Template


class MessagePart(NamedTuple):
    """A part of a message: the template of a text, or of where an image is."""

    kind: Literal["text", "image"]
    source: str
    detail: str | None = None


Content = str | tuple[MessagePart, ...]
"""What a message says: a template, or several."""


def content_text(content: Content) -> str:
    r"""Return the content of a message as a person reads it.

    Examples
    --------
    >>> content_text((MessagePart("text", "What is this?"), MessagePart("image", "{{ photo }}")))
    'What is this?\n[image: {{ photo }}]'
    """
    if isinstance(content, str):
        return content
    return "\n".join(part.source if part.kind == "text" else f"[image: {part.source}]" for part in content)


@dataclass(frozen=True)
class Prompt:
    """One prompt version.

    Attributes
    ----------
    name : str
        Its name in the suite or in the labels; not part of the digest.
    messages : tuple of (role, content)
        Chat messages in order; their content is the source of a template, or parts with one each.
    params : mapping
        Sampling parameters, tools and response format that the prompt's file carries, by their names on OpenAI's wire;
        merged with the model's.
    language : str
        What the templates are written in.
    defaults : mapping
        Values of variables that an item does not have.
    partials : mapping of str to str
        Source of the templates that these include, by name.
    refused : str, optional
        Why the prompt can be read but not be sent as its format means it; rendering raises it.
    file : str, optional
        Where it came from; not part of the digest.
    label : str, optional
        The label by which it was loaded; not part of the digest.

    Examples
    --------
    >>> prompt = Prompt(name="v1", messages=(("user", "Hi {{ who }}"),))
    >>> prompt.render({"who": "you"})
    b'[{"content":"Hi you","role":"user"}]'
    >>> prompt.digest == Prompt(name="v2", messages=(("user", "Hi {{who}}"),), language="handlebars").digest
    True
    """

    name: str
    messages: tuple[tuple[str, Content], ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    language: Language = "jinja2"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    partials: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None
    file: str | None = None
    label: str | None = None

    @cached_property
    def content(self) -> dict[str, Any]:
        """What the digest covers: the same in every file format, and nothing of where it stands.

        White space counts, since the model sees it; line ends are line feeds, and the spaces inside ``{{ name }}`` do
        not count. A message that is not plain names its language: it means what it means there.
        """
        messages = [self._message(*message) for message in self.messages]
        content: dict[str, Any] = {"messages": messages, "params": dict(self.params)}
        if self.defaults:
            content["defaults"] = dict(self.defaults)
        if self.partials:
            content["partials"] = {name: digest(unix_lines(source)) for name, source in self.partials.items()}
        return content

    def _message(self, role: str, content: Content) -> dict[str, Any]:
        sources = [content] if isinstance(content, str) else [part.source for part in content]
        plain = [canonical_form(source, self.language) for source in sources]
        forms = [unix_lines(source) if form is None else form for source, form in zip(sources, plain, strict=True)]
        found: dict[str, Any] = {"role": role, "content": forms[0]}
        if not isinstance(content, str):
            parts = zip(content, forms, strict=True)
            details = ({} if part.detail is None else {"detail": part.detail} for part in content)
            found["content"] = [{part.kind: form, **more} for (part, form), more in zip(parts, details, strict=True)]
        return found if None not in plain else found | {"language": self.language}

    @cached_property
    def digest(self) -> str:
        """Content id: the same prompt has the same digest in every file format."""
        return digest(self.content)

    @property
    def attributes(self) -> dict[str, str]:
        """What to stamp on a trace's span, so that every answer leads to the prompt that asked for it.

        Examples
        --------
        >>> Prompt(name="support", messages=(("user", "Hi"),), label="production").attributes["headgate.prompt.label"]
        'production'
        """
        found = {"gen_ai.prompt.name": self.name, "headgate.prompt.digest": self.digest}
        return found if self.label is None else found | {"headgate.prompt.label": self.label}

    @cached_property
    def has_images(self) -> bool:
        """Whether a message holds an image."""
        return any(part.kind == "image" for part in self._parts)

    @cached_property
    def templates(self) -> tuple[Template | PlainTemplate | HandlebarsTemplate, ...]:
        """The compiled messages, part by part.

        Raises
        ------
        ConfigError
            If a message is no template of its language, or the prompt is one that headgate does not send.
        """
        if self.refused is not None:
            raise ConfigError(f"cannot be sent as its format means it: {self.refused}", file=self.file)
        numbered = (
            (index, part.source) for index, (_, content) in enumerate(self.messages) for part in _parts(content)
        )
        return tuple(self._template(index, source) for index, source in numbered)

    def _template(self, index: int, source: str) -> Template | PlainTemplate | HandlebarsTemplate:
        where, source = f"prompts.{self.name}.messages.{index}", unix_lines(source)
        if self.language in {"jinja2", "prompty", "prompty-v1"}:
            return Template(source, file=self.file, where=where)
        if self.language == "handlebars" and canonical_form(source, self.language) is None:
            return HandlebarsTemplate(source, partials=self.partials, file=self.file, where=where)
        return PlainTemplate(source, self.language, file=self.file, where=where)

    def compiled(self) -> Prompt:
        """Return the prompt, whose templates have been compiled: a mistake is found before anything runs.

        Raises
        ------
        ConfigError
            As :attr:`templates`.
        """
        _ = self.templates
        return self

    @property
    def variables(self) -> frozenset[str] | None:
        """Columns that the templates name; None where Handlebars decides while it renders.

        Raises
        ------
        ConfigError
            As :attr:`templates`.
        """
        named = [template.variables for template in self.templates if not isinstance(template, HandlebarsTemplate)]
        return frozenset().union(*named) if len(named) == len(self.templates) else None

    @cached_property
    def _cuts(self) -> tuple[str | None, ...]:
        """What Prompty cuts off a rendered message; a plain one was cut as it was read, and values stay whole."""
        cut = {"prompty": "\n", "prompty-v1": None}
        if self.language not in cut:
            return ("",) * len(self.messages)
        plain = (canonical_form(part.source, self.language) is not None for part in self._parts)
        return tuple("" if is_plain else cut[self.language] for is_plain in plain)

    @cached_property
    def _has_parts(self) -> bool:
        return any(not isinstance(content, str) for _, content in self.messages)

    @property
    def _parts(self) -> Iterator[MessagePart]:
        return (part for _, content in self.messages for part in _parts(content))

    def fill(
        self, variables: Mapping[str, Any], *, row: str | None = None, load: Callable[[str], str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the chat messages for the columns of one item, in OpenAI's form.

        Parameters
        ----------
        variables : mapping
            The columns.
        row : str, optional
            How errors call the item.
        load : callable, optional
            Makes the URL of an image of what its template gives; default: that is its URL.

        Raises
        ------
        ConfigError
            If a variable is missing, the template fails, an image cannot be loaded, or nothing is left to send.

        Examples
        --------
        >>> Prompt(name="v1", messages=(("system", "Be {{ mood }}."),)).fill({"mood": "kind"})
        [{'role': 'system', 'content': 'Be kind.'}]
        """
        values = {**self.defaults, **variables} if self.defaults else variables
        if self._has_parts:
            return self._fill_parts(values, row, load)
        filled: list[dict[str, Any]] = []
        for (role, _), template, cut in zip(self.messages, self.templates, self._cuts, strict=True):
            if isinstance(template, HandlebarsTemplate):
                found = template.messages(values, role=role, row=row)
                filled += [{"role": spoken, "content": text} for spoken, text in found]
                continue
            text = template.render(values, row=row).strip(cut)
            if cut is None and not text:  # Prompty's first version fails, or gives the next text to another
                raise ConfigError(f"leaves a message empty{f' for {row}' if row else ''}", file=self.file, value=role)
            filled.append({"role": role, "content": text})
        if not filled:
            raise ConfigError(f"leaves no message{f' for {row}' if row else ''}", file=self.file, field=self.name)
        return filled

    def _fill_parts(
        self, values: Mapping[str, Any], row: str | None, load: Callable[[str], str] | None
    ) -> list[dict[str, Any]]:
        templates, filled = iter(self.templates), list[dict[str, Any]]()
        for index, (role, content) in enumerate(self.messages):
            parts: list[dict[str, Any]] = []
            for part in _parts(content):
                template = next(templates)
                assert not isinstance(template, HandlebarsTemplate)  # no format of files has parts
                text = template.render(values, row=row)
                if part.kind == "text":
                    parts.append({"type": "text", "text": text})
                    continue
                image = {"url": text if load is None else self._load(load, text, index, row)}
                parts.append(
                    {"type": "image_url", "image_url": image | ({"detail": part.detail} if part.detail else {})}
                )
            filled.append({"role": role, "content": parts[0]["text"] if isinstance(content, str) else parts})
        return filled

    def _load(self, load: Callable[[str], str], text: str, index: int, row: str | None) -> str:
        try:
            return load(text)
        except ConfigError as error:
            problem, where = f"{error.problem}{f' ({row})' if row else ''}", f"prompts.{self.name}.messages.{index}"
            raise ConfigError(problem, file=self.file, field=where, value=error.value, mend=error.mend) from None

    def render(
        self, variables: Mapping[str, Any], *, row: str | None = None, load: Callable[[str], str] | None = None
    ) -> bytes:
        """Return the chat messages for one item as canonical JSON; as :meth:`fill`.

        Raises
        ------
        ConfigError
            As :meth:`fill`.
        """
        return canonical_json(self.fill(variables, row=row, load=load))


def _parts(content: Content) -> tuple[MessagePart, ...]:
    return (MessagePart("text", content),) if isinstance(content, str) else content
