"""A model server that repeats the credentials of each request, in every encoding, wherever text may stand."""

from __future__ import annotations

import base64
import html
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, quote_plus


def encodings(secret):
    """Return a text with a secret in every encoding."""
    data = secret.encode()
    forms = [
        secret,
        json.dumps(secret),
        json.dumps(json.dumps(secret)),
        json.dumps(secret).replace("/", "\\/"),
        quote(secret, safe=""),
        quote_plus(secret),
        quote(quote(secret, safe=""), safe=""),
        html.escape(secret),
        data.hex(),
        data.hex().upper(),
        *(base64.b64encode(before + data + b"!").decode() for before in (b"", b"me:", b"user:", b"Bearer ")),
        base64.urlsafe_b64encode(b"user:" + data).decode(),
        quote(base64.b64encode(data).decode(), safe=""),
    ]
    return " ; ".join(forms)


def credentials(headers):
    """Return the secret of a request: its bearer token, or its password."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return base64.b64decode(value).decode().partition(":")[2] if scheme.lower() == "basic" else value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        secret = credentials(self.headers)
        said = encodings(secret)
        status, body = getattr(self, asked["model"])(said, asked)
        data = json.dumps(body).encode()
        if asked["model"] == "escaping":  # any character of JSON may be written by its number
            escaped = "".join(f"\\u{ord(character):04x}" for character in secret)
            data = data.replace(b"@escaped@", escaped.encode())
        self.server.served.append(secret)
        self.send_response(status)
        for name, value in {"content-length": len(data), "x-request-id": f"for {secret}", "x-echo": secret}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def answering(self, said, asked):
        call = {"id": said, "type": "function", "function": {"name": said, "arguments": json.dumps({"key": said})}}
        message = {"content": f"{said}\n2", "reasoning_content": said, "tool_calls": [call]}
        usage = {"prompt_tokens": 7, "completion_tokens": 3}
        choice = {"message": message, "finish_reason": "stop"}
        return 200, {"id": said, "model": said, "system_fingerprint": said, "usage": usage, "choices": [choice]}

    def escaping(self, said, asked):
        return 200, {"choices": [{"message": {"content": "@escaped@ is 2"}, "finish_reason": "@escaped@"}]}

    def failing(self, said, asked):
        # The message is cut somewhere in the key.
        return 400, {"error": {"message": "x" * 470 + said, "code": said, "type": said}}

    def breaking(self, said, asked):
        return 200, {"error": said, "no": "choices"}

    def refusing(self, said, asked):
        return 401, {"error": {"message": f"Incorrect API key provided: {said}", "code": "invalid_api_key"}}

    def log_message(self, *_):
        pass


@contextmanager
def errant_server():
    """Serve models named as the methods above; yield the address, ``host:port``, and the secrets that came."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.served = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", server.served
        finally:
            server.shutdown()
            thread.join()
