"""Where the items and prompts of a suite come from, as declared; nothing here touches a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from headgate.suite.part import Part, TemplateText


class Items(Part):
    """Where the items come from: a file (CSV, JSONL, Parquet) or rows written in the suite."""

    path: str | None = Field(None, description="CSV, JSONL or Parquet file, relative to the suite file")
    rows: list[dict[str, Any]] | None = Field(None, description="The items themselves, one mapping each")
    id: str = Field("id", description="Column that identifies an item; without such a column the row number does")
    target: str = Field("target", description="Column with the expected answer")
    cluster: str | None = Field(None, description="Column that groups items which are not independent")
    where: dict[str, Any] = Field(default_factory=dict, description="Keep only rows whose columns equal these values")
    limit: int | None = Field(None, ge=1, description="Use the first N rows that remain")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.rows is None):
            raise ValueError("give either `path` or `rows`")
        return self


class ContentPart(Part):
    """A part of a message: text, or an image."""

    text: TemplateText | None = Field(None, description="Template over the item's columns")
    image: TemplateText | None = Field(
        None, description="Template of an http(s) URL, a data URL, or the path of a file, relative to the suite file"
    )
    detail: Literal["low", "high", "auto"] | None = Field(
        None, description="How closely the model looks at the image, where it may choose"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.text is None) == (self.image is None):
            raise ValueError("give either `text` or `image`")
        if self.detail is not None and self.image is None:
            raise ValueError("`detail` goes with `image`")
        return self


class Message(Part):
    """One chat message; the content is a template, or parts."""

    role: Literal["system", "developer", "user", "assistant"] = Field(description="Who speaks")
    content: TemplateText | list[ContentPart] = Field(
        description="Template over the item's columns; or parts, such as [{text: ...}, {image: ...}]"
    )

    @model_validator(mode="after")
    def _users_show(self) -> Self:
        if isinstance(self.content, list):
            if not self.content:
                raise ValueError("`content` holds no part")
            if self.role != "user" and any(part.image is not None for part in self.content):
                raise ValueError(f"an image stands in a message of the user, not of the {self.role}")
        return self


class PromptSource(Part):
    """Where a prompt comes from: a file, inline text (one user message), or inline messages."""

    path: str | None = Field(
        None,
        description="Prompt file: .txt, .md, .j2, .prompt.yml, .prompt, .prompty, .json or .yaml",
    )
    text: TemplateText | None = Field(None, description="Template of the single user message")
    messages: list[Message] | None = Field(None, description="Chat messages with templates", min_length=1)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(part is not None for part in (self.path, self.text, self.messages)) != 1:
            raise ValueError("give exactly one of `path`, `text` and `messages`")
        return self


_PROMPT_FILE = re.compile(r"\.(txt|md|jinja|jinja2|j2|yml|yaml|json|jsonl|prompt|prompty)(#[1-9][0-9]*)?$")


def prompt_source(source: Any) -> Any:
    """Return what a short form of a prompt stands for: a path, a text, or messages."""
    if isinstance(source, list):
        return {"messages": source}
    if not isinstance(source, str | Path):
        return source
    text = str(source)
    # A word with a slash or a suffix is no prompt: better a missing file than a path that is sent as a prompt.
    is_word = not re.search(r"\s|{[{%]", text) and re.search(r"/|\.\w+(#[1-9][0-9]*)?$", text)
    is_path = is_word or ("\n" not in text and "{{" not in text and _PROMPT_FILE.search(text))
    return {"path": text} if is_path else {"text": text}
