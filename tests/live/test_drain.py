"""Many clients at once when the server gets SIGTERM: nobody's request is lost, and it ends well.

Each test has a server of its own. What is lost is what was sent on a connection that was there before the
signal, and was not answered. A client that connects later may be refused, as those of any server.
"""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, request, wait_until
from live.process import WAIT, Process

from fastserve import limits

CLIENTS = 24
FEW = 5000  # octets of the log; nobody is served before
CONTENT = bytes(range(256)) * 40


@pytest.fixture(params=["files", "threads"])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Process]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "small").write_bytes(CONTENT[:1024])
    (folder / "file").write_bytes(CONTENT)
    options = ["--cgi"] if request.param == "threads" else []
    server = Process(folder, tmp_path / "stderr", "--grace", "20", *options)
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()


class Crowd:
    """Clients that ask again and again, each in a thread of its own, until they are refused."""

    def __init__(self, server: Process, ask: Callable[[Client], bool], size: int = CLIENTS) -> None:
        self._server, self._ask = server, ask
        self._signalled = threading.Event()
        self.lost: list[str] = []
        self.answers = 0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(size)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while True:
            try:
                client = Client(self._server.address, WAIT)
            except OSError:  # refused
                return
            owed = not self._signalled.is_set()  # so the kernel has accepted it before the signal
            with client:
                try:
                    self._use(client)
                except (AssertionError, EOFError, OSError) as error:
                    if owed:
                        self.lost.append(repr(error))
                    return

    def _use(self, client: Client) -> None:
        """Ask on one connection until an answer says that it is the last."""
        answered = time.monotonic()
        while True:
            slow = time.monotonic() - answered > limits.LAST_REQUEST_TIMEOUT / 2
            try:
                last = self._ask(client)
            except (AssertionError, EOFError, OSError):
                if slow:  # this machine kept us from asking: nobody waits for ever
                    return
                raise
            answered = time.monotonic()
            self.answers += 1
            if last:
                return

    def end(self) -> None:
        """Send the signal, and wait for all."""
        self._signalled.set()
        self._server.stop()
        for thread in self._threads:
            thread.join(WAIT)
        assert not any(thread.is_alive() for thread in self._threads)


def one(client: Client) -> bool:
    return is_last(client.ask(request(target="/small")), 1024)


def one_alone(client: Client) -> bool:
    assert is_last(client.ask(request("GET", "/small", "Connection: close")), 1024)
    return True


def a_pipeline(client: Client) -> bool:
    client.send(request(target="/small") * 4 + request(target="/file"))
    last = [is_last(client.reply(), size) for size in (1024, 1024, 1024, 1024, len(CONTENT))]
    assert not any(last[:-1])
    return last[-1]


def in_pieces(client: Client) -> bool:
    octets = request(target="/file")
    client.send(octets[:9])
    client.send(octets[9:-1])
    return is_last(client.ask(octets[-1:]), len(CONTENT))


def is_last(reply: Any, size: int) -> bool:
    assert reply is not None, "the connection ended without a reply"
    assert (reply.status, reply.body) == (200, CONTENT[:size])
    return bool(reply.get("Connection") == "close")


@pytest.mark.parametrize("ask", [one, one_alone, a_pipeline, in_pieces])
def test_nobodys_request_is_lost(served: Process, ask: Callable[[Client], bool]) -> None:
    crowd = Crowd(served, ask)
    assert wait_until(lambda: len(served.log()) > FEW, WAIT)
    crowd.end()
    assert crowd.lost == []
    assert crowd.answers > CLIENTS
    assert served.log().count('" 200 -\n') >= crowd.answers


def test_a_load_tool_sees_no_failure(served: Process) -> None:
    """wrk connects again at once when an answer is the last. That it is refused it finds when it writes."""
    if shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    command = ["wrk", "-t1", f"-c{CLIENTS}", "-d2", f"{served.url}/small"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as wrk:
        assert wait_until(lambda: len(served.log()) > FEW, WAIT)
        served.stop()
        told = wrk.communicate(timeout=WAIT)[0].decode()
    assert re.search(r"[1-9]\d* requests in ", told), told
    assert "Non-2xx" not in told
    failures = re.search(r"Socket errors: connect \d+, read (\d+), write \d+, timeout (\d+)", told)
    assert failures, "nobody was refused: the server has outlived the load"
    assert failures.groups() == ("0", "0"), told
