"""The two handlers everyone writes, for http.server and for whatever has its API: one script, other imports.

Started by bench/servers.py; knows no server but the module named on its command line.
"""

import argparse
import functools
import importlib

options = argparse.ArgumentParser()
options.add_argument("--module", choices=["http.server", "fastserve"], required=True)
options.add_argument("--server-module", choices=["http.server", "fastserve"], help="default: the same")
options.add_argument("--server", choices=["HTTPServer", "ThreadingHTTPServer"], required=True)
options.add_argument("--handler", choices=["hello", "files"], required=True)
options.add_argument("--port", type=int, required=True)
options.add_argument("--directory", required=True)
args = options.parse_args()

api = importlib.import_module(args.module)


class Hello(api.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"Hello, World!"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Files(api.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass


handler = Hello if args.handler == "hello" else functools.partial(Files, directory=args.directory)
servers = importlib.import_module(args.server_module or args.module)
with getattr(servers, args.server)(("127.0.0.1", args.port), handler) as server:
    server.serve_forever()
