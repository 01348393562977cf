"""Fixtures for pytest: fastserve_origin, a server for one test, and fastserve_origin_session, one for all.

pytest loads this wherever fastserve is installed, so nothing is imported here until a test asks for it. Knows
pytest and testing.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastserve.rig.testing import ScriptedOrigin

MARKER: Final = "fastserve_origin"
OPTIONS: Final = ("tls", "seed", "endpoints", "unexpected_status")  # of testing.origin()
HELP: Final = (
    f"{MARKER}(check=False, tls=False, seed=0, endpoints=True, unexpected_status=404): how the fixture of "
    "this name is made, and whether check() is called at the end of the test")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", HELP)


@pytest.fixture
def fastserve_origin(request: pytest.FixtureRequest) -> Iterator[ScriptedOrigin]:
    """An origin of this test alone, a ScriptedOrigin. The marker of this name says how it is to be."""
    options = options_of(request.node)
    check = options.pop("check", False)
    from fastserve.rig import testing

    with testing.origin(**options) as server:
        yield server
        if check:
            server.check()


@pytest.fixture(scope="session")
def fastserve_origin_session() -> Iterator[ScriptedOrigin]:
    """An origin that all tests of a process share: none of them clears it unless it does so itself."""
    from fastserve.rig import testing

    with testing.origin() as server:
        yield server


def options_of(node: Any) -> dict[str, Any]:
    """What markers say, the closest first. What they cannot say fails the test."""
    found: dict[str, Any] = {}
    for marker in node.iter_markers(MARKER):
        wrong = [*marker.args, *(name for name in marker.kwargs if name not in ("check", *OPTIONS))]
        if wrong:
            right = HELP.partition(":")[0]
            pytest.fail(f"marker {MARKER} has no {wrong[0]}; it takes {right}", pytrace=False)
        found = {**marker.kwargs, **found}
    return found
