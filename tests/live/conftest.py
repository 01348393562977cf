"""One server process for each file of tests and the folder that it serves; servers of every kind."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ask, request
from live.kinds import KINDS, OURS
from live.process import Process, many_descriptors

PATTERN = random.Random(2).randbytes(10 << 20)


@pytest.fixture(scope="module")
def pattern() -> bytes:
    """10 MiB that look the same nowhere; also the file /pattern."""
    return PATTERN


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Stopped at the end; a traceback on its stderr is an error."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "pattern").write_bytes(PATTERN)
    (folder / "small").write_bytes(PATTERN[:1024])
    with many_descriptors():
        server = Process(folder, tmp_path_factory.mktemp("log") / "stderr")
        try:
            ask(server.address, request("HEAD"))  # now it has opened all that it keeps
            yield server
        finally:
            server.stop()


@pytest.fixture
def served(server: Process) -> Path:
    """The folder."""
    return server.folder


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    """A server class with its handlers, of either library."""
    return request.param


@pytest.fixture(params=OURS.values(), ids=OURS)
def ours(request: pytest.FixtureRequest) -> Any:
    """For what http.server does not do."""
    return request.param
