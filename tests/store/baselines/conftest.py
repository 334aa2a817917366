from __future__ import annotations

import logging
import os

import httpx
import pytest
from moto.server import ThreadedMotoServer

from stored_baselines import BUCKET, make_place


@pytest.fixture(scope="session")
def s3_url():
    """A loopback server that speaks S3, with an empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    httpx.put(f"{url}/{BUCKET}").raise_for_status()
    yield url
    server.stop()


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
