"""Handlers for the tests of the loop, and a stderr that must stay clean."""

import io
from collections.abc import Iterator

import pytest


@pytest.fixture
def clean_log(log: io.StringIO) -> Iterator[io.StringIO]:
    """What is written to sys.stderr; a traceback in it is an error."""
    yield log
    assert "Traceback" not in log.getvalue(), log.getvalue()[-3000:]
