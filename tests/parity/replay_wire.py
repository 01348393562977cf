"""Answers as they are on the wire, head and all, to be compared octet by octet; and the ways to ask for them.

Only what cannot be the same twice is masked: Date, the boundary of several parts, and Last-Modified where it
is Date, that of a file from the future. That a connection ends is part of an answer. Knows no server.
"""

import contextlib
import email.utils
import random
import re
import socket
from collections.abc import Callable, Collection, Iterator, Sequence

from .replay_corpus import Asked

END = b"<the end>"
DATE = re.compile(rb"(?<=\r\nDate: )[^\r]*")
MODIFIED = re.compile(rb"(?<=\r\nLast-Modified: )[^\r]*")
BOUNDARY = re.compile(rb"\r\nContent-type: multipart/byteranges; boundary=([^\r]*)")
LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nConnection: close\r\n", re.IGNORECASE)
BODILESS = (b"204", b"304")
LOOK = 2  # seconds between Date and what was Date a moment before, or after

Connect = Callable[[], socket.socket]


def mask(octets: bytes) -> bytes:
    head, mark, body = octets.partition(b"\r\n\r\n")
    head += mark[:2]
    if (date := DATE.search(head)) and (modified := MODIFIED.search(head)):
        apart = [email.utils.parsedate_to_datetime(found[0].decode()) for found in (date, modified)]
        if abs((apart[0] - apart[1]).total_seconds()) <= LOOK:
            head = MODIFIED.sub(b"now", head)
    masked = DATE.sub(b"now", head) + mark[2:] + body
    return masked.replace(found[1], b"boundary") if (found := BOUNDARY.search(head)) else masked


class Wire:
    """A connection after the other, each used as long as it can be."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._sock: socket.socket | None = None
        self._buffer = bytearray()

    def send(self, data: bytes) -> None:
        if self._sock is None:
            self._sock = self._connect()
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        with contextlib.suppress(ConnectionError):  # it need not read on; its answer is read all the same
            self._sock.sendall(data)

    def ask(self, asked: Asked) -> bytes:
        self.send(asked.octets)
        return self.take(asked)

    def take(self, asked: Asked) -> bytes:
        """The next answer, masked, with the interim ones before it."""
        octets = self._one(asked.method)
        if re.match(rb"HTTP/1\.. 1\d\d ", octets):
            return octets + self.take(asked)
        closes = CLOSE.search(octets.partition(b"\r\n\r\n")[0] + b"\r\n")
        if closes or asked.is_last or not octets.startswith(b"HTTP/1.1 "):
            octets += self._rest() + END  # of which nothing but the end should come, and soon
            self.close()
        return mask(octets)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self._buffer.clear()

    def _one(self, method: str) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0 or not self._buffer.startswith(b"HTTP/"):
            if not self._receive():
                return self._cut(len(self._buffer))
        size = end + 4
        head = bytes(self._buffer[:size])
        length = LENGTH.search(head)
        if method != "HEAD" and head[9:12] not in BODILESS and length:
            size += int(length[1])
        while len(self._buffer) < size:
            assert self._receive(), f"{len(self._buffer)} of {size} octets came: {head!r}"
        return self._cut(size)

    def _rest(self) -> bytes:
        while self._receive():
            pass
        return self._cut(len(self._buffer))

    def _receive(self) -> bool:
        assert self._sock is not None
        try:
            data = self._sock.recv(1 << 18)
        except ConnectionError:
            data = b""
        self._buffer += data
        return bool(data)

    def _cut(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


# -- Ways to ask -------------------------------------------------------------------------------
#
# Each gives the answers in the order of the requests.


def alone(connect: Connect, requests: Sequence[Asked]) -> Iterator[bytes]:
    """One after the other, the next once the last is answered."""
    with contextlib.closing(Wire(connect)) as wire:
        for asked in requests:
            yield wire.ask(asked)


def in_pieces(connect: Connect, requests: Sequence[Asked]) -> Iterator[bytes]:
    """Each octet by itself."""
    with contextlib.closing(Wire(connect)) as wire:
        for asked in requests:
            for octet in asked.octets:
                wire.send(bytes([octet]))
            yield wire.take(asked)


def in_batches(
    connect: Connect, requests: Sequence[Asked], ends: Collection[Asked], chance: random.Random
) -> Iterator[bytes]:
    """Several at once, cut anywhere, unless the last is one of ``ends``, after which a connection ends."""
    with contextlib.closing(Wire(connect)) as wire:
        for batch in batches(requests, ends, chance):
            data = b"".join(asked.octets for asked in batch)
            cut = chance.randrange(len(data)) if batch[-1] not in ends else len(data)
            wire.send(data[:cut])
            here = cut >= len(batch[0].octets)
            if here:
                yield wire.take(batch[0])
            wire.send(data[cut:])
            yield from map(wire.take, batch[here:])


def batches(
    requests: Sequence[Asked], ends: Collection[Asked], chance: random.Random
) -> Iterator[list[Asked]]:
    batch: list[Asked] = []
    size = 0
    for asked in requests:
        size = size or chance.choice([2, 3, 10, 40])
        batch.append(asked)
        if len(batch) == size or asked in ends:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def side_by_side(connect: Connect, requests: Sequence[Asked], width: int) -> Iterator[bytes]:
    """On so many connections, all of which have asked before any answer is read."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(contextlib.closing(Wire(connect))) for _ in range(width)]
        for at in range(0, len(requests), width):
            pairs = list(zip(wires, requests[at : at + width], strict=False))
            for wire, asked in pairs:
                wire.send(asked.octets)
            for wire, asked in pairs:
                yield wire.take(asked)
