"""A key is taken out of what a server says, however it encodes it; a suite's patterns likewise."""

from __future__ import annotations

import base64
import html
import json
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.execute.answer import Answer, Failure
from headgate.execute.redaction import _TEXTS, KeyRedaction, PatternRedaction
from headgate.execute.secret import Secret, url_secrets
from headgate.execute.transport import Response

PRINTABLE = "".join(character for character in string.printable if character.isprintable())
HARD = "sk-ca/na+ry=0\"1\\2%3&4<5>'6 7"
keys = st.text(PRINTABLE, min_size=8, max_size=24).map(str.strip).filter(lambda key: len(key) >= 8)
around = st.text(PRINTABLE, max_size=6)

ENCODINGS = {
    "as it is": str,
    "json": lambda key: json.dumps(key)[1:-1],
    "json twice": lambda key: json.dumps(json.dumps(key))[3:-3],
    "json of php": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "json of go": lambda key: "".join(f"\\u{ord(c):04x}" if c in "<>&" else json.dumps(c)[1:-1] for c in key),
    "url": lambda key: quote(key, safe=""),
    "url in lower case": lambda key: "".join(f"%{ord(c):02x}" if not c.isalnum() else c for c in key),
    "form": quote_plus,
    "url twice": lambda key: quote(quote(key, safe=""), safe=""),
    "html": html.escape,
    "hexadecimal": lambda key: key.encode().hex(),
    "HEXADECIMAL": lambda key: key.encode().hex().upper(),
}
BASE64 = {
    "base64": base64.b64encode,
    "base64 for urls": base64.urlsafe_b64encode,
    "base64 in a url": lambda data: quote(base64.b64encode(data), safe="").encode(),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@settings(max_examples=30, deadline=None)
@given(key=keys, before=around, after=around)
@example(key=HARD, before="", after="")
def test_no_encoding_hides_a_key(encode, key, before, after):
    said = f"{before} {encode(key)} {after}"
    hidden = KeyRedaction([Secret(key)]).text(said)
    assert "***" in hidden
    assert len(hidden) <= len(said) - len(encode(key)) + 3


@pytest.mark.parametrize("encode", BASE64.values(), ids=BASE64)
@settings(max_examples=30, deadline=None)
@given(key=keys, before=around, after=around)
@example(key=HARD, before="user:", after="")
def test_base64_of_more_than_the_key_hides_none_either(encode, key, before, after):
    said = encode(f"{before}{key}{after}".encode()).decode()
    hidden = KeyRedaction([Secret(key)]).text(f"credentials {said}, no more")
    left = hidden.removeprefix("credentials ").removesuffix(", no more").split("***")
    assert len(left) > 1
    assert len("".join(left)) <= len(encode(before.encode())) + len(encode(after.encode())) + 8


@given(text=st.text(max_size=200))
def test_what_holds_no_key_stays(text):
    assert KeyRedaction([Secret(HARD)]).text(text) == text


def test_a_placeholder_spoils_no_answer():
    outcome = Answer(output="none of them is EMPTY")
    assert KeyRedaction([Secret("none"), Secret("EMPTY")]).outcome(outcome) is outcome


def test_every_text_of_an_outcome():
    texts = ("output", "reasoning", "stop_reason", "served_model", "request_id", "system_fingerprint")
    assert {*texts, "tool_calls_json"} <= set(_TEXTS[Answer])
    assert _TEXTS[Failure] == ("message",)
    said = Answer(**dict.fromkeys(texts, f"Bearer {HARD}"), tool_calls_json=json.dumps([HARD]), input_tokens=3)
    hidden = KeyRedaction([Secret(HARD)]).outcome(said)
    assert hidden == Answer(**dict.fromkeys(texts, "Bearer ***"), tool_calls_json='["***"]', input_tokens=3)
    failed = KeyRedaction([Secret(HARD)]).outcome(Failure(kind="auth", message=f"no {HARD}", http_status=401))
    assert failed == Failure(kind="auth", message="no ***", http_status=401)


def test_a_body_whose_json_escapes_every_character():
    escaped = "".join(f"\\u{ord(character):04x}" for character in HARD)
    response = Response(401, {}, f'{{"error": "{escaped}"}}'.encode())
    assert KeyRedaction([Secret(HARD)]).response(response).body == b'{"error": "***"}'


def test_secrets_of_a_url():
    found = url_secrets("https://me:p%40ssword@host/v1?api-key=abc%2Bdef&api-version=2024-10-21")
    assert [secret.reveal() for secret in found] == ["p@ssword", "abc+def"]
    assert not list(url_secrets("http://vllm:8000/v1"))


def test_patterns_in_every_text_and_inside_tool_calls():
    said = Answer(
        output="call 555-0100",
        reasoning="555-0100 it is",
        tool_calls_json='[{"function":{"arguments":"{\\"to\\":\\"555-0100\\"}"},"index":0}]',
    )
    redaction = PatternRedaction([r"\d{3}-\d{4}", "it is$"])
    changed = redaction.outcome(said)
    assert (changed.output, changed.reasoning) == ("call [redacted]", "[redacted] [redacted]")
    assert json.loads(json.loads(changed.tool_calls_json)[0]["function"]["arguments"]) == {"to": "[redacted]"}
    failed = redaction.outcome(Failure(kind="invalid_request", message="your prompt: 555-0100"))
    assert failed.message == "your prompt: [redacted]"


@pytest.mark.parametrize(("output", "kept"), [("call 555", False), ("call me", True)])
def test_tokens_do_not_spell_out_what_was_taken_out(output, kept):
    said = Answer(output=output, logprobs_json='[{"token":"call 5","logprob":-0.1},{"token":"55","logprob":-0.2}]')
    assert (PatternRedaction([r"\d{3}"]).outcome(said).logprobs_json is not None) is kept
