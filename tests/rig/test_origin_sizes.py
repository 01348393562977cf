"""Bodies of any size: what is in them, parts of them, and that they take no memory."""

import contextlib
import email.parser
import hashlib
import http.client
import json
import random
import sys
import time
import tracemalloc
from base64 import b64encode
from typing import Any

import pytest
from helpers import Client, ask, request

from fastserve.rig.origin.answers import BLOCK

ZERO = random.Random(0).randbytes(BLOCK)


def get(address: Any, target: str, *fields: str) -> Any:
    return ask(address, request("GET", target, *fields))


def fetch(address: Any, target: str, **fields: str) -> tuple[Any, bytes]:
    with contextlib.closing(http.client.HTTPConnection(address[0], address[1], timeout=20)) as client:
        client.request("GET", target, headers=fields)
        answer = client.getresponse()
        return answer, answer.read()


# -- /bytes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 1024, 65_536, 65_537, BLOCK - 1, BLOCK, BLOCK + 1, 17 * BLOCK + 5])
def test_octets(address: Any, count: int) -> None:
    answer, body = fetch(address, f"/bytes/{count}")
    assert body == (ZERO * (count // BLOCK + 1))[:count]
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(count))
    digest = b64encode(hashlib.sha256(body).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_octets_of_a_seed(address: Any) -> None:
    assert get(address, "/bytes/50?seed=12").body == random.Random(12).randbytes(BLOCK)[:50]
    assert get(address, "/bytes/50?seed=0").body == ZERO[:50]


@pytest.mark.parametrize("target", [
    "/bytes/5?seed=x", "/bytes/5?seed=-1", "/digest/5?seed=1.5", "/stream-bytes/5?chunk_size=0",
    "/range/5?duration=-1", "/range/5?chunk_size=x", "/digest/999999999999999",
])
def test_what_cannot_be_asked_for(address: Any, target: str) -> None:
    reply = get(address, target)
    assert reply.status == 400
    assert json.loads(reply.body)["error"]


@pytest.mark.parametrize("target", ["/bytes/-1", "/bytes/x", "/bytes/", "/bytes/1000000000000000"])
def test_what_is_no_count(address: Any, target: str) -> None:
    assert get(address, target).status == 404


def test_a_digest(address: Any) -> None:
    for target, octets in (("/digest/0", b""), ("/digest/3000000", (ZERO * 3)[:3_000_000])):
        assert get(address, target).body.decode() == hashlib.sha256(octets).hexdigest() + "\n"
    assert get(address, "/digest/10?seed=4").body == get(address, "/digest/10?seed=4").body
    assert get(address, "/digest/10?seed=4").body != get(address, "/digest/10").body


def test_what_is_large_has_no_digest(address: Any) -> None:
    reply = ask(address, request("HEAD", f"/bytes/{(1 << 26) + 1}"))
    assert reply.get("Repr-Digest") is None
    assert reply.get("Content-Length") == str((1 << 26) + 1)


def test_a_tebibyte_is_begun_at_once_and_takes_no_memory(address: Any) -> None:
    tracemalloc.start()
    try:
        with Client(address) as client:
            client.send(request(target=f"/bytes/{1 << 40}"))
            got = client.sock.recv(1 << 16)
            while len(got) < 5 * BLOCK:
                got += client.sock.recv(1 << 20)
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"Content-Length: 1099511627776" in head
        assert body == (ZERO * 6)[: len(body)]
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_the_end_of_a_tebibyte(address: Any) -> None:
    answer, body = fetch(address, f"/bytes/{1 << 40}", Range="bytes=-10")
    assert (answer.status, body) == (206, ZERO[-10:])
    assert answer.headers["Content-Range"] == "bytes 1099511627766-1099511627775/1099511627776"


# -- Parts of it -------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "start", "stop"), [
    ("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=1000-", 1000, 2000), ("bytes=-5", 1995, 2000),
    ("bytes=1990-5000", 1990, 2000), ("bytes=-5000", 0, 2000), ("bytes=0-1,3-9", 0, 10),
])
def test_one_part(address: Any, field: str, start: int, stop: int) -> None:
    reply = get(address, "/bytes/2000", f"Range: {field}")
    assert (reply.status, reply.body) == (206, ZERO[start:stop])
    assert reply.get("Content-Range") == f"bytes {start}-{stop - 1}/2000"
    assert reply.get("Repr-Digest") == get(address, "/bytes/2000").get("Repr-Digest")


