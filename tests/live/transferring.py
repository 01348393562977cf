"""A server that takes uploads and sends archives: `python tests/live/transferring.py -d FOLDER --upload DIR`.

A program of its own, started by test_transfers.py. It says where it serves as the command line does, and ends
with status 0 at SIGTERM. Knows public classes and no client.
"""

import argparse
import functools
import signal
import sys
from typing import Any

import fastserve
from fastserve.handlers.folder import FolderHandler
from fastserve.handlers.upload import UploadMixin


def end(*args: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-d", dest="folder", required=True)
    parser.add_argument("--upload", default="")
    parser.add_argument("--limit", type=int, default=UploadMixin.upload_limit)
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--loop", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, end)
    kind = type("Handler", (UploadMixin, FolderHandler), {
        "protocol_version": "HTTP/1.1",
        "upload_directory": args.upload, "upload_limit": args.limit, "upload_overwrite": args.overwrite})
    handler: Any = functools.partial(kind, directory=args.folder)
    server_class: Any = fastserve.HTTPServer if args.loop else fastserve.ThreadingHTTPServer
    with server_class(("127.0.0.1", 0), handler) as server:
        print(f"Serving HTTP on 127.0.0.1 port {server.server_port} ...", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
