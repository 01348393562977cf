"""The hello handler as a WSGI application on bjoern. Started by bench/peers.toml."""

import sys

import bjoern


def hello(environ, start_response):
    body = b"Hello, World!"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


bjoern.run(hello, "127.0.0.1", int(sys.argv[1]))
