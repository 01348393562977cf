"""sd_listen_fds(3) and sd_notify(3), by what they read and write: the environment, descriptors, a datagram.

Descriptors are counted from 3 on, so a child receives them; what it makes of them is printed.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, listening

import fastserve
from fastserve.serving import systemd

HOME = str(Path(fastserve.__file__).resolve().parents[1])

# Takes descriptors as argv says, and becomes another program: as a service manager does it.
PASS = """
import os, sys
descriptors, environment, code = eval(sys.argv[1]), eval(sys.argv[2]), sys.argv[3]
high = [os.dup2(fd, 100 + n) for n, fd in enumerate(descriptors)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n)
    os.close(fd)
environment = {name: str(os.getpid()) if value == "mine" else value for name, value in environment.items()}
os.execve(sys.executable, [sys.executable, "-c", code], {**os.environ, **environment})
"""

REPORT = """
import os
from fastserve.serving import systemd
try:
    sockets = systemd.listening_sockets()
    print([(each.fileno(), each.family.name, each.getsockname(), os.get_inheritable(each.fileno()))
           for each in sockets])
except ValueError as error:
    print("ValueError:", error)
print(sorted(name for name in os.environ if name.startswith("LISTEN_")))
"""


def report(*files: Any, **environment: str) -> list[str]:
    """What a process sees that these are passed to, in lines."""
    descriptors = [file.fileno() for file in files]
    done = subprocess.run(
        [sys.executable, "-c", PASS, repr(descriptors), repr(environment), REPORT], text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": HOME}, pass_fds=descriptors, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_socket_is_passed() -> None:
    with listening() as sock:
        passed = report(sock, LISTEN_PID="mine", LISTEN_FDS="1", LISTEN_FDNAMES="http")
        assert passed == [str([(3, "AF_INET", sock.getsockname(), False)]), "[]"]


def test_sockets_of_every_family(tmp_path: Path) -> None:
    path = os.path.relpath(tmp_path / "s")
    with listening() as one, listening(socket.AF_UNIX, path) as two, contextlib.ExitStack() as stack:
        families = ["AF_INET", "AF_UNIX"]
        socks = [one, two]
        with contextlib.suppress(OSError):  # a machine without IPv6
            socks.append(stack.enter_context(listening(socket.AF_INET6, ("::1", 0))))
            families.append("AF_INET6")
        passed = report(*socks, LISTEN_PID="mine", LISTEN_FDS=str(len(socks)))
    assert passed[0].count("False") == len(socks)
    assert [name for name in families if name + "'" in passed[0]] == families


@pytest.mark.parametrize("environment", [
    {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "mine"},
    {"LISTEN_PID": "mine", "LISTEN_FDS": "0"}, {},
])
def test_nothing_is_passed_to_this_process(environment: dict[str, str]) -> None:
    """The variables are another's, whose child this is; they are removed all the same."""
    with listening() as sock:
        assert report(sock, **environment) == ["[]", "[]"]


@pytest.mark.parametrize(("variable", "value"), [
    ("LISTEN_FDS", "one"), ("LISTEN_FDS", "-1"), ("LISTEN_FDS", ""), ("LISTEN_FDS", "9" * 30),
    ("LISTEN_PID", "x"),
])
def test_variables_that_say_nothing(variable: str, value: str) -> None:
    environment = {"LISTEN_PID": "mine", "LISTEN_FDS": "1", variable: value}
    assert report(**environment) == [f"ValueError: {variable} is {value!r}, and no number", "[]"]


def test_what_a_server_cannot_accept_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with open(tmp_path / "file") as file, socket.socket() as silent, contextlib.ExitStack() as stack:
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        connected, other = map(stack.enter_context, socket.socketpair())
        for passed, trouble in [
            (file, "is no socket"), (silent, "is a socket that does not listen"),
            (datagrams, "is no stream socket of family INET, INET6 or UNIX"),
            (connected, "is a socket that does not listen"), (other, "is a socket that does not listen"),
        ]:
            said = report(passed, LISTEN_PID="mine", LISTEN_FDS="1")
            assert said == [f"ValueError: descriptor 3, passed by LISTEN_FDS, {trouble}", "[]"]


def test_fewer_descriptors_than_are_announced() -> None:
    with listening() as sock:
        said = report(sock, LISTEN_PID="mine", LISTEN_FDS="2")
    assert said == ["ValueError: descriptor 4, passed by LISTEN_FDS, is not open", "[]"]


# -- sd_notify -------------------------------------------------------------------------------------


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        yield sock


def test_a_state_is_told(manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manager.bind("notify")
    # Absolute, as the protocol has it, and short enough for a socket.
    link = Path("/tmp") / f"fastserve-{os.getpid()}"
    link.symlink_to(tmp_path)
    try:
        monkeypatch.setenv("NOTIFY_SOCKET", f"{link}/notify")
        assert systemd.notify(systemd.READY)
    finally:
        link.unlink()
    assert manager.recv(100) == b"READY=1"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets are Linux's")
def test_abstract_sockets(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"fastserve-{os.getpid()}"
    manager.bind("\0" + name)
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    assert systemd.notify(systemd.READY)
    assert systemd.notify(systemd.STOPPING)
    assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("path", [None, "", "relative", "vsock:2:1234", "/no/such/socket", "/" + "x" * 500,
                                  "@no-such-name"])
def test_nobody_to_tell_is_no_error(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if path is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert not systemd.notify(systemd.READY)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract sockets are Linux's")
def test_a_manager_that_does_not_read_holds_nobody_up(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"fastserve-{os.getpid()}-full"
    manager.bind("\0" + name)
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    monkeypatch.setattr(systemd, "NOTIFY_TIMEOUT", 0.01)
    for _ in range(5000):
        if not systemd.notify(systemd.READY):
            break
    else:
        pytest.fail("every message was taken, so nothing was tried")
