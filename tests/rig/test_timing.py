"""Times that answers take: by which law, how long at least, and that nobody else has to wait."""

import json
import math
import random
import statistics
import time
import types
from collections.abc import Callable
from typing import Any

import pytest
from helpers import PATIENCE, Client, request

from fastserve.rig.origin import chance, timing
from rig.origins import PLAIN, SERVERS, Serve, ask, connect, start

ON_EACH = pytest.mark.parametrize("kind", SERVERS)


def elapsed_since(began: float) -> float:
    return time.monotonic() - began


# -- /delay ----------------------------------------------------------------------------------------

# What is written in chance, done anew, for a mean of 0.01 and a spread of 0.004.
LAWS: dict[str, Callable[[float, float], float]] = {
    "constant": lambda u, v: 0.01,
    "uniform": lambda u, v: 0.006 + 0.008 * u,
    "exp": lambda u, v: 0.006 - 0.004 * math.log(1 - u),
    "normal": lambda u, v: 0.01 + 0.004 * math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v),
    "lognormal": lambda u, v: math.exp(
        math.log(0.01) - math.log(1.16) / 2
        + math.sqrt(math.log(1.16)) * math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v)),
}


@pytest.mark.parametrize("dist", LAWS)
def test_the_nth_delay_of_a_seed_is_known(serve: Serve, dist: str) -> None:
    server = start(serve)
    for n in range(3):
        began = time.monotonic()
        reply = ask(server, f"/delay/0.01?jitter=0.004&dist={dist}&seed=7")
        said = json.loads(reply.body)["delay"]
        numbers = random.Random(f"7/{n}")
        expected = max(LAWS[dist](numbers.random(), numbers.random()), 0)
        assert (said["seed"], said["n"]) == (7, n)
        assert said["seconds"] == pytest.approx(expected, abs=1e-12)
        assert elapsed_since(began) >= expected
        assert reply.get("Server-Timing") == f"delay;dur={expected * 1000:.3f}"


def test_the_number_of_a_delay_can_be_said(serve: Serve) -> None:
    server = start(serve, seed=3)
    delays = [json.loads(ask(server, f"/delay/0.001?dist=exp&n={n}").body)["delay"] for n in (5, 2, 5)]
    assert [each["n"] for each in delays] == [5, 2, 5]
    assert delays[0] == delays[2]
    assert delays[0]["seed"] == 3
    assert delays[0]["seconds"] != delays[1]["seconds"]


def test_another_server_begins_anew(serve: Serve) -> None:
    first, second = start(serve), start(serve)
    said = [json.loads(ask(server, "/delay/0").body)["delay"]["n"] for server in (first, first, second)]
    assert said == [0, 1, 0]


@pytest.mark.parametrize("dist", chance.DISTRIBUTIONS)
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_mean_and_spread(dist: str, spread: float) -> None:
    draws = [chance.DISTRIBUTIONS[dist](2.0, spread, *chance.Draw(1, n).numbers(2)) for n in range(20000)]
    deviation = {"constant": 0.0, "uniform": spread / math.sqrt(3)}.get(dist, spread)
    assert statistics.fmean(draws) == pytest.approx(2.0, abs=0.05)
    assert statistics.pstdev(draws) == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize("dist", chance.DISTRIBUTIONS)
def test_a_mean_of_nothing(dist: str) -> None:
    assert chance.DISTRIBUTIONS[dist](0.0, 0.0, 0.5, 0.25) == pytest.approx(0.0)


def test_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chance, "MOST_COUNTED", 2)
    counts = chance.Counts()
    assert [counts.next("x", seed) for seed in (1, 1, 2, 3, 1)] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(("target", "says"), [
    ("/delay/10.1", "seconds=10.1"),
    ("/delay/1?jitter=-1", "jitter=-1"),
    ("/delay/1?jitter=nan", "jitter=nan"),
    ("/delay/0?dist=cauchy", "dist=cauchy"),
    ("/delay/0?seed=x", "seed=x"),
    ("/delay/0?n=-1", "n=-1"),
    ("/drip?duration=11", "duration=11"),
    ("/drip?code=100", "code=100"),
    ("/drip?numbytes=99999999999", "numbytes="),
    ("/slow-headers?ms=1000", "would take"),
    ("/slow-body?count=101&ms=100", "would take"),
    ("/sse?count=x", "count=x"),
    ("/stall?every=1&for=2", "longer than every"),
    ("/stall?every=0", "every=0"),
])
def test_times_that_are_refused(serve: Serve, target: str, says: str) -> None:
    reply = ask(start(serve), target)
    assert reply.status == 400
    assert says in json.loads(reply.body)["error"]


