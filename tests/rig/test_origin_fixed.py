"""Endpoints that say the same each time, and those that name who answers."""

import json
import os
import socket
import struct
import xml.etree.ElementTree
import zlib
from html.parser import HTMLParser
from typing import Any

import pytest
from helpers import ask, request

HTML, TEXT, JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"


def get(address: Any, target: str, *fields: str) -> Any:
    return ask(address, request("GET", target, *fields))


@pytest.mark.parametrize(("target", "content_type", "body"), [
    ("/plaintext", TEXT, b"Hello, World!"),
    ("/json", JSON, b'{"message":"Hello, World!"}'),
    ("/healthz", TEXT, b"ok\n"),
    ("/robots.txt", TEXT, b"User-agent: *\nDisallow: /deny\n"),
])
def test_a_text(address: Any, target: str, content_type: str, body: bytes) -> None:
    reply = get(address, target)
    assert (reply.status, reply.get("Content-Type"), reply.body) == (200, content_type, body)


def test_nothing(address: Any) -> None:
    reply = get(address, "/empty")
    assert (reply.status, reply.body) == (204, b"")
    assert reply.get("Content-Length") is reply.get("Content-Type") is None


def test_a_page(address: Any) -> None:
    reply = get(address, "/html")
    assert reply.get("Content-Type") == HTML
    assert b"<h1>" in reply.body
    HTMLParser().feed(reply.body.decode())


def test_xml(address: Any) -> None:
    reply = get(address, "/xml")
    assert reply.get("Content-Type") == "application/xml"
    assert xml.etree.ElementTree.fromstring(reply.body).tag == "journey"


def test_utf8(address: Any) -> None:
    reply = get(address, "/encoding/utf8")
    text = reply.body.decode("utf-8")
    assert reply.get("Content-Type") == HTML
    assert {len(each.encode()) for each in text} == {1, 2, 3, 4}


def test_what_robots_are_kept_from(address: Any) -> None:
    assert b"robots.txt" in get(address, "/deny").body


# -- Pictures ----------------------------------------------------------------------------------


def test_a_png(address: Any) -> None:
    data = get(address, "/image/png").body
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        checked, end = data[at + 4 : at + 8 + size], at + 8 + size
        assert struct.unpack(">I", data[end : end + 4])[0] == zlib.crc32(checked)
        chunks[name] = checked[4:]
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
    assert list(chunks)[-1] == b"IEND"


def test_a_jpeg(address: Any) -> None:
    data = get(address, "/image/jpeg").body
    assert (data[:3], data[-2:]) == (b"\xff\xd8\xff", b"\xff\xd9")


def test_a_webp(address: Any) -> None:
    data = get(address, "/image/webp").body
    assert (data[:4], data[8:12]) == (b"RIFF", b"WEBP")
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8


def test_an_svg(address: Any) -> None:
    root = xml.etree.ElementTree.fromstring(get(address, "/image/svg").body)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_pictures_can_be_decoded(address: Any, name: str) -> None:
    image = pytest.importorskip("PIL.Image")
    import io

    with image.open(io.BytesIO(get(address, f"/image/{name}").body)) as picture:
        picture.load()
        assert picture.format.lower() == name
        assert picture.size == (64, 64)
        assert len(picture.convert("RGB").getcolors(1 << 16)) > 100


@pytest.mark.parametrize(("accept", "found"), [
    ("image/png", "image/png"), ("image/jpeg", "image/jpeg"), ("image/webp,*/*;q=0.5", "image/webp"),
    ("image/svg+xml", "image/svg+xml"), ("image/*", "image/png"), ("*/*", "image/png"),
    ("image/jpeg;q=0.2, image/webp;q=0.9", "image/webp"), ("IMAGE/JPEG", "image/jpeg"),
    ("image/png;q=0, */*", "image/jpeg"),
])
def test_the_picture_that_is_liked_best(address: Any, accept: str, found: str) -> None:
    reply = get(address, "/image", f"Accept: {accept}")
    assert (reply.status, reply.get("Content-Type"), reply.get("Vary")) == (200, found, "Accept")


def test_no_picture_that_is_liked(address: Any) -> None:
    reply = get(address, "/image", "Accept: text/html")
    assert (reply.status, reply.get("Vary")) == (406, "Accept")
    assert get(address, "/image").get("Content-Type") == "image/png"


# -- Who answers -------------------------------------------------------------------------------


def test_uuids_differ(address: Any) -> None:
    found = {json.loads(get(address, "/uuid").body)["uuid"] for _ in range(3)}
    assert len(found) == 3
    assert {len(each) for each in found} == {36}


def test_who_answers(address: Any) -> None:
    said = json.loads(get(address, "/hostname").body)
    assert (said["hostname"], said["pid"]) == (socket.gethostname(), os.getpid())
    assert isinstance(said["thread"], int)
