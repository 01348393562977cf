"""The origin for tests: what is scripted comes, what came is on record, and nothing is left behind.

The client is http.client or a bare socket, so that each octet and each end of a connection is seen.
"""

import contextlib
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import PATIENCE, Client, Reply, nothing_left_behind, request, wait_until

from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import Octets
from fastserve.rig.scripted import KINDS, PARTIAL
from fastserve.rig.testing import Answer, Fault, Received, ScriptedOrigin, origin

OK = b"HTTP/1.1 200 OK"


@pytest.fixture
def server() -> Iterator[ScriptedOrigin]:
    with nothing_left_behind(), origin() as server:
        yield server


def ask(
    server: ScriptedOrigin, target: str = "/x", method: str = "GET", *fields: str, body: bytes = b""
) -> Reply:
    """One request on a connection of its own."""
    with Client((server.host, server.port)) as client:
        return client.ask(request(method, target, *fields, body=body))


def statuses(server: ScriptedOrigin, *targets: str) -> list[int]:
    return [ask(server, target).status for target in targets]


def lines_of(requests: list[Received]) -> list[str]:
    return [str(each) for each in requests]


# -- Answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "status", "kind", "body"), [
    ({}, 200, None, b""),
    ({"status": 503}, 503, None, b""),
    ({"body": "äh"}, 200, "text/plain; charset=utf-8", "äh".encode()),
    ({"body": b"\0\xff"}, 200, "application/octet-stream", b"\0\xff"),
    ({"body": "a,b", "content_type": "text/csv"}, 200, "text/csv", b"a,b"),
    ({"body": Octets(3, 1)}, 200, "application/octet-stream", bytes(Octets(3, 1))),
    ({"json": {"a": [1, None]}, "status": 201}, 201, "application/json", b'{"a": [1, null]}'),
    ({"json": None}, 200, "application/json", b"null"),
    ({"answer": 418}, 418, None, b""),
    ({"answer": "text"}, 200, "text/plain; charset=utf-8", b"text"),
    ({"answer": b"octets"}, 200, "application/octet-stream", b"octets"),
    ({"answer": Answer(b"<a/>", "text/xml", 202)}, 202, "text/xml", b"<a/>"),
    ({"answer": lambda request: request.method}, 200, "text/plain; charset=utf-8", b"GET"),
    ({"answer": lambda request: 404}, 404, None, b""),
])
def test_an_answer(server: ScriptedOrigin, said: Any, status: int, kind: str, body: bytes) -> None:
    server.answer("/x", **said)
    reply = ask(server)
    assert (reply.status, reply.get("Content-Type"), reply.body) == (status, kind, body)
    server.check()


