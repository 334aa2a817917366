"""AWS's key and region, from where all of its tools read them."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import urlsplit

from headgate.errors import ConfigError
from headgate.execute.providers.sigv4 import Credentials
from headgate.suite.model import Model

BEARER: Final = "AWS_BEARER_TOKEN_BEDROCK"
"""Environment variable of a Bedrock API key, which is sent as it stands; else requests are signed."""

_REGION: Final = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


def read_credentials(model: Model) -> Credentials:
    """Return the key of the environment, by the names that all of AWS's tools read.

    Raises
    ------
    ConfigError
        If it is not there, or nothing tells the region that a signature is for.
    """
    found = {name: os.environ.get(name, "").strip() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    missing = [name for name, value in found.items() if not value]
    if missing:
        mend = f"set {' and '.join(missing)}, or {BEARER}, or give `api_key`"
        raise ConfigError("names no key", field=f"models.{model.id}.api_key", mend=mend)
    if read_region(model.base_url) is None:
        raise ConfigError("tells no region", field=f"models.{model.id}.base_url", mend="set AWS_REGION")
    key_id, secret = found.values()
    token = os.environ.get("AWS_SESSION_TOKEN", "").strip()
    return Credentials(access_key_id=key_id, secret_access_key=secret, session_token=token or None)


def read_region(url: str | None) -> str | None:
    """Return the region of a host, else the environment's; None where neither tells it.

    Examples
    --------
    >>> read_region("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/model/m/converse")
    'us-gov-west-1'
    """
    found = _REGION.search(urlsplit(url or "").hostname or "")
    return found[1] if found else os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
