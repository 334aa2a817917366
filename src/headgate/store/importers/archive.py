"""Members of a zip, those too that zstd packed: Inspect packs its logs so, and Python unpacks it from 3.14 on."""

# pyarrow ships no types.
# pyright: reportUnknownParameterType=false
from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final, Self

import pyarrow as pa

_ZSTD: Final = 93
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")  # signature, then the lengths of name and extra field


class Archive:
    """A zip that is open for reading.

    Raises
    ------
    zipfile.BadZipFile
        If it is none, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._zip = zipfile.ZipFile(self._file)
        except BaseException:
            self._file.close()
            raise
        self.names = self._zip.namelist()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, name: str) -> bytes:
        """Return a member."""
        info = self._zip.getinfo(name)
        if info.compress_type != _ZSTD:
            return self._zip.read(info)
        self._file.seek(info.header_offset)
        signature, *lengths = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        self._file.seek(sum(lengths), 1)
        packed = self._file.read(info.compress_size)
        if signature != b"PK\x03\x04" or len(packed) != info.compress_size:
            raise zipfile.BadZipFile(f"member {name} is cut off")
        try:
            data: bytes = pa.decompress(packed, decompressed_size=info.file_size, codec="zstd", asbytes=True)
        except (pa.ArrowException, OSError) as error:
            raise zipfile.BadZipFile(f"member {name} cannot be unpacked: {error}") from error
        if zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile(f"member {name} has another checksum")
        return data
