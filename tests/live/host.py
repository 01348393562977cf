"""The servers of the harnesses: `python tests/live/host.py -d FOLDER --server threads --handler mixed`.

A program of its own, started by process.Hosted. It says where it serves as the command line does, and ends
with status 0 at SIGTERM; at SIGUSR1 it says where its threads are. Knows public classes and no client.
"""

import argparse
import collections
import faulthandler
import functools
import importlib
import json
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from live import octets

SERVERS = {
    "loop": ("fastserve", "HTTPServer"),
    "threads": ("fastserve", "ThreadingHTTPServer"),
    "tls": ("fastserve", "ThreadingHTTPSServer"),
    "tls-loop": ("fastserve", "HTTPSServer"),
    "http.server": ("http.server", "ThreadingHTTPServer"),
}
PIECE = 16384


class Answering:
    """What both handlers have in common. Nothing is logged: stderr is for what goes wrong."""

    protocol_version = "HTTP/1.1"
    decode_chunked = True
    raw = False  # where the library does not know decode_chunked

    def begin(self: Any, *fields: tuple[str, Any], status: int = 200) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, str(value))
        self.end_headers()

    def answer(self: Any, body: bytes, *fields: tuple[str, Any]) -> None:
        self.begin(("Content-Length", len(body)), *fields)
        if self.command != "HEAD":
            self.wfile.write(body)

    def write_slowly(self: Any, pieces: list[bytes], ms: float) -> None:
        for piece in pieces:
            self.wfile.write(piece)
            time.sleep(ms / 1000)

    def body(self: Any) -> Iterator[bytes]:
        """Its pieces, however it comes: by its length, in chunks that are decoded, in chunks as they are."""
        if self.headers["Transfer-Encoding"] is None:
            return self.read_pieces(int(self.headers["Content-Length"]))
        return self.read_chunks() if self.raw else iter(lambda: self.rfile.read(PIECE), b"")

    def read_pieces(self: Any, length: int) -> Iterator[bytes]:
        while length and (piece := self.rfile.read(min(PIECE, length))):
            yield piece
            length -= len(piece)

    def read_chunks(self: Any) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, *args: Any) -> None:
        pass


# -- For the soak ------------------------------------------------------------------------------


class Mixed(Answering):
    """Files, bodies that the query describes, waits, streams, uploads."""

    def do_GET(self: Any) -> None:
        path, mark, query = self.path.partition("?")
        if not mark:
            super().do_GET()  # type: ignore[misc]
            return
        getattr(self, "send_" + path[1:])(**{name: int(value) for name, value in parse_qsl(query)})

    def do_HEAD(self: Any) -> None:
        super().do_HEAD() if "?" not in self.path else self.do_GET()  # type: ignore[misc]

    def send_body(self: Any, seed: int, size: int, ms: int = 0) -> None:
        if ms:
            time.sleep(ms / 1000)
        self.answer(octets.body(seed, size))

    def send_parts(self: Any, seed: int, size: int, parts: int, ms: int) -> None:
        self.begin(("Content-Length", size))
        self.write_slowly(octets.cut(octets.body(seed, size), parts), ms)

    def send_chunks(self: Any, seed: int, size: int, parts: int, ms: int) -> None:
        self.begin(("Transfer-Encoding", "chunked"))
        for piece in octets.cut(octets.body(seed, size), parts):
            self.write_slowly([b"%x\r\n%b\r\n" % (len(piece), piece)], ms)
        self.wfile.write(b"0\r\n\r\n")

    def send_events(self: Any, seed: int, count: int, ms: int) -> None:
        self.begin(("Content-Type", "text/event-stream"), ("Connection", "close"))
        self.write_slowly([octets.event(number, seed) for number in range(count)], ms)

    def do_POST(self: Any) -> None:
        """Give it back."""
        self.answer(b"".join(self.body()))

    def do_PUT(self: Any) -> None:
        """Say what it was, and keep none of it: memory is what the server needs, not its handlers."""
        try:
            said = octets.digest(self.body())
        except ValueError:  # a body in chunks that breaks off
            self.close_connection = True
        else:
            self.answer(said)


# -- For hand-overs ----------------------------------------------------------------------------


class Deliberate(Exception):
    """What a handler raises when it is asked to."""


