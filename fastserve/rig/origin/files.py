"""Static files: twenty, as a page of a program has them, with their gzip and Brotli siblings.

They are made at the first request, the same everywhere, in a temporary folder that goes with the process, and
they leave as SimpleHTTPRequestHandler's do, with validators, ranges and siblings, by the same functions.
Knows the table of endpoints; there is no way to any other file.
"""

import functools
import gzip
import hashlib
import io
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastserve.handlers import codings as accepted
from fastserve.handlers import representations
from fastserve.handlers.ranges import RangeReader
from fastserve.handlers.types import guess_type
from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import Answer, as_json
from fastserve.rig.origin.codings import brotli_compressor
from fastserve.rig.origin.handler import EVERYBODY, Origin
from fastserve.rig.origin.routes import Refusal
from fastserve.rig.origin.semantics import fields_named

endpoint = functools.partial(routes.endpoint, group="Files")

# Octets of each. The sizes are those of a usual page; so is how many of which kind there are.
MIX: Final = {
    "reset.css": 8_000, "layout.css": 25_000, "theme.css": 40_000, "components.css": 80_000,
    "utilities.css": 55_000, "router.js": 20_000, "helpers.js": 30_000, "analytics.js": 12_000,
    "app.js": 120_000, "vendor.js": 300_000, "header.html": 8_000, "footer.html": 8_000,
    "logo.svg": 10_000, "icons.svg": 35_000, "manifest.json": 9_000, "regular.woff2": 22_000,
    "bold.woff2": 23_000, "hero.webp": 45_000, "thumb1.webp": 6_000, "thumb2.webp": 8_000,
}
CHANGED: Final = 1_700_000_000  # Last-Modified, in seconds since the epoch
TYPES: Final = {".gz": "application/gzip", ".br": "application/octet-stream"}
MAGIC: Final = {".woff2": b"wOF2\0\1\0\0", ".webp": b"RIFF"}

LOCK: Final = threading.Lock()


# -- What they are made of -------------------------------------------------------------------------

STEMS: Final = """
accent action anchor arrow badge banner body border box button canvas card cell chart column content cursor
data dialog drawer event field figure filter focus footer form frame grid group handle header hover icon
image index inner input item label layer layout leaf line link list loader main margin mask menu meta modal
module name nav node option outer overlay page panel path picker point popup progress query range region
result root row scroll search section select shadow shell side slider slot space stack state status step
style submit switch table tag target text theme tile title toast toggle token tool track tree unit value
view widget window word wrapper zone
""".split()  # noqa: SIM905  (a list would be three times as long)

# What is written again and again, until a file is full: each $word is made anew by a method of Writer.
PATTERNS: Final = {
    ".css": """\
.$name:hover, .$name > #$name {
  color: #$colour;
  $name: $number $number;
  $name: $number;
}
""",
    ".js": """\
export function $snake($snake, $snake) {
  const $snake = $snake.get($number);
  if ($snake !== undefined && $snake.length > $number) {
    return $snake($snake, '$words');
  }
  return $snake.map((each) => each.$snake + $number);
}
""",
    ".html": """\
<section id="$name" class="$name $name">
  <h2>$words</h2>
  <p>$words $words $words.</p>
  <a href="/$path?page=$number">$words</a>
</section>
""",
    ".svg": '<polygon id="$name" fill="#$colour" points="$points"/>\n',
    ".json": '  {"name": "$name", "path": "/$path.js", "size": $number, "hash": "$hash"},\n',
}
AROUND: Final = {
    ".html": ('<!DOCTYPE html>\n<html lang="en">\n<title>Static</title>\n<body>\n', "</body>\n</html>\n"),
    ".svg": ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 1000">\n', "</svg>\n"),
    ".json": ('{"files": [\n', '  {"name": "last"}\n]}\n'),
}


