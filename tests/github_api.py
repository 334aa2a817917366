"""A local fake of the few routes of GitHub's REST API that headgate calls, which misbehaves on request."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_made_up"


class GitHub:
    """State of the fake: comments, pulls, and answers that come first.

    Attributes
    ----------
    failures : list of (method, status, headers)
        The next call of that method gets that answer; afterwards it is as usual.
    lost : list of str
        The next call of such a method does its work, and its answer is 502.
    """

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.pulls: list[dict[str, Any]] = []
        self.login: str | None = None
        self.read_only = False
        self.failures: list[tuple[str, int, dict[str, str]]] = []
        self.lost: list[str] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.next_host: str | None = None
        self.url = ""

    def add(self, body: str, *, login: str = "github-actions[bot]", kind: str = "Bot") -> dict[str, Any]:
        user = {"login": login, "type": kind}
        self.comments.append({"id": 1000 + len(self.comments), "body": body, "user": user})
        return self.comments[-1]

    @property
    def calls(self) -> list[str]:
        return [f"{method} {path.partition('?')[0]}" for method, path, _ in self.requests]


@contextmanager
def serving() -> Iterator[GitHub]:
    """Serve a fake GitHub on loopback."""
    github = GitHub()
    handler = type("Handler", (_Handler,), {"github": github})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    github.url = f"http://127.0.0.1:{server.server_port}/api/v3"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    github: GitHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        pass

    def _handle(self) -> None:
        github = self.github
        size = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        github.requests.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        for place, (method, status, headers) in enumerate(github.failures):
            if method == self.command:
                del github.failures[place]
                self._answer(status, {"message": "as asked"}, headers)
                return
        status, answer, headers = self._routed(urlsplit(self.path), body)
        if self.command in github.lost:
            github.lost.remove(self.command)
            status = 502
        self._answer(status, answer, headers)

    do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - names of the standard library

    def _routed(self, url, body):
        github, path = self.github, url.path.removeprefix("/api/v3")
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}, {}
        if path == "/user":
            return (200, {"login": github.login}, {}) if github.login else (403, {"message": "integration"}, {})
        if path == "/repos/shop/bot/pulls":
            owner, _, ref = parse_qs(url.query)["head"][0].partition(":")
            found = [
                p for p in github.pulls if p["head"]["ref"] == ref and p["head"]["repo"]["owner"]["login"] == owner
            ]
            return self._page(url, found)
        if path == "/repos/shop/bot/issues/12/comments" and self.command == "GET":
            return self._page(url, github.comments)
        return self._written(path, body)

    def _written(self, path, body):
        github = self.github
        if github.read_only:
            return 403, {"message": "Resource not accessible by integration"}, {}
        if path == "/repos/shop/bot/issues/12/comments":
            if len(body["body"]) > 65_536:
                return 422, {"message": "too long"}, {}
            return 201, github.add(body["body"]), {}
        match = re.fullmatch(r"/repos/shop/bot/issues/comments/(\d+)", path)
        for comment in github.comments if match and self.command == "PATCH" else ():
            if comment["id"] == int(match[1]):
                comment["body"] = body["body"]
                return 200, comment, {}
        return 404, {"message": "Not Found"}, {}

    def _page(self, url, entries):
        asked = parse_qs(url.query)
        size, number = int(asked["per_page"][0]), int(asked.get("page", ["1"])[0])
        shown = entries[(number - 1) * size : number * size]
        if number * size >= len(entries):
            return 200, shown, {}
        host = self.github.next_host or self.github.url.removesuffix("/api/v3")
        query = "&".join(f"{key}={values[0]}" for key, values in asked.items() if key != "page")
        return 200, shown, {"link": f'<{host}{url.path}?{query}&page={number + 1}>; rel="next"'}

    def _answer(self, status, body, headers) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for key, value in {**headers, "content-type": "application/json", "content-length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)
