"""Where keys may go: the hosts that a caller allows, whatever the suite says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from headgate.errors import ConfigError
from headgate.execute.endpoint import resolve_key, served_at
from headgate.execute.secret import url_secrets
from headgate.suite.model import Model
from headgate.suite.suite import Suite

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"^(\[[0-9a-f:.]+\]|[\w.\-]+)(:\d+)?$", re.IGNORECASE)


def check_hosts(suite: Suite, models: Iterable[Model], allowed: Collection[str] | None) -> None:
    """Refuse a model whose key would go to a host that is not allowed.

    Parameters
    ----------
    models : iterable of Model
        Those of the suite that are asked.
    allowed : collection of str, optional
        Hosts, each perhaps with a port; None allows all.

    Raises
    ------
    ConfigError
        If a key would go elsewhere, or what is allowed is no host.

    Examples
    --------
    >>> suite = Suite(name="s", items=[{"q": 1}], prompts={"p": "{{ q }}"},
    ...               models=[{"id": "m", "provider": "openai-compatible", "base_url": "http://me:secret@other/v1"}])
    >>> check_hosts(suite, suite.models, ["api.openai.com"])
    Traceback (most recent call last):
    headgate.errors.ConfigError: models.m.base_url: 'other' is not a host that keys may go to; leave it out, or allow it: --allow-host other
    """  # noqa: E501
    if allowed is None:
        return
    allowed = [_host(host) for host in allowed]
    for model in models:
        url = served_at(model, file=suite.file)
        if url is not None and carries_key(suite, model, url):
            check_host(url, allowed, field=f"models.{model.id}.base_url", file=suite.file)


def check_host(url: str, allowed: Collection[str] | None, *, field: str, file: Path | None) -> None:
    """Refuse an address that a key would go to, unless its host is allowed.

    Raises
    ------
    ConfigError
        If it is not, or what is allowed is no host.
    """
    if allowed is None:
        return
    hosts, parts = {_host(host) for host in allowed}, urlsplit(url)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    if not hosts & {name, f"{name}:{parts.port or _PORTS.get(parts.scheme)}"}:
        raise ConfigError(
            "is not a host that keys may go to",
            file=file,
            field=field,
            value=name if parts.port is None else f"{name}:{parts.port}",
            mend=f"leave it out, or allow it: --allow-host {name}",
        )


def carries_key(suite: Suite, model: Model, url: str) -> bool:
    """Tell whether requests to a model carry a secret: its key, or one that stands in the URL."""
    return resolve_key(model, base=suite.base, file=suite.file) is not None or any(url_secrets(url))


def _host(given: str) -> str:
    if not _HOST.match(given):
        mend = "write it like api.openai.com, or like localhost:8000"
        raise ConfigError("is no host", field="--allow-host", value=given, mend=mend)
    return given.lower()
