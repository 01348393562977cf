"""Clients that hold on to a server by being slow: heads, bodies, and answers an octet at a time.

    python tests/live/attackers.py --kind slow-headers --connections 500 --port 8000 --seconds 60

It says "ready" once all are connected and have begun, and at the end, which is when no connection is left or
the time is over, one line of JSON: how many were cut off, with which status, after how many seconds. For
servers of one's own. One thread, a selector, and nothing that is not in the standard library.

    slow-headers    a head that never ends
    slow-body       a body of --length octets that never does
    slow-read       --path in a window of 4 KiB: it should name something large
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import resource
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Sequence

OTHER_DESCRIPTORS = 32  # of this process
WINDOW = 4096
CONNECTING = 10.0  # seconds
GROUPS = 20  # that have their turns together: a process that never sleeps is what slows its neighbours down


class Attacker:
    """One connection; another one in its place if it is told to begin again."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self.begin()

    def begin(self) -> None:
        self.began, self.lasted = time.monotonic(), 0.0
        self.received = b""
        self.sock = socket.socket()
        if self._args.kind == "slow-read":  # before it connects, when the window is offered
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        self.sock.settimeout(CONNECTING)
        self.sock.connect((self._args.address, self._args.port))
        self.sock.setblocking(False)
        self._try(self.sock.send, self._beginning())

    def _beginning(self) -> bytes:
        path, length = self._args.path, self._args.length
        return {
            "slow-headers": f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            "slow-body": f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n",
            "slow-read": f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n",
        }[self._args.kind].encode("latin-1")

    def crawl(self) -> None:
        """Send or read one octet."""
        if self._args.kind == "slow-read":
            self.take(1)
            # A reset is told before what came earlier has been read.
            if not self.is_over() and self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end()
        else:
            self._try(self.sock.send, b"x")

    def take(self, size: int = 1 << 16) -> None:
        """Receive what is there; nothing at all is the end."""
        data = self._try(self.sock.recv, size)
        if data == b"":
            self._end()
        elif data:
            self.received = (self.received + data)[:64]

    def _try(self, method, *args):  # type: ignore[no-untyped-def]
        try:
            return method(*args)
        except BlockingIOError:
            return None
        except OSError:
            self._end()
            return None

    def _end(self) -> None:
        if not self.is_over():
            self.lasted = max(time.monotonic() - self.began, 1e-9)

    def is_over(self) -> bool:
        return self.lasted > 0

    @property
    def outcome(self) -> str:
        """The status that came, 'none' without one."""
        words = self.received.split(b" ", 2)
        return words[1].decode("latin-1") if len(words) > 1 else "none"


class Attack:
    """All of them, in turns; each group has its own time in an interval: they do not come all at once."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._selector = selectors.DefaultSelector()
        self._turns: collections.deque[tuple[float, Attacker]] = collections.deque()
        self._outcomes: collections.Counter[str] = collections.Counter()
        self._lasted: list[float] = []
        self._alive = 0

    def begin(self) -> None:
        attackers = [Attacker(self._args) for _ in range(self._args.connections)]
        start, step = time.monotonic(), self._args.interval / GROUPS
        for number, attacker in enumerate(attackers):
            self._turns.append((start + number * GROUPS // len(attackers) * step, attacker))
            self._enter(attacker)

    def _enter(self, attacker: Attacker) -> None:
        self._alive += 1
        if self._args.kind != "slow-read":  # who would take all there is
            self._selector.register(attacker.sock, selectors.EVENT_READ, attacker)

    def run(self) -> None:
        deadline = time.monotonic() + self._args.seconds
        while self._alive and time.monotonic() < deadline:
            pause = min(self._turns[0][0], deadline) - time.monotonic()
            if self._args.kind == "slow-read":  # an empty selector may not wait
                time.sleep(max(pause, 0))
            else:
                self._listen(max(pause, 0))
            self._take_turns(time.monotonic())

    def _listen(self, pause: float) -> None:
        for key, _ in self._selector.select(pause):
            key.data.take()
            if key.data.is_over():
                self._note(key.data)

    def _take_turns(self, now: float) -> None:
        while self._turns and self._turns[0][0] <= now:
            due, attacker = self._turns.popleft()
            if not attacker.is_over():
                attacker.crawl()
                if attacker.is_over():
                    self._note(attacker)
            elif self._args.reconnect:
                with contextlib.suppress(OSError):
                    attacker.begin()
                    self._enter(attacker)
            self._turns.append((due + self._args.interval, attacker))

    def _note(self, attacker: Attacker) -> None:
        """A connection is over."""
        if self._args.kind != "slow-read":
            with contextlib.suppress(BlockingIOError, OSError):  # an answer that came before a reset
                attacker.received = (attacker.received + attacker.sock.recv(64))[:64]
            self._selector.unregister(attacker.sock)
        attacker.sock.close()
        self._alive -= 1
        self._outcomes[attacker.outcome] += 1
        self._lasted.append(attacker.lasted)

    def report(self) -> dict[str, object]:
        lasted = self._lasted
        return {
            "kind": self._args.kind,
            "connections": self._args.connections,
            "cut_off": len(lasted),
            "alive": self._alive,
            "statuses": dict(self._outcomes),
            "lasted": [min(lasted), statistics.median(lasted), max(lasted)] if lasted else [],
        }


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Be slow, for a server of one's own.")
    parser.add_argument("--kind", choices=["slow-headers", "slow-body", "slow-read"], required=True)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/")
    parser.add_argument("--length", type=int, default=60000, help="that a slow body has (default: 60000)")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--interval", type=float, default=1, help="between two octets (default: 1 second)")
    parser.add_argument("--reconnect", action="store_true", help="begin anew where one was cut off")
    args = parser.parse_args(argv)
    args.connections = min(args.connections, descriptors() - OTHER_DESCRIPTORS)
    return args


def descriptors() -> int:
    """How many this process may have, which are from now on as many as it can get."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def main(argv: Sequence[str] | None = None) -> int:
    attack = Attack(options(argv))
    attack.begin()
    print("ready", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        attack.run()
    print(json.dumps(attack.report()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
