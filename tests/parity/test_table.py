"""One table of cases on http.server's classes and on fastserve's, wherever a handler may run.

http.server, with its own server and handlers, is the oracle: what it answers is what is expected, octet by
octet but for what observe.py masks. A case may differ only by a row of differences.py, and then says how.
"""

import contextlib
import functools
import http.server
import socketserver
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers import Client, nothing_left_behind, running
from pairs import TLSClient, certificate

import fastserve

from .apps import make_apps, make_folder
from .cases import CASES
from .cases.table import Case, escaped, request_line
from .differences import DIFFERENCES
from .observe import Seen, observe

Ask = Callable[[Case, bytes], Seen]

# Newer Pythons agree with fastserve in these.
SOMEWHERE_THE_SAME = {"listing-title", "encoded-slash", "http09", "pages"}


class TCPServer(socketserver.TCPServer):
    """As a program would use a handler class with the standard library."""

    allow_reuse_address = True


class Host(NamedTuple):
    """Whose handlers run under which server, what it is made with, and how a client speaks to it."""

    library: Any
    server: Any
    options: Callable[[], dict[str, Any]] = dict
    client: Any = Client


def secure(server: Any) -> Host:
    return Host(fastserve, server, lambda: {"certfile": certificate()}, TLSClient)


HOSTS = {
    "stdlib": Host(http.server, http.server.HTTPServer),
    "socketserver": Host(fastserve, TCPServer),
    "stdlib-server": Host(fastserve, http.server.ThreadingHTTPServer),
    "loop": Host(fastserve, fastserve.HTTPServer),
    "threads": Host(fastserve, fastserve.ThreadingHTTPServer),
    "tls": secure(fastserve.HTTPSServer),
    "tls-threads": secure(fastserve.ThreadingHTTPSServer),
    "foreign": Host(http.server, fastserve.HTTPServer),
    "foreign-threads": Host(http.server, fastserve.ThreadingHTTPServer),
}
OURS = [name for name, host in HOSTS.items() if host.library is fastserve]
FOREIGN = [name for name, host in HOSTS.items() if host.library is not fastserve and name != "stdlib"]


class Servers:
    """The servers of one host, one for each handler, and what was seen of them."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.calls: list[str] = []
        bases = host.library.BaseHTTPRequestHandler, host.library.SimpleHTTPRequestHandler
        self.apps = make_apps(*bases, folder, self.calls)
        self.host = host
        self.server_class = type("Server", (host.server,), {"handle_error": self._note_error})
        self._servers = contextlib.ExitStack()
        self._addresses: dict[str, Any] = {}

    def _note_error(self, request: Any, client_address: Any) -> None:
        self.calls.append(f"handle_error {sys.exc_info()[0].__name__}")

    def ask(self, case: Case, request: bytes) -> Seen:
        """Send a request to the case's handler, on a server of its own."""
        if case.app not in self._addresses:
            server = self.server_class(("127.0.0.1", 0), self.apps[case.app], **self.host.options())
            self._addresses[case.app] = self._servers.enter_context(running(server))
        connect = functools.partial(self.host.client, self._addresses[case.app])
        return observe(connect, request, case.methods.split(), case.ends, self.calls)

    def close(self) -> None:
        self._servers.close()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Servers]]:
    folder = make_folder(tmp_path_factory.mktemp("parity"))
    with nothing_left_behind():
        made = {name: Servers(host, folder) for name, host in HOSTS.items()}
        try:
            yield made
        finally:
            for servers in made.values():
                servers.close()


@pytest.fixture(scope="module")
def oracle(hosts: dict[str, Servers]) -> Ask:
    """What http.server does with a request, asked once."""
    known: dict[tuple[str, bytes, str, bool], Seen] = {}

    def ask(case: Case, request: bytes) -> Seen:
        key = case.app, request, case.methods, case.ends
        if key not in known:
            known[key] = hosts["stdlib"].ask(case, request)
        return known[key]

    return ask


def renamed(seen: Seen, old: bytes, new: bytes) -> Seen:
    """The log names the request that was really sent."""
    was, now = escaped(request_line(old)), escaped(request_line(new))
    return seen._replace(log=tuple(line.replace(was, now) for line in seen.log))


def expected(case: Case, ask: Ask) -> Seen:
    """What fastserve should do."""
    if not case.row:
        return ask(case, case.request)
    like = case.instead.request
    if like is None:
        asked = Seen((), False, (), ()) if case.instead.hangs else ask(case, case.request)
    else:
        asked = renamed(ask(case, like), like, case.request)
    return case.instead.change(asked)


def assert_same(seen: Seen, want: Seen) -> None:
    assert seen.replies == want.replies
    assert seen.stays == want.stays
    assert seen.log == want.log
    assert seen.calls == want.calls


def name_of(case: Case) -> str:
    return case.name.replace(" ", "-")


# A client of Python's ssl cannot say that it sends nothing more and go on reading.
@pytest.mark.parametrize(("case", "host"), [
    pytest.param(case, host, id=f"{name_of(case)}-{host}")
    for case in CASES for host in OURS if not (case.ends and HOSTS[host].client is TLSClient)
])
def test_case(case: Case, host: str, hosts: dict[str, Servers], oracle: Ask) -> None:
    assert_same(hosts[host].ask(case, case.request), expected(case, oracle))


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("case", [case for case in CASES if not case.instead.hangs], ids=name_of)
def test_handlers_of_http_server(case: Case, host: str, hosts: dict[str, Servers], oracle: Ask) -> None:
    """Under fastserve's servers they do what they do under their own, the rows' cases included."""
    assert_same(hosts[host].ask(case, case.request), oracle(case, case.request))


@pytest.mark.parametrize("case", [case for case in CASES if case.row], ids=name_of)
def test_differences_are_rows_and_real(case: Case, oracle: Ask) -> None:
    assert case.row in DIFFERENCES
    if case.row in SOMEWHERE_THE_SAME or case.instead.hangs:
        return
    assert oracle(case, case.request) != expected(case, oracle), "http.server does the same"


def test_case_names_are_different() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_pages_are_the_newest_ones(hosts: dict[str, Servers]) -> None:
    """What observe.py masks: from 3.15 on the pages are the same octet by octet."""
    if sys.version_info < (3, 15):
        pytest.skip("http.server has these pages from Python 3.15 on")
    assert http.server.DEFAULT_ERROR_MESSAGE == fastserve.server.DEFAULT_ERROR_MESSAGE
