"""The watcher of a lead sees every signal, also one that ends none of its waits."""

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import PATIENCE
from pairs import Task

from fastserve._lead import Lead


class Caught(Exception):
    """What the handler of the signal raises."""


def watching(lead: Lead) -> None:
    lead.watch()


def catch(number: int, frame: Any) -> None:
    if frame.f_code is watching.__code__:
        raise Caught


@pytest.fixture
def caught() -> Iterator[None]:
    """SIGUSR1 raises Caught out of watching(), for the length of a test."""
    before = signal.signal(signal.SIGUSR1, catch)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_signal_that_ends_no_wait(busy: bool, caught: None) -> None:
    """Given to another thread, as one that comes while this one has lost its core between two waits."""
    lead, enough = Lead(), threading.Event()

    def work() -> None:
        """Lead, without ever being late."""
        assert lead.adopt()
        while not enough.wait(0.0005):
            if busy:
                lead.enter(None)
                lead.leave()

    def disturb() -> bool:
        deadline = time.monotonic() + PATIENCE
        while not enough.wait(0.01) and time.monotonic() < deadline:
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        lead.wake_watcher()  # so that a test that fails ends
        return enough.is_set()

    working, disturbing = Task(work), Task(disturb)
    with pytest.raises(Caught):
        watching(lead)
    enough.set()
    working.result()
    assert disturbing.result(2 * PATIENCE), "it was seen at the end"
