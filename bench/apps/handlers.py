"""Handlers that everyone writes, for http.server and for whatever has its API: one script, other imports.

Started by peers.toml and the scripts beside it; knows no server but the module named on its command line.
"""

import argparse
import functools
import importlib
import ssl
import time

options = argparse.ArgumentParser()
options.add_argument("--module", choices=["http.server", "fastserve"], required=True)
options.add_argument("--server-module", choices=["http.server", "fastserve"], help="default: the same")
options.add_argument("--server", choices=["HTTPServer", "ThreadingHTTPServer"], required=True)
options.add_argument("--handler", choices=["hello", "files", "events", "waiting", "attacked"],
                     required=True)
options.add_argument("--port", type=int, required=True)
options.add_argument("--directory", required=True)
options.add_argument("--workers", type=int, help="fastserve's worker processes; default: none but this one")
options.add_argument("--protocol", default="HTTP/1.1")
options.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
args = options.parse_args()

api = importlib.import_module(args.module)


class Hello(api.BaseHTTPRequestHandler):
    protocol_version = args.protocol

    def do_GET(self):
        body = b"Hello, World!"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Events(api.BaseHTTPRequestHandler):
    """As many events as the path says, each with its number and the time of its writing, some ms apart."""

    protocol_version = args.protocol

    def do_GET(self):
        pieces, interval = map(int, self.path[1:].split("/"))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(pieces):
            time.sleep(interval / 1000)
            self.wfile.write(b"data: %d %d\n\n" % (number, time.monotonic_ns()))

    def log_message(self, format, *args):
        pass


@functools.cache
def large():
    """One for all, and for nobody else: it would be part of what every contestant is said to need."""
    return b"x" * (16 << 20)


class Attacked(Hello):
    """The same, an answer that takes long to leave, and bodies that are read."""

    def do_GET(self):
        if self.path == "/large":
            self.answer(large())
        else:
            super().do_GET()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Files(api.SimpleHTTPRequestHandler):
    protocol_version = args.protocol

    def log_message(self, format, *args):
        pass


class Waiting(Files):
    """Sleeps, or is busy, for as many ms as the path says; serves files too."""

    def do_GET(self):
        action, _, ms = self.path[1:].partition("/")
        if action == "sleep":
            time.sleep(int(ms) / 1000)
        elif action == "busy":
            end = time.monotonic() + int(ms) / 1000
            while time.monotonic() < end:
                sum(range(100))
        elif action != "hello":
            super().do_GET()
            return
        Hello.do_GET(self)


handlers = {
    "hello": Hello,
    "events": Events,
    "attacked": Attacked,
    "files": functools.partial(Files, directory=args.directory),
    "waiting": functools.partial(Waiting, directory=args.directory),
}


def make_server():
    """Over TLS a module without the class for it gets what its users write."""
    servers, name = importlib.import_module(args.server_module or args.module), args.server
    address, handler = ("127.0.0.1", args.port), handlers[args.handler]
    if args.tls is None:
        return getattr(servers, name)(address, handler)
    certificate, key = args.tls
    secure = getattr(servers, name.replace("HTTP", "HTTPS"), None)
    if secure is not None:
        return secure(address, handler, certfile=certificate, keyfile=key)
    server = getattr(servers, name)(address, handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


with make_server() as server:
    if args.workers is None:
        server.serve_forever()
    else:
        importlib.import_module("fastserve.serving.processes").supervise(server, args.workers)
