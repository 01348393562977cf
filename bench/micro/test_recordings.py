"""A recorded answer without a network: `pytest bench/micro`. Request and answer go over a pair of sockets.

A loop's driver is turned by hand, with a class that does what its loop does for it. So a turn is in it: wait,
receive, look at the file, send. `one of many` asks for another file each time, of as many as there are.
"""

import collections
import itertools
import os
import selectors
import socket
import time

import pytest

BODY = b"x" * 1024
FILES = 1000
REQUEST = "GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Loop:
    """What a driver knows of a loop."""

    _now, _tuned = 0.0, float("inf")

    def __init__(self, folder):
        fastserve = pytest.importorskip("fastserve")
        files = pytest.importorskip("fastserve._files")
        self.conns = pytest.importorskip("fastserve._conn")
        self.offers = pytest.importorskip("fastserve._offers")
        self.poller = pytest.importorskip("fastserve._poller").Poller()
        handler = type("Handler", (fastserve.SimpleHTTPRequestHandler,), {"protocol_version": "HTTP/1.1",
                       "log_message": lambda self, *args: None})
        self.make = lambda sock: handler(sock, ("127.0.0.1", 1), self, directory=str(folder))
        policy = pytest.importorskip("fastserve.handlers.replay").Replay(
            pytest.importorskip("functools").partial(handler, directory=str(folder)))
        assert policy.may_replay()
        self.recordings = files.Recordings(policy, (handler,))
        deadlines = pytest.importorskip("fastserve._deadlines")
        timers = pytest.importorskip("fastserve._timers").Timers()
        lane = pytest.importorskip("fastserve._lane").Lane(
            self.poller, timers, set(), deadlines.Ending(), deadlines.of_server(None), self.recordings)
        self.driver = pytest.importorskip("fastserve.serving._driver").Driver(self, lane, collections.deque())
        self.client, self.server = socket.socketpair()
        self.conn = self.conns.Connection(
            self.server, ("127.0.0.1", 1), time.monotonic(), recordings=self.recordings)
        self.poller.register(self.conn.fd, selectors.EVENT_READ, self.conn)
        self.conn.registered = selectors.EVENT_READ

    def _act(self, conn, action):
        if action == self.conns.OFFER:
            self.offers.offer(conn)
            self.make(self.server)
            assert self.offers.withdraw(conn)
            self._act(conn, conn.begin(time.monotonic()))
        elif action == self.conns.ANSWER:
            self._act(conn, conn.answered(self.driver.run(conn), time.monotonic()))

    def ask(self, name):
        self.client.send(REQUEST.format(name).encode())
        self.driver.turn(1.0, True, time.monotonic)
        return self.client.recv(65536)

    def close(self):
        self.client.close()
        self.server.close()
        self.poller.close()


@pytest.fixture
def loop(tmp_path):
    for number in range(FILES):
        (tmp_path / str(number)).write_bytes(BODY)
        os.utime(tmp_path / str(number), (1e9, 1e9))
    time.sleep(1.2)  # until they are left alone for long enough
    loop = Loop(tmp_path)
    yield loop
    loop.close()


@pytest.mark.parametrize("files", [1, FILES], ids=["the same", "one of many"])
def test_recording(loop, benchmark, files):
    names = itertools.cycle([str(number) for number in range(files)])
    for _ in range(3 * files):
        assert loop.ask(next(names)).endswith(BODY)
    before = loop.recordings.hits
    assert loop.ask(next(names)).endswith(BODY)
    assert loop.recordings.hits == before + 1, "this would measure the handler"
    benchmark(lambda: loop.ask(next(names)))
