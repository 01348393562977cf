"""One table of cases on http.server's classes and on fastserve's, wherever a handler may run.

http.server, with its own server and handlers, is the oracle: what it answers is what is expected, octet by
octet but for what observe.py masks. A case may differ only by a row of differences.py, and then says how.
"""

import contextlib
import http.server
import socketserver
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import nothing_left_behind, running

import fastserve

from .apps import make_apps, make_folder
from .cases import CASES, Case, Instead, escaped
from .differences import DIFFERENCES
from .observe import Seen, observe

# Newer Pythons agree with fastserve in these.
SOMEWHERE_THE_SAME = {"listing-title", "encoded-slash", "pages"}


class TCPServer(socketserver.TCPServer):
    """As a program would use a handler class with the standard library."""

    allow_reuse_address = True


HOSTS = {
    "stdlib": http.server.HTTPServer,
    "socketserver": TCPServer,
    "stdlib-server": http.server.ThreadingHTTPServer,
    "loop": fastserve.HTTPServer,
    "threads": fastserve.ThreadingHTTPServer,
}
OURS = [host for host in HOSTS if host != "stdlib"]


class Host:
    """One server class with one handler each time, and what was seen of it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.calls: list[str] = []
        library: Any = http.server if name == "stdlib" else fastserve
        bases = library.BaseHTTPRequestHandler, library.SimpleHTTPRequestHandler
        self.apps = make_apps(*bases, folder, self.calls)
        self.server_class = type("Server", (HOSTS[name],), {"handle_error": self._note_error})
        self._servers = contextlib.ExitStack()
        self._addresses: dict[str, Any] = {}

    def _note_error(self, request: Any, client_address: Any) -> None:
        self.calls.append(f"handle_error {sys.exc_info()[0].__name__}")

    def ask(self, app: str, request: bytes, methods: str) -> Seen:
        """Send a request to the handler of that name, on a server of its own."""
        if app not in self._addresses:
            server = self.server_class(("127.0.0.1", 0), self.apps[app])
            self._addresses[app] = self._servers.enter_context(running(server))
        return observe(self._addresses[app], request, methods.split(), self.calls)

    def close(self) -> None:
        self._servers.close()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Host]]:
    folder = make_folder(tmp_path_factory.mktemp("parity"))
    with nothing_left_behind():
        made = {name: Host(name, folder) for name in HOSTS}
        try:
            yield made
        finally:
            for host in made.values():
                host.close()


@pytest.fixture(scope="module")
def oracle(hosts: dict[str, Host]) -> Any:
    """What http.server does with a request, asked once."""
    known: dict[tuple[str, bytes], Seen] = {}

    def ask(case: Case, request: bytes) -> Seen:
        key = case.app, request
        if key not in known:
            known[key] = hosts["stdlib"].ask(case.app, request, case.methods)
        return known[key]

    return ask


def first_line(request: bytes) -> str:
    return escaped(request.lstrip(b"\r\n").split(b"\r\n")[0].decode("latin-1"))


def renamed(seen: Seen, old: bytes, new: bytes) -> Seen:
    """The log names the request that was really sent."""
    return seen._replace(log=tuple(line.replace(first_line(old), first_line(new)) for line in seen.log))


def expected(case: Case, instead: Instead, ask: Any) -> Seen:
    if not case.row:
        return ask(case, case.request)
    request = instead.request or case.request
    nothing = Seen((), False, (), ())
    asked = nothing if instead.hangs and instead.request is None else ask(case, request)
    return instead.change(renamed(asked, request, case.request))


def name_of(case: Case) -> str:
    return case.name.replace(" ", "-")


@pytest.mark.parametrize("host", OURS)
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_case(case: Case, host: str, hosts: dict[str, Host], oracle: Any) -> None:
    want = expected(case, case.instead, oracle)
    seen = hosts[host].ask(case.app, case.request, case.methods)
    assert seen.replies == want.replies
    assert seen.stays == want.stays
    assert seen.log == want.log
    assert seen.calls == want.calls


@pytest.mark.parametrize("case", [case for case in CASES if case.row], ids=name_of)
def test_differences_are_rows_and_real(case: Case, oracle: Any) -> None:
    assert case.row in DIFFERENCES
    if case.row in SOMEWHERE_THE_SAME or case.instead.hangs:
        return
    assert oracle(case, case.request) != expected(case, case.instead, oracle), "http.server does the same"


def test_case_names_are_different() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_pages_are_the_newest_ones(hosts: dict[str, Host]) -> None:
    """What observe.py masks: from 3.15 on the pages are the same octet by octet."""
    if sys.version_info < (3, 15):
        pytest.skip("http.server has these pages from Python 3.15 on")
    assert http.server.DEFAULT_ERROR_MESSAGE == fastserve.server.DEFAULT_ERROR_MESSAGE
