"""The contestants: where each comes from, how it starts, what it can be asked.

Knows no load and no measure. A new contestant is one more row in CONTESTANTS, and a function that returns its
command line. All run as one process or worker with one thread where they can, with access logs off but for
fastserve-cli, keep connections as long as they may, and have one core.
"""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import certificate
from compiling import FOLDER, compiled
from processes import BenchError, first_line
from servers import Contestant, Place

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
APPS = HERE / "apps"
TREE = {"PYTHONPATH": str(ROOT)}  # measure this tree, installed or not
PROGRAMS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])  # where daemons live

Argv = Callable[[Place], list[str]]

# Programs and modules that may be missing ----------------------------------------------------------------


def program(name: str) -> str:
    return shutil.which(name, path=PROGRAMS) or name


def needs_program(name: str, package: str = "") -> Callable[[], str | None]:
    reason = f"not installed (Debian package {package or name})"
    return lambda: None if shutil.which(name, path=PROGRAMS) else reason


def needs_import(*modules: str) -> Callable[[], str | None]:
    def prepare() -> str | None:
        for module in modules:
            probe = subprocess.run([sys.executable, "-c", f"import {module}"], check=False, text=True,
                                   capture_output=True, env={**os.environ, **TREE})
            if probe.returncode:
                return f"does not import ({probe.stderr.strip().splitlines()[-1]})"
        return None
    return prepare


def says_version(name: str, *arguments: str) -> Callable[[], str]:
    return lambda: first_line([program(name), *arguments])


def python_version() -> str:
    return f"Python {platform.python_version()}"


def fastserve_version() -> str:
    code = "import fastserve; print('fastserve', fastserve.__version__)"
    return f"{first_line([sys.executable, '-c', code], TREE)}, {python_version()}"


def versions_of(*names: str) -> Callable[[], str]:
    def version() -> str:
        found = (f"{name} {importlib.metadata.version(name)}" for name in names)
        return ", ".join([*found, python_version()])
    return version


# The floor -----------------------------------------------------------------------------------------------

def build_floor() -> str | None:
    try:
        compiled("floor.c", "floor")
    except BenchError as reason:
        return str(reason)
    return None


def floor(place: Place) -> list[str]:
    size, close = str(place.workload.size), ["close"] if place.workload.fresh else []
    return [str(compiled("floor.c", "floor")), str(place.port), size, *close]


# C and Go servers, by the files in conf/ -----------------------------------------------------------------

def configured(name: str, place: Place, *marks: str) -> str:
    """The file from conf/, with its @names@ filled in, and its lines that begin with one of the #marks."""
    text = (HERE / "conf" / name).read_text()
    pair = certificate.pair() if place.workload.tls else None
    for mark in (*marks, handler_of(place), "tls" if pair else "plain"):
        text = text.replace(f"#{mark} ", "")
    values = {"folder": place.folder, "port": place.port, "site": place.site, "user": getpass.getuser()}
    if pair:
        values |= pair._asdict()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    path = place.folder / name
    path.write_text(text)
    return str(path)


CADDY_HOME = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(FOLDER / "caddy"))


def nginx(*marks: str) -> Argv:
    return lambda place: [program("nginx"), "-e", "stderr", "-p", str(place.folder),
                          "-c", configured("nginx.conf", place, *marks)]


def lighttpd(place: Place) -> list[str]:
    return [program("lighttpd"), "-D", "-f", configured("lighttpd.conf", place)]


def h2o(place: Place) -> list[str]:
    return [program("h2o"), "-m", "worker", "-c", configured("h2o.yaml", place)]


def caddy(place: Place) -> list[str]:
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", configured("Caddyfile", place)]


# Python --------------------------------------------------------------------------------------------------

def handler_of(place: Place) -> str:
    """hello or files, which all have; some of fastserve's own are for the scripts beside run.py."""
    name = place.workload.name.removeprefix("idle-")
    return name if name in ("hello", "events", "waiting", "attacked") else "files"


def with_tls(place: Place, *flags: str) -> list[str]:
    """The certificate by one flag and the key by another, or both by one."""
    if not place.workload.tls:
        return []
    files = map(str, certificate.pair())
    if len(flags) == 1:
        return [flags[0], *files]
    return [text for flag, file in zip(flags, files) for text in (flag, file)]


def handlers(module: str, server: str, server_module: str = "", workers: int = 0) -> Argv:
    return lambda place: [
        sys.executable, str(APPS / "handlers.py"), "--module", module, "--server", server,
        "--server-module", server_module or module, "--handler", handler_of(place), "--port", str(place.port),
        "--directory", str(place.site), *(["--workers", str(workers)] if workers else []),
        *with_tls(place, "--tls"), *(["--protocol", "HTTP/1.0"] if mute(module, place) else []),
    ]


def mute(module: str, place: Place) -> bool:
    """http.server ends an HTTP/1.1 connection without a word, which wrk would call an error each time."""
    return module == "http.server" and place.workload.fresh


def command_line(place: Place) -> list[str]:
    """With its log, which is thrown away where it is written."""
    serve = [sys.executable, "-m", "fastserve", "-d", str(place.site), "-b", "127.0.0.1", str(place.port),
             *with_tls(place, "--tls-cert", "--tls-key")]
    return ["/bin/sh", "-c", 'exec "$@" 2> /dev/null', "sh", *serve]


def bjoern(place: Place) -> list[str]:
    return [sys.executable, str(APPS / "bjoern_hello.py"), str(place.port)]


