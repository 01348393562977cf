"""Endpoints whose answers are the same each time: texts, a page, pictures; and what names this process.

Knows the handler. The pictures are small and made for this: png() draws one, and how the others came about is
said beside them.
"""

import base64
import functools
import html
import os
import socket
import struct
import threading
import uuid
import zlib
from http import HTTPStatus
from typing import Final

from fastserve.handlers.listing import quality, weighed
from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import HTML, JSON, TEXT, Answer, as_json
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import Refusal

endpoint = functools.partial(routes.endpoint, group="Fixed")

# -- Texts -----------------------------------------------------------------------------------------

PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>A page</title>
</head>
<body>
<h1>A page of an origin</h1>
<p>It says the same whenever it is asked for, so that who fetches it can tell whether all of it came.</p>
<p>A client asks for <a href="/">what else there is</a>, or for <a href="/bytes/1024">a kibibyte</a>.</p>
<ul>
<li>An origin has the content.</li>
<li>A gateway stands between it and the clients.</li>
<li>A cache keeps what it may keep.</li>
</ul>
</body>
</html>
"""
DOCUMENT: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<journey from="client" to="origin">
  <stop number="1"><name>client</name><keeps>nothing</keeps></stop>
  <stop number="2"><name>gateway</name><keeps>connections</keeps></stop>
  <stop number="3"><name>cache</name><keeps>what it may</keeps></stop>
  <stop number="4"><name>origin</name><keeps>everything</keeps></stop>
</journey>
"""
SCRIPTS: Final = """\
UTF-8: characters of one, two, three and four octets

ASCII       The quick brown fox jumps over the lazy dog 0123456789 !"#$%&'()*+,-./:;<=>?@[]^_`{|}~
Latin       Falsches Üben von Xylophonmusik quält jeden größeren Zwerg; Ça va, señor? Łódź, Đakovo, İzmir
Greek       Ὁ μὲν οὖν λόγος οὗτος · αβγδεζηθικλμνξοπρστυφχψω
Cyrillic    Съешь же ещё этих мягких французских булок; Њњ Љљ Ђђ Ћћ
Hebrew      אבגדהוזחטיכלמנסעפצקרשת
Arabic      ابتثجحخدذرزسشصضطظعغفقكلمنهوي ٠١٢٣٤٥٦٧٨٩
Devanagari  अ आ इ ई उ ऊ ऋ ए ऐ ओ औ क ख ग घ ङ
Thai        กขฃคฅฆงจฉชซฌญ ๐๑๒๓๔๕๖๗๘๙
CJK         漢字、ひらがな、カタカナ、한글
Signs       € £ ¥ © ® ™ § ¶ † ‡ • … ‰ ← ↑ → ↓ ∀ ∃ ∈ ∑ ∏ √ ∞ ≈ ≠ ≤ ≥ ⌘ ☃ ♠ ♥
Boxes       ┌─┬─┐ │ │ │ ├─┼─┤ └─┴─┘ ░▒▓█
Combining   e\u0301 = é, a\u030a = å, n\u0303 = ñ
Beyond BMP  😀 🚲 🛰 𝄞 𐍈 𠜎 👩\u200d🔬 🏳\ufe0f\u200d🌈
"""
CHARACTERS: Final = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Characters</title></head>
<body>
<pre>{}</pre>
</body>
</html>
"""
ROBOTS: Final = "User-agent: *\nDisallow: /deny\n"
DENIED: Final = "Robots were asked to stay away from here: see /robots.txt.\n"

TEXTS: Final = {
    "/plaintext": ("Hello, World!", TEXT, "A line of text."),
    "/json": ('{"message":"Hello, World!"}', JSON, "An object of JSON."),
    "/healthz": ("ok\n", TEXT, "That it is well."),
    "/html": (PAGE, HTML, "A page."),
    "/xml": (DOCUMENT, "application/xml", "A document of XML."),
    "/robots.txt": (ROBOTS, TEXT, "Keeps robots from /deny."),
    "/deny": (DENIED, TEXT, "What robots are to be kept from."),
    "/encoding/utf8": (
        CHARACTERS.format(html.escape(SCRIPTS)), HTML, "Characters of many scripts, in UTF-8."),
}


def register_text(path: str, text: str, content_type: str, says: str) -> None:
    octets = text.encode()

    @endpoint(path, says, constant=True)
    def text_of_it(request: Origin) -> Answer:
        return Answer(octets, content_type)


for _path, _about in TEXTS.items():
    register_text(_path, *_about)


@endpoint("/empty", "204, and no body.", constant=True)
def empty(request: Origin) -> Answer:
    return Answer(status=HTTPStatus.NO_CONTENT, content_type=None)


# -- Pictures --------------------------------------------------------------------------------------

SIDE: Final = 64  # pixels of the PNG


def png() -> bytes:
    """Return a picture in which each pixel has another colour (ISO/IEC 15948)."""
    side = range(SIDE)
    lines = (b"\0" + b"".join(bytes((4 * x, 4 * y, 255 - 2 * (x + y))) for x in side) for y in side)
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(b"".join(lines), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks)


SVG: Final = b"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">
<rect width="64" height="64" rx="8" fill="#3b82d6"/>
<path d="M12 20h40M12 32h28M12 44h36" stroke="#fff" stroke-width="6" stroke-linecap="round"/>
</svg>
"""
# The picture of png(), saved once by Pillow, as JPEG (quality=20, optimize=True) and as WebP (lossless=True,
# quality=100, method=6), in base64.
JPEG: Final = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71"
    "////m8H////6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4"
    "+Pj4+Pj4+Pj/wAARCABAAEADASIAAhEBAxEB/8QAGAABAQEBAQAAAAAAAAAAAAAAAgEDBAX/xAAVEAEBAAAAAAAAAAAAAAAAAAAB"
    "AP/EABcBAQEBAQAAAAAAAAAAAAAAAAMFBAL/xAAWEQADAAAAAAAAAAAAAAAAAAAAAQL/2gAMAwEAAhEDEQA/APNCQSCoVJ0cSwhI"
    "JBUInQ8sgVCQSCJ0NLCFQkEgidDSznCQSCoWh0SJYQkEgqEToaWEJBIKhE6GlhCQSCoROh5ZgFQkEgtDojywhIKhIInQ0sISCQVC"
    "J0PLCEgkFQidDSzAKhIJBaHRIlhCoSCQROhpYQqEgkEToaWEJBUJBE6Hln//2Q=="
)
WEBP: Final = (
    "UklGRjwAAABXRUJQVlA4TC8AAAAvP8APAM1lRP9jF4WI/gcUpG3AdMe/8QkY2QBF4f+LDQoBBED8nZuYAJix3nPfAQA="
)
PICTURES: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "svg": "image/svg+xml"}


