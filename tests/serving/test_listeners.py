"""Listening sockets for several processes: one for each, and where that cannot be, one for all."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import connect
from serving.apps import Quiet

import fastserve
from fastserve.serving import listeners


@contextlib.contextmanager
def spread(server: Any, count: int, share: bool = False) -> Iterator[list[socket.socket]]:
    made = listeners.spread(server, count, share)
    try:
        yield made
    finally:
        for each in made:
            each.close()


@pytest.mark.skipif(not listeners.SPREADS, reason="this kernel does not spread connections")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_each_worker_has_a_socket_of_its_own(family: int) -> None:
    class Server(fastserve.HTTPServer):
        address_family = family

    here = ("127.0.0.1" if family == socket.AF_INET else "::1", 0)
    with Server(here, Quiet) as server, spread(server, 4) as made, contextlib.ExitStack() as stack:
        assert made[0] is server.socket
        assert {each.getsockname() for each in made} == {server.server_address}
        assert len({each.fileno() for each in made}) == 4
        for _ in range(200):
            stack.enter_context(connect(server.server_address))
        for each in made:
            each.accept()[0].close()
        # Somebody else is refused the port, as ever.
        with pytest.raises(OSError, match="in use"):
            Server(server.server_address, Quiet)


@pytest.mark.parametrize("share", [True, False])
def test_one_socket_for_all(share: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "SPREADS", share)
    with fastserve.HTTPServer(("127.0.0.1", 0), Quiet) as server, spread(server, 3, share) as made:
        assert made == [server.socket] * 3


def test_where_no_socket_can_be_added_one_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(listener: socket.socket, backlog: int) -> socket.socket:
        raise OSError("no")

    monkeypatch.setattr(listeners, "_twin", refuse)
    with fastserve.HTTPServer(("127.0.0.1", 0), Quiet) as server, spread(server, 2) as made:
        assert made == [server.socket] * 2


def test_a_unix_socket_is_shared(tmp_path: Path) -> None:
    class Server(fastserve.HTTPServer):
        address_family = socket.AF_UNIX

    with Server(str(tmp_path / "socket"), Quiet) as server, spread(server, 2) as made:
        assert made == [server.socket] * 2
