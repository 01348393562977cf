"""soak.py for a few seconds on each server, and that it sees what is wrong."""

import subprocess
import sys

import pytest
from live import soak

SERVERS = ["threads", "loop", "tls", "http.server", "command"]
HAS_WORKERS = "--workers" in subprocess.run(
    [sys.executable, "-m", "fastserve", "--help"], capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("server", [*SERVERS, *(["workers:2"] if HAS_WORKERS else [])])
def test_a_short_soak(server: str) -> None:
    done = soak.soak(soak.options(["--seconds", "3", "--seed", "1", "--server", server]))
    assert done.failures == []
    missing = [name for name, tally in done.tallies.items() if not tally.visits]
    assert missing == []


@pytest.mark.parametrize("habit", ["keep alive", "new connections", "pipelines", "half closes"])
def test_an_octet_that_is_wrong_is_seen(habit: str) -> None:
    options = ["--seconds", "1", "--seed", "1", "--server", "http.server", "--only", habit, "--lie"]
    done = soak.soak(soak.options(options))
    assert done.failures
    assert all("other octets after" in failure for failure in done.failures), done.failures
