"""Asks one server for one answer, by hand, and holds it to what was expected: nothing is timed before.

Knows an address and a request, and no process. contestants.py waits by it until a server is ready, the engine
verifies by it.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fastserve.rig.measure.scenario import Expected

PATIENCE = 10.0  # seconds for one answer
LARGEST = 1 << 31  # octets of an answer that is read to its end
VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class Wrong(Exception):
    """Why a contestant takes no part, or no further part; one line for a person."""


class Address(NamedTuple):
    """Where a server listens; ``host`` is a name or a number, without brackets."""

    host: str
    port: int
    secure: bool = False

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def url(self, target: str) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{target}"


@dataclass(frozen=True)
class Question:
    """What is asked: as octets it is what every driver sends too."""

    target: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def octets(self, address: Address, close: bool = False) -> bytes:
        """Return the request as it is sent; with ``close`` the connection is to end with its answer."""
        named = any(name.lower() == "host" for name in self.headers)
        fields = dict(self.headers) if named else {"Host": address.authority, **self.headers}
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            fields["Content-Length"] = str(len(self.body))
        if close:
            fields["Connection"] = "close"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{self.method} {self.target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + self.body


class Seen(NamedTuple):
    """An answer: ``octets`` of its body, ``whole`` with its head and framing; ``ends`` the connection.

    ``validators`` are fields by which the same can be asked for again, if it has changed; ``found`` is how
    many different matches there are in its body, of what was looked for.
    """

    status: int
    octets: int
    sha256: str
    whole: int
    ends: bool
    validators: Mapping[str, str] = {}
    found: int = 0


def address_of(url: str) -> Address:
    """Return where the server of a URL listens."""
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    return Address(parts.hostname or "", parts.port or (443 if secure else 80), secure)


def ask(address: Address, question: Question, times: int = 1, close: bool = False,
        patience: float = PATIENCE, pattern: str | None = None) -> list[Seen]:
    """Return that many answers: of one connection as long as the server keeps it, with ``close`` one of each.

    ``pattern`` is looked for in their bodies. Raises Wrong where something comes that is no answer, or
    nothing within ``patience`` seconds, and OSError where nobody listens.
    """
    found: list[Seen] = []
    while len(found) < times:
        with connected(address, patience) as sock:
            while len(found) < times:
                found.append(asked(sock, address, question, close, pattern))
                if close or found[-1].ends:
                    break
    return found


def connected(address: Address, patience: float = PATIENCE) -> socket.socket:
    """Return a connection, over TLS where the address has it. Raises OSError."""
    plain = socket.create_connection((address.host, address.port), patience)
    if not address.secure:
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=address.host)
    except BaseException:
        plain.close()
        raise


def asked(sock: socket.socket, address: Address, question: Question, close: bool = False,
          pattern: str | None = None) -> Seen:
    """Return the answer to a question on a connection. Raises Wrong."""
    counted = _Counted(sock)
    answer = http.client.HTTPResponse(counted, method=question.method)  # type: ignore[arg-type]
    try:
        sock.sendall(question.octets(address, close))
        answer.begin()
        kept = None if pattern is None else bytearray()
        octets, digest = _read(answer, time.monotonic() + (sock.gettimeout() or PATIENCE), kept)
        found = set(re.findall((pattern or "").encode(), kept)) if kept else set()
        return Seen(answer.status, octets, digest, counted.octets, answer.will_close, _validators(answer),
                    len(found))
    except http.client.IncompleteRead as error:
        raise Wrong("ended the connection before its answer was whole") from error
    except http.client.RemoteDisconnected as error:
        raise Wrong("ended the connection instead of answering") from error
    except (http.client.HTTPException, ValueError) as error:
        raise Wrong(f"answered with what is no HTTP: {error!r}") from error
    except TimeoutError as error:
        raise Wrong(f"gave no answer within {sock.gettimeout():g} s") from error
    except OSError as error:
        raise Wrong(f"broke the connection instead of answering: {error.strerror or error}") from error
    finally:
        answer.close()


def _validators(answer: http.client.HTTPResponse) -> dict[str, str]:
    """Of the fields of a request that make it conditional, those for which an answer has a value."""
    given = {asks: answer.getheader(says) for says, asks in VALIDATORS.items()}
    return {name: value for name, value in given.items() if value}


def _read(answer: http.client.HTTPResponse, deadline: float, kept: bytearray | None) -> tuple[int, str]:
    """Read a body to its end, into ``kept`` where that is asked for."""
    digest, octets = hashlib.sha256(), 0
    while data := answer.read1(1 << 20):
        digest.update(data)
        octets += len(data)
        if kept is not None:
            kept += data
        if octets > LARGEST or time.monotonic() > deadline:
            raise Wrong(f"did not end its answer within {octets} octets; what never ends cannot be measured")
    if answer.length:  # octets that were announced, and read1() does not miss
        raise http.client.IncompleteRead(b"", answer.length)
    return octets, digest.hexdigest()


class _Counted(io.RawIOBase):
    """Takes a socket's place for http.client, and counts what comes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self.octets = sock, 0

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        size = self._sock.recv_into(buffer)  # type: ignore[arg-type]
        self.octets += size
        return size


# -- Holding it to what was expected -------------------------------------------------------------


def verified(address: Address, question: Question, expected: Expected, first: Seen | None, close: bool = False
             ) -> Seen:
    """Return the answer that a server gives, asked twice. ``first`` is that of the first contestant.

    Raises Wrong where it is not what is expected, or not the same both times.
    """
    try:
        seen = ask(address, question, 2, close, pattern=expected.matches)
    except OSError as error:
        raise Wrong(f"accepts no connection: {error.strerror or error}") from error
    for each in seen:
        hold(each, expected, first)
    if seen[0][:3] != seen[1][:3] and expected.same is not False:
        raise Wrong("answers otherwise each time; expect = {same = false} lets it")
    return seen[1]


def hold(seen: Seen, expected: Expected, first: Seen | None) -> None:
    """Raise Wrong where an answer is not what is expected."""
    status = 200 if expected.status is None else expected.status
    if seen.status != status:
        raise Wrong(f"answered {seen.status} instead of {status}")
    if expected.octets is not None and seen.octets != expected.octets:
        raise Wrong(f"answered with {seen.octets} octets instead of {expected.octets}")
    if expected.sha256 is not None and seen.sha256 != expected.sha256.lower():
        raise Wrong(f"answered with another body: its SHA-256 is {seen.sha256}")
    if expected.found is not None and seen.found != expected.found:
        raise Wrong(f"has {seen.found} different matches of {expected.matches!r} in its answer instead of "
                    f"{expected.found}")
    said = (expected.octets, expected.sha256, expected.matches)
    same = expected.same if expected.same is not None else said == (None, None, None)
    if same and first is not None and seen.sha256 != first.sha256:
        raise Wrong(f"answered with another body than the first contestant: {seen.octets} octets, "
                    f"and there {first.octets}")
