"""Keys and addresses: whether the keys are there and well kept, and whether anything listens where they would go.

A key is read here, and not sent.
"""

from __future__ import annotations

import os
import socket
import ssl
import stat
import time
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from headgate.conduct.doctor.finding import Finding, from_error, ok, refused, warning
from headgate.conduct.hosts import carries_key, check_hosts
from headgate.errors import ConfigError
from headgate.execute.endpoint import resolve_key, served_at
from headgate.execute.redaction import SHORTEST_KEY
from headgate.execute.secret import url_secrets
from headgate.execute.transport import is_loopback
from headgate.execute.transports.proxies import proxy_for
from headgate.suite.model import Model
from headgate.suite.suite import Suite

_TIMEOUT_S: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}
_PATHS: Final = ("/chat/completions", "/completions", "/responses", "/messages")


def examine_keys(suite: Suite, allow_hosts: Collection[str] | None) -> Iterator[Finding]:
    """Yield what is found of the keys, and of where they would go."""
    for model in suite.places:
        try:
            url = served_at(model, file=suite.file)
            if url is None:
                continue
            yield from _key(suite, model)
            check_hosts(suite, [model], allow_hosts)
            yield from _url(suite, model, url)
        except ConfigError as error:
            yield from_error(f"models.{model.id}", error)


def _key(suite: Suite, model: Model) -> Iterator[Finding]:
    about, key = f"models.{model.id}", resolve_key(model, base=suite.base, file=suite.file)
    if key is None:
        yield ok(about, "no key is declared, and none will be sent")
        return
    reference = model.api_key or "the provider's usual variable"
    yield ok(about, f"its key is there ({reference})")
    if len(key.reveal()) < SHORTEST_KEY:
        said = f"its key has fewer than {SHORTEST_KEY} characters: it is taken for a placeholder, and not kept secret"
        yield warning(about, said, "give the real key, if the server asks for one")
    scheme, _, name = reference.partition(":")
    if scheme == "file" and (mode := stat.S_IMODE((suite.base / name).stat().st_mode)) & 0o077:
        said = f"other users of this machine may read the file of its key (mode {mode:03o})"
        yield warning(about, said, f"run: chmod 600 {suite.base / name}")


def _url(suite: Suite, model: Model, url: str) -> Iterator[Finding]:
    about, parts = f"models.{model.id}", urlsplit(url)
    near = is_loopback(parts.hostname)
    if parts.scheme == "http" and not near and carries_key(suite, model, url):
        said = f"its key travels to {parts.hostname} unencrypted, as all answers do"
        yield warning(about, said, "use https, if the server speaks it")
    if any(url_secrets(url)):
        said = "its base_url holds a secret, which every tool that shows the suite will show"
        yield warning(about, said, "give it as a reference in `api_key`")
    path = parts.path.rstrip("/")
    ending = next((ending for ending in _PATHS if path.endswith(ending)), None)
    if ending is not None:
        said = f"its base_url ends in {ending}, which headgate appends"
        yield warning(about, said, f"write it without {ending}")


def examine_reach(suite: Suite) -> Iterator[Finding]:
    """Yield for each place that models are served at whether it can be reached; nothing is sent but a TLS greeting."""
    places: dict[tuple[str, str, int], list[str]] = {}
    for model in suite.places:
        place = _place(model)
        if place is not None:
            places.setdefault(place, []).append(model.id)
    for (scheme, host, port), models in places.items():
        shown = f"[{host}]" if ":" in host else host
        about = f"{scheme}://{shown}:{port} ({', '.join(models)})"
        yield _through_proxy(about, scheme, host) or _reach(about, scheme, host, port)


def _place(model: Model) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(served_at(model) or "")
        port = parts.port or _PORTS.get(parts.scheme)
    except (ConfigError, ValueError):
        return None  # that it is no URL is said of its model
    return None if not parts.hostname or port is None else (parts.scheme, parts.hostname, port)


def _through_proxy(about: str, scheme: str, host: str) -> Finding | None:
    """Look at the proxy of the environment instead, where the transport goes through one."""
    proxy = proxy_for(scheme, host)
    if proxy is None:
        return None
    parts: SplitResult = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    where = f"the proxy {parts.hostname}:{parts.port or _PORTS['http']}"
    try:
        with socket.create_connection((parts.hostname or "", parts.port or _PORTS["http"]), _TIMEOUT_S):
            return ok(about, f"goes through {where}, which takes connections; what is behind it --live tells")
    except (OSError, ValueError) as error:
        mend = f"check {scheme.upper()}_PROXY and NO_PROXY"
        return refused(about, f"goes through {where}, which takes none: {_why(error)}", mend)


def _reach(about: str, scheme: str, host: str, port: int) -> Finding:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return refused(about, f"the name {host} is not known here: {_why(error)}", "check `base_url` and the network")
    started = time.monotonic()
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as made:
            took_ms = 1e3 * (time.monotonic() - started)
            if scheme == "https":
                _greet(made, host)
    except ssl.SSLCertVerificationError as error:
        mend = "check `base_url`; for an authority of your own, name its file in SSL_CERT_FILE"
        return refused(about, f"its certificate is not trusted: {error.verify_message}", mend)
    except ssl.SSLError as error:
        said = f"does not speak TLS: {error.reason or _why(error)}"
        return refused(about, said, "check the port, and whether it is http")
    except OSError as error:
        said = f"takes no connection: {_why(error)}"
        return refused(about, said, "check `base_url`, the network, and that the server runs")
    return ok(about, f"takes connections ({took_ms:.0f} ms)" + (", and its certificate is good" * (scheme == "https")))


def _greet(made: socket.socket, host: str) -> None:
    with ssl.create_default_context().wrap_socket(made, server_hostname=host):
        return


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT_S:g} s"
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)
