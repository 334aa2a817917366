"""A user's own httpx client."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from headgate.execute.transports.httpx_client import HttpxTransport
from transport_faults import exchange, fail_url


def test_a_mock_transport_works():
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer sk-canary"
        return httpx.Response(200, json={"url": str(request.url)})

    transport = HttpxTransport(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    response = asyncio.run(exchange(lambda: transport, "http://mock/v1"))
    assert response.body == b'{"url":"http://mock/v1"}'


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (httpx.ConnectTimeout("slow"), "connect"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.PoolTimeout("slow"), "timeout"),
        (httpx.ReadError("reset"), "dropped"),
        (httpx.RemoteProtocolError("eof"), "dropped"),
        (httpx.ConnectError("refused"), "connect"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "dns"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "tls"),
        (httpx.ProxyError("403"), "connect"),
        (RuntimeError("of a user's own transport"), "dropped"),
    ],
)
def test_what_a_users_client_raises_is_classified(raised: Exception, kind: str):
    def answer(_: httpx.Request) -> httpx.Response:
        raise raised

    transport = HttpxTransport(httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    assert fail_url(lambda: transport, "http://mock/v1").kind == kind