@pytest.mark.parametrize(("most", "target", "status"), [
    (0.01, "/delay/0.02", 400), (0.01, "/delay/0.01", 200), (0.01, "/delay/0.01?dist=exp&jitter=0.01", 200),
    (0.01, "/drip", 200), (0.01, "/sse", 200), (60.0, "/delay/0?jitter=60&dist=exp&n=0", 400),
])
def test_a_server_says_how_long(serve: Serve, most: float, target: str, status: int) -> None:
    """Times that nobody has asked for are within what is allowed, too."""
    began = time.monotonic()
    most = most if most < 1 else 0.5
    reply = ask(start(serve, most_seconds=most), target)
    assert reply.status == status
    assert elapsed_since(began) < PATIENCE


@ON_EACH
def test_what_was_sent_is_told(serve: Serve, kind: str) -> None:
    reply = ask(start(serve, kind), "/delay/0.001?a=b", "X-One: 1", method="POST", body=b"said")
    told = json.loads(reply.body)
    assert (told["data"], told["args"], told["headers"]["X-One"]) == ("said", {"a": "b"}, "1")
    assert told["url"] == f"{'https' if 'TLS' in kind else 'http'}://test/delay/0.001?a=b"


# -- /stall ----------------------------------------------------------------------------------------


def test_a_server_that_stalls(serve: Serve) -> None:
    server = start(serve)
    seen = set()
    with connect(server) as client:
        for _ in range(20):
            began = time.time()
            waited = client.ask(request(target="/stall?every=0.3&for=0.15")).body == b"waited\n"
            ended = time.time()
            seen.add(waited)
            if waited:
                assert ended // 0.3 > began // 0.3, "an answer from within a stall"
            time.sleep(0.04)
    assert seen == {True, False}


def test_a_server_that_does_nothing_but_stall(serve: Serve) -> None:
    assert ask(start(serve), "/stall?every=0.05&for=0.05").body == b"waited\n"


# -- /hang -----------------------------------------------------------------------------------------


@ON_EACH
def test_one_that_hangs(serve: Serve, kind: str) -> None:
    """Others are answered meanwhile, by a server of one thread too; and nothing is left behind."""
    server = start(serve, kind)
    hanging = [connect(server) for _ in range(20)]
    try:
        for client in hanging:
            client.send(request(target="/hang"))
        assert ask(server, "/delay/0").status == 200
        assert not hanging[0].is_closed(within=0.3)
    finally:
        for client in hanging:
            client.close()


@pytest.mark.parametrize("kind", PLAIN)
def test_one_that_hangs_until_the_server_ends(serve: Serve, kind: str) -> None:
    server = start(serve, kind)
    with connect(server) as client:
        client.send(request("POST", "/hang", body=b"x" * 1000))
        assert not client.is_closed(within=0.2)
        server.shutdown()
        server.server_close()
        assert client.is_closed()


# -- Octets that come one by one ---------------------------------------------------------------------


def pieces_of(client: Client, end: bytes) -> list[bytes]:
    """What each recv() gives, until the end has come."""
    pieces: list[bytes] = []
    while not b"".join(pieces).endswith(end):
        piece = client.sock.recv(1 << 16)
        assert piece, f"the connection ended after {pieces}"
        pieces.append(piece)
    return pieces


@ON_EACH
@pytest.mark.parametrize(("target", "end", "least", "parts"), [
    ("/drip?duration=0.1&numbytes=6&code=201", b"******", 0.1, 2),
    ("/drip?duration=0&delay=0.05&numbytes=3", b"***", 0.05, 1),
    ("/slow-body?count=5&ms=20", b"abcde", 0.1, 2),
    ("/slow-headers?ms=1", b"The head took its time.\n", 0.1, 5),
])
def test_octets_come_one_by_one(
    serve: Serve, kind: str, target: str, end: bytes, least: float, parts: int
) -> None:
    with connect(start(serve, kind)) as client:
        began = time.monotonic()
        client.send(request(target=target))
        pieces = pieces_of(client, end)
        assert elapsed_since(began) >= least
        assert len(pieces) >= parts
        head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
        assert body == end
        assert f"Content-Length: {len(end)}".encode() in head
        # It is in step, and goes on.
        assert client.ask(request(target="/delay/0")).status == 200


