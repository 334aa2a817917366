"""What a pod asks the Kubernetes API, against a server with TLS on loopback."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headgate.ci import kubernetes
from headgate.errors import ConfigError, EndpointError
from tls_authority import Authority


@pytest.fixture
def api(tmp_path):
    """A Kubernetes API on loopback with TLS, and the service account of a pod that may ask it."""
    authority = Authority(tmp_path)
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(self.server.answer)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.server("127.0.0.1").wrap_socket(server.socket, server_side=True)
    server.status, server.answer, server.asked = 200, b'{"kind": "PodList", "items": []}', asked
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("very-secret\n")
    (account / "namespace").write_text("bot")
    (account / "ca.crt").write_bytes(authority.file.read_bytes())
    server.account = account
    server.environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.server_port)}
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_running_pods_of_the_own_namespace_are_asked_for(api, monkeypatch):
    for name, value in api.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kubernetes, "ACCOUNT", api.account)
    assert kubernetes.list_pods("app=bot,tier in (web)") == api.answer.decode()
    query = "labelSelector=app%3Dbot%2Ctier%20in%20%28web%29&fieldSelector=status.phase%3DRunning"
    ((path, authorization),) = api.asked
    assert path.replace("+", "%20") == f"/api/v1/namespaces/bot/pods?{query}"
    assert authorization == "Bearer very-secret"


def test_an_api_that_refuses_is_no_verdict(api):
    api.status = 403
    with pytest.raises(EndpointError, match="answers 403; may the service account list pods") as refused:
        kubernetes.list_pods("app=bot", account=api.account, environ=api.environ)
    assert refused.value.exit_code == 3
    assert "very-secret" not in str(refused.value)


def test_an_api_of_another_authority_is_not_asked(api, tmp_path):
    (tmp_path / "other").mkdir()
    (api.account / "ca.crt").write_bytes(Authority(tmp_path / "other").file.read_bytes())
    with pytest.raises(EndpointError, match="does not answer"):
        kubernetes.list_pods("app=bot", account=api.account, environ=api.environ)
    assert api.asked == []


def test_outside_of_a_pod_there_is_no_api(tmp_path):
    with pytest.raises(ConfigError, match="there is no Kubernetes API here; run it in a pod"):
        kubernetes.list_pods("app=bot", account=tmp_path, environ={})
