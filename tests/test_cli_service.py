"""The command as a service: sockets it inherits or finds in the file system, and who is told that it runs.

Starting and asking is test_cli.py's, whose helpers these tests use.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cgi_scripts import ScriptFolder
from helpers import Client, ask, listening, request, wait_until
from pairs import TLSClient, certificate
from test_cli import (
    BODY,
    GOODBYE,
    PACKAGE_HOME,
    WAIT,
    Server,
    first_line,
    needs_ipv6,
    refused,
    serving,
    spawn,
)

GET = request(target="/data.bin")

# Becomes the server, with the descriptors that argv names as its own from 3 on, as a service manager does it.
ACTIVATE = """
import os, sys
descriptors, command = eval(sys.argv[1]), sys.argv[2:]
for n, fd in enumerate(os.dup2(fd, 100 + n) for n, fd in enumerate(descriptors)):
    os.dup2(fd, 3 + n)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(descriptors)))
os.execv(sys.executable, [sys.executable, "-m", "fastserve", *command])
"""


@pytest.fixture(autouse=True)
def data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data.bin").write_bytes(BODY)
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder.parent)  # the path of a socket may be no longer than about a hundred octets


@contextlib.contextmanager
def started(*args: str, banner: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The command, whose first line must be that."""
    process = spawn(*args, **options)
    try:
        line = first_line(process)
        assert line == banner, (line, process.kill(), process.communicate())
        yield process
    finally:
        process.terminate()
        _, err = process.communicate(timeout=WAIT)
    assert b"Traceback" not in err
    assert process.returncode == 0


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> tuple[int, str, str]:
    return Server(process, "", "http", "", 0).signal(number)


