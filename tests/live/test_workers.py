"""The command line with worker processes: what it says, whole lines of many writers, and new workers under
load.
"""

import collections
import contextlib
import fcntl
import io
import os
import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import LOG_LINE, Client, children, request, wait_until
from pairs import Task
from test_cli import GOODBYE, Server, openssl, refused, serving, spawn

from fastserve.serving import processes

WAIT = 20.0
BODY = bytes(range(256)) * 64
CLIENTS, REQUESTS = 6, 60
# Some of them longer than what enters a pipe in one piece, which is 4096 octets on Linux, 512 elsewhere.
LENGTHS = (1, 100, 500, 3000, 5000, 9000)


@pytest.fixture
def folder(folder: Path) -> Path:
    (folder / "data").write_bytes(BODY)
    return folder


@pytest.fixture
def workers(folder: Path) -> list[str]:
    return ["0", "-b", "127.0.0.1", "-d", str(folder), "--workers", "2"]


# -- Words -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["0", "-1", "two", "1025", "", "1.5"])
def test_numbers_of_workers_that_are_refused(number: str) -> None:
    complaint = refused("0", f"--workers={number}")
    assert complaint == f"number of workers {number!r} is neither auto nor from 1 to 1024"


@pytest.mark.parametrize(("number", "count"), [("1", 1), ("3", 3), ("auto", processes.usable_cpus())])
def test_as_many_workers_as_are_asked_for(folder: Path, number: str, count: int) -> None:
    with serving("0", "-d", str(folder), "--workers", number) as server:
        assert server.get("/data")[1] == BODY
        assert len(children(server.process.pid)) == count
        assert server.signal(signal.SIGTERM)[:2] == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_to_all_of_them_at_once_it_is_said_once(workers: list[str], number: int) -> None:
    """As a terminal does with Ctrl-C."""
    with serving(*workers, start_new_session=True) as server:
        assert server.get("/data")[1] == BODY
        os.killpg(server.process.pid, number)
        out, err = server.process.communicate(timeout=WAIT)
        assert server.process.returncode == 0
        assert out.decode() == (GOODBYE if number == signal.SIGINT else "")
        assert [line for line in err.decode().splitlines() if not LOG_LINE.fullmatch(line)] == []


def test_workers_that_cannot_serve(folder: Path) -> None:
    """It is told in one line after those of the workers, and the address is never told."""
    code = """if True:
        import os, sys
        from fastserve import cli
        cli._begin_work = lambda *args: os._exit(9)
        sys.exit(cli.main())
    """
    process = spawn("0", "-b", "127.0.0.1", "--workers", "2", code=code)
    out, err = process.communicate(timeout=WAIT)
    assert (process.returncode, out) == (1, b"")
    *told, last = err.decode().splitlines()
    assert last == "fastserve: error: the workers end as soon as they have started"
    assert all(re.match(r"fastserve: worker \d+ ended with status 9", line) for line in told)


def test_a_port_that_is_in_use_is_refused(workers: list[str]) -> None:
    with serving(*workers) as server:
        complaint = refused(str(server.port), "-b", "127.0.0.1", "--workers", "2")
        assert "it is in use" in complaint


