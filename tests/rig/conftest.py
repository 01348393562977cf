"""An origin for each file of tests, in a thread of this process, and a table of endpoints to add to."""

from collections.abc import Iterator
from typing import Any

import pytest
from helpers import Running

from fastserve.rig.origin import OriginServer, make_server, routes


@pytest.fixture(scope="module")
def origin() -> Iterator[OriginServer]:
    """One that serves while the tests of a file run; its seed is 0."""
    server = make_server()
    running = Running(server)
    yield server
    running.stop()


@pytest.fixture
def address(origin: OriginServer) -> Any:
    return origin.server_address


@pytest.fixture
def url(origin: OriginServer) -> str:
    """Without a slash at its end."""
    return f"http://127.0.0.1:{origin.server_port}"


@pytest.fixture
def table() -> Iterator[list[routes.Endpoint]]:
    """The table of endpoints; what a test adds to it is taken out again."""
    before = len(routes.ENDPOINTS)
    yield routes.ENDPOINTS
    for each in routes.ENDPOINTS[before:]:
        routes._BY_SEGMENT[each.path[1:].partition("/")[0]].remove(each)
    del routes.ENDPOINTS[before:]
