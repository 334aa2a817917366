"""Keys: given by reference, resolved late, never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from headgate.errors import ConfigError


class Secret:
    """A key that no repr, log or error shows; :meth:`reveal` hands it to the transport.

    Examples
    --------
    >>> print(Secret("sk-1"), repr(Secret("sk-1")))
    *** Secret('***')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the key itself."""
        return self._value

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is neither copied nor pickled")


def resolve_secret(reference: str, *, base: Path, field: str, file: Path | None = None) -> Secret:
    """Read the key that ``env:NAME`` or ``file:PATH`` names.

    Raises
    ------
    ConfigError
        If the variable is not set, or the file cannot be read, or either is empty.
    """
    scheme, _, name = reference.partition(":")
    if scheme == "env":
        value = os.environ.get(name, "")
        mend = f"set the environment variable {name}"
    else:
        mend = f"write the key into {name}"
        try:
            value = (base / name).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise ConfigError(
                f"cannot be read: {error.strerror}", file=file, field=field, value=reference, mend=mend
            ) from error
    if not value.strip():
        raise ConfigError("names no key", file=file, field=field, value=reference, mend=mend)
    if not value.strip().isascii() or not value.strip().isprintable():
        raise ConfigError(
            "names a key with characters that no HTTP header can carry", file=file, field=field, value=reference
        )
    return Secret(value.strip())
