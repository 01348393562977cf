"""The folder of the replay tests, and every target by which something in it is asked for, or nothing.

All of it is as old as a test can make it, and never changes. Knows the file system and no server;
replay_corpus.py makes the requests.
"""

import contextlib
import os
import random
import socket
import time
import urllib.parse
from pathlib import Path

from .apps import MTIME

# What says when a file changed cannot be set back: so long is to be waited until nobody takes it for new.
SETTLING = 1.2

SIZES = [0, 1, 1024, 65535, 65536, 65537, 3 << 20]

# Each of them has its own name for content.
FILES = [
    "plain.txt", "page.html", "style.css", "script.js", "data.json", "unknown.qqq", "noext", "UPPER.TXT",
    "pack.tar.gz", "pack.tgz", "own.own", "sp ace.txt", "pl+us.txt", "per%cent.txt", "%41.txt", "ha#sh.txt",
    "que?ry.txt", "semi;colon.txt", "co:lon.txt", "back\\slash.txt", "quo'te\".txt", "a&b<c>.txt",
    "new\nline.txt", "tab\t.txt", "ret\r.txt", " lead.txt", "trail.txt ", "-dash", "~tilde", "..two", "...",
    "%", "ünï.txt", "ü" * 100, "l" * 250, ".hidden", ".hid/in.txt", "dir/.hidden", ".well-known/known.txt",
    "dir/file.txt", "deep/a/b/c/d/file.txt", "site/index.html", "old/index.htm", "both/index.html",
    "both/index.htm", "named/home.html", "dir.html/file.txt", "folder/index.html/file.txt",
    "zipped/index.html", "zipped/index.html.gz", "coded.txt", "coded.txt.gz", "coded.txt.br", "coded.txt.zst",
    "only.css", "only.css.gz", "stale.txt", "stale.txt.gz", "odd.txt", "odd.txt.gz/file.txt",
    "sibling.txt.gz", "hollow.txt", "hollow.txt.gz",
]
# Names that are no text.
RAW_FILES = [b"\xff\xfe.txt", b"half\xc3.txt"]

# When they changed, in seconds since the epoch; all others at MTIME.
TIMES = {"stale.txt": MTIME + 10, "data.json": 0, "style.css": MTIME + 0.75, "tab\t.txt": 4_000_000_000,
         "script.js": 1}

LINKS = {"link.txt": "plain.txt", "linked": "site", "broken": "nothing", "circle": "circle",
         "up/link.txt": "../dir/file.txt", "linked.css.gz": "only.css.gz", "linked.css": "only.css",
         "outside.txt": "../outside.txt"}

EMPTY_FOLDERS = ["empty", "up", "sp ace"]


def content(name: bytes, size: int | None = None) -> bytes:
    chance = random.Random(name)
    return chance.randbytes(chance.randint(20, 2000) if size is None else size)


def make_files(folder: Path) -> None:
    """Make it, and wait until it is settled."""
    folder.mkdir()
    write(os.fsencode(folder.parent / "outside.txt"), b"outside")
    for name in EMPTY_FOLDERS:
        (folder / name).mkdir()
    root = os.fsencode(folder)
    for name in [*map(os.fsencode, FILES), *RAW_FILES]:
        write(os.path.join(root, name), content(name))
    for size in SIZES:
        write(os.path.join(root, b"%d.bin" % size), content(b"%d" % size, size))
    write(os.path.join(root, b"hollow.txt"), b"")
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):  # too long a name
        sock.bind(str(folder / "socket"))
    for name, when in TIMES.items():
        os.utime(folder / name, (when, when))
    time.sleep(SETTLING)


def write(path: bytes, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (MTIME, MTIME))


# -- Targets -----------------------------------------------------------------------------------


def quoted(name: str | bytes) -> str:
    return "/" + urllib.parse.quote(os.fsencode(name))


def encoded(target: str) -> str:
    """The same with every octet encoded that need not be."""
    return "".join(f"%{ord(char):02X}" if char.isalnum() else char for char in target if char != "%")


SIZED = [f"/{size}.bin" for size in SIZES]
NAMED = [quoted(name) for name in [*FILES, *RAW_FILES, *LINKS]]
FOLDERS = ["/", "/dir", "/dir/", "/site", "/site/", "/old/", "/both/", "/named/", "/dir.html", "/dir.html/",
           "/folder/", "/folder/index.html", "/folder/index.html/", "/empty", "/empty/", "/linked",
           "/linked/", "/zipped/", "/sp%20ace", "/sp%20ace/", "/.hid", "/.hid/", "/.well-known/", "/deep/a/b",
           "/%73ite/", "/site%2F", "/site%2f", "/site?query", "/site/?query", "/site#there", "/dir?a#b",
           "/site//", "//site"]
MISSING = ["/missing", "/missing/", "/missing.html", "/missing/at/all", "/plain.txt/", "/plain.txt/more",
           "/pipe", "/socket", "/pipe/", "/broken/more", "/circle/more", "/%00", "/plain.txt%00",
           "/plain%2etxt.", "/%", "/%zz", "/%c3", "/PLAIN.TXT", "/plain.txt%20", "/" + "m" * 300,
           "/" + "d/" * 200, "/<script>", "/missing?query", "/missing#there", "/.hidden/", "/.missing",
           "/dir/.missing", "/\\", "/;", "/dir/file", "/site/missing.html", "/only.css.br", "/plain.txt.gz"]
ROUNDABOUT = ["//plain.txt", "///plain.txt", "/./plain.txt", "/dir/../plain.txt", "/%2e/plain.txt",
              "/dir//file.txt", "/dir/%2e%2e/plain.txt", "/../plain.txt", "/../../plain.txt",
              "/dir/./file.txt", "/dir%2ffile.txt", "/%70lain.txt", "/%70%6c%61%69%6e%2e%74%78%74",
              "/plain.txt?", "/plain.txt?query", "/plain.txt?a=b&c=d", "/plain.txt?/../x", "/plain.txt#",
              "/plain.txt#there", "/plain.txt?a#b", "/plain.txt?query/", "http://test/plain.txt",
              "http://other/plain.txt", "https://test/plain.txt", "HTTP://test/plain.txt", "http://test",
              "http://test/", "http://test/site", "http://test/missing", "http://test//plain.txt",
              "/http://test/plain.txt", "plain.txt", "*", "/sp ace.txt",
              "/ünï.txt".encode().decode("latin-1"), "/plain.txt?\xff", "/a&b<c>.txt", "/quo'te\".txt",
              "/per%cent.txt", "/ha#sh.txt", "/que?ry.txt"]
TARGETS = [*SIZED, *NAMED, *FOLDERS, *MISSING, *ROUNDABOUT]

# Whose entity tags and dates the conditions are made of, each in the codings that there may be.
CONDITIONED = ["/plain.txt", "/0.bin", "/1.bin", "/1024.bin", "/65536.bin", "/65537.bin",
               "/coded.txt", "/only.css", "/stale.txt", "/zipped/", "/site/", "/style.css", "/data.json",
               "/tab%09.txt", "/link.txt", "/missing", "/dir/", "/site", "/hollow.txt", "/odd.txt"]
