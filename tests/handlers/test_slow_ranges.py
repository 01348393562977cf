"""Many ranges, and long fields: whoever sends them, and however slowly they are read, others do not wait."""

import contextlib
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, ask, descriptors, wait_until

import fastserve
from fastserve import limits
from fastserve.handlers import conditions, ranges

from .makers import get

STEP = limits.MAX_COPIED_FILE + 200
# Each part is one that is read and copied where it stands alone.
MANY = ",".join(f"{at}-{at + limits.MAX_COPIED_FILE - 1}" for at in range(0, 200 * STEP, STEP))
# And here each is one that leaves by sendfile.
LARGE = ",".join(f"{at}-{at + 2 * STEP}" for at in range(0, 400 * STEP, 4 * STEP))


@pytest.fixture
def address(files: Any, folder: Path) -> Any:
    with (folder / "large").open("wb") as file:
        file.truncate(500 * STEP)
    (folder / "small").write_text("small")
    return files(fastserve.HTTPServer).server_address


@pytest.mark.parametrize("value", [MANY, LARGE])
def test_a_client_that_does_not_read(address: Any, value: str) -> None:
    """On the loop, in whose thread the handler runs: a timeout of the test is how a wait is seen."""
    open_before = len(descriptors())
    with Client(address) as slow:
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.send(get("/large", f"Range: bytes={value}"))
        for _ in range(5):
            assert ask(address, get("/small")).body == b"small"
        # Two ends of each of two connections, a file, and what is just being closed.
        assert wait_until(lambda: len(descriptors()) <= open_before + 6)


def test_parts_are_never_more_than_the_whole(files: Any, client: Any, folder: Path) -> None:
    """The words around 200 parts of one octet each are more than a file of 17,000 (RFC 9110 15.3.7.2)."""
    (folder / "a.bin").write_bytes(bytes(17_000))
    value = ",".join(f"{at}-{at}" for at in range(0, 200 * 82, 82))
    peer = client(files())
    reply = peer.ask(get("/a.bin", f"Range: bytes={value}"))
    assert (reply.status, len(reply.body)) == (200, 17_000)
    reply = peer.ask(get("/a.bin", "Range: bytes=0-0,9000-9000"))
    assert reply.status == 206
    assert len(reply.body) < 17_000


HOSTILE = [
    " " * 60_000 + "x", "0-1," * 15_000 + "x", "," * 60_000, "0" * 60_000 + "-", "-" * 60_000,
    "0-" + " \t" * 30_000, '"' * 60_000, '"x",' * 15_000 + "x", 'W/"' + "x" * 60_000, " ," * 30_000,
    "9" * 60_000, "Sun, " * 12_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:8])
def test_fields_are_read_in_linear_time(value: str) -> None:
    """A square of 60,000 in each of 50 rounds would not end in time."""
    known = conditions.Validators('"x"', 1_000_000_000, int(time.time()))
    for _ in range(50):
        with contextlib.suppress(ranges.Unsatisfiable):
            ranges.parse(f"bytes={value}", 100)
        for name in ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since"):
            conditions.evaluate({name: value}, known)
        conditions.is_in_range(value, known)