class Counted(Answering):
    """Does what /CONNECTION/NUMBER/ACTION/MS/SIZE says, and keeps who was asked for what.

    An answer begins with the request's target, so that no two are the same. /runs tells what was done.
    """

    runs: dict[str, list[int]] = collections.defaultdict(list)
    faults: list[str] = []
    raised = 0
    owners: dict[str, int] = {}
    here = threading.local()
    inside = ""  # of this object, that is of its connection

    def do_GET(self: Any) -> None:
        if self.path == "/runs":
            self.answer(json.dumps(self.report()).encode())
            return
        name, number, action, ms, size = self.path[1:].split("/")
        self.enter(name, int(number))
        seed = sum(self.path.encode()) * 997 + int(number)
        getattr(self, "act_" + action)(int(ms) / 1000, octets.body(seed, int(size)))
        self.leave()

    do_POST = do_HEAD = do_GET

    def enter(self: Any, name: str, number: int) -> None:
        """One thread at a time for a connection, one request at a time for a thread."""
        self.runs[name].append(number)
        self.check(not self.inside, f"while {self.inside} is answered")
        self.check(self.owners.setdefault(name, id(self)) == id(self), "in another handler object")
        self.inside = self.here.path = self.path

    def leave(self: Any) -> None:
        self.check(self.inside == self.path, f"became {self.inside}")
        self.check(getattr(self.here, "path", None) == self.path, "ended in another thread, or in between")
        self.inside = self.here.path = ""

    def check(self: Any, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(f"{self.path}: {fault}")

    def report(self: Any) -> dict[str, Any]:
        return {"runs": self.runs, "faults": self.faults, "raised": Counted.raised}

    def whole(self: Any, body: bytes) -> bytes:
        return self.path.encode() + body

    def act_now(self: Any, seconds: float, body: bytes) -> None:
        self.answer(self.whole(body))

    def act_sleep(self: Any, seconds: float, body: bytes) -> None:
        time.sleep(seconds)
        self.answer(self.whole(body))

    def act_spin(self: Any, seconds: float, body: bytes) -> None:
        """Pure Python that keeps the interpreter to itself."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sum(range(100))
        self.answer(self.whole(body))

    def act_late(self: Any, seconds: float, body: bytes) -> None:
        """Answers, and then does not return."""
        self.answer(self.whole(body))
        time.sleep(seconds)

    def act_parts(self: Any, seconds: float, body: bytes) -> None:
        data = self.whole(body)
        self.begin(("Content-Length", len(data)))
        self.write_slowly(octets.cut(data, 3), seconds * 300)

    def act_chunks(self: Any, seconds: float, body: bytes) -> None:
        self.begin(("Transfer-Encoding", "chunked"))
        self.write_slowly([octets.chunked(octets.cut(self.whole(body), 3))], seconds * 1000)

    def act_read(self: Any, seconds: float, body: bytes) -> None:
        """Reads a body with a wait in the middle."""
        length = int(self.headers["Content-Length"])
        data = self.rfile.read(length // 2)
        time.sleep(seconds)
        data += self.rfile.read(length - len(data))
        self.answer(self.path.encode() + octets.digest([data]))

    def act_close(self: Any, seconds: float, body: bytes) -> None:
        time.sleep(seconds)
        self.answer(self.whole(body), ("Connection", "close"))

    def act_raise(self: Any, seconds: float, body: bytes) -> None:
        time.sleep(seconds)
        self.leave()
        raise Deliberate


class Telling:
    """A server that does not print what was raised on purpose, and keeps what was not."""

    lock = threading.Lock()
    ignored: tuple[type[BaseException], ...] = ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, Deliberate):
            with self.lock:
                Counted.raised += 1
        elif not isinstance(error, self.ignored):
            Counted.faults.append(traceback.format_exc())


# -- To see that what is wrong is seen ------------------------------------------------------------


class WrongOctet:
    """One of the last of every fifth large answer."""

    count = 0

    def answer(self: Any, body: bytes, *fields: tuple[str, Any]) -> None:
        is_large = len(body) > 200 and self.path != "/runs"
        WrongOctet.count += is_large
        if is_large and WrongOctet.count % 5 == 4:
            body = body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]
        super().answer(body, *fields)  # type: ignore[misc]


class RunTwice:
    """As far as can be told."""

    def enter(self: Any, name: str, number: int) -> None:
        super().enter(name, number)  # type: ignore[misc]
        if number == 7:
            self.runs[name].append(number)


LIES: dict[str, Any] = {"octet": WrongOctet, "twice": RunTwice}


# -- The program -------------------------------------------------------------------------------


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("-d", dest="folder", required=True)
    parser.add_argument("--server", choices=SERVERS, default="threads")
    parser.add_argument("--handler", choices=["mixed", "counted"], default="mixed")
    parser.add_argument("--certificate", help="a PEM file with the key in it")
    parser.add_argument("--switch-interval", type=float)
    parser.add_argument("--max-threads", type=int)
    parser.add_argument("--lie", choices=LIES)
    return parser.parse_args()


def make_server(args: argparse.Namespace) -> Any:
    module, name = SERVERS[args.server]
    library: Any = importlib.import_module(module)
    base, raw = getattr(library, name), module == "http.server"
    # http.server's own backlog of 5 loses connections.
    attributes: dict[str, Any] = {"request_queue_size": 1024, "max_threads": args.max_threads}
    lies = (LIES[args.lie],) if args.lie else ()
    if args.handler == "mixed":
        kind = type("Handler", (*lies, Mixed, library.SimpleHTTPRequestHandler), {"raw": raw})
        handler: Any = functools.partial(kind, directory=args.folder)
        server: Any = type("Server", (base,), attributes)
    else:
        handler = type("Handler", (*lies, Counted, library.BaseHTTPRequestHandler), {"raw": raw})
        attributes["ignored"] = ConnectionError if raw else ()  # a client that goes is an error to it
        server = type("Server", (Telling, base), attributes)
    secure = {"certfile": args.certificate} if args.certificate else {}
    return server(("127.0.0.1", 0), handler, **secure)


def end(*args: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(0)


def main() -> None:
    args = options()
    if args.switch_interval:
        sys.setswitchinterval(args.switch_interval)
    signal.signal(signal.SIGTERM, end)
    faulthandler.register(signal.SIGUSR1)
    with make_server(args) as server:
        print(f"Serving HTTP on 127.0.0.1 port {server.server_port} ...", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
