"""The load driver against servers that play what they are told: what it counts, what it notes, how it ends.

Times are only asserted as orders: what comes after what, and that nothing hangs.
"""

import itertools
import signal
import socket
import threading
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import nothing_left_behind

from fastserve.rig._drive import Drive
from fastserve.rig._records import ERRORS, Records

from .playing import PATIENCE, Peer, Play, always, playing

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
MS = 1_000_000

KINDS = ["closed", "rate", "think", "churn"]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with nothing_left_behind():
        yield


@pytest.fixture(params=[False, True], ids=["epoll", "poll"])
def plain(request: pytest.FixtureRequest) -> bool:
    """How the driver waits; where there is no epoll both are the same."""
    return bool(request.param)


def make(address: Any, kind: str = "closed", requests: list[bytes] | None = None, **options: Any) -> Drive:
    """A driver with a short plan."""
    order = array("i", options.get("order", [0]))
    drive = Drive(
        address, requests or [GET], order, options.get("connections", 2), options.get("timeout", 5.0),
        options.get("most", 100_000), options.get("plain", False))
    seconds = options.get("seconds", 0.2)
    if kind == "rate":
        by_chance, seed = options.get("poisson", False), options.get("seed", 0)
        drive.plan_rate(options.get("rate", 200.0), seconds, by_chance, seed)
    elif kind == "think":
        drive.plan_think(seconds, options.get("pause", 0.01), options.get("by_chance", False))
    elif kind == "churn":
        drive.plan_churn(seconds)
    else:
        drive.plan_closed(seconds)
    return drive


def run(play: Play, kind: str = "closed", requests: list[bytes] | None = None, **options: Any) -> Records:
    with playing(play) as player:
        drive = make(player.address, kind, requests, **options)
        drive.run()
    return drive.records


def failures(records: Records) -> dict[str, int]:
    return {kind: count for kind, count in records.errors.items() if count}


# -- Plans -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_plan(kind: str, plain: bool) -> None:
    records = run(always(OK), kind, plain=plain)
    assert records.done > 2
    assert (failures(records), records.statuses) == ({}, {200: records.done})
    assert (records.sent, records.unsent) == (records.done, 0)
    assert records.octets == records.done * len(OK)
    assert records.duration >= 200 * MS
    assert 0 < records.busy <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_noted_of_each(kind: str) -> None:
    records = run(always(OK), kind)
    columns = [records.latency, records.uncorrected, records.first_byte, records.intended, records.request]
    assert [len(column) for column in columns] == [records.done] * 5
    assert [column.format for column in columns] == ["q", "q", "q", "q", "i"]
    for latency, uncorrected, first, intended, _ in zip(*columns, strict=True):
        assert 0 < uncorrected <= latency
        assert 0 < first <= latency
        assert 0 <= intended < 200 * MS


def test_records_cannot_be_written_to() -> None:
    records = run(always(OK))
    with pytest.raises(TypeError):
        records.latency[0] = 0


@pytest.mark.parametrize(("rate", "seconds", "count"), [
    (100.0, 0.2, 20), (1000.0, 0.1, 100), (333.0, 0.1, 34),
])
def test_a_rate_is_a_number_of_requests(rate: float, seconds: float, count: int) -> None:
    records = run(always(OK), "rate", rate=rate, seconds=seconds)
    assert (records.sent, records.done) == (count, count)
    assert sorted(records.intended) == [int(i * 1e9 / rate) for i in range(count)]


def test_by_chance_the_seed_decides() -> None:
    runs = [run(always(OK), "rate", poisson=True, seed=seed, rate=500.0) for seed in (1, 1, 2)]
    times = [sorted(records.intended) for records in runs]
    assert times[0] == times[1] != times[2]
    gaps = {later - sooner for sooner, later in itertools.pairwise(times[0])}
    assert len(gaps) == len(times[0]) - 1
    assert 50 < len(times[0]) < 200  # 100 on average


def test_a_client_that_thinks_pauses() -> None:
    records = run(always(OK), "think", connections=1, pause=0.05, seconds=0.5)
    assert 2 <= records.done <= 10
    times = sorted(records.intended)
    assert all(later - sooner >= 50 * MS for sooner, later in itertools.pairwise(times))


def test_thinking_by_chance() -> None:
    assert run(always(OK), "think", pause=0.005, by_chance=True, connections=4).done > 10


def test_each_request_of_churn_has_a_connection() -> None:
    records = run(always(OK), "churn")
    assert records.opened == records.sent


def test_connections_stay_otherwise() -> None:
    assert run(always(OK), connections=3).opened == 3


def test_requests_come_in_their_order() -> None:
    asked: list[bytes] = []

    def play(peer: Peer) -> None:
        while head := peer.request():
            asked.append(head.split()[1])
            peer.send(OK)

    requests = [b"GET /%d HTTP/1.1\r\n\r\n" % i for i in range(3)]
    records = run(play, "rate", requests, order=[2, 0, 0, 1], connections=1, rate=100.0, seconds=0.1)
    assert asked == [b"/2", b"/0", b"/0", b"/1"] * 2 + [b"/2", b"/0"]
    assert list(records.request) == [2, 0, 0, 1] * 2 + [2, 0]


