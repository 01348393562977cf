"""What every program has: a folder of its own, and a client that a real library provides."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the program runs."""
    path = tmp_path / "program"
    path.mkdir()
    return path


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A client that keeps its connections, and asks no proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
