"""Signatures, against those that AWS's own library makes."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.execute.providers.sigv4 import Credentials, sign

NAMES = st.text(st.sampled_from("abcXYZ019.-_~:/@%+ é"), min_size=1, max_size=40).filter(lambda name: name.strip("."))
TEXTS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
HOSTS = st.sampled_from(
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "http://127.0.0.1:4010",
        "https://proxy:443/aws",
        "http://[::1]:80",
    ]
)


@settings(deadline=None)
@given(
    host=HOSTS,
    name=NAMES,
    body=st.binary(max_size=200),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1)),  # noqa: DTZ001 - UTC is put on below
    key=st.tuples(TEXTS, TEXTS, st.none() | TEXTS),
    region=st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1"]),
    agent=st.sampled_from(["headgate", "  two  spaces "]),
)
def test_signatures_are_those_of_botocore(*, host, name, body, now, key, region, agent):
    url = f"{host}/model/{quote(name, safe='')}/converse"
    headers = {"content-type": "application/json", "x-note": agent}
    access_key_id, secret, token = key
    ours = sign(
        url,
        body,
        headers,
        credentials=Credentials(access_key_id=access_key_id, secret_access_key=secret, session_token=token),
        region=region,
        service="bedrock",
        now=now.replace(tzinfo=UTC),
    )
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    with patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=UTC)):
        SigV4Auth(Theirs(access_key_id, secret, token), "bedrock", region).add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")
