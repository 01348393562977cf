"""What the origin's handler does for every endpoint: finding it, reading a body, sending an answer."""

import contextlib
import functools
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers import Client, ask, request, running

from fastserve.rig.origin import make_server, routes
from fastserve.rig.origin.answers import BLOCK, Answer, Octets, Parts, block
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import Refusal

endpoint = functools.partial(routes.endpoint, group="Test")


def fetch(address: Any, target: str, method: str = "GET", **options: Any) -> tuple[Any, bytes]:
    """By http.client, which takes chunks off."""
    with contextlib.closing(http.client.HTTPConnection(address[0], address[1], timeout=10)) as client:
        client.request(method, target, **options)
        answer = client.getresponse()
        return answer, answer.read()


# -- Finding -----------------------------------------------------------------------------------


def test_what_is_not_there(address: Any) -> None:
    reply = ask(address, request(target="/nothing?x"))
    assert (reply.status, reply.get("Content-Type")) == (404, "application/json")
    assert json.loads(reply.body) == {"error": "there is no endpoint /nothing; / has a list"}


def test_a_method_that_is_not_known(address: Any) -> None:
    reply = ask(address, request("POST", "/json"))
    assert (reply.status, reply.get("Allow")) == (405, "GET, HEAD, OPTIONS")
    reply = ask(address, request("HEAD", "/post"))
    assert (reply.status, reply.get("Allow"), reply.body) == (405, "OPTIONS, POST", b"")
    assert ask(address, request("BREW", "/json")).status == 501