@functools.cache
def picture(name: str) -> bytes:
    """Return the octets of one of PICTURES."""
    if name == "png":
        return png()
    return SVG if name == "svg" else base64.b64decode({"jpeg": JPEG, "webp": WEBP}[name])


def register_picture(name: str, content_type: str) -> None:
    @endpoint(f"/image/{name}", f"A picture, {content_type}.", constant=True)
    def picture_of_it(request: Origin) -> Answer:
        return Answer(picture(name), content_type)


for _name, _type in PICTURES.items():
    register_picture(_name, _type)


@endpoint("/image", "A picture of the type that Accept likes best, 406 where there is none.")
def picture_by_accept(request: Origin) -> Answer:
    accepted = [weighed(each) for each in (request.headers.get("Accept") or "*/*").lower().split(",")]
    best = max(PICTURES, key=lambda name: quality(PICTURES[name], accepted))
    if not quality(PICTURES[best], accepted):
        raise Refusal(
            HTTPStatus.NOT_ACCEPTABLE, f"there is {', '.join(PICTURES.values())}", [("Vary", "Accept")])
    return Answer(picture(best), PICTURES[best], headers=[("Vary", "Accept")])


# -- Who answers -----------------------------------------------------------------------------------


@endpoint("/uuid", "A UUID that nobody else has been given; no seed makes it the same.")
def another_uuid(request: Origin) -> Answer:
    return as_json({"uuid": str(uuid.uuid4())})


@endpoint("/hostname", "The machine, the process and the thread that answer.")
def hostname(request: Origin) -> Answer:
    return as_json({"hostname": socket.gethostname(), "pid": os.getpid(), "thread": threading.get_ident()})
