"""The load driver in a process of its own: what is planned arrives there, and what it notes comes back."""

import json
import os
import signal
import socket
import threading
from dataclasses import replace
from typing import Any

import pytest

from fastserve.rig.measure.driver import KINDS, Outcome, Plan, Request, drive, make_driver

from .playing import Peer, always, playing

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = Request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, 2)


def plan(address: Any = ("127.0.0.1", 1), **about: Any) -> Plan:
    return Plan(**{"address": address, "requests": (GET,), "seconds": 0.3, "connections": 2, **about})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_plan(kind: str) -> None:
    with playing(always(OK)) as player:
        outcome = drive(plan(player.address, kind=kind, rate=100.0, pause=0.01))
    assert outcome.requests > 2
    assert outcome.requests == outcome.sent == outcome.statuses[200]
    assert sum(outcome.errors.values()) == outcome.unsent == 0
    columns = [outcome.latency, outcome.uncorrected, outcome.first_byte, outcome.intended, outcome.request]
    assert [len(column) for column in columns] == [outcome.requests] * 5
    assert all(0 < short <= long for short, long in zip(outcome.uncorrected, outcome.latency, strict=True))
    assert outcome.duration >= 0.3
    assert outcome.cpu > 0
    assert outcome.rate == outcome.requests / outcome.duration
    assert not outcome.interrupted


def test_a_plan_survives_json() -> None:
    given = plan(requests=(GET, Request(b"\0\xff", 0, None)), order=(1, 0), cores=(0,), kind="rate", rate=2.5,
                 poisson=True)
    assert Plan.from_json(json.loads(json.dumps(given.to_json()))) == given


def test_a_plan_has_no_other_names() -> None:
    with pytest.raises(TypeError):
        Plan.from_json({**plan().to_json(), "speed": 1})


@pytest.mark.parametrize(("about", "match"), [
    ({"kind": "fast"}, "kind"), ({"kind": "rate"}, "rate"), ({"connections": 0}, "connections"),
    ({"seconds": -1.0}, "seconds"), ({"order": (5,)}, "order"), ({"requests": ()}, "requests"),
])
def test_a_plan_that_cannot_be_right(about: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make_driver(plan(**about))
    with pytest.raises(ValueError, match=match):
        drive(plan(**about))


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(ConnectionRefusedError):
        drive(plan(address))


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(OSError, match=r"\w"):
        drive(plan(("no-such-host.invalid", 80)))


def test_a_name_is_looked_up() -> None:
    with playing(always(OK)) as player:
        outcome = drive(plan(("localhost", player.address[1]), timeout=2.0))
    assert outcome.requests > 0


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process")
def test_it_stays_on_its_core() -> None:
    core = max(os.sched_getaffinity(0))
    seen: list[set[int]] = []

    def tell(done: int, failed: int) -> None:
        tasks = [each.name for each in os.scandir("/proc") if each.name.isdecimal()]
        for task in tasks:
            try:
                with open(f"/proc/{task}/cmdline", "rb") as file:
                    if b"fastserve.rig.measure.driver" in file.read():
                        seen.append(os.sched_getaffinity(int(task)))
            except OSError:  # it has ended
                continue

    with playing(always(OK)) as player:
        drive(plan(player.address, cores=(core,), seconds=1.0), tell)
    assert {core} in seen


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []

    def play(peer: Peer) -> None:
        while peer.request():
            peer.send(OK if peer.number else OK.replace(b"200", b"500"))

    with playing(play) as player:
        outcome = drive(plan(player.address, seconds=1.0), lambda *counts: told.append(counts))
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (outcome.requests, outcome.errors["status"])
    assert min(told[-1]) > 0


def test_ctrl_c_keeps_what_was_measured() -> None:
    with playing(always(OK)) as player:
        timer = threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGINT])
        timer.start()
        outcome = drive(plan(player.address, seconds=60.0))
        timer.join()
    assert outcome.interrupted
    assert len(outcome.latency) > 0
    assert outcome.duration < 60


def test_it_says_when_it_was_the_slow_one() -> None:
    with playing(always(OK)) as player:
        outcome = drive(plan(player.address))
    assert not replace(outcome, busy=0.2, late=0).saturated
    assert replace(outcome, busy=0.99, late=0).saturated
    assert replace(outcome, busy=0.2, late=outcome.sent).saturated


def test_an_outcome_as_a_result_has_it() -> None:
    pytest.importorskip("hdrh")
    with playing(always(OK)) as player:
        outcome: Outcome = drive(plan(player.address))
    for found, values in [
        (outcome.as_latency(), outcome.latency), (outcome.as_uncorrected(), outcome.uncorrected),
        (outcome.as_first_byte(), outcome.first_byte),
    ]:
        assert (found.count, found.min, found.max) == (len(values), min(values) / 1e9, max(values) / 1e9)
