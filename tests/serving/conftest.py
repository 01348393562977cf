"""A stderr that must stay clean, for the tests of the loop."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def clean_log(log: Any) -> Iterator[Any]:
    """What is written to sys.stderr; a traceback in it is an error."""
    yield log
    assert "Traceback" not in log.text()
