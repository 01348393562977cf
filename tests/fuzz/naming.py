"""Servers that answer every request with its request line: what they took for a request can be seen.

nginx(), and `python -m fuzz.naming NAME` for those of SERVERS, started by program(). For differential.py,
which knows what is sent to them; nothing here does.
"""

import contextlib
import functools
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from wire.conformance.contestants import wait_for

import fastserve

FOLDERS: Final = [str(Path(file).resolve().parents[1]) for file in (fastserve.__file__, __file__)]
PATIENCE: Final = 10.0  # seconds, for a server to end
# The request line of every answer, also of one without a body. No program sends a field of this name.
NAME: Final = "X-Request"

CONFIGURATION: Final = """
daemon off; master_process off; pid {home}/nginx.pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_max_body_size 0; large_client_header_buffers 8 64k;
    keepalive_disable none; keepalive_requests 100000;
    client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
    uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        add_header {name} $request always;
        location / {{ return 200 "$request\\n"; }}
    }}
}}
"""


class Naming:
    """``reads``: it reads a body behind its answer. Else that is left to the library."""

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds; longer than any client waits
    reads = False

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self.answer

    def answer(self: Any) -> None:
        body = self.requestline.encode("latin-1") + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if self.reads:
            self.read_body()

    def read_body(self: Any) -> None:
        if "Transfer-Encoding" not in self.headers:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        try:
            while self.rfile.read(16384):
                pass
        except (ValueError, ConnectionError):  # chunks that are none, or that break off
            self.close_connection = True

    def send_response(self: Any, code: int, message: str | None = None) -> None:
        super().send_response(code, message)  # type: ignore[misc]
        # Whoever refuses a request line may not know its method, by which an answer has no body.
        self.send_header(NAME, re.sub(r"[\0\r\n]", "?", self.requestline) if self.command else "")

    def log_message(self, *args: Any) -> None:
        pass


class Reading(Naming):
    reads = decode_chunked = True


# The second one's handlers run in threads: whoever waits for a body keeps nobody waiting.
SERVERS: Final[dict[str, tuple[Any, Any, type]]] = {
    "fastserve": (fastserve.HTTPServer, fastserve.BaseHTTPRequestHandler, Naming),
    "fastserve threads": (fastserve.ThreadingHTTPServer, fastserve.BaseHTTPRequestHandler, Reading),
    "http.server": (http.server.ThreadingHTTPServer, http.server.BaseHTTPRequestHandler, Naming),
}


def serve(name: str) -> None:
    server_class, base, how = SERVERS[name]
    quiet = {"handle_error": lambda *args: None, "daemon_threads": True, "request_queue_size": 2048}
    kind: Any = type("Server", (server_class,), quiet)
    with kind(("127.0.0.1", 0), type("Handler", (how, base), {})) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


@contextlib.contextmanager
def program(name: str) -> Iterator[Any]:
    """The address of one of SERVERS, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(FOLDERS)}
    command = [sys.executable, "-m", "fuzz.naming", name]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    with ending(process):
        assert process.stdout
        yield "127.0.0.1", int(process.stdout.readline())


@contextlib.contextmanager
def nginx() -> Iterator[Any]:
    """The address of nginx. Raises FileNotFoundError where there is none."""
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise FileNotFoundError("nginx is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    with tempfile.TemporaryDirectory(prefix="differential-") as home:
        text = CONFIGURATION.format(home=home, port=address[1], name=NAME)
        Path(home, "conf").write_text("user root;" * (os.getuid() == 0) + text)
        process = subprocess.Popen([found, "-e", "/dev/null", "-p", home, "-c", f"{home}/conf"])
        with ending(process):
            wait_for(address)
            yield address


@contextlib.contextmanager
def ending(process: subprocess.Popen[Any]) -> Iterator[None]:
    try:
        with process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
    except BaseException:
        process.kill()
        raise


# The first is what the others are compared with.
CONTESTANTS: Final[dict[str, Callable[[], Any]]] = {
    "nginx": nginx,
    **{name: functools.partial(program, name) for name in SERVERS},
}

if __name__ == "__main__":
    serve(sys.argv[1])
