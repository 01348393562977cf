"""Unix sockets in the file system: what is replaced, what is kept, and what is left at the end.

What the command line makes of them is in test_cli_service.py.
"""

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from helpers import ask, request
from serving.apps import HTTPServer, Quiet

from fastserve.serving import unix
from fastserve.serving.unix import UnixServer


class Server(UnixServer, HTTPServer):
    pass


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket may be no longer than about a hundred octets


def leave(path: str, kind: int = socket.SOCK_STREAM) -> None:
    """A socket of somebody who has gone without removing it."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(path)


def test_a_server_on_a_path(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server("socket", Quiet) as server:
        assert (server.server_address, server.server_port) == ("socket", 0)
        assert isinstance(server.server_name, str)
        monkeypatch.chdir("/")
        assert (tmp_path / "socket").is_socket()
    assert not (tmp_path / "socket").exists()
    monkeypatch.chdir(tmp_path)
    assert ask(serve(Quiet, Server, "socket").server_address, request(target="/path")).body == b"/path"


def test_what_a_dead_server_left_is_replaced(serve: Any) -> None:
    leave("socket")
    assert ask(serve(Quiet, Server, "socket").server_address, request(target="/path")).body == b"/path"


def test_a_live_server_is_left_alone(serve: Any) -> None:
    first = serve(Quiet, Server, "socket")
    with pytest.raises(OSError, match="another server listens there"):
        Server("socket", Quiet)
    assert ask(first.server_address, request()).status == 200


def test_a_server_too_busy_to_accept_is_alive() -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind("socket")
        busy.listen(0)
        client.setblocking(False)
        client.connect("socket")
        with pytest.raises(OSError, match="another server listens there"):
            unix.clear("socket")


@pytest.mark.parametrize("make", [
    lambda: Path("socket").write_text("precious"), lambda: os.mkdir("socket"), lambda: os.mkfifo("socket"),
    lambda: (leave("other"), os.symlink("other", "socket")),
], ids=["file", "folder", "pipe", "link"])
def test_what_is_no_socket_is_never_removed(make: Any) -> None:
    make()
    before = os.lstat("socket")
    with pytest.raises(OSError, match="which is no socket"):
        Server("socket", Quiet)
    assert os.path.samestat(os.lstat("socket"), before)


def test_a_socket_of_datagrams_that_is_in_use_is_left_alone() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("socket")
        with pytest.raises(OSError, match="another server listens there"):
            unix.clear("socket")


def test_a_path_must_be_one() -> None:
    with pytest.raises(OSError, match="empty"):
        Server("", Quiet)
    with pytest.raises(OSError, match="too long"):
        Server("s" * 500, Quiet)
    assert os.listdir() == []


def test_the_umask_says_who_may_connect() -> None:
    before = os.umask(0o027)
    try:
        with Server("socket", Quiet):
            assert stat.S_IMODE(os.lstat("socket").st_mode) == 0o750
    finally:
        os.umask(before)


def test_another_server_s_socket_is_not_removed() -> None:
    server = Server("socket", Quiet)
    os.rename("socket", "old")
    with Server("socket", Quiet):
        server.server_close()
        assert Path("socket").is_socket()
    assert os.listdir() == ["old"]


def test_only_the_process_that_made_it_removes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("socket", Quiet)
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        server.server_close()
    assert Path("socket").is_socket()


@pytest.mark.parametrize(("address", "shown"), [
    ("/run/socket", "/run/socket"), (b"/run/socket", "/run/socket"), (b"\0name", "@name"), ("", ""),
    ("two\nlines", r"two\nlines"), (b"\xff", r"\udcff"),
])
def test_an_address_is_shown_in_one_line(address: Any, shown: str) -> None:
    assert unix.shown(address) == shown
