"""What the tests of uploads share: a class that takes them, requests that bring files, what there is then."""

import os
from pathlib import Path
from typing import Any

from helpers import Client, Reply, request

from fastserve.handlers.paths import UNFINISHED
from fastserve.handlers.upload import UploadMixin

from .makers import Files

BOUNDARY = "----Boundary7"
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


class Uploads(UploadMixin, Files):
    """Into all of the served folder, unless a test says another."""

    def __init__(self, *args: Any, directory: str, **options: Any) -> None:
        self.upload_directory = type(self).upload_directory or directory
        super().__init__(*args, directory=directory, **options)


def put(target: str, body: bytes = b"content", *fields: str) -> bytes:
    """With a length also where that is 0."""
    length = [] if body else ["Content-Length: 0"]
    return request("PUT", target, *fields, *length, body=body)


def part(content: bytes, filename: str | bytes | None, name: str = "file") -> bytes:
    octets = filename.encode() if isinstance(filename, str) else filename
    more = b"" if octets is None else b'; filename="%b"' % octets
    return (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode() + more
            + b"\r\n\r\n" + content + b"\r\n")


def form_of(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(target: str, *parts: bytes, fields: tuple[str, ...] = ()) -> bytes:
    return request("POST", target, FORM, *fields, body=form_of(*parts))


def chunked(method: str, target: str, body: bytes, *fields: str, step: int = 1000) -> bytes:
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    return request(method, target, "Transfer-Encoding: chunked", *fields) + b"".join(
        b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file beneath a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def check_refused(peer: Client, reply: Reply, status: int) -> None:
    """And the connection ends, so that no rest of a body is taken for a request."""
    assert reply.status == status
    assert reply.get("Connection") == "close"
    assert peer.is_closed()


def is_receiving(folder: Path) -> bool:
    """Whether a file is coming in."""
    return any(name.startswith(UNFINISHED) for name in os.listdir(folder))
