"""The service at work: its address, its token, and the server."""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from headgate.conduct.loop import run_loop
from headgate.errors import ConfigError
from headgate.execute.secret import Secret, resolve_secret
from headgate.suite.canary import Canary
from headgate.suite.secret import REFERENCES, SECRET_REFERENCE


def serve(
    declared: Sequence[Canary],
    *,
    data: Path,
    host: str,
    port: int,
    token: str | None,
    max_body: int,
    keep: int,
    quiet: bool = False,
) -> None:
    """Serve canaries until SIGINT or SIGTERM.

    Parameters
    ----------
    data : Path
        What was received and seen.
    host, port : str, int
        Where to listen; port 0 takes any.
    token : str or None
        Reference, such as ``env:NAME``; a host that is not loopback needs one.
    max_body, keep : int
        Bytes of the largest body, and of received rows.

    Raises
    ------
    ConfigError
        If a canary, the token or the address is wrong, or the extra is not installed.
    StoreError
        If the disk refuses.
    """
    try:
        import uvicorn  # noqa: PLC0415

        from headgate.serve.app import make_app  # noqa: PLC0415
    except ImportError:
        raise ConfigError("needs starlette and uvicorn", mend="install them: pip install 'headgate[serve]'") from None
    from headgate.serve.service import Service  # noqa: PLC0415

    secret = _token(token)
    if secret is None and not is_loopback(host):
        mend = "give --token env:NAME, or listen on 127.0.0.1"
        raise ConfigError("is not loopback, and there is no token", field="--host", value=host, mend=mend)
    if not quiet:
        logging.getLogger("headgate.serve").addHandler(logging.StreamHandler(sys.stderr))
    listening = _listen(host, port)
    with listening:

        async def work() -> None:
            app = make_app(Service(declared, data=data, keep=keep), token=secret, max_body=max_body)
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
            shown = f"[{host}]" if ":" in host else host
            if not quiet:
                sys.stderr.write(f"headgate: listening on http://{shown}:{listening.getsockname()[1]}\n")
            await server.serve(sockets=[listening])

        run_loop(work())


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(reference: str | None) -> Secret | None:
    if reference is None:
        return None
    if not SECRET_REFERENCE.match(reference):  # the value is not repeated: it may be a real token
        raise ConfigError(f"is given by reference: {REFERENCES}, never the token itself", field="--token")
    return resolve_secret(reference, base=Path.cwd(), field="--token")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen()  # who reads the address may come before the server is up, and waits
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ConfigError(f"cannot be listened on: {error.strerror}", field="--host", value=f"{host}:{port}") from error
    return listening
