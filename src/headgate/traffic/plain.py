"""Rows that an application writes itself: one flat or nested record each, as JSONL or Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.identity import digest_bytes
from headgate.traffic.row import FIELDS, Bad, Columns, Found, lookup, make_row


def read_plain(record: Any, columns: Columns) -> list[Found]:
    """Return the row of a record whose columns bear the names of the fields, unless ``columns`` says otherwise.

    ``latency_ms`` stands for ``latency_s`` where the log counts milliseconds. Records without an ``id`` that are the
    same in everything are one row.

    Examples
    --------
    >>> record = {"ts": 1767225600, "id": "a", "answer": "yes", "latency_ms": 250}
    >>> (row,) = read_plain(record, {"time": "ts", "output": "answer"})
    >>> row.output, row.latency_s
    ('yes', 0.25)
    """
    if not isinstance(record, Mapping):
        return [Bad("is no record of named columns")]
    fields = {name: record.get(name) for name in FIELDS}
    for name, column in columns.items():
        fields[name] = lookup(record, column)
    if fields["latency_s"] is None:
        fields["latency_s"] = milliseconds(lookup(record, columns.get("latency_ms", "latency_ms")))
    return [make_row(fields, record, default_id=lambda: content_id(record))]


def milliseconds(value: Any) -> Any:
    """Return milliseconds as seconds; what is no number stays as it is, for the error to name it."""
    return value / 1000 if isinstance(value, int | float) and not isinstance(value, bool) else value


def content_id(record: Any) -> str:
    """Return an id for a record that has none: a digest of all that it says."""
    return digest_bytes(msgspec.json.encode(record, order="sorted", enc_hook=str))
