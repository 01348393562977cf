"""A server that plays what a test gives it, for the load driver: one function, called with each connection.

Knows sockets and no HTTP; every wait is bounded. test_drive.py uses it.
"""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

PATIENCE = 10.0
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

Play = Callable[["Peer"], None]


class Peer:
    """A connection of the driver's, as the server has it. ``number`` counts connections from 0."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock, self.number = sock, number
        self._kept = b""

    def request(self) -> bytes:
        """The next request's head, its body passed over; b"" at the end of the connection."""
        while b"\r\n\r\n" not in self._kept:
            data = self.sock.recv(65536)
            if not data:
                return b""
            self._kept += data
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        found = LENGTH.search(head)
        self._pass_over(int(found[1]) if found else 0)
        return head

    def _pass_over(self, size: int) -> None:
        while len(self._kept) < size:
            data = self.sock.recv(1 << 20)
            assert data, "the request ends too early"
            self._kept += data
        self._kept = self._kept[size:]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close it so that the other side reads a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Player:
    """Listens, and plays in a thread for each connection."""

    def __init__(self, play: Play, listener: socket.socket) -> None:
        self.play, self.listener = play, listener
        self.address: Any = listener.getsockname()
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            peer = Peer(sock, len(self.peers))
            self.peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: Peer) -> None:
        try:
            with peer.sock:
                self.play(peer)
        except OSError:  # the driver has gone
            pass
        except BaseException as exc:
            self.failures.append(exc)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert self.failures == []


@contextlib.contextmanager
def playing(play: Play, family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> Iterator[Player]:
    """A server of that function; at the end it has stopped, and nothing in it has failed."""
    with socket.create_server(address, family=family, backlog=256) as listener:
        player = Player(play, listener)
        try:
            yield player
        finally:
            player.stop()


def always(answer: bytes, requests: int = -1) -> Play:
    """Plays the same answer to so many requests, then ends the connection; -1: to all."""

    def play(peer: Peer) -> None:
        left = requests
        while left and peer.request():
            peer.send(answer)
            left -= 1

    return play
