"""Members of a zip that zstd packed."""

from __future__ import annotations

import struct
import zipfile
import zlib

import pyarrow as pa
import pytest

from headgate.store.importers.archive import Archive


def zstd_zip(path, members):
    """Write a zip whose members zstd packed: stored ones, whose headers then say so."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, pa.compress(data, codec="zstd", asbytes=True))
        infos = archive.infolist()
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    for info, data in zip(infos, members.values(), strict=True):
        for start, shift in ((info.header_offset, 0), (central, 2)):
            struct.pack_into("<H", raw, start + 8 + shift, 93)
            struct.pack_into("<I", raw, start + 14 + shift, zlib.crc32(data))
            struct.pack_into("<I", raw, start + 22 + shift, len(data))
        name, extra, comment = struct.unpack_from("<HHH", raw, central + 28)
        central += 46 + name + extra + comment
    path.write_bytes(raw)


MEMBERS = {"header.json": b"{}", "samples/1.json": b'{"id": 1}' * 1000, "empty": b""}


def test_members_are_read_as_they_were_written(tmp_path):
    zstd_zip(tmp_path / "a", MEMBERS)
    with Archive(tmp_path / "a") as archive:
        assert {name: archive.read(name) for name in archive.names} == MEMBERS


def test_members_that_zlib_packed_are_read_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"y" * 1000)
    with Archive(tmp_path / "a") as archive:
        assert archive.read("x") == b"y" * 1000


@pytest.mark.parametrize("place", [40, 60], ids=str)
def test_damage_is_seen(tmp_path, place):
    zstd_zip(tmp_path / "a", {"x": bytes(range(256)) * 8})
    raw = bytearray((tmp_path / "a").read_bytes())
    raw[place] ^= 0xFF
    (tmp_path / "a").write_bytes(raw)
    with Archive(tmp_path / "a") as archive, pytest.raises(zipfile.BadZipFile):
        archive.read("x")
