"""A zip archive written front to back, with memory that does not grow with what is in it (PKWARE's APPNOTE).

The sizes of a file stand behind its octets, so nothing has to be known of them before, and the directory at
the end waits in a temporary file where it is large. The standard library's zipfile keeps every entry instead.

Knows octets and a function that takes them, and no HTTP. handlers.archive calls it.
"""

import binascii
import itertools
import os
import stat
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Final

SAMPLE: Final = 1 << 15  # octets of a file by which it is judged
IN_MEMORY: Final = 1 << 20  # octets of the directory that are not put into a file

LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
DESCRIPTOR: Final = struct.Struct("<4sLLL")
LONG_DESCRIPTOR: Final = struct.Struct("<4sLQQ")
CENTRAL: Final = struct.Struct("<4sHHHHHHLLLHHHHHLL")
END: Final = struct.Struct("<4sHHHHLLH")
LONG_END: Final = struct.Struct("<4sQHHLLQQQQ")
LONG_END_PLACE: Final = struct.Struct("<4sLQL")

PLAIN, DEFLATED = 0, 8
SIZES_FOLLOW: Final = 1 << 3
IS_UTF8: Final = 1 << 11
VERSION: Final = 20
LONG_VERSION: Final = 45  # zip64
UNIX: Final = 3 << 8
FOLDER: Final = 0x10  # as DOS has it

FULL_16, FULL_32 = 0xFFFF, 0xFFFFFFFF
# From here on the sizes of a file are of 8 octets: what cannot be deflated becomes a little longer.
LONG_FILE: Final = 0xF0000000


def dos_time(seconds: float) -> tuple[int, int]:
    """Return the time and the date of a moment as DOS has them: local, of two seconds, from 1980 to 2107."""
    try:
        year, month, day, hour, minute, second = time.localtime(seconds)[:6]
    except (OverflowError, ValueError, OSError):
        year, month, day, hour, minute, second = 1980, 1, 1, 0, 0, 0
    if not 1980 <= year <= 2107:
        year, month, day, hour, minute, second = min(max(year, 1980), 2107), 1, 1, 0, 0, 0
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def exact_time(seconds: float) -> bytes:
    """Return the extra field with a time that is not local (Info-ZIP's "UT"); none where 32 bits end."""
    whole = int(seconds)
    return struct.pack("<HHBl", 0x5455, 5, 1, whole) if -(1 << 31) <= whole < 1 << 31 else b""


def long_sizes(*numbers: int) -> bytes:
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""


class ZipWriter:
    """Writes an archive through ``write``, a function that takes bytes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write_out = write
        self._offset = 0
        self._entries = 0
        self._directory = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115

    def _write(self, data: bytes) -> None:
        self._write_out(data)
        self._offset += len(data)

    def add_folder(self, name: bytes, status: os.stat_result) -> None:
        """Add a folder; ``name`` ends with a slash."""
        self._add(name, status, ())

    def add_file(self, name: bytes, status: os.stat_result, blocks: Iterable[bytes], level: int) -> None:
        """Add a file of which ``status`` tells mode, time and how many octets ``blocks`` give at most.

        ``level`` is zlib's, and 0 for what has no use for another. A file is never stored plainly: a reader
        that does not know its length finds the end of it by the coding.
        """
        self._add(name, status, blocks, level)

    def _add(self, name: bytes, status: os.stat_result, blocks: Iterable[bytes], level: int = 0) -> None:
        is_file = stat.S_ISREG(status.st_mode)
        is_long = is_file and status.st_size >= LONG_FILE
        version = LONG_VERSION if is_long else VERSION
        flags = (SIZES_FOLLOW if is_file else 0) | (IS_UTF8 if is_utf8(name) else 0)
        method = DEFLATED if is_file else PLAIN
        moment, offset, stamp = dos_time(status.st_mtime), self._offset, exact_time(status.st_mtime)
        sizes = FULL_32 if is_long else 0
        extra = (long_sizes(0, 0) if is_long else b"") + stamp
        self._write(LOCAL.pack(b"PK\3\4", version, flags, method, *moment, 0, sizes, sizes,
                               len(name), len(extra)) + name + extra)
        crc = size = packed = 0
        if is_file:
            crc, size, packed = self._deflate(blocks, level)
            descriptor = LONG_DESCRIPTOR if is_long else DESCRIPTOR
            self._write(descriptor.pack(b"PK\7\x08", crc, packed, size))
        large = [number for number in (size, packed, offset) if number >= FULL_32]
        extra = long_sizes(*large) + stamp
        version = LONG_VERSION if large or is_long else VERSION
        self._directory.write(
            CENTRAL.pack(b"PK\1\2", UNIX | version, version, flags, method, *moment, crc,
                         min(packed, FULL_32), min(size, FULL_32), len(name), len(extra), 0, 0, 0,
                         (status.st_mode & FULL_16) << 16 | (0 if is_file else FOLDER), min(offset, FULL_32))
            + name + extra)
        self._entries += 1

    def _deflate(self, blocks: Iterable[bytes], level: int) -> tuple[int, int, int]:
        """Returns check sum, size, and size as it is written."""
        blocks = iter(blocks)
        first = next(blocks, b"")
        packer = zlib.compressobj(0 if is_dense(first) else level, zlib.DEFLATED, -zlib.MAX_WBITS)
        crc = size = 0
        start = self._offset
        for block in itertools.chain([first], blocks):
            crc = binascii.crc32(block, crc)
            size += len(block)
            packed = packer.compress(block)
            if packed:
                self._write(packed)
        self._write(packer.flush())
        return crc, size, self._offset - start

    def finish(self) -> None:
        """Write the directory and the end."""
        start, size = self._offset, self._directory.tell()
        self._directory.seek(0)
        while block := self._directory.read(1 << 16):
            self._write(block)
        end, entries = self._offset, self._entries
        if entries >= FULL_16 or size >= FULL_32 or start >= FULL_32:
            self._write(LONG_END.pack(b"PK\6\6", LONG_END.size - 12, UNIX | LONG_VERSION, LONG_VERSION, 0, 0,
                                      entries, entries, size, start)
                        + LONG_END_PLACE.pack(b"PK\6\7", 0, end, 1))
        entries, size, start = min(entries, FULL_16), min(size, FULL_32), min(start, FULL_32)
        self._write(END.pack(b"PK\5\6", 0, 0, entries, entries, size, start, 0))

    def close(self) -> None:
        """Give up what waits for the end."""
        self._directory.close()


def is_dense(octets: bytes) -> bool:
    """Whether deflating what begins so is in vain: it takes thirty times as long as copying."""
    sample = octets[:SAMPLE]
    return len(zlib.compress(sample, 1)) > len(sample) * 0.97


def is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
