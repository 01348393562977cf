"""Ctrl-C, and the other signals that end a measurement: a KeyboardInterrupt where it loses no process.

Knows nothing of what is measured. The engine listens for the time of a run; who starts processes holds it up.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptions:
    """What comes while it is held becomes a KeyboardInterrupt at the end of that."""

    def __init__(self) -> None:
        self._held = 0
        self._pending = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """For the block, SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield  # whose program this is has its own way to end
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in before.items():
            if handler not in (signal.SIG_IGN, None):  # nohup, or not Python's to put back
                signal.signal(number, self._hear)
        try:
            yield
        finally:
            for number, handler in before.items():
                if handler is not None:
                    signal.signal(number, handler)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """For the block, which must be short, none is raised."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._pending and not self._held:
                self._pending = False
                raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            self._pending = True
            return
        raise KeyboardInterrupt


INTERRUPTIONS: Final = Interruptions()
