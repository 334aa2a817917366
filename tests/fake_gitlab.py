"""A fake of the few routes of GitLab's API that headgate calls, on loopback, and a fake object store beside it."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import tenacity

from headgate.ci.gitlab.api import GitLab
from headgate.execute.secret import Secret

ME, OTHER = 7, 8
TOKEN = "glpat-of-the-test"
AT_ONCE = tenacity.wait_none()


class FakeGitLab:
    """Notes of one merge request and files of one package registry; ``faults`` answer the next requests first."""

    def __init__(self):
        self.notes: list[dict] = []
        self.files: dict[str, bytes] = {}
        self.faults: list[tuple[int, dict, bytes]] = []
        self.requests: list[tuple[str, str, dict, bytes]] = []
        self.duplicates = True
        self.redirect_to: str | None = None

    def add_note(self, body, *, author=ME, system=False):
        number = 100 + len(self.notes)
        self.notes.append({"id": number, "body": body, "system": system, "author": {"id": author}})
        return number

    def answer(self, method, url, headers, body):
        self.requests.append((method, url, headers, body))
        if self.faults:
            return self.faults.pop(0)
        parts = urlsplit(url)
        path = parts.path.removeprefix("/api/v4")
        if path.startswith("/projects/5/packages/generic/"):
            return self._package(method, path, body)
        if headers.get("private-token") != TOKEN:
            return 401, {}, b'{"message":"401 Unauthorized"}'
        if (method, path) == ("GET", "/user"):
            return _json({"id": ME})
        return self._note(method, path, parse_qs(parts.query), body)

    def _note(self, method, path, query, body):
        notes = "/projects/5/merge_requests/12/notes"
        if (method, path) == ("GET", notes):
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return _json(self.notes[(page - 1) * size : page * size])
        if (method, path) == ("POST", notes):
            self.add_note(json.loads(body)["body"])
            return _json(self.notes[-1], 201)
        found = [note for note in self.notes if path == f"{notes}/{note['id']}"]
        if method != "PUT" or not found:
            return 404, {}, b"{}"
        found[0]["body"] = json.loads(body)["body"]
        return _json(found[0])

    def _package(self, method, path, body):
        if method == "PUT":
            if path in self.files and not self.duplicates:
                return 400, {}, b'{"message":"400 Bad request - Duplicate package is not allowed"}'
            self.files[path] = body
            return 201, {}, b'{"message":"201 Created"}'
        if path not in self.files:
            return 404, {}, b'{"message":"404 Package Not Found"}'
        if self.redirect_to is not None:
            return 302, {"Location": self.redirect_to + path}, b""
        return 200, {}, self.files[path]


def _json(data, status=200):
    return status, {"Content-Type": "application/json"}, json.dumps(data).encode()


@contextlib.contextmanager
def serve(answer):
    """Yield the URL of a loopback server that answers with ``answer(method, url, headers, body)``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, data = answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _do  # noqa: N815

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client(url, *, header="PRIVATE-TOKEN", token=TOKEN):
    return GitLab(f"{url}/api/v4", header=header, token=Secret(token), pause=AT_ONCE)
