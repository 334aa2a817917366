"""Keys: given by reference, resolved late, never shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from headgate.errors import ConfigError
from headgate.suite.secret import SECRET_NAME


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
    """Read the key that ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE/USER`` names.

    Raises
    ------
    ConfigError
        If there is none: the variable is not set, the file cannot be read, the keyring has no such entry or cannot be
        opened, or either is empty.
    """
    scheme, _, name = reference.partition(":")
    try:
        value = _READERS[scheme](name, base)
    except _Missing as missing:
        raise ConfigError(missing.problem, file=file, field=field, value=reference, mend=missing.mend) from missing
    if not value.strip().isascii() or not value.strip().isprintable():
        raise ConfigError(
            "names a key with characters that no HTTP header can carry", file=file, field=field, value=reference
        )
    return Secret(value.strip())


def url_secrets(url: str) -> Iterator[Secret]:
    """Yield the secrets that a URL itself holds: its password, and what its query names like a key.

    Examples
    --------
    >>> [secret.reveal() for secret in url_secrets("https://me:p%40ss@host/v1?api-key=abc&api-version=1")]
    ['p@ss', 'abc']
    """
    parts = urlsplit(url)
    if parts.password:
        yield Secret(unquote(parts.password))
    for name, value in parse_qsl(parts.query):
        if SECRET_NAME.search(name):
            yield Secret(value)


class _Missing(Exception):
    def __init__(self, problem: str, mend: str) -> None:
        self.problem, self.mend = problem, mend


def _from_environment(name: str, _: Path) -> str:
    return _given(os.environ.get(name), f"set the environment variable {name}")


def _from_file(name: str, base: Path) -> str:
    mend = f"write the key into {name}"
    try:
        return _given((base / name).read_text(encoding="utf-8", errors="replace"), mend)
    except OSError as error:
        raise _Missing(f"cannot be read: {error.strerror}", mend) from error


def _from_keyring(name: str, _: Path) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise _Missing("needs a package that is not installed", "run: pip install 'headgate[keyring]'") from error
    service, _slash, user = name.rpartition("/")
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        mend = "unlock it, or use env:NAME; in CI there is no keyring, as a rule"
        raise _Missing(f"cannot be read from the keyring: {error}", mend) from error
    return _given(value, f"run: keyring set {service} {user}")


def _given(value: str | None, mend: str) -> str:
    if value is None or not value.strip():
        raise _Missing("names no key", mend)
    return value


_READERS: Final[Mapping[str, Callable[[str, Path], str]]] = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
}
