"""Memory whose neighbours cannot be read: one octet too far, at either end, kills the process.

Knows no HTTP. For the wire tests; run as a program it reads one octet too far, to show that it is fatal.
"""

import ctypes
import mmap

PROT_NONE = 0
ROOM = 8            # pages that can be written


class GuardedRoom:
    """Some pages between two unreadable ones. Raises OSError where the system cannot do that."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, (ROOM + 2) * mmap.PAGESIZE)
        self._view = memoryview(self._memory)
        self.first = mmap.PAGESIZE
        self.last = (ROOM + 1) * mmap.PAGESIZE
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        for page in (0, self.last):
            self._forbid(self.address + page)

    @staticmethod
    def _forbid(address: int) -> None:
        try:
            mprotect = ctypes.CDLL(None, use_errno=True).mprotect
        except (AttributeError, TypeError, OSError) as error:
            raise OSError("no mprotect on this system") from error
        mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        if mprotect(address, mmap.PAGESIZE, PROT_NONE) != 0:
            raise OSError(ctypes.get_errno(), "mprotect failed")

    def at_end(self, octets: bytes) -> memoryview:
        """Return a view of the octets whose last one abuts an unreadable page."""
        start = self.last - len(octets)
        return self._put(start, octets)

    def at_start(self, octets: bytes) -> memoryview:
        """Return a view of the octets whose first one follows an unreadable page."""
        return self._put(self.first, octets)

    def _put(self, start: int, octets: bytes) -> memoryview:
        assert len(octets) <= self.last - self.first, "a case longer than the room"
        self._view[start : start + len(octets)] = octets
        return self._view[start : start + len(octets)].toreadonly()


if __name__ == "__main__":
    room = GuardedRoom()
    assert ctypes.string_at(room.address + room.last - 1, 1) == b"\0"
    ctypes.string_at(room.address + room.last, 1)
