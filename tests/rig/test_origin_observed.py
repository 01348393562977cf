"""What an origin tells of itself: counts, times, settings, and figures for Prometheus."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, Running, ask, request, wait_until
from pairs import TLSClient, certificate

import fastserve.rig.origin
from fastserve.rig.origin import make_server


@pytest.fixture
def address() -> Iterator[Any]:
    """Of an origin that nobody has asked for anything yet."""
    server = make_server(seed=5)
    running = Running(server)
    yield server.server_address
    running.stop()


def stats(client: Client) -> Any:
    return json.loads(client.ask(request(target="/stats")).body)


def test_counts_and_times(address: Any) -> None:
    with Client(address) as client:
        for target in ("/bytes/10", "/bytes/20", "/get", "/nothing"):
            client.ask(request(target=target))
        found = stats(client)
    assert found["answers"]["by_status"] == {"200": 3, "404": 1}
    assert found["answers"]["total"] == 4
    assert (found["connections"]["accepted"], found["connections"]["active"]) == (1, 1)
    endpoints = found["endpoints"]
    assert {name: each["count"] for name, each in endpoints.items()} == {
        "/bytes/{count:int}": 2, "/get": 1, "none": 1}
    for each in endpoints.values():
        assert 0 < each["min"] <= each["percentiles"]["50"] <= each["percentiles"]["99.9"] <= each["max"] < 10
        assert each["min"] <= each["mean"] <= each["max"]


def test_octets_of_bodies(address: Any) -> None:
    with Client(address) as client:
        client.ask(request(target="/bytes/1000000"))
        client.ask(request("HEAD", "/bytes/1000000"))
        assert stats(client)["answers"]["octets"] == 1_000_000


# -- Answers that no writer of heads has written ---------------------------------------------------

# A status and octets of the body, as they are counted; None: there was no answer.
RAW: dict[str, tuple[str | None, int]] = {
    "/fault/truncate?after=7": ("200", 7), "/fault/truncate?after=0": ("200", 0),
    "/fault/truncate?after=500000": ("200", 500_000),
    "/fault/slow-truncate?after=5&ms=1": ("200", 5),
    "/fault/chunk-truncate?after=5": ("200", len(b"f\r\nA whole chunk.\n\r\n69\r\nabcde")),
    "/fault/bad-chunk": ("200", len(b"f\r\nA whole chunk.\n\r\nsize?\r\nNobody knows.\r\n0\r\n\r\n")),
    "/fault/reset?after=9": ("200", 9), "/fault/reset?head=0": (None, 0), "/fault/empty": (None, 0),
    "/fault/wrong-length?after=3&surplus=4": ("200", 7), "/fault/dup-length?after=3": ("200", 3),
    "/fault/bad-header?after=3": ("200", 3), "/fault/bad-header?after=3&kind=nul": ("200", 3),
    "/fault/bad-status-line?after=3": ("other", 3),
    "/fault/garbage?after=30": ("other", 30), "/fault/garbage?after=0": (None, 0),
    "/1.0": ("200", 19), "/1.0?length=0": ("200", 19), "/slow-headers?ms=1": ("200", 24),
}


def ask_raw(client: Client, target: str, method: str = "GET") -> None:
    """Ask for something, and wait for the end of the connection."""
    with client, contextlib.suppress(OSError):  # a reset
        client.send(request(method, target, "Connection: close"))
        client.rest()


def counted(client: Client) -> tuple[dict[str, int], int]:
    answers = stats(client)["answers"]
    return answers["by_status"], answers["octets"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", RAW)
def test_raw_answers(address: Any, target: str, method: str) -> None:
    """They count once, with the status that was written, and their bodies without their heads."""
    status, octets = RAW[target]
    if method == "HEAD" and "garbage" not in target:
        octets = 0
    ask_raw(Client(address), target, method)
    with Client(address) as client:
        assert counted(client) == ({} if status is None else {status: 1}, octets)
        text = client.ask(request(target="/metrics")).body.decode()
    found = re.findall(r'fastserve_requests_total{method="(\w+)",code="(\w+)"} (\d+)', text)
    expected = {} if status is None else {(method, status): 1}
    expected["GET", "200"] = expected.get(("GET", "200"), 0) + 1  # /stats
    assert {(name, code): int(count) for name, code, count in found} == expected


def test_raw_answers_over_tls() -> None:
    server = make_server(certfile=certificate())
    running = Running(server)
    try:
        for target in ("/fault/truncate?after=5", "/fault/garbage?after=6&abrupt=1", "/fault/reset?after=7"):
            ask_raw(TLSClient(server.server_address), target)
        with TLSClient(server.server_address) as client:
            assert counted(client) == ({"200": 2, "other": 1}, 5 + 6 + 7)
            # Its handler ends behind its answer.
            assert wait_until(lambda: "/fault/reset" in stats(client)["endpoints"])
    finally:
        running.stop()


def test_a_reset_forgets_raw_answers(address: Any) -> None:
    ask_raw(Client(address), "/fault/garbage")
    with Client(address) as client:
        client.ask(request("POST", "/reset-stats"))
        assert counted(client) == ({"204": 1}, 0)


def test_an_answer_behind_a_raw_one(address: Any) -> None:
    """Is held to its own length again."""
    with Client(address) as client:
        client.send(request(target="/fault/wrong-length?after=3&surplus=4") + request(target="/bytes/10"))
        client.send(request(target="/close"))
        received = client.rest()
    assert received.count(b"HTTP/1.1 200 OK") == 3
    with Client(address) as client:
        assert counted(client) == ({"200": 3}, 7 + 10 + len(b"The last one.\n"))


def test_no_private_names_of_other_classes() -> None:
    folder = Path(fastserve.rig.origin.__file__).parent
    for path in folder.glob("*.py"):
        assert not re.search(r"\b_[A-Z]\w*?[a-z]__\w", path.read_text()), path


# -- A reset ---------------------------------------------------------------------------------------


def test_a_reset(address: Any) -> None:
    with Client(address) as client:
        client.ask(request(target="/bytes/10"))
        reply = client.ask(request("POST", "/reset-stats"))
        assert (reply.status, reply.body) == (204, b"")
        found = stats(client)
        # The reset itself is answered behind it.
        assert found["answers"] == {"by_status": {"204": 1}, "octets": 0, "total": 1}
        assert set(found["endpoints"]) == {"/reset-stats"}
        assert (found["connections"]["accepted"], found["connections"]["active"]) == (0, 1)
        assert found["seconds"] < 60
    assert ask(address, request("GET", "/reset-stats")).status == 405


def test_a_reset_leaves_the_figures_for_prometheus(address: Any) -> None:
    with Client(address) as client:
        client.ask(request(target="/bytes/10"))
        client.ask(request("POST", "/reset-stats"))
        text = client.ask(request(target="/metrics")).body.decode()
    assert 'fastserve_requests_total{method="GET",code="200"} 1\n' in text


def test_figures_for_prometheus_of_a_request_with_a_body(address: Any) -> None:
    """Which the loop leaves to the handler."""
    reply = ask(address, request("GET", "/metrics", body=b"x"))
    assert reply.status == 200
    assert b"fastserve_connections 1\n" in reply.body


def test_the_settings(address: Any) -> None:
    found = json.loads(ask(address, request(target="/config")).body)
    assert (found["seed"], found["scheme"]) == (5, "http")
    assert found["limits"]["timeouts"]["idle"] > 0


@pytest.mark.parametrize("target", ["/stats", "/config", "/metrics"])
def test_it_is_not_to_be_kept(address: Any, target: str) -> None:
    assert ask(address, request(target=target)).get("Cache-Control") == "no-store"


def test_two_origins_count_for_themselves(address: Any) -> None:
    other = make_server()
    running = Running(other)
    try:
        ask(other.server_address, request(target="/get"))
        with Client(address) as client:
            assert stats(client)["endpoints"] == {}
    finally:
        running.stop()