def granian(interface: str) -> Argv:
    return lambda place: [
        sys.executable, "-m", "granian", "--interface", interface, "--working-dir", str(APPS),
        "--host", "127.0.0.1", "--port", str(place.port), "--workers", "1", "--runtime-threads", "1",
        "--blocking-threads", "1", "--http", "1", "--no-ws", "--log-level", "critical", "--backlog", "4096",
        "--backpressure", "20000", *(["--loop", "uvloop"] if interface.startswith("asgi") else []),
        *with_tls(place, "--ssl-certificate", "--ssl-keyfile"),
        f"{interface}:hello",
    ]


def granian_static(place: Place) -> list[str]:
    return [*granian("wsgi")(place), "--static-path-route", "", "--static-path-mount", str(place.site)]


def uvicorn(place: Place) -> list[str]:
    return [sys.executable, "-m", "uvicorn", "--app-dir", str(APPS), "--host", "127.0.0.1",
            "--port", str(place.port), "--loop", "uvloop", "--http", "httptools", "--no-access-log",
            "--log-level", "critical", "--lifespan", "off", "--timeout-keep-alive", "300",
            "--backlog", "4096", *with_tls(place, "--ssl-certfile", "--ssl-keyfile"),
            f"asgi:{handler_of(place)}"]


def aiohttp(place: Place) -> list[str]:
    """On asyncio's own loop for large files, as uvloop has no sendfile."""
    return [sys.executable, str(APPS / "aiohttp_web.py"), "--handler", handler_of(place),
            "--loop", "asyncio" if place.workload.per_gigabyte else "uvloop",
            "--port", str(place.port), "--directory", str(place.site), *with_tls(place, "--tls")]


def gunicorn(place: Place) -> list[str]:
    """Its workers with threads are those that keep connections; four are cheaper than one."""
    return [sys.executable, "-m", "gunicorn", "--chdir", str(APPS), "--bind", f"127.0.0.1:{place.port}",
            "--workers", "1", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "300",
            "--worker-connections", "20000", "--backlog", "4096", "--log-level", "critical",
            *with_tls(place, "--certfile", "--keyfile"), f"wsgi:{handler_of(place)}"]


# The table -----------------------------------------------------------------------------------------------

HELLO = ("hello", "idle-hello")
ALIKE = ("file1k", "file10k", "file100k", "fresh", "pipelined", "browser", "zipf", "idle-file")  # a constant
PLAIN = (*ALIKE, "file100m", "notmodified", "missing")
FILES = (*PLAIN, "tls1k", "tls-fresh", "tls-resumed", "tls100m")
ALL_FILES = (*FILES, "listing")

CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("floor", (*ALIKE, *HELLO), floor, build_floor, says_version("cc", "--version"),
                   body=lambda workload: b"x" * workload.size),
        Contestant("fastserve", (*ALL_FILES, *HELLO), handlers("fastserve", "HTTPServer"),
                   needs_import("fastserve"), fastserve_version, TREE),
        Contestant("fastserve-threads", (*ALL_FILES, *HELLO), handlers("fastserve", "ThreadingHTTPServer"),
                   needs_import("fastserve"), fastserve_version, TREE),
        Contestant("fastserve-cli", ALL_FILES, command_line, needs_import("fastserve"),
                   fastserve_version, TREE),
        # On the one core of all: what a second process costs. workers.py makes more of it.
        Contestant("fastserve-workers", ("file1k", "hello"), handlers("fastserve", "HTTPServer", workers=2),
                   needs_import("fastserve.serving.processes"), fastserve_version, TREE),
        # The handler class alone: everything else is the standard library's.
        Contestant("fastserve-handler", ("file1k", "hello"),
                   handlers("fastserve", "ThreadingHTTPServer", "http.server"),
                   needs_import("fastserve"), fastserve_version, TREE),
        # For hello these two have no handler to run: lighttpd sends a file, nginx what it is configured to.
        Contestant("lighttpd", (*ALL_FILES, *HELLO), lighttpd, needs_program("lighttpd"),
                   says_version("lighttpd", "-v")),
        Contestant("nginx", (*ALL_FILES, *HELLO), nginx("cached"), needs_program("nginx"),
                   says_version("nginx", "-v")),
        # Without open_file_cache, as it is installed: it opens the file for each request.
        Contestant("nginx-uncached", PLAIN, nginx(), needs_program("nginx"), says_version("nginx", "-v")),
        Contestant("h2o", ALL_FILES, h2o, needs_program("h2o"), says_version("h2o", "--version")),
        Contestant("caddy", ALL_FILES, caddy, needs_program("caddy"),
                   says_version("caddy", "version"), CADDY_HOME),
        Contestant("bjoern", HELLO, bjoern, needs_import("bjoern"), versions_of("bjoern")),
        Contestant("granian-wsgi", HELLO, granian("wsgi"), needs_import("granian"), versions_of("granian")),
        Contestant("granian-asgi", HELLO, granian("asgi"), needs_import("granian", "uvloop"),
                   versions_of("granian", "uvloop")),
        Contestant("granian-static", FILES, granian_static, needs_import("granian"),
                   versions_of("granian")),
        Contestant("uvicorn", (*FILES, *HELLO), uvicorn,
                   needs_import("uvicorn", "starlette", "uvloop", "httptools"),
                   versions_of("uvicorn", "starlette", "uvloop", "httptools")),
        Contestant("aiohttp", (*ALL_FILES, *HELLO), aiohttp, needs_import("aiohttp", "uvloop"),
                   versions_of("aiohttp")),
        Contestant("gunicorn", (*FILES, *HELLO), gunicorn, needs_import("gunicorn", "whitenoise"),
                   versions_of("gunicorn", "whitenoise")),
        # A plain http.server.HTTPServer would serve one keep-alive connection and leave 63 waiting.
        Contestant("http.server", (*ALL_FILES, *HELLO), handlers("http.server", "ThreadingHTTPServer"),
                   lambda: None, python_version),
    )
}
