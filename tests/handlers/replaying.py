"""What the tests of classes that replay share: a folder that is settled, and whether an answer was replayed.

Knows public names only.
"""

import functools
import mimetypes
import time
from pathlib import Path
from typing import Any

from helpers import Reply, ask, request

import fastserve

# How long a file must have been left alone, with some to spare: nobody can set back when it changed.
SETTLING = 1.2
TARGET = "/file.txt"
TRIES = 5


class Files(fastserve.SimpleHTTPRequestHandler):
    """The least: it says nothing, by a hook that everybody has."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass


def settled_folder(home: Path) -> Path:
    """Two folders with files of the same names and lengths, and other octets; they are settled."""
    for name, letter in (("one", "1"), ("two", "2")):
        folder = home / name
        (folder / "dir").mkdir(parents=True)
        for file in ("file.txt", "other.txt", "page.html", "dir/index.html", "data.own"):
            (folder / file).write_text(letter * 20)
        (folder / "file.txt.gz").write_text(letter * 10)
        (folder / "large").write_text(letter * 100_000)
    mimetypes.init()  # which changes what every answer depends on
    time.sleep(SETTLING)
    return home


def hits(server: Any) -> int:
    """How many answers a server has sent from recordings."""
    recordings = getattr(server, "recordings", None)
    return recordings.hits if recordings is not None else 0


def replays(server: Any, target: str = TARGET) -> bool:
    """Whether the second and third answer to a request come from a recording."""
    first = ask(server.server_address, request(target=target))
    told = 0
    for _ in range(TRIES):
        before = hits(server)
        others = [ask(server.server_address, request(target=target)) for _ in range(2)]
        assert [comparable(other) for other in others] == [comparable(first)] * 2
        told = hits(server) - before
        if told != 1:  # under load the first may be given to a thread
            break
    assert told in (0, 2), "one of two answers that are the same was replayed"
    return told > 0


def comparable(reply: Reply) -> Reply:
    """All of it but the time of day."""
    headers = [(name, "now" if name == "Date" else value) for name, value in reply.headers]
    return reply._replace(headers=headers)


def partial(handler: Any, folder: Path, **options: Any) -> Any:
    return functools.partial(handler, directory=str(folder), **options)