def manager_name() -> str:
    return f"@fastserve-{os.getpid()}"


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """Where the server tells of itself."""
    if not sys.platform.startswith("linux"):
        pytest.skip("abstract sockets are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT)
        sock.bind("\0" + manager_name()[1:])
        yield sock


# -- Unix sockets ------------------------------------------------------------------------------


def test_a_unix_socket(folder: Path) -> None:
    words = "--unix", "socket", "-d", str(folder)
    with started(*words, banner="Serving HTTP on unix:socket ...\n") as process:
        assert ask("socket", GET).body == BODY
        assert ask("socket", request(target="/sub")).get("Location") == "/sub/"
        assert "another server listens there" in refused(*words)
        assert ask("socket", GET).body == BODY
        status, out, err = end(process, signal.SIGINT)
        assert (status, out) == (0, GOODBYE)
        assert all(line.startswith("- - - [") for line in err.splitlines()), err
        assert len(err.splitlines()) == 3
    assert not os.path.exists("socket")


def test_one_that_a_killed_server_has_left_is_replaced(folder: Path) -> None:
    for _ in range(2):
        process = spawn("--unix", "socket", "-d", str(folder))
        try:
            assert first_line(process) == "Serving HTTP on unix:socket ...\n"
            assert ask("socket", GET).body == BODY
        finally:
            process.kill()
            process.communicate(timeout=WAIT)
        assert Path("socket").is_socket()


@pytest.mark.skipif(not shutil.which("curl"), reason="this machine has no curl")
def test_curl_over_a_unix_socket(folder: Path) -> None:
    with started("--unix", "socket", "-d", str(folder), banner="Serving HTTP on unix:socket ...\n"):
        got = subprocess.run(["curl", "-sS", "--unix-socket", "socket", "http://localhost/data.bin"],
                             capture_output=True, timeout=WAIT)
    assert (got.returncode, got.stdout, got.stderr) == (0, BODY, b"")


def test_https_over_a_unix_socket(folder: Path) -> None:
    words = "--unix", "socket", "-d", str(folder), "--tls-cert", str(certificate())
    with started(*words, banner="Serving HTTPS on unix:socket ...\n"), TLSClient("socket") as client:
        assert client.ask(GET).body == BODY


def test_scripts_over_a_unix_socket(scripts: ScriptFolder) -> None:
    scripts.add("echo $REMOTE_ADDR,$SERVER_PORT,${SERVER_NAME:+named}")
    words = "--unix", "socket", "--cgi", "-d", str(scripts.path)
    with started(*words, banner="Serving HTTP on unix:socket ...\n"):
        assert ask("socket", request(target="/cgi-bin/script")).body == b",,named\n"


def test_a_name_that_is_not_for_a_terminal() -> None:
    with started("--unix", "two\nlines", banner="Serving HTTP on unix:two\\nlines ...\n"):
        assert Path("two\nlines").is_socket()


@pytest.mark.parametrize(("words", "complaint"), [
    (["--unix", "served"], "on the unix socket 'served': there is a file of that name, which is no socket"),
    (["--unix", "no/socket"], "cannot listen on the unix socket 'no/socket': No such file or directory"),
    (["--unix", ""], "cannot listen on the unix socket '': the path is empty"),
    (["--unix", "x" * 200], "path too long"),
    (["--unix", "socket", "8000"], "--unix takes the place of port and --bind"),
    (["--unix", "socket", "-b", "::"], "--unix takes the place of port and --bind"),
    (["--unix", "socket", "--tls-cert", "none.pem"], "cannot read the certificate 'none.pem'"),
    (["--pidfile", "served"], "pidfile 'served': there is a file of that name, which holds no process id"),
    (["--pidfile", ""], "cannot use the pidfile ''"),
    (["0", "--pidfile", "no/pid"], "cannot write the pidfile"),
    (["--health", "health"], "--health path 'health' is not right: it must begin with /"),
    (["--health", ""], "--health path ''"),
    (["--health", "/a?b"], "--health path '/a?b'"),
    (["--health", "/a b"], "--health path '/a b'"),
    (["--health", "/\N{LATIN SMALL LETTER E WITH ACUTE}"], "be encoded as in a URL"),
    (["--max-connections", "0"], "--max-connections '0' is not a number from 1 up"),
    (["--max-connections", "-1"], "--max-connections"),
    (["--max-connections", "many"], "--max-connections 'many' is not a number from 1 up"),
])
def test_refusal(words: list[str], complaint: str) -> None:
    assert complaint in refused(*words, env={"PYTHONUTF8": "1"})
    assert os.listdir() == ["served"]


# -- Socket activation -------------------------------------------------------------------------


def activation(*socks: socket.socket) -> dict[str, Any]:
    """How to spawn() the server with these."""
    descriptors = [sock.fileno() for sock in socks]
    return {"program": ("-c", ACTIVATE, repr(descriptors)), "pass_fds": descriptors}


def check_inherited(sock: socket.socket, folder: Path, banner: str) -> None:
    with Client(sock.getsockname()) as early:
        early.send(GET)  # who came before the server did is answered as well
        with started("-d", str(folder), banner=banner, **activation(sock)):
            reply = early.reply()
            assert reply is not None
            assert reply.body == BODY
            assert ask(sock.getsockname(), GET).body == BODY


def test_an_inherited_socket(folder: Path) -> None:
    with listening() as sock:
        port = sock.getsockname()[1]
        banner = f"Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...\n"
        check_inherited(sock, folder, banner)


def test_an_inherited_socket_silences_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTSERVE_PORT", "1")
    test_an_inherited_socket(folder)


@needs_ipv6
def test_an_inherited_socket_of_ipv6(folder: Path) -> None:
    with listening(socket.AF_INET6, ("::1", 0)) as sock:
        port = sock.getsockname()[1]
        check_inherited(sock, folder, f"Serving HTTP on ::1 port {port} (http://[::1]:{port}/) ...\n")


def test_an_inherited_unix_socket_stays(folder: Path) -> None:
    """It is the service manager's, who starts the next server with it."""
    with listening(socket.AF_UNIX, "socket") as sock:
        for _ in range(2):
            check_inherited(sock, folder, "Serving HTTP on unix:socket ...\n")
        assert Path("socket").is_socket()


def test_an_inherited_socket_with_tls(folder: Path) -> None:
    with listening() as sock:
        port = sock.getsockname()[1]
        banner = f"Serving HTTPS on 127.0.0.1 port {port} (https://127.0.0.1:{port}/) ...\n"
        words = "-d", str(folder), "--tls-cert", str(certificate())
        with started(*words, banner=banner, **activation(sock)), TLSClient(sock.getsockname()) as client:
            assert client.ask(GET).body == BODY


def test_what_cannot_be_inherited(folder: Path) -> None:
    with listening() as one, listening() as two, open(folder / "data.bin") as file, socket.socket() as silent:
        passed = activation(one)
        for words in (["0"], ["-b", "::"], ["--unix", "socket"]):
            assert "leave out port, --bind and --unix" in refused(*words, **passed)
        assert "cannot read the certificate" in refused("--tls-cert", "none.pem", **passed)
        assert "2 listening sockets were passed (LISTEN_FDS)" in refused(**activation(one, two))
        assert "descriptor 3, passed by LISTEN_FDS, is no socket" in refused(**activation(file))  # type: ignore[arg-type]
        assert "is a socket that does not listen" in refused(**activation(silent))
        assert "LISTEN_FDS is 'x', and no number" in refused(
            code="import os; os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='x')\n"
                 "import sys; from fastserve.cli import main; sys.exit(main([]))")


def test_scripts_inherit_no_socket_and_no_variables(scripts: ScriptFolder) -> None:
    scripts.add("echo $LISTEN_PID$LISTEN_FDS; ls /proc/self/fd | wc -l")
    with listening() as sock:
        port = sock.getsockname()[1]
        banner = f"Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...\n"
        with started("--cgi", "-d", str(scripts.path), banner=banner, **activation(sock)):
            reply = ask(sock.getsockname(), request(target="/cgi-bin/script"))
    assert reply.body.split(b"\n")[0] == b""
    if os.path.isdir("/proc/self/fd"):
        assert int(reply.body) <= 4  # three, and the folder that is listed


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="this machine has no systemd tools")
def test_activated_by_systemd_s_own_tool(folder: Path) -> None:
    path = str(folder.parent / "activated")
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_HOME)}  # none of which is passed on untold
    told = [f"--setenv={name}={value}" for name, value in environment.items() if name.isidentifier()]
    command = ["systemd-socket-activate", f"--listen={path}", *told,
               sys.executable, "-m", "fastserve", "-d", str(folder)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert wait_until(lambda: is_listening(path) or process.poll() is not None, WAIT)
            if process.poll() is None:
                assert ask(path, GET).body == BODY
                process.terminate()
            out, err = process.communicate(timeout=WAIT)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert b"Serving HTTP on unix:" in out


def is_listening(path: str) -> bool:
    """The socket is there a moment before anybody listens."""
    try:
        Client(path).close()
    except OSError:
        return False
    return True


def documented_units() -> tuple[str, str]:
    """The socket and the service that the documentation shows."""
    page = Path(__file__).resolve().parents[1] / "docs" / "howto" / "systemd.md"
    socket_unit, service_unit = re.findall(r"```ini [^\n]*\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    return socket_unit, service_unit


def test_the_documented_service(folder: Path, manager: socket.socket) -> None:
    """Its command, as the manager that reads these units would start it."""
    command = re.findall(r"^ExecStart=/usr/bin/fastserve (.*)$", documented_units()[1], re.MULTILINE)[0]
    words = command.replace("/srv/www", str(folder)).split()
    with listening() as sock:
        port = sock.getsockname()[1]
        banner = f"Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...\n"
        passed = activation(sock)
        with started(*words, banner=banner, env={"NOTIFY_SOCKET": manager_name()}, **passed) as process:
            assert manager.recv(100) == b"READY=1"
            assert ask(sock.getsockname(), request(target="/healthz")).body == b"ok\n"
            assert ask(sock.getsockname(), GET).body == BODY
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            process.communicate(timeout=WAIT)  # a second signal would find the interpreter at its end


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd tools")
def test_systemd_understands_the_documented_units(tmp_path: Path) -> None:
    socket_unit, service_unit = documented_units()
    (tmp_path / "fastserve.socket").write_text(socket_unit)
    (tmp_path / "fastserve.service").write_text(service_unit.replace("/usr/bin/fastserve", sys.executable))
    units = [str(tmp_path / "fastserve.socket"), str(tmp_path / "fastserve.service")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=WAIT)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "fastserve" in line]) == (0, [])


