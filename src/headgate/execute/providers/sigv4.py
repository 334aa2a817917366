"""AWS Signature Version 4: the headers that sign one POST request."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from headgate.execute.secret import Secret

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Credentials(Secret):
    """Whose requests they are; as a key it shows the part of it that is sent, if any is.

    Parameters
    ----------
    session_token : str, optional
        Goes with a key that lasts for a session alone; it is sent, the secret key never is.
    """

    __slots__ = ("access_key_id", "secret_access_key", "session_token")

    def __init__(self, *, access_key_id: str, secret_access_key: str, session_token: str | None = None) -> None:
        super().__init__(session_token or secret_access_key)
        self.access_key_id = access_key_id
        self.secret_access_key = Secret(secret_access_key)
        self.session_token = None if session_token is None else Secret(session_token)


def sign(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    credentials: Credentials,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers that sign a request, to be sent beside its own.

    Parameters
    ----------
    url : str
        Its path percent-encoded as it goes out, without ``.``, ``..`` or empty segments; without a query.
    headers : mapping
        Those that are signed besides the host and the date; names in lower case.

    References
    ----------
    AWS, "Create a signed AWS API request", IAM User Guide. Of services other than S3 the path is encoded once more.

    Examples
    --------
    >>> known = Credentials(access_key_id="AKID", secret_access_key="secret")
    >>> made = sign("https://h/model/a%3A0/converse", b"{}", {}, credentials=known, region="eu-west-1",
    ...             service="bedrock", now=datetime(2026, 11, 26, tzinfo=UTC))
    >>> made["x-amz-date"], made["authorization"][:68]
    ('20261126T000000Z', 'AWS4-HMAC-SHA256 Credential=AKID/20261126/eu-west-1/bedrock/aws4_req')
    """
    parts, time = urlsplit(url), now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": time}
    if credentials.session_token is not None:
        added["x-amz-security-token"] = credentials.session_token.reveal()
    port = parts.port if parts.port != _DEFAULT_PORTS.get(parts.scheme) else None
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    signed = {"host": host if port is None else f"{host}:{port}", **headers, **added}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    path = quote(parts.path or "/", safe="/~")
    request = "\n".join(("POST", path, parts.query, lines, names, hashlib.sha256(body).hexdigest()))
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((_ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = b"AWS4" + credentials.secret_access_key.reveal().encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    proof = f"SignedHeaders={names}, Signature={_hmac(key, text).hex()}"
    return {**added, "authorization": f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, {proof}"}


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
