"""What curl gets from a running server, octet for octet."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from live.process import WAIT, Process, gives_back, run

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

SIZES = {"0 B": 0, "1 B": 1, "1 KiB": 1024, "64 KiB - 1": 65535, "64 KiB": 65536, "64 KiB + 1": 65537,
         "1 MiB": 1 << 20, "10 MiB": 10 << 20}
HUGE = 3 << 30
ISLANDS = (0, (1 << 30) - 7, (1 << 31) - 5, (1 << 31) + 4096, HUGE - 100001)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
def test_files_of_any_size(
    server: Process, pattern: bytes, tmp_path: Path, size: int, version: str
) -> None:
    (server.folder / "file").write_bytes(pattern[:size])
    with gives_back(server):
        got = run("curl", "-sSf", version, "-D", tmp_path / "head", f"{server.url}/file")
    assert got == pattern[:size]
    assert f"Content-Length: {size}\r\n" in (tmp_path / "head").read_bytes().decode()


@pytest.mark.slow
def test_a_huge_file(server: Process, pattern: bytes) -> None:
    """Sparse, with islands where 31 and 32 bits end; compared as it comes, not kept."""
    path = server.folder / "huge"
    with path.open("wb") as file:
        file.truncate(HUGE)
        for offset in ISLANDS:
            file.seek(offset)
            file.write(pattern[:100001])
    try:
        with gives_back(server):
            assert same_as_by_curl(f"{server.url}/huge", path) == HUGE
    finally:
        path.unlink()


def same_as_by_curl(url: str, path: Path) -> int:
    """How many octets curl gets, which must be those of the file."""
    size, block = 0, bytearray(1 << 20)
    curl = subprocess.Popen(["curl", "-sSf", url], stdout=subprocess.PIPE, bufsize=0)
    with curl, path.open("rb") as file:
        assert curl.stdout
        widen(curl.stdout.fileno())
        while count := curl.stdout.readinto(block):  # type: ignore[attr-defined]
            assert block[:count] == os.pread(file.fileno(), count, size), f"other octets after {size}"
            size += count
        assert curl.wait(WAIT) == 0
    return size


def widen(pipe: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)


def test_many_files_over_one_connection(server: Process, pattern: bytes) -> None:
    urls = [f"{server.url}/{name}" for name in ("small", "pattern") * 10]
    with gives_back(server):
        got = run("curl", "-sS", "-w", "<%{http_code} %{num_connects}>", *urls)
    assert got.startswith(pattern[:1024] + b"<200 1>" + pattern + b"<200 0>")
    assert got.count(b"<200 0>") == 19
    assert got.endswith(pattern + b"<200 0>")


def test_heads_without_bodies(server: Process) -> None:
    got = run("curl", "-sS", "-I", f"{server.url}/pattern", f"{server.url}/small")
    assert got.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"Content-Length: 10485760\r\n" in got


def test_an_upload_that_waits_for_100_continue(server: Process, served: Path) -> None:
    """It must not wait in vain. As http.server, we say 100 before we look for the method."""
    with gives_back(server):
        got = run("curl", "-sS", "-H", "Expect: 100-continue", "--expect100-timeout", "20", "--max-time",
                  "10", "-T", served / "pattern", "-w", "<%{http_code}>", f"{server.url}/put")
    assert got.endswith(b"<501>"), got[-100:]


def test_an_upload_that_is_sent_all_the_same(server: Process, served: Path) -> None:
    """The answer survives a body that nobody reads."""
    with gives_back(server):
        for name in ("small", "pattern"):
            done = subprocess.run(
                ["curl", "-sS", "-H", "Expect:", "-T", served / name, "--max-time", "10",
                 "-w", "<%{http_code}>", f"{server.url}/put"], capture_output=True, timeout=WAIT)
            assert done.stdout.endswith(b"<501>"), (name, done)


def test_a_client_that_offers_http_2(server: Process, pattern: bytes) -> None:
    """By an Upgrade header, which may be ignored."""
    if b"HTTP2" not in run("curl", "--version"):
        pytest.skip("this curl knows no HTTP/2")
    got = run("curl", "-sS", "--http2", "--max-time", "10", "-w", "<%{http_code} %{http_version}>",
              f"{server.url}/small", f"{server.url}/small")
    assert got == (pattern[:1024] + b"<200 1.1>") * 2


def test_many_at_once(server: Process, pattern: bytes, tmp_path: Path) -> None:
    words = []
    for n in range(50):
        words += ["-o", str(tmp_path / str(n)), f"{server.url}/{'small' if n % 2 else 'pattern'}?{n}"]
    with gives_back(server):
        run("curl", "-sSf", "--parallel", "--parallel-immediate", "--parallel-max", "50", *words)
    for n in range(50):
        assert (tmp_path / str(n)).read_bytes() == (pattern[:1024] if n % 2 else pattern)