def make_certificate(folder: Path, name: str) -> list[str]:
    """Options that name a certificate, its key and the password; at each call the same files."""
    cert, key, password = (str(folder / file) for file in ("cert", "key", "password"))
    openssl("req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:sesame", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", key, "-out", cert)
    (folder / "password").write_text("sesame\n")
    return ["--tls-cert", cert, "--tls-key", key, "--tls-password-file", password]


def shown_by(server: Server) -> str:
    """The certificate that a new client is shown."""
    return ssl.get_server_certificate(("127.0.0.1", server.port), timeout=WAIT)


def test_a_locked_key(workers: list[str], tmp_path: Path) -> None:
    """Its password is read once, by the supervisor; later workers serve with it too."""
    context = ssl._create_unverified_context()
    with serving(*workers, *make_certificate(tmp_path, "first")) as server:
        (tmp_path / "password").unlink()
        for _ in range(2):
            for _ in range(8):
                assert server.get("/data", context=context)[1] == BODY
            renew(server)


def test_a_new_certificate(workers: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = make_certificate(tmp_path, "first")
    with log.open("wb") as stderr, serving(*workers, *options, stderr=stderr) as server:
        first = (tmp_path / "cert").read_text()
        (tmp_path / "cert").write_text("none")
        old = children(server.process.pid)
        server.process.send_signal(signal.SIGHUP)
        said = "fastserve: the workers stay: there is no PEM certificate in"
        assert wait_until(lambda: said in log.read_text(), WAIT)
        assert children(server.process.pid) == old
        assert shown_by(server) == first
        make_certificate(tmp_path, "second")
        renew(server)
        assert shown_by(server) == (tmp_path / "cert").read_text() != first


# -- The log -----------------------------------------------------------------------------------


def paths(client: int) -> list[str]:
    """What a client asks for: names that no other has, of all lengths."""
    return [f"/{client}.{n}." + "x" * LENGTHS[n % len(LENGTHS)] for n in range(REQUESTS)]


def ask_all(server: Server) -> None:
    def ask(client_number: int) -> None:
        for path in paths(client_number):
            with Client(("127.0.0.1", server.port), WAIT) as client:
                assert client.ask(request("GET", path)).status == 404

    tasks = [Task(ask, number) for number in range(CLIENTS)]
    for task in tasks:
        task.result(3 * WAIT)


def check_log(text: str) -> None:
    """Every line is whole, and each answer's is there."""
    seen = collections.Counter[str]()
    for line in io.StringIO(text):
        match = LOG_LINE.fullmatch(line.rstrip("\n"))
        assert match, f"not a log line: {line[:200]!r} ... {line[-200:]!r}"
        seen.update(re.findall(r'^"GET (\S+) HTTP/1.1" 404 -$', match[2]))
    assert seen == dict.fromkeys((path for n in range(CLIENTS) for path in paths(n)), 1)


def test_lines_in_a_file_are_whole(workers: list[str], tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, serving(*workers, stderr=log) as server:
        ask_all(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(WAIT) == 0
    check_log((tmp_path / "log").read_text())


@contextlib.contextmanager
def narrow_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full at once, where a system lets us have one."""
    reader, writer = os.pipe()
    try:
        with contextlib.suppress(OSError):
            fcntl.fcntl(writer, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
        yield reader, writer
    finally:
        os.close(reader)
        with contextlib.suppress(OSError):
            os.close(writer)


def test_lines_in_a_pipe_are_whole(workers: list[str]) -> None:
    with narrow_pipe() as (reader, writer):
        with serving(*workers, stderr=writer) as server:
            os.close(writer)
            reading = Task(read_all, reader)
            renewing = Task(renew, server)  # whoever is about to end writes whole lines as well
            ask_all(server)
            renewing.result(WAIT)
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(WAIT) == 0
        check_log(reading.result(WAIT))


def read_all(fd: int) -> str:
    return b"".join(iter(lambda: os.read(fd, 1000), b"")).decode()


@pytest.mark.slow
def test_a_log_that_nobody_reads_holds_up_no_supervisor(workers: list[str]) -> None:
    with narrow_pipe() as (_, writer), serving(*workers, stderr=writer) as server:
        for _ in range(20):
            with Client(("127.0.0.1", server.port), WAIT) as client:
                client.send(request("GET", "/" + "x" * 9000))
                client.sock.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    client.reply()
        victims = children(server.process.pid)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: len(children(server.process.pid) - victims) == 2, WAIT)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(WAIT) == 0


# -- Signals under load ------------------------------------------------------------------------


def renew(server: Server) -> None:
    old = children(server.process.pid)
    server.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: not old & children(server.process.pid), WAIT)
