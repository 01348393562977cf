"""The contestants: where each comes from, how it starts, what it can be asked.

Knows no load and no measure. run.py reads CONTESTANTS and WORKLOADS and calls `running`. A new contestant is
one more row in CONTESTANTS, and a function that returns its command line.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import processes
from processes import BenchError, first_line

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FLOOR = ROOT / "build" / "bench" / "floor"
PROGRAMS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])  # where daemons live
PATIENCE = 10  # seconds for a contestant to accept its first connection


@dataclass(frozen=True)
class Workload:
    """What is asked for, and the body that must come back."""

    name: str
    path: str
    body: bytes


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("file1k", "/file1k.txt", b"x" * 1024),
        Workload("hello", "/", b"Hello, World!"),
    )
}


@dataclass(frozen=True)
class Place:
    """Where one contestant is to run."""

    workload: Workload
    port: int
    site: Path  # the files to serve
    folder: Path  # its own: configuration, log, scratch


@dataclass(frozen=True)
class Contestant:
    name: str
    workloads: tuple[str, ...]
    argv: Callable[[Place], list[str]]
    prepare: Callable[[], str | None]  # makes it ready to start, or says in one line why it cannot take part
    version: Callable[[], str]
    env: dict[str, str] = field(default_factory=dict)
    body: Callable[[Workload], bytes] = lambda workload: workload.body


@dataclass(frozen=True)
class Server:
    """A contestant that runs and accepts connections."""

    contestant: Contestant
    argv: list[str]
    process: subprocess.Popen[bytes]
    place: Place

    def ensure_alive(self) -> None:
        if self.process.poll() is not None:
            said = (self.place.folder / "log").read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise BenchError(f"ended with status {self.process.returncode}, saying at last: {said[-1]}")


@contextmanager
def running(contestant: Contestant, workload: Workload, site: Path, core: int) -> Iterator[Server]:
    place = Place(workload, _free_port(), site, site.with_name(contestant.name))
    place.folder.mkdir()
    argv = contestant.argv(place)
    process = processes.start(argv, contestant.env, place.folder / "log", core)
    try:
        server = Server(contestant, argv, process, place)
        _wait_ready(server)
        yield server
    finally:
        processes.stop(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_ready(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        server.ensure_alive()
        try:
            socket.create_connection(("127.0.0.1", server.place.port), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise BenchError(f"accepted no connection within {PATIENCE} s")


# Programs and modules that may be missing -------------------------------------------------------------------

def _program(name: str) -> str:
    return shutil.which(name, path=PROGRAMS) or name


def _needs_program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name, path=PROGRAMS) else f"not installed (Debian package {name})"


def _needs_import(statement: str) -> Callable[[], str | None]:
    def prepare() -> str | None:
        probe = subprocess.run([sys.executable, "-c", statement], check=False, capture_output=True, text=True,
                               env={**os.environ, **TREE})
        return f"does not import ({probe.stderr.strip().splitlines()[-1]})" if probe.returncode else None
    return prepare


# floor -----------------------------------------------------------------------------------------------------

def _build_floor() -> str | None:
    if shutil.which("cc") is None:
        return "no C compiler called cc"
    FLOOR.parent.mkdir(parents=True, exist_ok=True)
    build = subprocess.run(["cc", "-O2", "-o", str(FLOOR), str(HERE / "floor.c")], check=False,
                           capture_output=True, text=True)
    return f"does not compile: {build.stderr}" if build.returncode else None


def _floor(place: Place) -> list[str]:
    return [str(FLOOR), str(place.port), str(len(place.workload.body))]


# nginx and lighttpd ----------------------------------------------------------------------------------------

NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=60s;
    types {{ text/plain txt; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {site};
        location = / {{ default_type text/plain; return 200 "Hello, World!"; }}
    }}
}}
"""