@pytest.mark.parametrize("count", [2000, 3_000_000])
def test_several_parts(address: Any, count: int) -> None:
    third = (count - 1100, count - 1)
    reply = get(address, f"/bytes/{count}", f"Range: bytes=0-9,500-599,{third[0]}-{third[1]}")
    assert reply.status == 206
    head = f"Content-Type: {reply.get('Content-Type')}\r\n\r\n".encode()
    message: Any = email.parser.BytesParser().parsebytes(head + reply.body)
    parts = message.get_payload()
    ranges = [(0, 9), (500, 599), third]
    assert [part["Content-Range"] for part in parts] == [f"bytes {a}-{b}/{count}" for a, b in ranges]
    expected = [(ZERO * 3)[a : b + 1] for a, b in ranges]
    boundary = reply.get("Content-Type").partition("boundary=")[2].encode()
    pieces = reply.body.split(b"--" + boundary)[1:4]
    assert [piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in pieces] == expected


@pytest.mark.parametrize("field", ["bytes=2000-", "bytes=-0", "bytes=5000-6000"])
def test_no_such_part(address: Any, field: str) -> None:
    reply = get(address, "/bytes/2000", f"Range: {field}")
    assert (reply.status, reply.get("Content-Range")) == (416, "bytes */2000")


@pytest.mark.parametrize("field", ["lines=1-2", "bytes=5-1", "bytes=x", "bytes"])
def test_a_range_that_says_nothing(address: Any, field: str) -> None:
    assert get(address, "/bytes/2000", f"Range: {field}").status == 200


def test_only_get_has_parts(address: Any) -> None:
    reply = ask(address, request("HEAD", "/bytes/2000", "Range: bytes=0-0"))
    assert (reply.status, reply.get("Content-Length")) == (200, "2000")


@pytest.mark.parametrize(("field", "status"), [
    ('If-None-Match: "2000-0"', 304), ('If-None-Match: W/"2000-0", "x"', 304), ("If-None-Match: *", 304),
    ('If-None-Match: "2001-0"', 200), ('If-Match: "2000-0"', 200), ('If-Match: "x"', 412),
    ("If-Modified-Since: Wed, 01 Jan 2020 00:00:00 GMT", 304),
    ("If-Modified-Since: Tue, 31 Dec 2019 23:59:59 GMT", 200),
    ("If-Unmodified-Since: Tue, 31 Dec 2019 23:59:59 GMT", 412),
])
def test_conditions(address: Any, field: str, status: int) -> None:
    reply = get(address, "/bytes/2000", field)
    assert (reply.status, len(reply.body)) == (status, 2000 if status == 200 else 0)
    assert reply.get("ETag") == '"2000-0"'


@pytest.mark.parametrize(("value", "status"), [
    ('"2000-0"', 206), ('"2000-1"', 200), ('W/"2000-0"', 200), ("Wed, 01 Jan 2020 00:00:00 GMT", 206),
    ("Thu, 02 Jan 2020 00:00:00 GMT", 200),
])
def test_if_range(address: Any, value: str, status: int) -> None:
    assert get(address, "/bytes/2000", "Range: bytes=0-9", f"If-Range: {value}").status == status


# -- Streams -----------------------------------------------------------------------------------


def chunks(address: Any, target: str) -> list[bytes]:
    """Those of a body, as they were sent."""
    with Client(address) as client:
        client.send(request(target=target))
        client.end()
        head, _, rest = client.rest().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    found = []
    while rest != b"0\r\n\r\n":
        size, _, rest = rest.partition(b"\r\n")
        found.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return found


