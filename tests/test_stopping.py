"""What SIGINT and SIGTERM do, one after the other, on a clock that stands still: no process is signalled.

What becomes of a real one is in test_cli_end.py.
"""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from fastserve import limits, stopping
from fastserve.stopping import SIGNALS, Stopping

INT, TERM = signal.SIGINT, signal.SIGTERM


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stopping, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of the tests themselves, given back."""
    before = [signal.getsignal(each) for each in SIGNALS]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


class Told:
    """A server, and what it and whoever leaves are told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.stopping = Stopping(lambda signum: self.calls.append(("leave", signum)))
        self.stopping.grace = 5

    def drain(self, grace: float) -> None:
        self.calls.append(("drain", grace))

    def signal(self, signum: int) -> None:
        self.stopping(signum, None)


def ends(told: Told, signum: int, error: type[BaseException]) -> None:
    with pytest.raises(error) as raised:
        told.signal(signum)
    assert error is KeyboardInterrupt or raised.value.args == (0,)
    assert [signal.getsignal(each) for each in SIGNALS] == [signal.SIG_IGN] * 2


@pytest.mark.parametrize(("signum", "error"), [(INT, KeyboardInterrupt), (TERM, SystemExit)])
def test_before_there_is_a_server(signum: int, error: type[BaseException]) -> None:
    told = Told()
    ends(told, signum, error)
    assert told.calls == []


@pytest.mark.parametrize("signum", [INT, TERM])
def test_the_first_drains(clock: Clock, signum: int) -> None:
    told = Told()
    told.stopping.server = told
    told.signal(signum)
    assert told.calls == [("drain", 5), ("leave", signum)]


@pytest.mark.parametrize(("first", "second", "error"), [
    (INT, INT, SystemExit),  # its words have been said
    (INT, TERM, SystemExit),
    (TERM, TERM, SystemExit),
    (TERM, INT, KeyboardInterrupt),
])
@pytest.mark.parametrize("over", [-0.001, 0, 0.001], ids=["n-1", "n", "n+1"])
def test_what_comes_soon_after_is_an_echo(
        clock: Clock, first: int, second: int, error: type[BaseException], over: float) -> None:
    told = Told()
    told.stopping.server = told
    clock.now = 0.0
    told.signal(first)
    clock.now = limits.SIGNAL_ECHO + over
    if over > 0:
        ends(told, second, error)
    else:
        told.signal(second)
    assert told.calls == [("drain", 5), ("leave", first)]


def test_it_catches_what_is_not_ignored() -> None:
    signal.signal(INT, signal.SIG_IGN)
    signal.signal(TERM, signal.SIG_DFL)
    handler = Stopping(print)
    handler.catch()
    assert (signal.getsignal(INT), signal.getsignal(TERM)) == (signal.SIG_IGN, handler)
    assert handler.grace == limits.DRAIN_GRACE


def test_a_signal_while_it_begins_to_ignore_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would note it for a handler that is no more, and tell of that by a traceback."""
    noted = []
    set_handler = signal.signal
    for each in SIGNALS:
        set_handler(each, lambda signum, frame: noted.append(signum))

    def signalled(signum: int, handler: Any) -> None:
        signal.raise_signal(signum)
        set_handler(signum, handler)

    with monkeypatch.context() as patch:  # pytest has signals of its own
        patch.setattr(signal, "signal", signalled)
        Stopping(print).ignore()
    assert noted == []
