"""Libraries that only some scorers need: an extra of headgate, imported where a suite asks for them."""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType
from typing import Final

from headgate.errors import ConfigError

_PACKAGES: Final = {"jsonschema_rs": "jsonschema-rs"}


def load_library(name: str) -> ModuleType:
    """Import a library that comes with the extra ``scorers``.

    Raises
    ------
    ConfigError
        If it is not installed.

    Examples
    --------
    >>> load_library("json").__name__
    'json'
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(name, name.partition(".")[0])
        raise ConfigError(
            f"needs the package {package}, which is not installed", mend="pip install 'headgate[scorers]'"
        ) from error


def library_version(name: str) -> str:
    """Return the version of an installed library."""
    return importlib.metadata.version(_PACKAGES.get(name, name.partition(".")[0]))
