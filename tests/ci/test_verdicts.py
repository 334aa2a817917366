from __future__ import annotations

import json

import pytest

from headgate.ci.verdicts import read_verdict
from headgate.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "a verdict cannot be read from it"),
        ("[]", "is not a headgate.verdict/v1 document"),
        (json.dumps({"schema": "headgate.verdict/v2"}), "is not a headgate.verdict/v1 document"),
        (json.dumps({"schema": "headgate.verdict/v1", "verdict": "pass"}), "a verdict cannot be read from it"),
    ],
)
def test_what_is_no_verdict_is_named(tmp_path, text, why):
    (tmp_path / "verdict.json").write_text(text)
    for source in (tmp_path, tmp_path / "verdict.json"):
        with pytest.raises(ConfigError, match=why) as refused:
            read_verdict(source)
        assert str(refused.value).startswith(str(tmp_path / "verdict.json"))


def test_a_folder_without_a_verdict_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"verdict\.json: there is no such file"):
        read_verdict(tmp_path)