@pytest.mark.parametrize(("target", "allowed"), [
    ("/get", "GET, HEAD, OPTIONS"), ("/post", "OPTIONS, POST"),
    ("/anything/x", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ("*", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
])
def test_options(address: Any, target: str, allowed: str) -> None:
    reply = ask(address, request("OPTIONS", target))
    assert (reply.status, reply.body) == (200, b"")
    assert reply.get("Allow") == reply.get("Access-Control-Allow-Methods") == allowed


def test_options_of_what_is_not_there(address: Any) -> None:
    assert ask(address, request("OPTIONS", "/nothing")).status == 404


def test_a_preflight(address: Any) -> None:
    reply = ask(address, request("OPTIONS", "/put", "Origin: http://a.example",
                                 "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-a"))
    assert reply.get("Access-Control-Allow-Headers") == "x-a"
    assert reply.get("Access-Control-Allow-Origin") == "http://a.example"


def test_pages_of_other_origins_may_read(address: Any) -> None:
    same = ask(address, request(target="/json"))
    assert same.get("Access-Control-Allow-Origin") == "*"
    assert ask(address, request("GET", "/json", "Origin: http://a.example")).headers == same.headers
    theirs = ask(address, request("GET", "/cookies", "Origin: http://a.example"))
    assert theirs.get("Access-Control-Allow-Origin") == "http://a.example"
    assert theirs.get("Vary") == "Origin"


def test_head(address: Any) -> None:
    whole = ask(address, request(target="/html"))
    head = ask(address, request("HEAD", "/html"))
    assert (head.status, head.headers, head.body) == (200, whole.headers, b"")


def test_absolute_form(address: Any) -> None:
    reply = ask(address, request(target="http://a.example/get?x=1"))
    assert json.loads(reply.body)["url"] == "http://a.example/get?x=1"


@pytest.mark.parametrize(("target", "constant"), [
    ("/json", True), ("/bytes/100?seed=3", True), ("/get", False), ("/nothing", False), ("/post", False),
    ("/uuid", False), ("/image", False), ("/image/png", True), ("http://a/json#x", True),
])
def test_what_is_always_answered_alike(target: str, constant: bool) -> None:
    assert Origin.constant_target(target) is constant


CONSTANT = sorted(each.example for each in routes.ENDPOINTS if each.constant)


FIELDS = (
    "Accept: application/json;q=0.3, image/webp", "Accept-Encoding: gzip, br", "Cookie: a=b",
    "Accept-Language: de", "User-Agent: x", "Origin: http://a.example", "Authorization: Basic YTpi",
    "X-Forwarded-For: 1.2.3.4", "Referer: http://a.example/", "DNT: 1",
)


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Any]:
    """The address of an origin that records no answers."""
    with running(make_server(max_recordings=0)) as address:
        yield address


@pytest.mark.parametrize("target", CONSTANT)
def test_it_is_answered_alike_whatever_the_fields_say(origin: Any, forgetful: Any, target: str) -> None:
    requests = (request(target=target), request("GET", target, *FIELDS))
    replies = [ask(address, data) for data in requests for address in (forgetful, origin.server_address)]
    for reply in replies:
        reply.headers.remove(next(pair for pair in reply.headers if pair[0] == "Date"))
        assert reply == replies[0]


def test_what_is_constant_is_sent_again_without_a_handler(origin: Any, address: Any) -> None:
    ask(address, request(target="/bytes/777"))
    before = origin.recordings.hits
    replies = [ask(address, request("GET", "/bytes/777", *fields)) for fields in ((), ("Range: bytes=700-",))]
    assert [(reply.status, len(reply.body)) for reply in replies] == [(200, 777), (206, 77)]
    assert origin.recordings.hits > before


# -- Bodies of requests ------------------------------------------------------------------------

CHUNKED = "Transfer-Encoding: chunked"


def test_a_body_in_chunks(address: Any) -> None:
    data = request("POST", "/post", CHUNKED) + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
    with Client(address) as client:
        assert json.loads(client.ask(data).body)["data"] == "abcde"
        assert client.ask(request(target="/plaintext")).body == b"Hello, World!"


@pytest.mark.parametrize("target", ["/post", "/upload"])
def test_broken_chunks(address: Any, target: str) -> None:
    with Client(address) as client:
        reply = client.ask(request("POST", target, CHUNKED) + b"3\r\nabcde\r\n0\r\n\r\n")
        assert (reply.status, reply.get("Connection")) == (400, "close")
        assert client.is_closed()


def test_a_body_that_breaks_off(address: Any) -> None:
    with Client(address) as client:
        client.send(request("POST", "/upload", "Content-Length: 200000") + b"x" * 100_000)
        client.end()
        reply = client.reply("POST")
        assert reply is None or reply.status == 400


def test_a_body_that_is_too_large(address: Any) -> None:
    with Client(address) as client:
        reply = client.ask(request("POST", "/post", f"Content-Length: {1 << 40}"))
        assert (reply.status, reply.get("Connection")) == (413, "close")


def test_a_client_that_waits_to_be_told(address: Any) -> None:
    with Client(address) as client:
        client.send(request("POST", "/post", "Content-Length: 2", "Expect: 100-continue"))
        first = client.reply("POST")
        assert first is not None
        assert first.status == 100
        assert json.loads(client.ask(b"hi").body)["data"] == "hi"


def test_requests_one_behind_the_other(address: Any) -> None:
    targets = ["/plaintext", "/bytes/100000", "/stream-bytes/30", "/empty", "/json"]
    with Client(address) as client:
        client.send(b"".join(request(target=target) for target in targets))
        replies = [client.reply() for _ in targets]
    assert [reply and reply.status for reply in replies] == [200, 200, 200, 204, 200]
    assert [reply and len(reply.body) for reply in replies][1] == 100_000


# -- Answers -----------------------------------------------------------------------------------


@pytest.fixture
def answering(table: Any, address: Any) -> Callable[[Any], None]:
    """A function that has /t answered by what it is given."""
    answers: list[Any] = []

    @endpoint("/t", "Says.", methods=routes.ANY_METHOD)
    def given(request: Origin) -> Any:
        return answers[-1](request)

    return answers.append


def pieces() -> Iterator[bytes]:
    yield from (b"one ", b"", b"two")


def test_pieces_are_chunks(answering: Any, address: Any) -> None:
    answering(lambda request: Answer(pieces(), trailers=[("X-End", "3")], headers=[("Trailer", "X-End")]))
    with Client(address) as client:
        client.send(request(target="/t"))
        client.end()
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"4\r\none \r\n3\r\ntwo\r\n0\r\nX-End: 3\r\n\r\n"


def test_trailers_may_be_made_at_the_end(answering: Any, address: Any) -> None:
    answering(lambda request: Answer(pieces(), trailers=lambda: [("X-End", "made")]))
    with Client(address) as client:
        client.send(request(target="/t"))
        client.end()
        assert client.rest().endswith(b"0\r\nX-End: made\r\n\r\n")


def test_pieces_for_a_client_that_knows_no_chunks(answering: Any, address: Any) -> None:
    answering(lambda request: Answer(pieces()))
    with Client(address) as client:
        reply = client.ask(request("GET", "/t", "Connection: keep-alive", version="1.0"))
        assert (reply.body, reply.get("Transfer-Encoding")) == (b"one two", None)
        assert reply.get("Connection") == "close"


def test_pieces_of_a_known_length(answering: Any, address: Any) -> None:
    answering(lambda request: Answer(pieces(), length=7))
    with Client(address) as client:
        for _ in range(2):
            reply = client.ask(request(target="/t"))
            assert (reply.body, reply.get("Content-Length")) == (b"one two", "7")
        assert client.ask(request("HEAD", "/t")).get("Content-Length") == "7"


@pytest.mark.parametrize("body", [b"", b"words", Octets(10), pieces()])
@pytest.mark.parametrize("status", [204, 304, 205])
def test_statuses_without_a_body(answering: Any, address: Any, status: int, body: Any) -> None:
    answering(lambda request: Answer(body, status=status))
    with Client(address) as client:
        reply = client.ask(request(target="/t"))
        length = "0" if status == 205 else None
        assert (reply.status, reply.body, reply.get("Content-Length")) == (status, b"", length)
        assert reply.get("Transfer-Encoding") is None
        assert client.ask(request(target="/plaintext")).status == 200


def test_of_two_fields_the_last_one_counts_but_for_some(answering: Any, address: Any) -> None:
    twice = [("X-A", "1"), ("x-a", "2"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
             ("Content-Type", "a/b")]
    answering(lambda request: Answer(b"x", headers=twice))
    reply = ask(address, request(target="/t"))
    names = [name.lower() for name, _ in reply.headers]
    assert (reply.get("X-A"), reply.get("Content-Type")) == ("2", "a/b")
    assert [names.count(name) for name in ("x-a", "content-type", "set-cookie")] == [1, 1, 2]


def test_a_reason(answering: Any, address: Any) -> None:
    answering(lambda request: Answer(b"x", status=299, reason="As You Like It"))
    assert ask(address, request(target="/t")).line == "HTTP/1.1 299 As You Like It"


def test_a_refusal(answering: Any, address: Any) -> None:
    def refuse(request: Origin) -> Answer:
        raise Refusal(418, "tea, please", [("X-A", "b")])

    answering(refuse)
    reply = ask(address, request(target="/t"))
    assert (reply.status, reply.get("X-A"), json.loads(reply.body)) == (418, "b", {"error": "tea, please"})


def test_an_answerer_may_answer_by_itself(answering: Any, address: Any) -> None:
    def answer(request: Origin) -> None:
        request.send_head(200, [("Content-Length", "2")])
        request.wfile.write(b"ok")

    answering(answer)
    assert ask(address, request(target="/t")).body == b"ok"


@pytest.mark.parametrize("parts", [
    (b"a", Octets(5, 1), b"b", Octets(3, 1, BLOCK - 1), b"c"),
    (b"a", Octets(70_000, 1, 5), b"b", Octets(2, 1, 40 * BLOCK - 1), b"c"),
    (Octets(33 * BLOCK, 1, 17), b"end"),
])
def test_parts(answering: Any, address: Any, parts: tuple[Any, ...]) -> None:
    answering(lambda request: Answer(Parts(parts, 1)))
    data = block(1)
    endless = data * 43
    expected = b"".join(part if isinstance(part, bytes) else endless[part.start : part.start + part.count]
                        for part in parts)
    assert fetch(address, "/t")[1] == expected


def test_more_pieces_than_are_queued_at_a_time(answering: Any, address: Any) -> None:
    parts = Parts(tuple(Octets(1000, 2, start) for start in range(0, 200_000, 1000)), 2)
    answering(lambda request: Answer(parts))
    assert fetch(address, "/t")[1] == bytes(Octets(200_000, 2))


# -- Servers -----------------------------------------------------------------------------------


def test_an_origin_has_its_own_seed() -> None:
    bodies = []
    for seed in (7, 8, 7):
        with running(make_server(seed=seed)) as address:
            bodies.append(ask(address, request(target="/bytes/100")).body)
    assert bodies == [bytes(Octets(100, seed)) for seed in (7, 8, 7)]


def test_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    for log, lines in ((True, 1), (False, 0)):
        with running(make_server(log=log)) as address:
            ask(address, request(target="/plaintext"))
        assert capsys.readouterr().err.count('"GET /plaintext HTTP/1.1" 200') == lines


def test_attributes_of_the_server() -> None:
    server = make_server(max_connections=3, max_threads=2)
    try:
        assert (server.max_connections, server.max_threads) == (3, 2)
    finally:
        server.server_close()


def test_nothing_is_left_open(serve: Any) -> None:
    """The fixture looks; what a long answer is read from is closed with the server."""
    server = serve(None, lambda address, handler: make_server(address))
    assert fetch(server.server_address, "/bytes/3000000?seed=99")[1] == bytes(Octets(3_000_000, 99))
