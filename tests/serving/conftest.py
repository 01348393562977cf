"""A stderr that must stay clean, servers over TLS, and a clock, for the tests of the loop."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from serving.apps import Gate
from serving.secure import SERVERS


@pytest.fixture
def clean_log(log: Any) -> Iterator[Any]:
    """What is written to sys.stderr; a traceback in it is an error."""
    yield log
    assert "Traceback" not in log.text()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture(params=SERVERS.values(), ids=SERVERS)
def https(request: pytest.FixtureRequest) -> Any:
    """A function that makes a server; a test that asks for it runs with each."""
    return request.param


class Clock:
    """What the loops take the time from: it can be put forward by some seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("fastserve.serving.loop.time", clock)
    return clock
