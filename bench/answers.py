"""Asks once, by hand, and compares every octet: nothing is timed before. Knows an address and a workload.

run.py calls `checked` for each contestant, and gives wrk what it has found: the header lines to send, and how
many octets one answer has.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from processes import BenchError
from workloads import Workload

PATIENCE = 10  # seconds for one answer
VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


@dataclass(frozen=True)
class Answer:
    version: str
    status: int
    fields: dict[str, str]  # by names in lower case
    body: bytes
    octets: int  # as they came

    def ends_connection(self) -> bool:
        return self.version == "HTTP/1.0" or self.fields.get("connection", "").lower() == "close"


@dataclass(frozen=True)
class Checked:
    octets: int  # of an answer
    fields: tuple[str, ...]  # header lines of the request, beside Host


@contextmanager
def connected(port: int, tls: bool = False) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """A connection, and a file to read from it."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        sock = _client_context().wrap_socket(plain) if tls else plain
        with sock, sock.makefile("rb") as stream:
            yield sock, stream


def _client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def request(port: int, path: str, fields: tuple[str, ...] = ()) -> bytes:
    host = () if any(field.startswith("Host:") for field in fields) else (f"Host: 127.0.0.1:{port}",)
    return "".join(f"{line}\r\n" for line in (f"GET {path} HTTP/1.1", *host, *fields, "")).encode()


# Reading -------------------------------------------------------------------------------------------------

def read_answer(stream: BinaryIO) -> Answer:
    lines = list(_head_lines(stream))
    version, status = lines[0].split()[0].decode(), int(lines[0].split()[1])
    fields = {name.strip().lower(): value.strip()
              for name, _, value in (line.decode("latin-1").partition(":") for line in lines[1:])}
    body, framing = _body(stream, status, fields)
    return Answer(version, status, fields, body, sum(map(len, lines)) + len(b"\r\n") + len(body) + framing)


def _head_lines(stream: BinaryIO) -> Iterator[bytes]:
    while (line := stream.readline()) != b"\r\n":
        if not line:
            raise BenchError("ended the connection instead of answering")
        yield line


def _body(stream: BinaryIO, status: int, fields: dict[str, str]) -> tuple[bytes, int]:
    """The body, and the octets that framed it."""
    if status in (204, 304):
        return b"", 0
    if "content-length" in fields:
        return stream.read(int(fields["content-length"])), 0
    if fields.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(stream)
    return stream.read(), 0


def _chunks(stream: BinaryIO) -> tuple[bytes, int]:
    pieces, framing = [], 0
    while True:
        line = stream.readline()
        piece = stream.read(int(line.split(b";")[0], 16))
        framing += len(line) + len(stream.readline())
        if not piece:
            return b"".join(pieces), framing
        pieces.append(piece)


# Comparing -----------------------------------------------------------------------------------------------

def checked(port: int, workload: Workload, body: bytes | None = None) -> Checked:
    """`body` is what comes instead of the workload's, as the floor has nothing but x."""
    body = workload.content if body is None else body
    fields = workload.fields
    if workload.conditional:
        fields += _validators(port, workload, body)
    rounds = _apart if workload.fresh else _together
    octets = [_compared(answer, workload, body) for answer in rounds(port, workload, fields)]
    return Checked(sum(octets) // len(octets), fields)


def _validators(port: int, workload: Workload, body: bytes) -> tuple[str, ...]:
    with connected(port, workload.tls) as (sock, stream):
        sock.sendall(request(port, workload.path, workload.fields))
        whole = read_answer(stream)
    if (whole.status, whole.body) != (200, body):
        raise BenchError(f"answered {whole.status} and {len(whole.body)} bytes to {workload.path}")
    given = {asks: whole.fields.get(says) for says, asks in VALIDATORS.items()}
    found = tuple(f"{name}: {value}" for name, value in given.items() if value)
    if not found:
        raise BenchError("its answers have no validator")
    return found


def _together(port: int, workload: Workload, fields: tuple[str, ...]) -> Iterator[Answer]:
    """Answers on one connection, or as few as the contestant says: one ends it with each 404."""
    paths = workload.paths()
    while paths:
        with connected(port, workload.tls) as (sock, stream):
            ended = False
            while paths and not ended:
                sock.sendall(request(port, paths.pop(), fields) * workload.pipelined)
                for _ in range(workload.pipelined):
                    answer = read_answer(stream)
                    ended = answer.ends_connection()
                    yield answer


def _apart(port: int, workload: Workload, fields: tuple[str, ...]) -> Iterator[Answer]:
    """Answers on connections of their own, each of which the contestant must say that it ends, and end."""
    for path in workload.paths():
        with connected(port, workload.tls) as (sock, stream):
            sock.sendall(request(port, path, fields))
            answer = read_answer(stream)
            if not answer.ends_connection():
                raise BenchError("does not say that it ends the connection")
            if stream.read(1):
                raise BenchError("sent something behind its last answer")
            yield answer


def _compared(answer: Answer, workload: Workload, body: bytes) -> int:
    if answer.status != workload.status:
        raise BenchError(f"answered {answer.status} instead of {workload.status}")
    if workload.listed:
        names = len(set(re.findall(rb">entry-\d{5}", answer.body)))
        if names != workload.listed:
            raise BenchError(f"listed {names} names of {workload.listed}")
    elif workload.status == 200:
        if answer.body != body:
            raise BenchError("answered with the wrong body")
        if not {"content-length", "transfer-encoding"} & answer.fields.keys():
            raise BenchError("answered without a length")
    return answer.octets
