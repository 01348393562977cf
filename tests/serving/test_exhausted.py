"""A process that runs out of descriptors: accepting pauses, once, and goes on; nothing else stops.

The server runs in a process of its own, with a low limit; the clients are here.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import PATIENCE, Client, request, wait_until

import fastserve

GET = request()
ROOM = 40  # descriptors of the server
SERVER = f"""
import resource, signal, sys
from serving.apps import Quiet
import fastserve

with fastserve.HTTPServer(("127.0.0.1", 0), Quiet) as server:
    resource.setrlimit(resource.RLIMIT_NOFILE, ({ROOM}, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    signal.signal(signal.SIGUSR1, lambda *args: server.drain(3600))
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")


class Server:
    """The process, its address, and what it has said on stderr."""

    def __init__(self, log: Path) -> None:
        places = [str(Path(__file__).parents[1]), str(Path(fastserve.__file__).parents[1])]
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=stderr,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(places)})
        assert self.process.stdout
        self.address = ("127.0.0.1", int(self.process.stdout.readline()))
        self._log = log

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "stderr")
    yield server
    server.stop()


def is_answered(client: Client) -> bool:
    try:
        reply = client.reply()
    except TimeoutError:
        return False
    return reply is not None and reply.status == 200


def test_accepting_pauses_and_goes_on(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(ROOM + 20)]
        assert wait_until(lambda: server.log), "nothing was said"
        assert server.descriptors() >= ROOM - 1
        assert clients[0].ask(GET).status == 200, "those that are connected are not served"
        # As long as nothing changes it says nothing more, and waits.
        before = server.cpu()
        time.sleep(1.3)
        assert server.cpu() - before < 0.3
        assert len(server.log) == 1, server.log
        # Those that come in when others go are served, all of them in the end.
        for client in clients[:ROOM]:
            client.close()
        for client in clients[ROOM:]:
            client.send(GET)
        assert all(is_answered(client) for client in clients[ROOM:])
        assert clients[-1].ask(GET).status == 200
    assert not any("Traceback" in line for line in server.log), server.log


def test_a_drain_serves_those_who_wait_for_a_descriptor(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(4 * ROOM)]
        assert wait_until(lambda: server.log), "nothing was said"
        server.process.send_signal(signal.SIGUSR1)
        for client in clients:
            client.send(GET)
        for client in clients:
            reply = client.reply()
            assert reply is not None
            assert reply.get("Connection") == "close"
            client.close()
        assert server.process.wait(PATIENCE) == 0
    assert not any("Traceback" in line for line in server.log), server.log


def test_every_client_is_served_in_the_end(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(4 * ROOM)]
        for client in clients:
            client.send(request("GET", "/", "Connection: close"))
        assert all(is_answered(client) for client in clients)
    assert len(server.log) == 1, "it is said once, though accepting has paused again and again"
    assert wait_until(lambda: server.descriptors() < ROOM // 2), "descriptors are not given back"
    with Client(server.address) as client:
        assert client.ask(GET).status == 200
