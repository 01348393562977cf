"""What clients do to a server: one function for each habit, and a table of them. soak.py calls them.

Every request is made by chance, together with the octets that must answer it, and these are compared as they
come. A habit raises what is wrong. Knows sockets and the paths that host.py answers, no server class.
"""

import contextlib
import itertools
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from helpers import Client, request
from live import octets
from live.process import WAIT
from pairs import reset

SMALL, EDGE = 4096, 65536
NOWHERE = 50  # paths that lead there: so few that within a minute every worker remembers all it will


class Wrong(Exception):
    """An answer that is not what it must be."""


class Site(NamedTuple):
    """Where to ask and for what: the files by name, each with its body, and what else there is."""

    address: tuple[str, int]
    files: dict[str, bytes]
    not_found: bytes  # the page of a 404
    has_handlers: bool = True
    context: ssl.SSLContext | None = None

    def names(self, least: int, most: int) -> list[str]:
        return [name for name, body in self.files.items() if least <= len(body) < most]


class Wish(NamedTuple):
    """A request, and the answer that it must have."""

    octets: bytes
    body: bytes
    status: int = 200
    length: int | None = -1  # what Content-Length says: -1 for the body's, None for none


class Peer(Client):
    """A client that counts, and keeps the beginning of what it has sent since its last answer."""

    def __init__(self, site: Site, buffer: int = 0) -> None:
        super().__init__(site.address, WAIT)
        self.sent = self.received = self.answers = 0
        self.last = b""
        if buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if site.context:
            try:
                self.sock = site.context.wrap_socket(self.sock, server_hostname="localhost")
            except BaseException:
                self.sock.close()
                raise

    def send(self, data: bytes) -> None:
        self.sent += len(data)
        self.last = (self.last + data)[:1000]
        with contextlib.suppress(ssl.SSLEOFError):
            super().send(data)

    def expect(self, wish: Wish, pace: Callable[[], object] = lambda: None) -> bool:
        """Read the answer to a wish and compare it; whether the connection goes on."""
        line, fields = self.head()
        if int(line.split()[1]) != wish.status:
            raise Wrong(f"{line} instead of {wish.status}; it goes on with {bytes(self._buffer[:300])!r}")
        length = len(wish.body) if wish.length == -1 else wish.length
        if fields.get("content-length") != (None if length is None else str(length)):
            raise Wrong(f"{line} {fields} instead of a length of {length}")
        self.compare(wish.body, pace)
        self.answers += 1
        self.last = b""
        return fields.get("connection", "").lower() != "close"

    def head(self) -> tuple[str, dict[str, str]]:
        lines = self._cut(self._find(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1.1 "):
            raise Wrong(f"{lines} is no head; it goes on with {bytes(self._buffer[:300])!r}")
        fields = (line.partition(": ") for line in lines[1:])
        return lines[0], {name.lower(): value for name, _, value in fields}

    def compare(self, body: bytes, pace: Callable[[], object] = lambda: None) -> None:
        at = 0
        while at < len(body):
            if not self._buffer and not self._receive():
                raise Wrong(f"the end after {at} of {len(body)} octets")
            piece = self._cut(min(len(self._buffer), len(body) - at))
            if piece != body[at : at + len(piece)]:
                raise Wrong(first_difference(piece, body[at : at + len(piece)], at))
            at += len(piece)
            pace()

    def _receive(self) -> bool:
        before = len(self._buffer)
        with contextlib.suppress(ssl.SSLEOFError):
            super()._receive()
        self.received += len(self._buffer) - before
        return len(self._buffer) > before

    def is_at_end(self) -> bool:
        return not self._buffer and not self._receive()


def first_difference(got: bytes, expected: bytes, start: int) -> str:
    at = next(at for at, pair in enumerate(zip(got, expected, strict=True)) if pair[0] != pair[1])
    return (f"other octets after {start + at}: {got[at : at + 40]!r} "
            f"instead of {expected[at : at + 40]!r}, behind {got[max(at - 40, 0) : at]!r}")


class Visit:
    """One habit, carried out once: its chance, its site, and what it has done."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.site, self.chance = site, chance
        self.peers: list[Peer] = []
        self._stack = contextlib.ExitStack()

    def peer(self, buffer: int = 0) -> Peer:
        """A new connection, closed with the visit."""
        self.peers.append(self._stack.enter_context(Peer(self.site, buffer)))
        return self.peers[-1]

    def close(self) -> None:
        self._stack.close()

    def pause(self, most: float) -> Callable[[], object]:
        return lambda: time.sleep(self.chance.uniform(0, most))

    # -- Wishes --------------------------------------------------------------------------------

    def wish(self) -> Wish:
        """Any that is answered soon, on a connection that is kept."""
        if not self.site.has_handlers or self.chance.random() < 0.3:
            return self.file(0, 2 * EDGE)
        makers = [self.body, self.body, self.wait, self.parts, self.chunks, self.echo, self.head]
        return self.chance.choice(makers)()

    def file(self, least: int, most: int) -> Wish:
        name = self.chance.choice(self.site.names(least, most))
        body = self.site.files[name]
        if self.chance.random() < 0.1:
            return Wish(request("HEAD", f"/{name}"), b"", length=len(body))
        return Wish(request("GET", f"/{name}"), body)

    def body(self) -> Wish:
        size = self.size(EDGE)
        return self.get("body", size, octets.body(*size))

    def head(self) -> Wish:
        seed, size = self.size(EDGE)
        return Wish(request("HEAD", f"/body?seed={seed}&size={size}"), b"", length=size)

    def wait(self) -> Wish:
        size = self.size(SMALL)
        return self.get("body", size, octets.body(*size), ms=self.chance.randint(1, 30))

    def parts(self) -> Wish:
        size = self.size(EDGE)
        return self.get("parts", size, octets.body(*size), parts=3, ms=self.chance.randint(0, 5))

    def chunks(self) -> Wish:
        size, count = self.size(EDGE), self.chance.randint(1, 6)
        body = octets.chunked(octets.cut(octets.body(*size), count))
        return self.get("chunks", size, body, parts=count, ms=self.chance.randint(0, 5))._replace(length=None)

    def get(self, path: str, size: tuple[int, int], body: bytes, **more: int) -> Wish:
        query = {"seed": size[0], "size": size[1], **more}
        return Wish(request(target=f"/{path}?" + "&".join(f"{key}={n}" for key, n in query.items())), body)

    def size(self, most: int) -> tuple[int, int]:
        """A seed and a size, as a rule a small one."""
        return self.chance.randrange(octets.PERIOD), int(most ** self.chance.random())

    def echo(self) -> Wish:
        body = octets.body(*self.size(SMALL))
        return Wish(request("POST", "/echo", body=body), body)

    def upload(self) -> Wish:
        """Of any size, and of those at which a body begins to be read otherwise."""
        edge = self.chance.choice([1, 16384, EDGE, EDGE, 2 * EDGE, 1 << 20])
        size = self.chance.choice([edge - 1, edge, edge + 1, int((4 << 20) ** self.chance.random())])
        body = octets.body(self.chance.randrange(octets.PERIOD), size)
        answer = octets.digest([body])
        if not body or self.chance.random() < 0.5:
            pieces = octets.cut(body, self.chance.randint(1, 30))
            head = request("PUT", "/sum", "Transfer-Encoding: chunked")
            return Wish(head + octets.chunked(pieces), answer)
        return Wish(request("PUT", "/sum", body=body), answer)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """In some twenty pieces, the first of them small."""
        at = 0
        while at < len(data):
            size = self.chance.randint(1, 60) if at < 200 else self.chance.randint(1, len(data) // 10 + 1)
            yield data[at : at + size]
            at += size


# -- The habits --------------------------------------------------------------------------------


def keep_alive(visit: Visit) -> None:
    """Several requests on one connection, each after the last one's answer."""
    peer = visit.peer()
    for _ in range(visit.chance.randint(2, 30)):
        wish = visit.wish()
        peer.send(wish.octets)
        if not peer.expect(wish):
            raise Wrong("the connection ends, unasked")


def new_connections(visit: Visit) -> None:
    """One request each, some of which say so."""
    for _ in range(visit.chance.randint(1, 10)):
        wish, peer = visit.wish(), visit.peer()
        last = visit.chance.random() < 0.5
        peer.send(wish.octets.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) if last else wish.octets)
        if not (peer.expect(wish) or last):
            raise Wrong("the connection ends, unasked")
        if last and not peer.is_at_end():
            raise Wrong("something follows the last answer")
        peer.close()


def pipelines(visit: Visit) -> None:
    """All sent before the first answer is read."""
    peer = visit.peer()
    large = 8 << 20 if visit.chance.random() < 0.1 else 2 * EDGE
    wishes = [visit.chance.choice([visit.wish, lambda: visit.file(0, large)])()
              for _ in range(visit.chance.randint(2, 8))]
    peer.send(b"".join(wish.octets for wish in wishes))  # so little that no buffer is full of it
    for wish in wishes:
        peer.expect(wish)


def half_closes(visit: Visit) -> None:
    """Nothing more will be sent: the answers come whole all the same, and then the end."""
    peer = visit.peer()
    wishes = [visit.wish() for _ in range(visit.chance.randint(0, 2))]
    wishes.append(visit.chance.choice([visit.wish, lambda: visit.file(EDGE, 16 << 20)])())
    peer.send(b"".join(wish.octets for wish in wishes))
    peer.end()
    for wish in wishes:
        peer.expect(wish)
    if not peer.is_at_end():
        raise Wrong("something follows the last answer")


def slow_readers(visit: Visit) -> None:
    """With a small window and pauses."""
    buffer, most = visit.chance.choice([(4096, 4 * EDGE), (65536, 4 << 20)])  # TCP waits where it is small
    peer, wish = visit.peer(buffer), visit.file(EDGE, most)
    peer.send(wish.octets)
    pauses = itertools.count()
    pause = visit.pause(0.02)
    peer.expect(wish, lambda: pause() if next(pauses) < 60 else None)


def slow_writers(visit: Visit) -> None:
    """Head and body in dribbles."""
    peer = visit.peer()
    for _ in range(visit.chance.randint(1, 3)):
        wish = visit.upload() if visit.site.has_handlers else visit.wish()
        for piece in visit.pieces(wish.octets):
            peer.send(piece)
            visit.pause(0.01)()
        peer.expect(wish)


def large_files(visit: Visit) -> None:
    """As fast as they come."""
    peer = visit.peer()
    for _ in range(visit.chance.randint(1, 2)):
        wish = visit.file(8 << 20, 1 << 30)
        peer.send(wish.octets)
        peer.expect(wish)


def not_found(visit: Visit) -> None:
    """Which ends the connection, after a request that did not."""
    peer, first = visit.peer(), visit.wish()
    last = Wish(request(target=f"/no/{visit.chance.randrange(NOWHERE)}"), visit.site.not_found, 404)
    peer.send(first.octets + last.octets)
    peer.expect(first)
    peer.expect(last)
    if not peer.is_at_end():
        raise Wrong("something follows the error page")


def uploads(visit: Visit) -> None:
    peer = visit.peer()
    for _ in range(visit.chance.randint(1, 4)):
        wish = visit.upload()
        peer.send(wish.octets)
        peer.expect(wish)


def expectations(visit: Visit) -> None:
    """Uploads that wait for 100 Continue."""
    peer, wish = visit.peer(), visit.upload()
    head, _, body = wish.octets.partition(b"\r\n\r\n")
    peer.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    line, _ = peer.head()
    if " 100 " not in line:
        raise Wrong(f"{line} instead of 100")
    peer.send(body)
    peer.expect(wish)


def events(visit: Visit) -> None:
    """A stream of them, up to the end of the connection."""
    peer, seed = visit.peer(), visit.chance.randrange(octets.PERIOD)
    count, ms = visit.chance.randint(1, 40), visit.chance.randint(0, 20)
    body = b"".join(octets.event(number, seed) for number in range(count))
    wish = Wish(request(target=f"/events?seed={seed}&count={count}&ms={ms}"), body, length=None)
    peer.send(wish.octets)
    if peer.expect(wish) or not peer.is_at_end():
        raise Wrong("something follows the last event")


# -- Those that go before they are answered ----------------------------------------------------


def leave(visit: Visit, peer: Peer) -> None:
    """With a reset or politely."""
    (reset if visit.chance.random() < 0.5 else socket.socket.close)(peer.sock)


def aborted_downloads(visit: Visit) -> None:
    """What has come until then is right all the same."""
    peer = visit.peer(buffer=visit.chance.choice([0, 65536]))
    wish = visit.file(EDGE, 1 << 30)
    peer.send(wish.octets)
    line, _ = peer.head()
    if " 200 " not in line:
        raise Wrong(f"{line} instead of 200")
    peer.compare(wish.body[: int(len(wish.body) * visit.chance.random())])
    leave(visit, peer)


def aborted_requests(visit: Visit) -> None:
    """Before their end, or right after it."""
    peer = visit.peer()
    wish = visit.chance.choice([visit.wish, visit.upload])() if visit.site.has_handlers else visit.wish()
    whole = len(wish.octets)
    peer.send(wish.octets[: visit.chance.choice([whole, visit.chance.randrange(whole)])])
    leave(visit, peer)


def silent(visit: Visit) -> None:
    """Connections that are opened ahead of need, one of which is used."""
    socks = [visit.peer() for _ in range(5)]
    visit.pause(0.3)()
    wish = visit.wish()
    socks[2].send(wish.octets)
    socks[2].expect(wish)
    leave(visit, socks[0])


class Habit(NamedTuple):
    """What is done, how often beside the others, and whether it needs handlers or plain TCP."""

    act: Callable[[Visit], None]
    weight: int
    needs_handlers: bool = False
    needs_tcp: bool = False


HABITS = {
    habit.act.__name__.replace("_", " "): habit
    for habit in (
        Habit(keep_alive, 30), Habit(new_connections, 30), Habit(pipelines, 15), Habit(not_found, 5),
        Habit(half_closes, 10, needs_tcp=True), Habit(slow_readers, 4), Habit(slow_writers, 10),
        Habit(large_files, 1), Habit(uploads, 10, needs_handlers=True),
        Habit(expectations, 5, needs_handlers=True), Habit(events, 5, needs_handlers=True),
        Habit(aborted_downloads, 6), Habit(aborted_requests, 10), Habit(silent, 3),
    )
}


def possible(site: Site) -> dict[str, Habit]:
    """Those that make sense there."""
    return {
        name: habit for name, habit in HABITS.items()
        if not (habit.needs_handlers and not site.has_handlers) and not (habit.needs_tcp and site.context)
    }


def describe(visit: Visit) -> str:
    """What was sent and came, for somebody who looks for the fault."""
    said: list[Any] = []
    for number, peer in enumerate(visit.peers, 1):
        said.append(f"connection {number}: {peer.sent} octets sent, {peer.received} received, "
                    f"{peer.answers} answers")
        if peer.last:
            said.append(f"  unanswered: {peer.last!r}")
    return "\n".join(said)
