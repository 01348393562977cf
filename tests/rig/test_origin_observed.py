"""What an origin tells of itself: counts, times, settings, and figures for Prometheus."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import Client, Running, ask, request

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