@pytest.mark.parametrize("target", [
    "/drip?duration=0.05", "/slow-body?count=3&ms=5", "/slow-headers?ms=0.1", "/sse?count=2&duration=0",
])
def test_heads_alone(serve: Serve, target: str) -> None:
    with connect(start(serve)) as client:
        for _ in range(2):
            reply = client.ask(request("HEAD", target))
            assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(("code", "body"), [(204, b""), (304, b""), (404, b"***"), (500, b"***"), (205, b"")])
def test_the_status_of_a_drip(serve: Serve, code: int, body: bytes) -> None:
    with connect(start(serve)) as client:
        reply = client.ask(request(target=f"/drip?duration=0&numbytes=3&code={code}"))
        assert (reply.status, reply.body) == (code, body)
        assert client.ask(request(target="/delay/0")).status == 200


def test_many_octets_in_no_time(serve: Serve) -> None:
    reply = ask(start(serve), "/drip?duration=0.05&numbytes=1000000")
    assert reply.body == b"*" * 1000000


@pytest.mark.parametrize(("count", "duration", "writes"), [
    (1, 1.0, 1), (0, 1.0, 0), (5, 0.02, 5), (1000, 0.0, 1),
])
def test_how_octets_trickle(count: int, duration: float, writes: int) -> None:
    began = time.monotonic()
    request: Any = types.SimpleNamespace(pause=time.sleep)
    written = list(timing.trickle(request, timing.letters(count), duration))
    assert b"".join(written) == timing.letters(count)
    assert len(written) == writes
    assert elapsed_since(began) >= (duration if count > 1 else 0)


def test_http_1_0_is_told_what_becomes_of_the_connection(serve: Serve) -> None:
    server = start(serve)
    with connect(server) as client:
        reply = client.ask(b"GET /slow-headers?ms=0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert reply.get("Connection") == "keep-alive"
        reply = client.ask(b"GET /slow-headers?ms=0 HTTP/1.0\r\n\r\n")
        assert reply.get("Connection") == "close"
        assert client.is_closed()


# -- /sse ------------------------------------------------------------------------------------------


def events_of(body: bytes) -> list[dict[str, Any]]:
    events = []
    for text in body.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in text.split("\n"))
        events.append({**fields, "data": json.loads(fields["data"])})
    return events


def dechunked(body: bytes) -> list[bytes]:
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        chunks.append(rest[: int(size, 16)])
        body = rest[int(size, 16) + 2 :]
    return chunks[:-1]


@pytest.mark.parametrize(("last", "ids"), [
    (None, [0, 1, 2, 3]), ("1", [2, 3]), ("2", [3]), ("x", [0, 1, 2, 3]), ("-1", [0, 1, 2, 3]),
])
def test_events(serve: Serve, last: str | None, ids: list[int]) -> None:
    fields = () if last is None else (f"Last-Event-ID: {last}",)
    reply = ask(start(serve), "/sse?count=4&duration=0.03", *fields)
    assert reply.get("Content-Type") == "text/event-stream"
    chunks = dechunked(reply.body)
    assert [int(event["id"]) for event in events_of(b"".join(chunks))] == ids
    assert len(chunks) == len(ids)
    for event in events_of(b"".join(chunks)):
        assert event["event"] == "ping"
        assert event["data"]["id"] == int(event["id"])
        assert abs(event["data"]["timestamp"] / 1000 - time.time()) < PATIENCE


@pytest.mark.parametrize("last", ["3", "4", "999999999"])
def test_no_more_events(serve: Serve, last: str) -> None:
    assert ask(start(serve), "/sse?count=4", f"Last-Event-ID: {last}").status == 204


def test_events_for_http_1_0(serve: Serve) -> None:
    with connect(start(serve)) as client:
        reply = client.ask(b"GET /sse?count=3&duration=0 HTTP/1.0\r\n\r\n")
        assert [event["id"] for event in events_of(reply.body)] == ["0", "1", "2"]


# -- Clients that leave ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("target", ["/drip?duration=0.3", "/slow-headers?ms=2", "/sse?count=50&duration=0.3"])
def test_who_leaves_in_the_midst(serve: Serve, log: Any, kind: str, target: str) -> None:
    """Nothing is said of it, and the server goes on."""
    server = start(serve, kind, log=True)
    with connect(server) as client:
        client.send(request(target=target))
        client.sock.recv(1)
    assert ask(server, "/delay/0").status == 200
    assert [message for message in log.messages() if '"GET' not in message] == []
