"""Bundles in object stores: what refuses, and what is kept secret."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headgate.errors import ConfigError, StoreError
from headgate.store.baselines.objects import open_objects

FILES = {"entry.json": b"{}", "a": b"a"}
WHEN = "2026-01-01T00:00:00+00:00"


class _WebDav(BaseHTTPRequestHandler):
    """A read-only server with one bundle."""

    def do_PROPFIND(self):
        paths = ["/b/names/main/00000001/entry.json", "/b/names/main/00000001/a"]
        found = "".join(
            f"<response><href>{path}</href><propstat><prop><getcontentlength>2</getcontentlength>"
            "<getlastmodified>Thu, 01 Jan 2026 00:00:00 GMT</getlastmodified><resourcetype/></prop>"
            "<status>HTTP/1.1 200 OK</status></propstat></response>"
            for path in paths
        )
        self._answer(207, f'<multistatus xmlns="DAV:">{found}</multistatus>'.encode())

    def do_GET(self):
        self._answer(200, b"{}") if self.path.split("?")[0].endswith("entry.json") else self._answer(403, b"no")

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def webdav():
    with ThreadingHTTPServer(("127.0.0.1", 0), _WebDav) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://someone:canary@127.0.0.1:{server.server_port}/b?sig=canary"
        server.shutdown()
        thread.join()


def test_over_plain_http_baselines_are_read_and_not_written(webdav):
    place = open_objects(webdav)
    assert place.names("names") == ["names/main/00000001"]
    assert b"".join(place.read("names/main/00000001", "entry.json")) == b"{}"
    with pytest.raises(ConfigError, match="cannot create an object only if there is none; save to s3://"):
        place.create("names/main/00000002", FILES, created=WHEN)


def test_a_login_or_a_signature_in_the_address_is_never_shown(webdav):
    place = open_objects(webdav)
    assert place.address.startswith("http://127.0.0.1:")
    with pytest.raises(StoreError) as refused:
        b"".join(place.read("names/main/00000001", "a"))
    with pytest.raises(ConfigError) as unknown:
        open_objects("gopher://someone:canary@host/b?sig=canary")
    for text in (place.address, str(refused.value), str(unknown.value)):
        assert "canary" not in text
    assert "names/main/00000001/a: cannot read" in str(refused.value)


@pytest.mark.parametrize("url", ["gopher://b/c", "s3://", "az://account-without-a-container"])
def test_a_url_that_nothing_opens_is_refused(url, monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ConfigError, match=r"store: .*cannot be opened: .*; write it like s3://bucket/folder"):
        open_objects(url)


def test_a_bucket_that_is_not_there_is_named_and_no_secret_is(s3):
    place = open_objects("s3://no-such-bucket/b")
    for act in (lambda: place.names("names"), lambda: place.create("names/main/00000001", FILES, created=WHEN)):
        with pytest.raises(StoreError, match="s3://no-such-bucket/b") as refused:
            act()
        assert "canary" not in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1


def test_memory_lasts_as_long_as_the_process():
    name = "names/only-here/00000001"
    assert open_objects("memory:///").create(name, FILES, created=WHEN)
    assert open_objects("memory:///").names("names/only-here") == [name]
