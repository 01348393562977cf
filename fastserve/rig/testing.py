"""An origin for tests of HTTP clients: in this process, on a free port, with answers that the test scripts.

    with fastserve.rig.testing.origin() as server:
        server.answer("/users/1", json={"name": "Ada"})
        ...                                              # the client asks server.url("/users/1")
        assert server.received[0].headers["Accept"] == "application/json"

What is not scripted is answered by the origin's endpoints. Knows no test framework; pytest_plugin.py makes
fixtures of it. Tests of anybody may import it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import re
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastserve.handlers.paths import split_target
from fastserve.rig.origin import kept, make_server, raw, routes
from fastserve.rig.origin.answers import Answer, Body, Octets, Parts, as_json
from fastserve.rig.origin.handler import Origin, size_of
from fastserve.rig.scripted import (
    PARTIAL,
    PATIENCE,
    Choice,
    Fault,
    Headers,
    Kind,
    Received,
    Reply,
    Script,
    Scripted,
    as_answer,
    make_answer,
    replies_of,
)
from fastserve.words import Refusal

if TYPE_CHECKING:
    import ssl

__all__ = ["Answer", "Fault", "Octets", "Received", "Scripted", "ScriptedOrigin", "origin"]

HOST: Final = "127.0.0.1"
NAMES: Final = ("localhost", HOST)  # what the certificate is for
GRACE: Final = 1.0  # seconds that answers under way have when the server ends; then their clients are cut off

# What poll() tells of a client that is gone, where it does not by itself.
GONE: Final[int] = getattr(select, "POLLRDHUP", 0)


# -- Handlers ----------------------------------------------------------------------------------


class Ending:
    """The end of a server: it wakes those who wait in a handler, and sees that all connections end."""

    def __init__(self) -> None:
        self._woken, self._waker = socket.socketpair()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._busy = 0

    # -- Handlers ----------------------------------------------------------------------------------

    def opened(self, client: socket.socket) -> None:
        """A connection has begun."""
        with self._changed:
            self._open.add(client)

    def closed(self, client: socket.socket) -> None:
        """It has ended."""
        with self._changed:
            self._open.discard(client)
            self._changed.notify_all()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """While a request is answered."""
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the server ends."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.poll(seconds * 1000)

    def hang(self, client: socket.socket) -> None:
        """Wait until the client is gone or the server ends."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(client, GONE)
        poll.poll()

    # -- Who ends the server -----------------------------------------------------------------------

    @property
    def under_way(self) -> int:
        """How many requests are being answered."""
        return self._busy

    def wake(self) -> None:
        """Wake all who wait; nobody waits from now on."""
        self._waker.close()

    def cut_off(self) -> None:
        """Wait for the connections to end, and after a while cut them off."""
        with self._changed:
            if self._changed.wait_for(lambda: not self._open, GRACE):
                return
            for client in self._open:
                with contextlib.suppress(OSError):  # past ssl, whose socket is another thread's
                    socket.socket.shutdown(client, socket.SHUT_RDWR)

    def close(self) -> None:
        self._waker.close()
        self._woken.close()


class CutOff(Exception):
    """As much of an answer has been sent as is to be."""