# 65535 requests is the most lighttpd lets one connection ask; wrk then opens another.
LIGHTTPD = """
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{site}"
server.max-keep-alive-requests = 65535
server.max-connections = 20000
server.max-fds = 40000
server.stat-cache-engine = "simple"
index-file.names = ( "index.html" )
mimetype.assign = ( ".txt" => "text/plain", ".html" => "text/html" )
"""


def _configured(template: str, place: Place) -> str:
    path = place.folder / "conf"
    path.write_text(template.format(folder=place.folder, port=place.port, site=place.site))
    return str(path)


def _nginx(place: Place) -> list[str]:
    return [_program("nginx"), "-e", "stderr", "-p", str(place.folder), "-c", _configured(NGINX, place)]


def _lighttpd(place: Place) -> list[str]:
    return [_program("lighttpd"), "-D", "-f", _configured(LIGHTTPD, place)]


# Python ----------------------------------------------------------------------------------------------------

TREE = {"PYTHONPATH": str(ROOT)}  # measure this tree, installed or not


def handlers(
    module: str, server: str, server_module: str = "", workers: int = 0
) -> Callable[[Place], list[str]]:
    def argv(place: Place) -> list[str]:
        own = "hello", "events", "waiting", "attacked"
        handler = place.workload.name if place.workload.name in own else "files"
        return [sys.executable, str(HERE / "apps" / "handlers.py"), "--module", module, "--server", server,
                "--server-module", server_module or module, "--handler", handler, "--port", str(place.port),
                "--directory", str(place.site), *(["--workers", str(workers)] if workers else [])]
    return argv


def _bjoern(place: Place) -> list[str]:
    return [sys.executable, str(HERE / "apps" / "bjoern_hello.py"), str(place.port)]


def _python_version() -> str:
    return f"Python {platform.python_version()}"


def _fastserve_version() -> str:
    code = "import fastserve; print('fastserve', fastserve.__version__)"
    return f"{first_line([sys.executable, '-c', code], TREE)}, {_python_version()}"


def _bjoern_version() -> str:
    return f"bjoern {importlib.metadata.version('bjoern')}, {_python_version()}"


# The table -------------------------------------------------------------------------------------------------

CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("floor", ("file1k", "hello"), _floor, _build_floor,
                   lambda: first_line(["cc", "--version"]), body=lambda workload: b"x" * len(workload.body)),
        Contestant("fastserve", ("file1k", "hello"), handlers("fastserve", "HTTPServer"),
                   _needs_import("from fastserve import HTTPServer"), _fastserve_version, TREE),
        Contestant("fastserve-threads", ("hello",), handlers("fastserve", "ThreadingHTTPServer"),
                   _needs_import("from fastserve import ThreadingHTTPServer"), _fastserve_version, TREE),
        # On the one core of all: what a second process costs. workers.py makes more of it.
        Contestant("fastserve-workers", ("file1k", "hello"), handlers("fastserve", "HTTPServer", workers=2),
                   _needs_import("from fastserve.serving import processes"), _fastserve_version, TREE),
        # The handler class alone: everything else is the standard library's.
        Contestant("fastserve-handler", ("file1k", "hello"),
                   handlers("fastserve", "ThreadingHTTPServer", "http.server"),
                   _needs_import("import fastserve"), _fastserve_version, TREE),
        # For hello neither has a handler to run: lighttpd sends a file, nginx the text in its configuration.
        Contestant("lighttpd", ("file1k", "hello"), _lighttpd, _needs_program("lighttpd"),
                   lambda: first_line([_program("lighttpd"), "-v"])),
        Contestant("nginx", ("file1k", "hello"), _nginx, _needs_program("nginx"),
                   lambda: first_line([_program("nginx"), "-v"])),
        Contestant("bjoern", ("hello",), _bjoern, _needs_import("import bjoern"), _bjoern_version),
        # A plain http.server.HTTPServer would serve one keep-alive connection and leave 63 waiting.
        Contestant("http.server", ("file1k", "hello"), handlers("http.server", "ThreadingHTTPServer"),
                   lambda: None, _python_version),
    )
}
