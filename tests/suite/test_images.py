"""Images of prompts: addresses, data URLs and files below the suite's folder."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import ConfigError
from headgate.registry.load import load_prompts
from headgate.suite.images import MAX_IMAGE, Images
from headgate.suite.items import ItemFile, Row, write_items
from headgate.suite.prompts import MessagePart, Prompt
from headgate.suite.suite import Suite

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HEADS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/gif": b"GIF89a\x01\x00",
    "image/webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
}
PHOTO = Prompt(name="p", messages=(("user", (MessagePart("text", "Name it."), MessagePart("image", "{{ photo }}"))),))


def data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(("kind", "content"), HEADS.items(), ids=list(HEADS))
def test_a_file_becomes_a_data_url_of_what_it_is(tmp_path: Path, kind: str, content: bytes):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "photo.bin").write_bytes(content)
    found: dict[str, str] = {}
    assert Images(tmp_path).url(" a/photo.bin\n", found) == data_url(kind, content)
    assert list(found) == ["a/photo.bin"]


@pytest.mark.parametrize("url", ["https://h/x.png", "HTTP://h/x?y=1", data_url("image/png", PNG)])
def test_a_url_stays(tmp_path: Path, url: str):
    found: dict[str, str] = {}
    assert Images(tmp_path).url(url, found) == url
    assert found == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no image"),
        ("/etc/passwd", "is no image"),
        ("a/../../secret.png", "is no image"),
        ("file:///etc/passwd", "is no image"),
        ("ftp://h/x.png", "is no image"),
        ("gone.png", "cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
        ("text.png", "is no image that models take"),
        ("a\0b", "is no image"),
        ("data:image/png;base64,@@", "not base64"),
        ("data:image/png;base64,aGVsbG8=", "is no image that models take"),
        (data_url("image/jpeg", PNG), "says that it is image/jpeg, and is image/png"),
        ("data:text/html;base64,aGVsbG8=", "is no image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, text: str, problem: str):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ConfigError, match=problem):
        Images(tmp_path).url(text, {})


def test_a_large_image_is_refused(tmp_path: Path):
    with (tmp_path / "large.png").open("wb") as file:
        file.write(PNG)
        file.truncate(MAX_IMAGE + 1)
    with pytest.raises(ConfigError, match="is larger than 20 MiB"):
        Images(tmp_path).url("large.png", {})


def a_row(number: int, **variables: Any) -> Row:
    return Row(number=number, line=None, item_id=f"i{number}", cluster=None, target=None, variables=variables)


def test_items_hold_images_and_their_digests_cover_them(tmp_path: Path):
    (tmp_path / "photo.png").write_bytes(PNG)
    rows = [a_row(number, photo="photo.png" if number % 2 else "https://h/x.png") for number in range(40)]
    first = write_items(rows, [PHOTO], tmp_path / "items.parquet", base=tmp_path)
    items = ItemFile(tmp_path / "items.parquet")
    assert [items[number].item_id for number in (0, 39, 17)] == ["i0", "i39", "i17"]
    assert json.loads(items[17].messages["p"]) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Name it."},
                {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}},
            ],
        }
    ]
    digests = items.digests
    (tmp_path / "photo.png").write_bytes(HEADS["image/gif"])
    second = write_items(rows, [PHOTO], tmp_path / "items.parquet", base=tmp_path)
    changed = ItemFile(tmp_path / "items.parquet").digests
    assert first.digest != second.digest
    same = [changed[16 * number :][:16] == digests[16 * number :][:16] for number in range(40)]
    assert same == [number % 2 == 0 for number in range(40)]


def test_items_of_text_keep_their_digests(tmp_path: Path):
    """Of before images: a stored baseline stays one."""
    prompt = Prompt(name="p", messages=(("user", "{{ q }}"),))
    written = write_items([a_row(1, q="1+1"), a_row(2, q="2+2")], [prompt], tmp_path / "items.parquet")
    assert written.digest == "220ca279a658247bf1541b72612fffe8"


def test_a_bad_image_names_the_row_and_the_prompt(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"prompts\.p\.messages\.0: 'gone\.png' is an image .* \(row 1\)"):
        write_items([a_row(1, photo="gone.png")], [PHOTO], tmp_path / "items.parquet", base=tmp_path)
    assert not list(tmp_path.iterdir())


def suite_with(content: Any, role: str = "user") -> Suite:
    return Suite(
        name="s",
        items=[{"photo": "https://h/x.png"}],
        prompts={"p": [{"role": role, "content": content}]},
        models=[{"id": "m", "provider": "simulated"}],
    )


def test_a_suite_declares_parts():
    (prompt,) = load_prompts(suite_with([{"text": "Name it."}, {"image": "{{ photo }}", "detail": "low"}]))
    assert prompt.has_images
    assert prompt.variables == {"photo"}
    assert prompt.fill({"photo": "https://h/x.png"}) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Name it."},
                {"type": "image_url", "image_url": {"url": "https://h/x.png", "detail": "low"}},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("content", "role", "problem"),
    [
        ([], "user", "holds no part"),
        ([{"text": "a", "image": "b"}], "user", "give either `text` or `image`"),
        ([{}], "user", "give either `text` or `image`"),
        ([{"text": "a", "detail": "low"}], "user", "`detail` goes with `image`"),
        ([{"image": "{{"}], "user", "not a jinja2 template"),
        ([{"image": "x"}], "system", "an image stands in a message of the user"),
        ([{"audio": "x"}], "user", "audio"),
    ],
)
def test_parts_that_are_none(content: Any, role: str, problem: str):
    with pytest.raises(ConfigError, match=problem):
        suite_with(content, role)


def test_the_digest_of_a_prompt_covers_its_parts():
    plain = Prompt(name="p", messages=(("user", "Name it."),))
    assert plain.digest == "733b8152c50a1732c64aa3ad61558c0c"  # as before there were parts
    text = Prompt(name="p", messages=(("user", (MessagePart("text", "Name it."),)),))
    detailed = Prompt(
        name="p", messages=(("user", (*PHOTO.messages[0][1][:1], MessagePart("image", "{{ photo }}", "low"))),)
    )  # type: ignore[arg-type]
    spaced = Prompt(
        name="q", messages=(("user", (MessagePart("text", "Name it."), MessagePart("image", "{{photo}}"))),)
    )
    assert len({plain.digest, text.digest, PHOTO.digest, detailed.digest}) == 4
    assert spaced.digest == PHOTO.digest
