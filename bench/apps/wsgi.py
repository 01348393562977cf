"""WSGI: the hello handler, and files by WhiteNoise. Imported by what bench/peers.toml starts."""

import os


def hello(environ, start_response):
    body = b"Hello, World!"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def missing(environ, start_response):
    body = b"Not Found"
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def __getattr__(name):
    if name != "files":
        raise AttributeError(name)
    from whitenoise import WhiteNoise

    return WhiteNoise(missing, root=os.environ["BENCH_SITE"])