class Writer:
    """Writes text of a kind by chance, which compresses about as well as what people write."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)

    def fill(self, pattern: str) -> str:
        """Return a pattern with something else for each of its words."""
        return re.sub(r"\$(\w+)", lambda word: getattr(self, word[1])(), pattern)

    def name(self, join: str = "-") -> str:
        return join.join(self.chance.choices(STEMS, k=self.chance.randint(1, 3)))

    def snake(self) -> str:
        return self.name("_")

    def words(self) -> str:
        return self.name(" ")

    def path(self) -> str:
        return self.name("/")

    def number(self) -> str:
        return str(self.chance.randrange(1000))

    def colour(self) -> str:
        return f"{self.chance.getrandbits(24):06x}"

    def hash(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"

    def points(self) -> str:
        return " ".join(f"{self.number()},{self.number()}" for _ in range(self.chance.randint(3, 12)))


def content(name: str, size: int) -> bytes:
    """Return the octets of a file: text of its kind, or octets that cannot be compressed behind a mark."""
    kind = os.path.splitext(name)[1]
    writer = Writer(name)
    if kind in MAGIC:
        mark = MAGIC[kind]
        return mark + writer.chance.randbytes(size - len(mark))
    begin, end = AROUND.get(kind, ("", ""))
    left, pieces = size - len(begin) - len(end), [begin]
    while left > 0:
        piece = writer.fill(PATTERNS[kind])
        if len(piece) > left:
            piece = " " * (left - 1) + "\n"
        pieces.append(piece)
        left -= len(piece)
    return "".join([*pieces, end]).encode()


def siblings(octets: bytes) -> Iterator[tuple[str, bytes]]:
    """What there is beside a file of text: by the ends of their names."""
    yield ".gz", gzip.compress(octets, 9, mtime=0)
    brotli = brotli_compressor()
    if brotli is not None:
        yield ".br", brotli(octets, quality=11)


class Folder(NamedTuple):
    """Where the files are; ``holder`` deletes them once nobody has it any more."""

    holder: "tempfile.TemporaryDirectory[str]"
    listed: list[dict[str, Any]]

    @property
    def path(self) -> Path:
        return Path(self.holder.name)


@functools.cache
def made() -> Folder:
    holder = tempfile.TemporaryDirectory(prefix="fastserve-origin-")
    listed = []
    for name, size in MIX.items():
        octets = content(name, size)
        beside = dict(siblings(octets)) if os.path.splitext(name)[1] not in MAGIC else {}
        for end, data in {"": octets, **beside}.items():
            path = Path(holder.name, name + end)
            path.write_bytes(data)
            os.utime(path, (CHANGED, CHANGED))
        listed.append({
            "name": name, "size": size, "type": guess_type(name, {}, ""),
            "sha256": hashlib.sha256(octets).hexdigest(),
            "siblings": {name + end: len(data) for end, data in beside.items()},
        })
    return Folder(holder, listed)


def folder() -> Folder:
    """Return the folder of this process, which is made where there is none yet."""
    with LOCK:
        return made()


# -- How they are sent -----------------------------------------------------------------------------


@endpoint("/static/", "The files, with their sizes and digests.")
def listing(request: Origin) -> Answer:
    return as_json({"files": folder().listed, "size": sum(MIX.values())})


@endpoint("/static/{name}", "A file, or what there is beside it in gzip or Brotli, with validators and "
          "ranges.", example="/static/app.js")
def static(request: Origin, name: str) -> None:
    here = folder().path
    if name.removesuffix(".gz").removesuffix(".br") not in MIX or not (here / name).is_file():
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no file {name}; /static/ has a list")
    found = represent(request, str(here / name))
    with found.file:
        send(request, found, guess_type(name, TYPES, "application/octet-stream"))


def represent(request: Origin, path: str) -> representations.Representation:
    """Return the file, or the sibling of it that the client would rather have."""
    file = io.FileIO(path)
    plain = representations.Representation(file, os.fstat(file.fileno()))
    field = fields_named(request, "Accept-Encoding").get("accept-encoding", accepted.IDENTITY)
    wanted = accepted.acceptable(field)
    sibling = representations.best_sibling(path, plain.status, wanted, io.FileIO)
    if sibling is not None:
        file.close()
        return sibling
    coding = accepted.IDENTITY if accepted.IDENTITY in wanted else None
    return plain._replace(negotiated=True, coding=coding)


def send(request: Origin, found: representations.Representation, content_type: str) -> None:
    """Send what the request's conditions and ranges leave of it. A file leaves by sendfile."""
    fields = fields_named(request, *representations.CONDITIONAL)
    gets = request.command == "GET"
    answer = representations.answer(
        found, content_type, fields, time.time_ns(), gets or request.command == "HEAD", gets)
    head = [*EVERYBODY, *answer.headers]
    if answer.modified is not None:
        head.append(("Last-Modified", request.date_time_string(answer.modified)))
    request.send_head(answer.status, head)
    if not gets or answer.body is None:
        return
    wfile: Any = request.wfile
    if isinstance(answer.body, RangeReader):
        answer.body.send_to(wfile)
    else:
        wfile.send_file(found.file.fileno(), 0, found.status.st_size)
