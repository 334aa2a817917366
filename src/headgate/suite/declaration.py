"""A declaration that stands in a file of its own: where it was read from, and errors in the user's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import ModelWrapValidatorHandler, PrivateAttr, ValidationError, ValidationInfo

from headgate.suite.documents import Document
from headgate.suite.part import Part
from headgate.suite.problems import config_error


class Declaration(Part):
    """Base of what is declared in a file, or in Python with the same names."""

    _base: Path = PrivateAttr(default_factory=Path.cwd)
    _document: Document | None = PrivateAttr(default=None)

    @property
    def base(self) -> Path:
        """Folder that relative paths start from."""
        return self._base

    def at(self, folder: Path) -> Self:
        """Return the same declaration with paths that start from another folder, as if it stood in no file."""
        moved = self.model_copy()
        moved._document, moved._base = None, folder  # noqa: SLF001  # a declaration of this very class
        return moved

    @property
    def file(self) -> Path | None:
        """The file it was read from, if any."""
        return None if self._document is None else self._document.file

    def line(self, *place: str | int) -> int | None:
        """Return the line of a field in the file, where it is known."""
        return None if self._document is None else self._document.line(place)

    def _stand_in(self, document: Document) -> None:
        self._document, self._base = document, document.file.absolute().parent

    @classmethod
    def _declared(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Turn pydantic's errors into ours; the context of the validation is the document, if there is one.

        A subclass calls it from a wrap validator, its last: that one stands around all others.
        """
        document = info.context if isinstance(info.context, Document) else None
        try:
            made = handler(data)
        except ValidationError as error:
            raise config_error(error, root=cls, data=data, document=document) from None
        if document is not None:
            made._stand_in(document)  # noqa: SLF001  # a declaration of this very class
        return made