# -- Who is told -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_manager_is_told(manager: socket.socket, folder: Path, number: int) -> None:
    env = {"NOTIFY_SOCKET": manager_name()}
    process = spawn("--unix", "socket", "-d", str(folder), env=env, stdout=subprocess.DEVNULL)
    try:
        assert manager.recv(100) == b"READY=1"
        with Client("socket") as client:
            assert client.ask(GET).body == BODY
            process.send_signal(number)
            assert manager.recv(100) == b"STOPPING=1"
        process.communicate(timeout=WAIT)
    finally:
        process.kill()
        process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert not select.select([manager], [], [], 0)[0], "the manager is told more"


def test_workers_say_nothing_of_their_own(manager: socket.socket, folder: Path) -> None:
    """Also one that is replaced, or ends, is not the service."""
    words = "--workers", "2", "--pidfile", "pid", "-d", str(folder)
    with listening() as sock:
        env = {"NOTIFY_SOCKET": manager_name()}
        process = spawn(*words, env=env, stdout=subprocess.DEVNULL, **activation(sock))
        try:
            assert manager.recv(100) == b"READY=1"
            assert Path("pid").read_text() == f"{process.pid}\n"
            assert ask(sock.getsockname(), GET).body == BODY
            process.send_signal(signal.SIGHUP)
            assert ask(sock.getsockname(), GET).body == BODY
            process.terminate()
            assert manager.recv(100) == b"STOPPING=1"
            process.communicate(timeout=WAIT)
        finally:
            process.kill()
            process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert not select.select([manager], [], [], 0)[0], "the manager is told more"
    assert os.listdir() == ["served"]


