"""How keys are named: by reference, never by value."""

from __future__ import annotations

import re
from typing import Any, Final

SECRET_REFERENCE: Final = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|keyring:.+/.+)$")

SECRET_NAME: Final = re.compile(r"key|token|secret|passw|credential|auth|cookie|signature", re.IGNORECASE)
"""How options and parameters are called whose values are secrets."""

REFERENCES: Final = "env:NAME, file:PATH or keyring:SERVICE/USER"


def check_reference(value: str | None) -> str | None:
    """Return a reference to a key.

    Raises
    ------
    ValueError
        If it is none; it is not repeated, as it may be a real key.
    """
    if value is not None and not SECRET_REFERENCE.match(value):
        raise ValueError(f"a key is given by reference: {REFERENCES}, never the key itself")
    return value


def check_params(params: dict[str, Any], *, of: str) -> dict[str, Any]:
    """Return parameters, which stand in the manifest as they are; ``of``: what they are of.

    Raises
    ------
    ValueError
        If one of them is a key.
    """
    if any(name.lower() in {"api_key", "authorization"} for name in params):
        raise ValueError(f"a key is no parameter: give a reference in `api_key` of the {of}")
    return params