def test_pieces_come_as_chunks(server: ScriptedOrigin) -> None:
    server.answer("/x", body=[b"one", b"", b"two"])
    reply = ask(server)
    assert (reply.get("Transfer-Encoding"), reply.body) == ("chunked", b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


@pytest.mark.parametrize("headers", [
    {"X-One": "1", "Content-Type": "a/b"}, [("X-One", "1"), ("Content-Type", "a/b")]])
def test_headers(server: ScriptedOrigin, headers: Any) -> None:
    server.answer("/x", body="text", headers=headers)
    reply = ask(server)
    assert reply.get("X-One") == "1"
    assert [value for name, value in reply.headers if name == "Content-Type"] == ["a/b"]


@pytest.mark.parametrize("name", ["Set-Cookie", "X-Own", "Cache-Control"])
def test_headers_that_come_twice(server: ScriptedOrigin, name: str) -> None:
    server.answer("/x", headers=[(name, "a=1"), (name, "b=2")])
    assert [value for each, value in ask(server).headers if each == name] == ["a=1", "b=2"]


def test_head_gets_what_is_scripted_for_get(server: ScriptedOrigin) -> None:
    server.answer("/x", body=b"octets")
    reply = ask(server, method="HEAD")
    assert (reply.status, reply.get("Content-Length"), reply.body) == (200, "6", b"")


@pytest.mark.parametrize("method", ["POST", "DELETE", "PROPFIND", "QUERY"])
def test_methods(server: ScriptedOrigin, method: str) -> None:
    server.answer("/x", 202, method=method.lower())
    server.answer("/any", 203, method=None)
    assert ask(server, method=method).status == 202
    assert ask(server, "/any", method).status == 203
    assert ask(server).status == 404


@pytest.mark.parametrize(("path", "target", "fits"), [
    ("/a b", "/a%20b", True),
    ("/a%20b", "/a%20b", True),
    ("/ä", "/%C3%A4", True),
    ("/x", "/x?any=1", True),
    ("/x", "/x/", False),
    ("/x?a=1&b=2", "/x?b=2&a=1", True),
    ("/x?a=1", "/x?a=1&b=2", False),
    ("/x?", "/x", True),
    ("/x?", "/x?a=1", False),
    ("/x?q=a%20b", "/x?q=a+b", True),
    (re.compile(r"/users/\d+"), "/users/12?a=1", True),
    (re.compile(r"/users/\d+"), "/users/12/x", False),
    ("/x", "http://elsewhere/x", True),
    ("*", "*", True),
])
def test_which_request_it_is_for(server: ScriptedOrigin, path: Any, target: str, fits: bool) -> None:
    server.answer(path, 201, method=None)
    assert ask(server, target, "OPTIONS").status == (201 if fits else 404)


def test_a_condition(server: ScriptedOrigin) -> None:
    server.answer("/x", 401)
    server.answer("/x", 200, when=lambda request: request.headers["Authorization"] == "Bearer t", times=1)
    assert [ask(server).status, ask(server, "/x", "GET", "Authorization: Bearer t").status] == [401, 200]
    server.check()


@pytest.mark.parametrize("said", [
    {"path": "x"}, {"path": "/x", "times": 0}, {"path": "/x", "delay": -1}, {"path": "/x", "answer": []},
    {"path": "/x", "json": 1, "body": b"1"}, {"path": "/x", "answer": 200, "status": 201},
    {"path": "/x", "answer": "a", "headers": {"A": "b"}}, {"path": "/x", "fault": "explode"},
    {"path": "/x", "fault": "reset", "after": -1}, {"path": "/x", "answer": [200, Answer()], "json": None},
])
def test_what_cannot_be(server: ScriptedOrigin, said: Any) -> None:
    with pytest.raises(ValueError):
        server.answer(**said)


@pytest.mark.parametrize("answer", [1.5, {"a": 1}, [200, 1.5], object()])
def test_what_is_no_answer(server: ScriptedOrigin, answer: Any) -> None:
    with pytest.raises(TypeError, match="is no answer"):
        server.answer("/x", answer)


# -- Which comes when ----------------------------------------------------------------------------


def test_a_sequence(server: ScriptedOrigin) -> None:
    scripted = server.answer("/x", [503, Answer(status=429), lambda request: 200])
    assert statuses(server, *["/x"] * 4) == [503, 429, 200, 404]
    assert scripted.used == 3
    assert "all scripted answers to GET /x have been given" in ask(server).body.decode()


def test_a_sequence_that_comes_twice(server: ScriptedOrigin) -> None:
    server.answer("/x", [500, 200], times=2)
    assert statuses(server, *["/x"] * 5) == [500, 200, 500, 200, 404]


def test_so_many_times_and_then_another(server: ScriptedOrigin) -> None:
    server.answer("/x", 503, times=2)
    server.answer("/x", 500, times=1)
    server.answer("/x", 200)
    assert statuses(server, *["/x"] * 5) == [503, 503, 500, 200, 200]


def test_what_was_scripted_last_counts(server: ScriptedOrigin) -> None:
    server.answer("/x", 200)
    assert statuses(server, "/x") == [200]
    server.answer("/x", 201)
    assert statuses(server, "/x", "/x") == [201, 201]


def test_order(server: ScriptedOrigin) -> None:
    server.answer("/login", 201, ordered=True)
    server.answer("/page", 202, ordered=True, times=2)
    server.answer("/logout", 203, ordered=True)
    assert statuses(server, "/page", "/login", "/logout") == [404, 201, 404]
    assert "it is the turn of GET /page" in ask(server, "/logout").body.decode()
    assert statuses(server, "/page", "/page", "/logout", "/logout") == [202, 202, 203, 404]
    assert lines_of(server.unexpected) == ["GET /page", "GET /logout", "GET /logout", "GET /logout"]


def test_endpoints_answer_the_rest(server: ScriptedOrigin) -> None:
    server.answer("/plaintext", 418, times=1)
    assert statuses(server, "/plaintext", "/plaintext", "/bytes/10") == [418, 404, 200]
    assert lines_of(server.unexpected) == ["GET /plaintext"]


def test_what_is_posted_reaches_an_endpoint(server: ScriptedOrigin) -> None:
    reply = ask(server, "/anything", "POST", "Content-Type: text/plain", body=b"some text")
    assert json.loads(reply.body)["data"] == "some text"
    assert server.received[0].body == b"some text"


def test_without_endpoints() -> None:
    with origin(endpoints=False, unexpected_status=501) as server:
        server.answer("/x", 200)
        assert statuses(server, "/x", "/bytes/10", "/") == [200, 501, 501]
        assert lines_of(server.unexpected) == ["GET /bytes/10", "GET /"]


def test_the_seed_is_the_origin_s() -> None:
    def first(seed: int) -> bytes:
        with origin(seed=seed) as server:
            return ask(server, "/bytes/16").body

    assert first(1) == first(1) != first(2)


# -- The record ----------------------------------------------------------------------------------


def test_what_was_received(server: ScriptedOrigin) -> None:
    server.answer("/x", 200, method="POST")
    before = time.monotonic()
    ask(server, "/x?a=1&b=%C3%A4&a=2", "POST", "X-Own: yes", body=b'{"c": 3}')
    (received,) = server.received
    assert (received.method, received.target, received.path) == ("POST", "/x?a=1&b=%C3%A4&a=2", "/x")
    assert (received.query, received.pairs[0]) == ({"a": "2", "b": "ä"}, ("a", "1"))
    assert (received.headers["x-own"], received.headers["Content-Length"]) == ("yes", "8")
    assert (received.body, received.text, received.json()) == (b'{"c": 3}', '{"c": 3}', {"c": 3})
    assert before <= received.time <= time.monotonic()
    assert (received.client[0], received.connection, received.complete) == ("127.0.0.1", 1, True)


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_bodies(server: ScriptedOrigin, size: int, chunked: bool) -> None:
    body = bytes(Octets(size))
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        pieces = iter([body[:10], body[10:]]) if chunked and size > 10 else body
        connection.request("POST", "/anything", pieces, encode_chunked=chunked)
        assert connection.getresponse().status == 200
    assert server.received[0].body == body


def test_who_waits_for_100_continue(server: ScriptedOrigin) -> None:
    server.answer("/x", 204, method="PUT")
    with Client((server.host, server.port)) as client:
        client.send(request("PUT", "/x", "Content-Length: 4", "Expect: 100-continue"))
        interim = client.reply()
        assert interim is not None
        assert interim.status == 100
        assert client.ask(b"body").status == 204
    assert server.received[0].body == b"body"


def test_connections_are_told_apart(server: ScriptedOrigin) -> None:
    server.answer("/x", 200)
    with Client((server.host, server.port)) as one, Client((server.host, server.port)) as two:
        for client in (one, two, one):
            assert client.ask(request("GET", "/x")).status == 200
    assert [each.connection for each in server.received] == [1, 2, 1]
    assert len({each.client for each in server.received}) == 2


def test_what_a_scripted_answer_was_given_to(server: ScriptedOrigin) -> None:
    scripted = server.answer("/a", 200)
    statuses(server, "/a?1", "/plaintext", "/a?2")
    assert lines_of(scripted.received) == ["GET /a?1", "GET /a?2"]
    assert len(server.received) == 3


def test_waiting_for_requests(server: ScriptedOrigin) -> None:
    server.answer("/x", 200)
    timer = threading.Timer(0.05, statuses, [server, "/x", "/x"])
    timer.start()
    assert lines_of(server.wait_for(2)) == ["GET /x", "GET /x"]
    timer.join()


def test_waiting_in_vain(server: ScriptedOrigin) -> None:
    ask(server, "/plaintext")
    with pytest.raises(AssertionError, match=r"1 of 2 requests came within 0.01 seconds: GET /plaintext"):
        server.wait_for(2, 0.01)


@pytest.mark.parametrize(("field", "octets", "body"), [
    ("Content-Length: 100000", b"four", b"four"),
    ("Transfer-Encoding: chunked", b"5\r\nfour", b"four"),
    ("Transfer-Encoding: chunked", b"none\r\n", b""),
])
def test_a_body_that_is_not_whole(server: ScriptedOrigin, field: str, octets: bytes, body: bytes) -> None:
    scripted = server.answer("/x", 200, method="POST")
    with Client((server.host, server.port)) as client:
        client.send(request("POST", "/x", field) + octets)
        client.end()
        assert client.is_closed()
    (received,) = server.wait_for(1)
    assert (received.body, received.complete, scripted.used) == (body, False, 0)
    assert server.unexpected == []


def test_clearing(server: ScriptedOrigin) -> None:
    server.answer("/x", 500)
    server.answer("/y", lambda request: 1 / 0)
    assert statuses(server, "/x", "/y", "/none") == [500, 500, 404]
    server.clear()
    assert (server.received, server.unexpected) == ([], [])
    server.check()
    server.answer("/x", 201)
    assert statuses(server, "/x") == [201]


def test_what_began_before_it_was_cleared_is_not_recorded(server: ScriptedOrigin) -> None:
    server.answer("/x", 200, method="POST")
    with Client((server.host, server.port)) as client:
        client.send(request("POST", "/x", "Content-Length: 4", "Expect: 100-continue"))
        assert client.reply() is not None  # it has begun
        wait_until(lambda: False, 0.05)
        server.clear()
        assert client.ask(b"body").status == 404
    assert (server.received, server.unexpected) == ([], [])


# -- Judging -------------------------------------------------------------------------------------


def test_all_is_well(server: ScriptedOrigin) -> None:
    server.answer("/a", [200, 200])
    server.answer("/b", 200)
    statuses(server, "/a", "/a", "/b", "/b", "/plaintext")
    server.check()


def test_what_is_missing_is_told(server: ScriptedOrigin) -> None:
    server.answer("/a", [200, 200])
    server.answer("/b", 200)
    server.answer(re.compile("/c+"), 200, method=None, times=1)
    ask(server, "/a")
    with pytest.raises(AssertionError) as caught:
        server.check()
    assert str(caught.value) == (
        "scripted answers were not given: GET /a (1 of 2), GET /b (never), any method /c+ (never)")


def test_what_was_unexpected_is_told(server: ScriptedOrigin) -> None:
    statuses(server, *(f"/none/{i}" for i in range(12)))
    with pytest.raises(AssertionError, match=r"requests were not expected: GET /none/0, .* and 2 more$"):
        server.check()


@pytest.mark.parametrize("said", [
    {"answer": lambda request: 1 / 0}, {"answer": lambda request: 1.5},
    {"answer": 200, "when": lambda request: 1 / 0},
])
def test_a_function_that_fails_is_told(server: ScriptedOrigin, said: Any) -> None:
    server.answer("/x", **said)
    assert ask(server).status == (404 if "when" in said else 500)
    with pytest.raises(AssertionError, match=r"has failed: GET /x \((ZeroDivision|Type)Error") as caught:
        server.check()
    assert isinstance(caught.value.__cause__, (ZeroDivisionError, TypeError))


def failing() -> Iterator[bytes]:
    yield b"first"
    raise ZeroDivisionError


@pytest.mark.parametrize(("said", "error"), [
    ({"headers": {"A": "b\r\nc"}}, "ValueError"), ({"body": failing()}, "ZeroDivisionError")])
def test_an_answer_that_cannot_be_sent_is_told(server: ScriptedOrigin, said: Any, error: str) -> None:
    server.answer("/x", **said)
    with connected(server) as client:
        everything(client)
    with pytest.raises(AssertionError, match=rf"has failed: GET /x \({error}"):
        server.check()


# -- What goes wrong -----------------------------------------------------------------------------


def connected(server: ScriptedOrigin, target: str = "/x") -> Client:
    client = Client((server.host, server.port))
    client.send(request("GET", target))
    return client


def everything(client: Client) -> tuple[bytes, bool]:
    """All octets up to the end, and whether that was a reset."""
    data = bytearray()
    try:
        while piece := client.sock.recv(1 << 16):
            data += piece
    except ConnectionResetError:
        return bytes(data), True
    return bytes(data), False


@pytest.mark.parametrize(("fault", "said", "body", "is_reset"), [
    ("reset", {}, None, True),
    ("reset", {"body": b"octets", "after": 0}, b"", True),
    ("reset", {"body": b"octets", "after": 3}, b"oct", True),
    ("truncate", {"body": b"octets"}, b"oct", False),
    ("truncate", {"body": b"octets", "after": 5}, b"octet", False),
    ("truncate", {"body": b"octets", "after": 0}, b"", False),
])
def test_an_answer_that_ends_too_early(
    server: ScriptedOrigin, fault: Any, said: Any, body: bytes | None, is_reset: bool
) -> None:
    server.answer("/x", fault=fault, **said)
    with connected(server) as client:
        data, ended_by_reset = everything(client)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert ended_by_reset == is_reset
    if body is None:
        assert data == b""
    else:
        assert (head.startswith(OK), b"Content-Length: 6" in head, rest) == (True, True, body)


@pytest.mark.parametrize(("after", "rest"), [(5, b"5\r\nfirst\r\n"), (7, b"5\r\nfirst\r\n2\r\nse\r\n")])
def test_chunks_that_have_no_end(server: ScriptedOrigin, after: int, rest: bytes) -> None:
    server.answer("/x", body=[b"first", b"second"], fault="truncate", after=after)
    with connected(server) as client:
        assert everything(client)[0].partition(b"\r\n\r\n")[2] == rest


@pytest.mark.parametrize("fault", [
    "garbage", "empty", "bad-status-line", "bad-chunk", "chunk-truncate"])
def test_what_is_no_http(server: ScriptedOrigin, fault: Any) -> None:
    server.answer("/x", fault=fault)
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    with contextlib.closing(connection), pytest.raises(http.client.HTTPException):
        fetch(connection)


def fetch(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", "/x")
    return connection.getresponse().read()


@pytest.mark.parametrize(("fault", "marks"), [
    ("bad-header", [b"no colon\r\n"]),
    ("dup-length", [b"Content-Length: 7\r\n", b"Content-Length: 8\r\n"]),
])
def test_heads_that_are_wrong(server: ScriptedOrigin, fault: Any, marks: list[bytes]) -> None:
    server.answer("/x", Fault(fault, 7))
    with connected(server) as client:
        data, _ = everything(client)
    assert data.startswith(OK)
    assert [mark for mark in marks if mark not in data] == []
    assert len(data.partition(b"\r\n\r\n")[2]) == 7


def test_each_fault_is_one_of_the_origin_s() -> None:
    assert [kind for kind in KINDS if kind not in PARTIAL and not routes.find(f"/fault/{kind}")] == []


@pytest.mark.parametrize(("said", "expected"), [({}, b""), ({"body": b"octets", "after": 2}, b"oc")])
def test_an_answer_that_hangs(server: ScriptedOrigin, said: Any, expected: bytes) -> None:
    server.answer("/x", fault="hang", **said)
    with connected(server) as client:
        received = server.wait_for(1)
        if expected:
            reply = client.sock.recv(1 << 16)
            while not reply.endswith(b"\r\n\r\n" + expected):
                reply += client.sock.recv(1 << 16)
        client.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        assert ask(server, "/plaintext").status == 200  # and others are answered meanwhile
    assert len(received) == 1


def test_a_thread_that_hangs_ends_with_its_client(server: ScriptedOrigin) -> None:
    server.answer("/x", fault="hang")
    with connected(server):
        server.wait_for(1)
        assert server.under_way == 1
    assert wait_until(lambda: not server.under_way)


def test_faults_in_a_sequence(server: ScriptedOrigin) -> None:
    """As a client that tries again meets them."""
    server.answer("/x", [Fault("reset"), Fault("truncate", 1, Answer(b"octets")), 503, "at last"])
    found = []
    for _ in range(4):
        with connected(server) as client:
            data, is_reset = everything_of(client)
        found.append("reset" if is_reset else data.partition(b" ")[2][:3].decode())
    assert found == ["reset", "200", "503", "200"]
    server.check()


def everything_of(client: Client) -> tuple[bytes, bool]:
    """The same of an answer behind which the connection stays: no more is sent, so it ends."""
    client.end()
    return everything(client)


def test_a_delay(server: ScriptedOrigin) -> None:
    server.answer("/x", "late", delay=0.2)
    before = time.monotonic()
    assert ask(server).body == b"late"
    assert time.monotonic() - before >= 0.2
