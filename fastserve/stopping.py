"""SIGINT and SIGTERM to a process that serves: the first lets it end gracefully, the second ends it at once.

Knows signals, and of a server that it has drain(). No words of a command line; cli makes one.
"""

import signal
import time
from collections.abc import Callable
from typing import Final, NoReturn, Protocol

from fastserve import limits
from fastserve._signals import disregard

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Drainable(Protocol):
    """What is stopped: an HTTPServer, or whoever looks after several."""

    def drain(self, grace: float, /) -> None: ...


class Stopping:
    """The handler of both signals, in the main thread.

    ``leave(signum)`` is called once draining has begun. ``grace`` is in seconds. Until there is a ``server``
    nobody has been promised anything, so that the first signal is as the second: it raises KeyboardInterrupt
    for SIGINT and SystemExit(0) for SIGTERM, and what comes later is ignored.

    What comes within SIGNAL_ECHO of the first is not the second but its echo. Ctrl-C goes to all processes in
    the foreground, and npm, pnpm, foreman and docker then pass it on, some of them as SIGTERM: one key, two
    signals. A person who means it presses again.
    """

    def __init__(self, leave: Callable[[int], object]) -> None:
        self.server: Drainable | None = None
        self.grace: float = limits.DRAIN_GRACE
        self._leave = leave
        self._first: int | None = None  # the signal that began it
        self._since = 0.0  # by time.monotonic()

    def catch(self) -> None:
        """Handle both from now on."""
        for each in SIGNALS:
            # A shell script starts its background jobs with SIGINT ignored; leave that so.
            if signal.getsignal(each) != signal.SIG_IGN:
                signal.signal(each, self)

    def ignore(self) -> None:
        """Serving is over. Python gives its handlers up as it ends, and a late signal would be the status."""
        for each in SIGNALS:
            disregard(each)
            signal.signal(each, signal.SIG_IGN)

    def __call__(self, signum: int, frame: object) -> None:
        if self.server is None:
            self._end(signum)
        if self._first is None:
            self._first, self._since = signum, time.monotonic()
            self.server.drain(self.grace)
            self._leave(signum)
        elif time.monotonic() - self._since > limits.SIGNAL_ECHO:
            self._end(signum)

    def _end(self, signum: int) -> NoReturn:
        self.ignore()
        if signum == signal.SIGINT != self._first:
            raise KeyboardInterrupt
        raise SystemExit(0)
