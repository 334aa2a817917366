"""A certificate authority of our own, and TLS contexts for loopback servers."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """Signs certificates; its own stands in ``file``."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def server(self, *names: str, demands_client: bool = False) -> ssl.SSLContext:
        """Return what a server of these names needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        if demands_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self._ca.configure_trust(context)
        return context

    def client_certificate(self) -> Path:
        """Return a file with a client's certificate and key."""
        path = self._folder / "client.pem"
        self._ca.issue_cert("client@headgate.test").private_key_and_cert_chain_pem.write_to_path(str(path))
        return path