class Recording(Origin):
    """Records every request, and answers it as the script says, else as the origin does."""

    script: Script
    ending: Ending
    numbers: itertools.count[int]
    endpoints: bool
    unexpected_status: int
    number = 0
    own_fields: list[tuple[str, str]] | None = None  # those of a scripted answer, while that is sent

    def __getattr__(self, name: str) -> Any:
        """Every method (RFC 9110 9.1) may be scripted, also one that nobody knows."""
        if name.startswith("do_"):
            return self.answer_request
        raise AttributeError(name)

    def setup(self) -> None:
        super().setup()
        self.ending.opened(self.request)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.ending.closed(self.request)

    def answer_request(self) -> None:
        age, now, self.endpoint = self.script.age, time.monotonic(), None
        self.number = self.number or next(self.numbers)
        reader = self.rfile
        with self.ending.busy():
            body, is_whole = self.__body()
            request = Received(
                str(self.command), self.path, self.headers, body, now, self.client_address, self.number,
                is_whole)
            if body:
                self.rfile = io.BytesIO(body)  # to be read again by an endpoint
            try:
                self.__answer(request, age)
            finally:
                self.rfile = reader

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = answer_request

    def __body(self) -> tuple[bytes, bool]:
        """What came of the body, and whether that is all of it."""
        reader: Any = self.rfile
        pieces = bytearray()
        try:
            while piece := reader.read1(1 << 16):
                pieces += piece
        except (OSError, ValueError):  # the client is gone or too slow, or its chunks are none
            return bytes(pieces), False
        length = self.headers.get("Content-Length")
        return bytes(pieces), length is None or len(pieces) == int(length)

    def __answer(self, request: Received, age: int) -> None:
        path = split_target(self.path)[0]
        has_endpoint = self.endpoints and (path == "*" or bool(routes.find(path)))
        choice = self.script.choose(request, age, has_endpoint)
        if not request.complete:
            self.close_connection = True
        elif choice.scripted is not None:
            self.__scripted(request, choice, choice.scripted)
        elif has_endpoint and not choice.why:
            super().answer_request()
        else:
            why = choice.why or f"{request} is not scripted, and no endpoint of the origin"
            self.send(as_json({"error": why}, self.unexpected_status))

    def __scripted(self, request: Received, choice: Choice, scripted: Scripted) -> None:
        reply = choice.reply
        try:
            answer = as_answer(reply(request) if callable(reply) else reply)
        except Exception as error:  # the test's own function: check() tells of it
            self.script.failed(request, error)
            answer = as_json({"error": repr(error)}, HTTPStatus.INTERNAL_SERVER_ERROR)
        if scripted.delay:
            self.pause(scripted.delay)
        try:
            self.__fail(answer) if isinstance(answer, Fault) else self.__send(answer)
        except OSError:  # the client is gone
            raise
        except Exception as error:  # a field that cannot be sent, pieces that fail
            self.script.failed(request, error)
            self.close_connection = True

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        self.ending.pause(seconds)

    def __send(self, answer: Answer) -> None:
        """Send an answer with no fields but its own, and those that it cannot be without."""
        self.own_fields = answer.headers
        try:
            self.send(answer)
        finally:
            self.own_fields = None

    def send_head(self, status: int, fields: Iterable[tuple[str, str]], reason: str | None = None) -> None:
        own = self.own_fields
        if own is None:
            super().send_head(status, fields, reason)
            return
        said = {name.lower() for name, _ in own}
        self.send_response(status, reason)
        for name, value in fields:
            if name in NEEDED and name.lower() not in said:
                self.send_header(name, value)
        for name, value in own:
            self.send_header(name, value)
        self.end_headers()

    # -- What goes wrong -------------------------------------------------------------------------

    def __fail(self, fault: Fault) -> None:
        after = fault.after
        if fault.kind not in PARTIAL:
            self.query = routes.Query("" if after is None else f"after={after}")
            routes.find(f"/fault/{fault.kind}")[0][0].answer(self)
            return
        self.close_connection = True
        if after is None and fault.kind == "truncate":
            after = (size_of(fault.answer.body, fault.answer.length) or 0) // 2
        if after is not None:
            self.__send_part(fault.answer, after)
        if fault.kind == "hang":
            self.ending.hang(self.connection)
        elif fault.kind == "reset":
            raw.reset(self)

    def __send_part(self, answer: Answer, octets: int) -> None:
        """Send the head of an answer as if all of it came, and the first octets of its body."""
        length = size_of(answer.body, answer.length)
        with contextlib.suppress(CutOff):
            self.__send(replace(answer, body=first(answer.body, octets), length=length))
        self.wfile.flush()


# The fields that tell what a body is, and where it ends.
NEEDED: Final = ("Content-Type", "Content-Length", "Transfer-Encoding", "Connection")


def first(body: Body, octets: int) -> Iterator[bytes]:
    """The first octets of a body. Raises CutOff behind them, so that no end is sent."""
    if isinstance(body, Octets):
        body = replace(body, count=min(body.count, octets))
    for piece in [bytes(body)] if isinstance(body, (bytes, Octets, Parts)) else body:
        if octets <= 0:
            break
        yield piece[:octets]
        octets -= len(piece)
    raise CutOff


# -- TLS ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def certified() -> Iterator[tuple[str, str]]:
    """A PEM file with a certificate and its key, and one with the authority that has signed it.

    The files are there as long as the context. Raises Refusal without trustme.
    """
    try:
        import trustme
    except ImportError as error:
        raise Refusal("origin(tls=True) needs trustme: pip install 'fastserve[tls]'") from error
    authority = trustme.CA(organization_name="fastserve.rig.testing")
    with tempfile.TemporaryDirectory(prefix="fastserve-") as folder:
        server, signer = Path(folder, "server.pem"), Path(folder, "authority.pem")
        authority.issue_cert(*NAMES).private_key_and_cert_chain_pem.write_to_path(str(server))
        authority.cert_pem.write_to_path(str(signer))
        yield str(server), str(signer)


# -- The server --------------------------------------------------------------------------------

# What answer() is told of the parts of an answer where it is given as a whole.
IN_PARTS: Final = (200, b"", ..., (), None, None, None)


