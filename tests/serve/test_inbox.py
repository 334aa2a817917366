"""Received lines: durable, rotated, the oldest gone beyond what is kept, never after half a line."""

from __future__ import annotations

import os

import pytest

from headgate.errors import StoreError
from headgate.serve.inbox import Inbox


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_lines_come_back_and_a_restart_begins_a_new_file(tmp_path):
    for line in (b"1", b"2\n3"):
        inbox = Inbox(tmp_path, keep=1 << 30)
        inbox.append(line)
        inbox.sync()
        inbox.close()
    assert b"".join((tmp_path / name).read_bytes() for name in names(tmp_path)) == b"1\n2\n3\n"
    assert names(tmp_path) == ["00000001.jsonl", "00000002.jsonl"]


def test_the_oldest_files_go(tmp_path, monkeypatch):
    monkeypatch.setattr("headgate.serve.inbox._SEGMENT", 100)
    inbox = Inbox(tmp_path, keep=250)
    for _ in range(10):
        inbox.append(b"x" * 99)
    assert names(tmp_path) == ["00000008.jsonl", "00000009.jsonl", "00000010.jsonl"]
    inbox.close()


def test_a_disk_that_refuses_leaves_the_next_line_whole(tmp_path, monkeypatch):
    inbox, real = Inbox(tmp_path, keep=1 << 30), os.write

    def torn(handle, data):
        if len(data) > 5:
            return real(handle, data[:5])
        raise OSError(28, "no space")

    monkeypatch.setattr("headgate.serve.inbox.os.write", torn)
    with pytest.raises(StoreError, match="free some space"):
        inbox.append(b"123456789")
    monkeypatch.undo()
    inbox.append(b"next")
    inbox.close()
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"12345", b"next\n"]
