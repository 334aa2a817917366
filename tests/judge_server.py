"""A loopback server in OpenAI's shape that answers whatever is asked of it: text, a tool call, JSON of a schema."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class JudgeServer:
    """What it was asked, and how it answers: ``text``, or a value of a schema that ``likes`` fills by property name."""

    def __init__(self, *, text="yes", likes=None, statuses=()):
        self.text, self.likes, self.statuses = text, dict(likes or {}), list(statuses)
        self.requests, self.base_url = [], ""

    def answer(self, request):
        message = {"role": "assistant", "content": self.text}
        if tools := request.get("tools"):
            shape = tools[0]["function"]
            arguments = json.dumps(self.fill(shape["parameters"], shape["parameters"]))
            call = {"id": "c1", "type": "function", "function": {"name": shape["name"], "arguments": arguments}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        elif (form := request.get("response_format", {})).get("type") == "json_schema":
            schema = form["json_schema"]["schema"]
            message["content"] = json.dumps(self.fill(schema, schema))
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": "r", "object": "chat.completion", "model": "judge", "choices": [choice], "usage": usage}

    def fill(self, schema, root, name=""):
        if name in self.likes:
            return self.likes[name]
        if "$ref" in schema:
            return self.fill(root["$defs"][schema["$ref"].rpartition("/")[2]], root, name)
        for key in ("enum", "anyOf", "oneOf", "allOf"):
            if key in schema:
                return schema[key][0] if key == "enum" else self.fill(schema[key][0], root, name)
        match schema.get("type"):
            case "object":
                return {key: self.fill(one, root, key) for key, one in schema.get("properties", {}).items()}
            case "array":
                return [self.fill(schema["items"], root, name)]
            case "number" | "integer":
                return 1
            case "boolean":
                return True
            case _:
                return self.text


@contextmanager
def judge_server(**options):
    judge = JudgeServer(**options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            judge.requests.append((self.path, headers, request))
            status = judge.statuses.pop(0) if judge.statuses else 200
            body = json.dumps(judge.answer(request) if status == 200 else {"error": {"message": "no"}}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    judge.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield judge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