# -- Answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("request_", "answer"), [
    (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    (GET, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK),
    (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000),
    (HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"),
])
def test_an_answer_of_each_form(request_: bytes, answer: bytes) -> None:
    records = run(always(answer), "closed", [request_])
    assert records.done > 2
    assert failures(records) == {}
    assert records.opened == 2


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_ends_its_connection(kind: str, answer: bytes) -> None:
    records = run(always(answer, 1), kind)
    assert records.done > 2
    assert failures(records) == {}
    assert records.done <= records.opened <= records.done + 2


def test_a_body_in_pieces() -> None:
    def play(peer: Peer) -> None:
        while peer.request():
            for i in range(len(OK)):
                peer.send(OK[i : i + 1])
                time.sleep(0.001)

    records = run(play, "closed", connections=1, seconds=0.3)
    assert failures(records) == {}
    assert all(first < latency for first, latency in zip(records.first_byte, records.latency, strict=True))


def test_a_large_request(plain: bool) -> None:
    body = b"x" * 5_000_000
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    records = run(always(OK), "closed", [post], connections=1, plain=plain)
    assert records.done >= 1
    assert failures(records) == {}


def test_an_answer_before_the_request_has_left() -> None:
    """Then nobody knows where the next request begins, so the connection ends."""
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000

    def play(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.05)

    records = run(play, "closed", [post], connections=1, seconds=0.3)
    assert records.done >= 1
    assert records.opened >= records.done


# -- Errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "kind"), [
    (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno", "status"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", "body"),
    (OK + b"and more", "body"),
    (b"nonsense\r\n\r\n", "read"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntoo few", "read"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "read"),
    (b"", "read"),
])
@pytest.mark.parametrize("plan", KINDS)
def test_a_wrong_answer_is_an_error(plan: str, answer: bytes, kind: str) -> None:
    with playing(always(answer, 1 if kind == "read" else -1)) as player:
        drive = make(player.address, plan, rate=50.0)
        drive.expect(0, 200, 2)
        drive.run()
    records = drive.records
    assert records.done == 0
    assert list(failures(records)) == [kind]
    assert records.errors[kind] == records.sent


