from __future__ import annotations

import logging
import os
import threading

import httpx
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from stored_baselines import BUCKET, make_place


@pytest.fixture(scope="session")
def s3_url():
    """A loopback server that speaks S3, with an empty bucket.

    It serves one request at a time: moto looks whether an object is there and then writes it, which S3 does in one.
    """
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    httpx.put(f"{url}/{BUCKET}").raise_for_status()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(s3_url, monkeypatch):
    """Let the environment name the server and its keys, as a user does."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    given = {"ENDPOINT_URL": s3_url, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in {**given, "ACCESS_KEY_ID": "someone", "SECRET_ACCESS_KEY": "canary-secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return s3_url


@pytest.fixture
def place(request, tmp_path):
    """An empty place of the kind that the test names."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    return make_place(request.param, tmp_path)