class ScriptedOrigin:
    """An origin that runs: what origin() gives. Any thread may use it.

    host, port         where it listens (str, int)
    ca_file            path of a PEM file with the authority of its certificate (str), None without TLS
    ssl_context        an ssl.SSLContext for clients, which trusts that authority; None without TLS
    """

    def __init__(self, script: Script, ending: Ending, address: Any, ca_file: str | None) -> None:
        self._script, self._ending = script, ending
        self.host, self.port = str(address[0]), int(address[1])
        self.ca_file = ca_file

    @functools.cached_property
    def ssl_context(self) -> ssl.SSLContext | None:
        if self.ca_file is None:
            return None
        import ssl

        return ssl.create_default_context(cafile=self.ca_file)

    def url(self, path: str = "/") -> str:
        """The URL of a path, which may have a query; of "" it is what all of them begin with."""
        scheme = "http" if self.ca_file is None else "https"
        return f"{scheme}://{self.host}:{self.port}{'/' if path and path[0] != '/' else ''}{path}"

    def answer(
        self,
        path: str | re.Pattern[str],
        answer: Reply | Sequence[Reply] | None = None,
        *,
        method: str | None = "GET",
        status: int = 200,
        body: str | Body = b"",
        json: Any = ...,
        headers: Headers = (),
        content_type: str | None = None,
        fault: Kind | None = None,
        after: int | None = None,
        delay: float = 0.0,
        times: int | None = None,
        when: Callable[[Received], Any] | None = None,
        ordered: bool = False,
    ) -> Scripted:
        """Script the answer to the requests for a path. Returns what tells of them.

        ``path`` begins with a slash and may have a query, whose pairs a request must then have, in any order;
        or it is a pattern, that the path must match as a whole, encoded and without its query. ``method`` is
        one, None for any; what is scripted for GET answers HEAD too.

        ``answer`` is an Answer, a Fault, a status (int), a body (str or bytes), a function that is called
        with the Received and returns one of these, or a sequence of all these, one for each request. Where it
        is None ``status``, ``body`` (str, bytes, Octets or pieces), ``json`` (any value), ``headers`` (a
        mapping or pairs) and ``content_type`` make one, that goes wrong by ``fault`` (a Fault's kind)
        ``after`` octets.

        ``delay`` is how many seconds it waits. ``times`` is how often it may be used: None for ever, and once
        for a sequence or where ``ordered`` is set. What is ordered must be asked for in the order in which it
        was scripted. ``when`` is called with the Received and says whether it fits.

        Of several that fit those with ``times`` come first, one after the other; then the one that was
        scripted last. A request for a path that is scripted but of which none fits is unexpected.

        Raises ValueError and TypeError for what cannot be.
        """
        if answer is None:
            made = make_answer(status, body, json, headers, content_type)
            answer = made if fault is None else Fault(fault, after, made)
        elif (status, body, json, headers, content_type, fault, after) != IN_PARTS:
            raise ValueError("an answer is given as a whole or in parts, and not both")
        scripted = Scripted(method, path, replies_of(answer), times, when, ordered, delay)
        self._script.add(scripted)
        return scripted

    @property
    def received(self) -> list[Received]:
        """The requests, in the order in which they were whole."""
        return self._script.received

    @property
    def unexpected(self) -> list[Received]:
        """Those that neither a scripted answer nor an endpoint was for."""
        return self._script.unexpected

    @property
    def under_way(self) -> int:
        """How many requests have begun and are not answered yet."""
        return self._ending.under_way

    def wait_for(self, count: int = 1, timeout: float = PATIENCE) -> list[Received]:
        """Wait until so many requests have been received, and return all.

        Raises AssertionError where they have not within ``timeout`` seconds.
        """
        return self._script.wait_for(count, timeout)

    def check(self) -> None:
        """Raise AssertionError where scripted answers were not all given, or requests were unexpected.

        Of one without ``times`` it is enough that it was given once. It also tells of exceptions out of
        functions that were to answer.
        """
        self._script.check()

    def clear(self) -> None:
        """Forget what was scripted and what was received. Connections stay, and are counted on."""
        self._script.clear()


def await_holder(server: Any) -> None:
    """Wait until connections that endpoints have held are closed: a thread sees by and by to that."""
    kept.of_server(server, raw.Holder).join(GRACE)


@contextlib.contextmanager
def origin(
    *, tls: bool = False, seed: int = 0, endpoints: bool = True, unexpected_status: int = 404
) -> Iterator[ScriptedOrigin]:
    """Serve in a thread of this process, on a free port of the loopback address, as long as the block runs.

    With ``tls`` it is HTTPS, by a certificate of its own. ``seed`` is what the endpoints' chance comes from;
    without ``endpoints`` there is only what is scripted. ``unexpected_status`` is what requests get that
    nothing is for. At the end answers under way have a second, and no thread and no descriptor is left.

    Raises Refusal where TLS needs trustme, which is not there.
    """
    script, ending = Script(), Ending()
    with contextlib.ExitStack() as stack:
        stack.callback(ending.close)
        certfile, ca_file = stack.enter_context(certified()) if tls else (None, None)
        # Recorded answers would be sent again without the script; server_close() is to wait for handlers.
        server = make_server(
            (HOST, 0), seed=seed, certfile=certfile, max_recordings=0, daemon_threads=False)
        stack.callback(await_holder, server)
        stack.callback(server.server_close)
        handler: Any = server.RequestHandlerClass
        server.RequestHandlerClass = type("Recording", (Recording, handler), {
            "script": script, "ending": ending, "numbers": itertools.count(1), "endpoints": endpoints,
            "unexpected_status": unexpected_status})
        thread = threading.Thread(target=server.serve_forever, name="fastserve.rig.testing", daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(ending.cut_off)
        stack.callback(server.shutdown)
        stack.callback(ending.wake)
        yield ScriptedOrigin(script, ending, server.server_address, ca_file)