def test_what_is_expected_may_be_anything() -> None:
    with playing(always(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc")) as player:
        drive = make(player.address)
        drive.expect(0, 0, -1)
        drive.run()
    assert drive.records.statuses == {404: drive.records.done}
    assert failures(drive.records) == {}


def test_a_reset_is_an_error_and_the_next_request_has_a_new_connection() -> None:
    def play(peer: Peer) -> None:
        if peer.request():
            peer.send(OK)
        if peer.request():
            peer.reset()

    records = run(play, "rate", connections=1, rate=100.0)
    assert records.done == records.errors["read"] == 10
    assert records.opened >= 10


def test_an_answer_that_does_not_come_in_time() -> None:
    def play(peer: Peer) -> None:
        while peer.request():
            if peer.number:
                peer.send(OK)

    records = run(play, "rate", connections=1, rate=50.0, timeout=0.3, seconds=0.5)
    assert records.errors["timeout"] == 1
    assert records.done == 24
    # Who waited for the connection meanwhile tells of it.
    assert max(records.latency) > 150 * MS
    assert max(records.uncorrected) < max(records.latency)


def test_a_server_that_closes_between_requests_costs_no_error() -> None:
    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        time.sleep(0.01)

    records = run(play, "think", connections=1, pause=0.05)
    assert failures(records) == {}
    assert records.reopened > 0
    assert records.done > 1


@pytest.mark.parametrize("kind", ["closed", "rate", "think"])
def test_nobody_listens(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    drive = make(address, kind)
    with pytest.raises(ConnectionRefusedError):
        drive.run()


def test_nobody_listens_to_churn() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    drive = make(address, "churn")
    drive.run()
    assert list(failures(drive.records)) == ["connect"]
    assert (drive.records.sent, drive.records.unsent) == (0, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_goes_away(kind: str) -> None:
    """Its requests are errors, the rest cannot be sent, and the plan ends."""
    with playing(always(OK, 3)) as player:
        drive = make(player.address, kind, timeout=0.3, seconds=0.5)
        thread = threading.Thread(target=drive.run)
        thread.start()
        wait_for(lambda: drive.records.done > 3)
        player.listener.shutdown(socket.SHUT_RDWR)
        player.listener.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert drive.records.errors["connect"] > 0
    assert drive.records.unsent > 0 or kind == "think"


def test_a_server_that_turns_connections_away() -> None:
    """It is not asked again at once, and the driver does not spin."""
    drive = None
    with playing(lambda peer: None) as player:
        drive = make(player.address, "rate", timeout=0.3)
        try:
            drive.run()
        except OSError:
            return
    assert drive.records.done == 0
    assert drive.records.opened < 300


# -- Late --------------------------------------------------------------------------------------


def test_a_stall_is_seen_by_all_that_it_holds_up() -> None:
    """One answer takes long; with a rate all requests of that time tell so, in a closed loop only one."""

    def play(peer: Peer) -> None:
        number = 0
        while peer.request():
            number += 1
            if number == 10:
                time.sleep(1.2)
            peer.send(OK)

    slow = 600 * MS
    by_rate = run(play, "rate", connections=1, rate=100.0, seconds=1.5)
    assert sum(latency > slow for latency in by_rate.latency) > 10
    assert sum(latency > slow for latency in by_rate.uncorrected) == 1
    closed = run(play, "closed", connections=1, seconds=1.5)
    assert sum(latency > slow for latency in closed.latency) == 1


def test_what_could_not_be_sent_is_counted() -> None:
    """Ten times as much is asked as is answered."""

    def play(peer: Peer) -> None:
        while peer.request():
            time.sleep(0.05)
            peer.send(OK)

    records = run(play, "rate", connections=1, rate=200.0, seconds=0.5, timeout=0.2)
    assert records.sent + records.unsent == 100
    assert records.unsent > 70


def test_room_for_so_many_and_no_more() -> None:
    records = run(always(OK), "closed", most=10, seconds=5.0)
    assert len(records.latency) == records.done == 10
    assert records.duration < 5000 * MS


# -- Ending, and being looked at ---------------------------------------------------------------


def wait_for(condition: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_another_thread_sees_and_stops_it() -> None:
    shown = bytearray(16)
    with playing(always(OK)) as player:
        drive = make(player.address, seconds=60.0)
        drive.show(shown)
        thread = threading.Thread(target=drive.run)
        thread.start()
        wait_for(lambda: drive.records.done > 10)
        drive.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert memoryview(shown).cast("q").tolist() == [drive.records.done, 0]
    assert failures(drive.records) == {}
    assert drive.records.duration < 60_000 * MS


def test_a_signal_ends_it_and_what_was_measured_stays() -> None:
    with playing(always(OK)) as player:
        drive = make(player.address, seconds=60.0)
        timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            drive.run()
        timer.join()
    assert len(drive.records.latency) > 0
    assert drive.records.duration < 60_000 * MS


def test_it_runs_once() -> None:
    with playing(always(OK)) as player:
        drive = make(player.address, seconds=0.05)
        drive.run()
        with pytest.raises(ValueError, match="already"):
            drive.run()
        with pytest.raises(ValueError, match="already"):
            drive.plan_closed(1.0)


def test_without_a_plan_it_does_not_run() -> None:
    with pytest.raises(ValueError, match="planned"):
        Drive(("127.0.0.1", 80), [GET], array("i", [0]), 1, 1.0, 10).run()


# -- Where -------------------------------------------------------------------------------------


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with playing(always(OK), socket.AF_UNIX, path):
        drive = make((path, 0))
        drive.run()
    assert drive.records.done > 2


def test_ipv6() -> None:
    try:
        with playing(always(OK), socket.AF_INET6, ("::1", 0)) as player:
            drive = make(player.address[:2])
            drive.run()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert drive.records.done > 2


@pytest.mark.parametrize("address", [("localhost", 80), ("127.0.0.1", 0), ("127.0.0.1", 65536), ("", 80),
                                     ("/" + "a" * 200, 0), ("1.2.3", 80)])
def test_no_address(address: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match="neither"):
        make(address)


@pytest.mark.parametrize("change", [
    {"connections": 0}, {"timeout": 0.0}, {"timeout": float("nan")}, {"most": 0}, {"order": []},
    {"order": [1]}, {"order": [-1]}, {"seconds": 0.0}, {"seconds": float("nan")},
])
def test_what_cannot_be_planned(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        make(("127.0.0.1", 80), **change)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 1e9])
def test_what_is_no_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        make(("127.0.0.1", 80), "rate", rate=rate)


@pytest.mark.parametrize("pause", [-1.0, float("nan"), float("inf")])
def test_what_is_no_pause(pause: float) -> None:
    with pytest.raises(ValueError, match="pause"):
        make(("127.0.0.1", 80), "think", pause=pause)


def test_what_cannot_be_given() -> None:
    with pytest.raises(ValueError, match="empty"):
        Drive(("127.0.0.1", 80), [b""], array("i", [0]), 1, 1.0, 10)
    with pytest.raises(ValueError, match="'i'"):
        Drive(("127.0.0.1", 80), [GET], array("q", [0]), 1, 1.0, 10)
    drive = make(("127.0.0.1", 80))
    with pytest.raises(IndexError):
        drive.expect(1, 200)
    with pytest.raises(ValueError, match="16 octets"):
        drive.show(bytearray(15))
    with pytest.raises(BufferError):
        drive.show(b"x" * 16)


def test_room_for_nothing_is_none() -> None:
    with pytest.raises(ValueError, match="room"):
        Records(0)
    assert Records(1).errors == dict.fromkeys(ERRORS, 0)


@pytest.mark.slow
def test_many_connections() -> None:
    """More than a server's backlog."""
    records = run(always(OK), connections=600, seconds=0.5)
    assert failures(records) == {}
    assert records.opened == 600
