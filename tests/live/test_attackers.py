"""Hundreds of clients that are slow on purpose, beside some that are not: who is cut off, and who notices.

The attackers are a process of their own, attackers.py; the servers have short times, so that all of them are
met. What the rates are is in test_deadlines.py.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cgi_scripts import ScriptFolder
from helpers import Client, ask, request
from live.process import WAIT, Download, Process, finish, gives_back

pytestmark = pytest.mark.slow

TOOL = Path(__file__).with_name("attackers.py")
# As many as asked for, and fewer where a server may not have as many descriptors.
CROWD = min(500, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
HEAD, PROGRESS, MIN_RATE = 3, 5, 1000
SHORT = ("--head-timeout", f"{HEAD}", "--progress-timeout", f"{PROGRESS}", "--min-rate", f"{MIN_RATE}")
SERVERS = {"loop": (), "threads": ("--cgi",)}


@pytest.fixture(params=SERVERS.values(), ids=SERVERS)
def hasty(request: pytest.FixtureRequest, scripts: ScriptFolder, pattern: bytes,
          tmp_path: Path) -> Iterator[Process]:
    """A server with short times; stopped at the end, and a traceback on its stderr is an error."""
    (scripts.path / "pattern").write_bytes(pattern)
    (scripts.path / "small").write_bytes(pattern[:1024])
    scripts.add("exec cat")
    server = Process(scripts.path, tmp_path / "stderr", *request.param, *SHORT)
    try:
        look_at_all(server, pattern)  # now it has opened and imported all that it keeps
        yield server
    finally:
        server.stop()


def look_at_all(server: Process, pattern: bytes) -> None:
    assert ask(server.address, request(target="/small")).body == pattern[:1024]
    ask(server.address, request("POST", "/cgi-bin/script", body=b"x"))


@contextlib.contextmanager
def attack(server: Process, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The attackers at work; they are gone when the server has cut off the last."""
    command = [sys.executable, str(TOOL), "--port", str(server.address[1]), "--interval", "0.2",
               "--seconds", str(2 * WAIT), *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def serve_the_honest(server: Process, pattern: bytes, attackers: subprocess.Popen[bytes]) -> int:
    """Download, small and large, until the attackers are gone; how often. Every octet is looked at."""
    rounds = 0
    while not rounds or attackers.poll() is None:
        downloads = [Download(server, request(target="/pattern"), pattern) for _ in range(4)]
        finish(downloads)
        for download in downloads:
            download.sock.close()
        assert {(download.fault, download.received) for download in downloads} == {("", len(pattern))}
        with Client(server.address, WAIT) as client:
            for _ in range(50):
                assert client.ask(request(target="/small")).body == pattern[:1024]
        rounds += 1
    return rounds


def outcome(server: Process, pattern: bytes, *options: str) -> Any:
    """What the attackers say at the end."""
    with gives_back(server, memory=64 << 20), attack(server, *options) as attackers:
        assert serve_the_honest(server, pattern, attackers)
        assert attackers.stdout
        return json.loads(attackers.stdout.read())


def check_all_were_cut_off(report: Any, count: int, status: str, limit: float) -> None:
    assert (report["cut_off"], report["alive"]) == (count, 0), report
    assert report["statuses"] == {status: count}, report
    assert report["lasted"][0] >= limit, report


def test_heads_that_do_not_end(hasty: Process, pattern: bytes) -> None:
    report = outcome(hasty, pattern, "--kind", "slow-headers", "--connections", str(CROWD))
    check_all_were_cut_off(report, CROWD, "408", HEAD)


def test_bodies_that_do_not_end(hasty: Process, pattern: bytes) -> None:
    """An octet in time, each time."""
    report = outcome(hasty, pattern, "--kind", "slow-body", "--connections", str(CROWD))
    check_all_were_cut_off(report, CROWD, "408", PROGRESS)


@pytest.mark.skipif(os.environ.get("FASTSERVE_KIND") == "sanitize", reason="a process for each is too much")
@pytest.mark.parametrize("hasty", [SERVERS["threads"]], ids=["threads"], indirect=True)
def test_bodies_of_scripts_that_do_not_end(hasty: Process, pattern: bytes, scripts: ScriptFolder) -> None:
    """Too long to be collected, so that each holds a thread and a process; the answer begins at once."""
    report = outcome(hasty, pattern, "--kind", "slow-body", "--connections", "50", "--length", "100000",
                     "--path", "/cgi-bin/script")
    check_all_were_cut_off(report, 50, "200", PROGRESS)


def test_answers_that_nobody_reads(hasty: Process, pattern: bytes) -> None:
    report = outcome(hasty, pattern, "--kind", "slow-read", "--connections", str(CROWD), "--path", "/pattern")
    check_all_were_cut_off(report, CROWD, "200", PROGRESS)