@pytest.mark.parametrize(("target", "sizes"), [
    ("/stream-bytes/25?chunk_size=10", [10, 10, 5]), ("/stream-bytes/0", []),
    ("/stream-bytes/10241", [10_240, 1]),
])
def test_octets_in_chunks(address: Any, target: str, sizes: list[int]) -> None:
    found = chunks(address, target)
    assert [len(each) for each in found] == sizes
    assert b"".join(found) == ZERO[: sum(sizes)]


def test_chunks_of_a_seed_over_the_end_of_a_block(address: Any) -> None:
    block = random.Random(3).randbytes(BLOCK)
    answer, body = fetch(address, f"/stream-bytes/{BLOCK + 100}?seed=3&chunk_size=65000")
    assert (answer.headers["Content-Type"], body) == ("application/octet-stream", block + block[:100])


def test_lines(address: Any) -> None:
    found = [json.loads(each) for each in chunks(address, "/stream/3?a=1")]
    assert [each["id"] for each in found] == [0, 1, 2]
    assert found[0]["args"] == {"a": "1"}
    assert found[0]["url"].endswith("/stream/3?a=1")
    assert set(found[0]) == {"id", "args", "headers", "origin", "url"}
    assert chunks(address, "/stream/0") == []


# -- Letters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "status", "body"), [
    ("bytes=0-15", 206, b"abcdefghijklmnop"), ("bytes=20-", 206, b"uvwxyzabcd"), ("bytes=-5", 206, b"zabcd"),
    ("bytes=25-26", 206, b"za"),
])
def test_letters(address: Any, field: str, status: int, body: bytes) -> None:
    reply = get(address, "/range/30?chunk_size=4", f"Range: {field}")
    assert (reply.status, reply.body, reply.get("ETag")) == (status, body, '"range30"')


def test_all_letters(address: Any) -> None:
    reply = get(address, "/range/100?chunk_size=7")
    assert (reply.status, reply.body) == (200, (b"abcdefghijklmnopqrstuvwxyz" * 4)[:100])
    assert (reply.get("Content-Length"), reply.get("Accept-Ranges")) == ("100", "bytes")
    assert get(address, "/range/100", "Range: bytes=100-").status == 416
    assert get(address, "/range/0?duration=1").body == b""


def test_several_parts_of_the_alphabet(address: Any) -> None:
    reply = get(address, "/range/1000?chunk_size=3", "Range: bytes=0-4,500-504")
    assert reply.status == 206
    assert b"\r\n\r\nabcde\r\n" in reply.body
    assert str(len(reply.body)) == reply.get("Content-Length")


def test_letters_take_their_time(address: Any) -> None:
    began = time.monotonic()
    assert get(address, "/range/10?duration=0.5&chunk_size=1").body == b"abcdefghij"
    assert time.monotonic() - began > 0.4


# -- Links -------------------------------------------------------------------------------------


def test_links(address: Any) -> None:
    reply = get(address, "/links/3")
    assert (reply.status, reply.get("Location")) == (302, "/links/3/0")
    page = get(address, "/links/3/1").body.decode()
    assert page.count("<a href='/links/3/") == 2
    assert "</a> 1 <a" in page


@pytest.mark.parametrize(("count", "links"), [(0, 0), (1, 0), (200, 199), (5000, 199)])
def test_how_many_links(address: Any, count: int, links: int) -> None:
    assert get(address, f"/links/{count}/0").body.count(b"<a ") == links


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_many_gibibytes(address: Any) -> None:
    """Across several batches of pieces, on one connection that goes on."""
    size = (2 << 30) + 12_345
    with contextlib.closing(http.client.HTTPConnection(address[0], address[1], timeout=60)) as client:
        client.request("GET", f"/bytes/{size}?seed=1")
        answer = client.getresponse()
        block, buffer, at = random.Random(1).randbytes(BLOCK), bytearray(BLOCK), 0
        while count := answer.readinto(buffer):
            if at % (64 * BLOCK) == 0 and count == BLOCK:
                assert buffer == block
            at += count
        assert at == size
        client.request("GET", "/plaintext")
        assert client.getresponse().read() == b"Hello, World!"
