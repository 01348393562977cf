"""Targets for coverage-guided fuzzing: each takes octets and raises where something does not hold of them.

run.py drives them, and test_targets.py, with the corpus alone. A target needs no network and no files; the
last octets of its input say how it is cut into pieces, and what else there is to choose.
"""

import contextlib
import itertools
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from fuzz.reading import decode, parse
from pairs import Driven, next_head, response

from fastserve._conn import ANSWER, END, WAIT
from fastserve._head import RequestHead
from fastserve.handlers import codings, conditions, paths, ranges
from fastserve.handlers.representations import CONDITIONAL
from fastserve.limits import Timeouts

NOW_SECONDS: Final = 1_780_000_000
# Of who waits for the rest of a body: it does not come.
IMPATIENT: Final = Timeouts(progress=0.001, grace=0.001)


def cut(data: bytes) -> tuple[bytes, list[int]]:
    """Octets, and where each piece of them ends: a few of the last ones say where."""
    octets, cuts = data[:-4], data[-4:]
    return octets, [*sorted(len(octets) * each // 256 for each in cuts), len(octets)]


def head(data: bytes) -> None:
    """A head means the same however it arrives."""
    octets, ends = cut(data)
    assert parse(octets, ends) == parse(octets, [len(octets)])


def chunks(data: bytes) -> None:
    octets, ends = cut(data)
    whole = decode(octets, [len(octets)])
    assert decode(octets, ends) == whole
    if whole is not None:
        decoded, used, _ = whole
        assert len(decoded) <= used <= len(octets)


def range_field(data: bytes) -> None:
    """Ranges lie in the file, none touches another, and what is asked for first comes first."""
    size = int.from_bytes(data[:2], "big") << (data[2] % 40 if len(data) > 2 else 0)
    value = data[3:].decode("latin-1")
    try:
        found = ranges.parse(value, size)
    except ranges.Unsatisfiable:
        return
    if found is None:
        return
    assert 0 < len(found) <= ranges.MAX_RANGES
    assert all(0 <= start < stop <= size for start, stop in found)
    pairs = itertools.pairwise(sorted(found))
    assert all(one.stop + ranges.RANGE_GAP < other.start for one, other in pairs)


def condition(data: bytes) -> None:
    """A verdict is one of three, whatever the fields say, and none where there are none."""
    names = *CONDITIONAL, "accept-encoding"
    fields = {}
    for line in data.decode("latin-1").split("\n")[:8]:
        if line:
            fields[names[ord(line[0]) % len(names)]] = line[1:]
    known = conditions.Validators('"1-a-ff"', 1_000_000_000, NOW_SECONDS)
    verdict = conditions.evaluate(fields, known)
    assert verdict in (None, 304, 412)
    assert fields or verdict is None
    assert conditions.is_in_range(fields.get("if-range"), known) in (True, False)
    wanted = codings.rank(fields.get("accept-encoding", ""))
    assert len(set(wanted)) == len(wanted) <= len(codings.SIBLINGS) + 1
    for value in fields.values():
        for _, opaque in conditions.tags(value):
            assert opaque[0] == opaque[-1] == '"'
            assert len(opaque) >= 2


def path(data: bytes) -> None:
    """No target leads out of the folder."""
    target = data.decode("latin-1")
    name = paths.resolve("/srv/www", target, os.path)
    assert name == "/srv/www" or name.startswith("/srv/www/")
    assert os.path.normpath(name).startswith("/srv/www")
    parts = paths.components_beneath("/srv/www", name)
    assert not {"", ".", ".."} & set(parts)
    assert all("/" not in part for part in parts)
    assert paths.is_hidden(target) in (True, False)
    with contextlib.suppress(UnicodeEncodeError):  # a lone surrogate, of which no name is made
        assert os.fsencode(name).startswith(b"/srv/www")


def connection(data: bytes) -> None:
    """A whole connection over a pair of sockets: each request is answered once, and it ends or waits."""
    octets, ends = cut(data)
    driven = Driven(timeout=0.001, timeouts=IMPATIENT)
    driven.peer.setblocking(False)
    try:
        answered = _converse(driven, octets, ends)
        assert _received(driven.peer).count(response(2).take()) == answered <= len(octets) // 16 + 1
    finally:
        driven.close()


def _converse(driven: Driven, octets: bytes, ends: list[int]) -> int:
    """Send it all, a piece at a time; return how often it was answered."""
    start, answered = 0, 0
    action = driven.begin()
    for end in [*ends, None]:
        if action == END:
            break
        if end is None:
            action = driven.more(b"", end=True)
        elif end > start:
            action = driven.more(octets[start:end])
            start = end
        while action == ANSWER:
            head = next_head(driven.rfile)
            if head is not None:
                _answer(driven, head, octets[0] % 64 - 1)
                answered += 1
            action = driven.answered(close=head is None or bool(head.rejection))
    assert action in (WAIT, END)
    return answered


def _answer(driven: Driven, head: RequestHead, size: int) -> None:
    """As a handler that reads none of a body, a part of it, or all."""
    with contextlib.suppress(ConnectionError, TimeoutError):  # the body broke off
        driven.rfile.read(size)
    driven.wfile.send_head(response(2), head.method)
    driven.wfile.write(b"ok")


def _received(peer: socket.socket) -> bytes:
    octets = b""
    with contextlib.suppress(BlockingIOError, ConnectionResetError):
        while piece := peer.recv(1 << 16):
            octets += piece
    return octets


TARGETS: Final[dict[str, Callable[[bytes], Any]]] = {
    "head": head,
    "chunks": chunks,
    "range": range_field,
    "condition": condition,
    "path": path,
    "connection": connection,
}