def test_a_manager_that_is_not_there_is_no_reason_to_stop(folder: Path) -> None:
    with serving("0", "-d", str(folder), env={"NOTIFY_SOCKET": "/no/such/socket"}) as server:
        assert server.get("/data.bin")[1] == BODY
        assert server.signal(signal.SIGTERM)[0] == 0


def test_pidfile(folder: Path) -> None:
    with serving("0", "-d", str(folder), "--pidfile", "pid") as server:
        assert Path("pid").read_text() == f"{server.process.pid}\n"
        assert server.get("/data.bin")[1] == BODY
        assert f"it is that of process {server.process.pid}, which runs" in refused("0", "--pidfile", "pid")
        assert Path("pid").read_text() == f"{server.process.pid}\n"
        assert server.signal(signal.SIGTERM)[0] == 0
    assert os.listdir() == ["served"]


def test_the_pidfile_of_a_killed_server_is_replaced(folder: Path) -> None:
    for _ in range(2):
        process = spawn("0", "--pidfile", "pid")
        try:
            assert first_line(process)
            assert Path("pid").read_text() == f"{process.pid}\n"
        finally:
            process.kill()
            process.communicate(timeout=WAIT)


def test_a_pidfile_that_says_something_else_meanwhile_is_left(folder: Path) -> None:
    with serving("0", "--pidfile", "pid"):
        Path("pid").write_text("1\n")
    assert Path("pid").read_text() == "1\n"


# -- Under load --------------------------------------------------------------------------------


def test_health(folder: Path) -> None:
    with serving("0", "-b", "127.0.0.1", "-d", str(folder), "--health", "/healthz") as server:
        address = ("127.0.0.1", server.port)
        reply = ask(address, request(target="/healthz"))
        assert (reply.status, reply.body) == (200, b"ok\n")
        assert reply.get("Server") == ask(address, GET).get("Server")
        assert ask(address, request("POST", "/healthz")).status == 501
        status, _, err = server.signal(signal.SIGTERM)
    assert status == 0
    assert "GET /healthz" not in err
    assert "GET /data.bin" in err


def test_max_connections(folder: Path) -> None:
    with serving("0", "-b", "127.0.0.1", "-d", str(folder), "--max-connections", "2") as server:
        address = ("127.0.0.1", server.port)
        with Client(address) as one, Client(address) as two, Client(address) as three:
            one.send(b"GET /")
            two.send(b"GET /")
            reply = three.reply()
            assert reply is not None
            assert reply.status == 503
        status, _, err = server.signal(signal.SIGTERM)
    assert (status, err) == (0, "fastserve: 2 connections are open, which is all there may be\n")
