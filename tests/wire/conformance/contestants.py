"""The servers of the table, each with the same site: http.server, nginx and fastserve.

Knows how to start and stop them, and no row.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastserve

from .rows import BODY, LAST, MTIME

PATIENCE = 10.0  # seconds, for a server to listen


def make_site(home: Path) -> Path:
    """Make the folder that is served, with neighbours that must not be."""
    site = home / "site"
    for name, octets in {
        "site/a.txt": BODY,
        "site/empty": b"",
        "site/sentinel": LAST,
        "site/dir/file.txt": b"file",
        "site/list/b": b"",
        "site/big": bytes(range(250)) * 12_000,
        "site/future": b"",
        "secret": b"secret",
        "site-evil/secret": b"secret",
    }.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
        os.utime(path, (MTIME, MTIME))
    Path(os.fsdecode(bytes(site) + b"/\xff.txt")).write_bytes(b"octets")
    os.utime(site / "future", (4e9, 4e9))
    os.mkfifo(site / "fifo")
    for name, target in {"round": "round", "nowhere": "none", "null": "/dev/null"}.items():
        (site / name).symlink_to(target)
    return site


class Contestant(NamedTuple):
    """``keeps``: whether it speaks HTTP/1.1 and keeps connections. ``serve`` gives the address."""

    name: str
    keeps: bool
    serve: Callable[[Path], contextlib.AbstractContextManager[Any]]


def handler(base: Any, version: str) -> Any:
    return type(
        "Handler", (base,), {"protocol_version": version, "timeout": 5, "log_message": lambda *args: None}
    )


@contextlib.contextmanager
def python_server(server_class: Any, base: Any, version: str, site: Path) -> Iterator[Any]:
    quiet = type(
        "Server",
        (server_class,),
        {"handle_error": lambda *args: None, "daemon_threads": True, "block_on_close": False},
    )
    made = functools.partial(handler(base, version), directory=str(site))
    with quiet(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address
        finally:
            server.shutdown()
            thread.join()


NGINX = """
daemon off; master_process off; pid {home}/nginx.pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{
    access_log off; root {site}; client_header_timeout 5; client_body_timeout 5; lingering_timeout 1;
    client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
    uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
    server {{ listen 127.0.0.1:{port}; autoindex on; absolute_redirect off; }}
}}
"""


@contextlib.contextmanager
def nginx(site: Path) -> Iterator[Any]:
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise FileNotFoundError("nginx is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    home = site.parent / "nginx"
    home.mkdir()
    site.parent.chmod(0o755)
    (home / "conf").write_text(
        "user root;" * (os.getuid() == 0) + NGINX.format(home=home, site=site, port=address[1])
    )
    process = subprocess.Popen([program, "-e", "/dev/null", "-p", str(home), "-c", str(home / "conf")])
    try:
        wait_for(address)
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(address: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(address, PATIENCE).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def of(library: Any, name: str, version: str) -> Callable[[Path], Any]:
    return functools.partial(python_server, getattr(library, name), library.SimpleHTTPRequestHandler, version)

CONTESTANTS = [
    Contestant("http.server 1.0", False, of(http.server, "ThreadingHTTPServer", "HTTP/1.0")),
    Contestant("http.server 1.1", True, of(http.server, "ThreadingHTTPServer", "HTTP/1.1")),
    Contestant("nginx", True, nginx),
    Contestant("fastserve 1.0", False, of(fastserve, "HTTPServer", "HTTP/1.0")),
    Contestant("fastserve", True, of(fastserve, "HTTPServer", "HTTP/1.1")),
    Contestant("fastserve threads", True, of(fastserve, "ThreadingHTTPServer", "HTTP/1.1")),
]
