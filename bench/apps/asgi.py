"""ASGI: the hello handler, and files by Starlette. Imported by what bench/peers.toml starts."""

import os

HEAD = {"type": "http.response.start", "status": 200,
        "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")]}
BODY = {"type": "http.response.body", "body": b"Hello, World!"}


async def hello(scope, receive, send):
    await send(HEAD)
    await send(BODY)


def __getattr__(name):
    if name != "files":
        raise AttributeError(name)
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    return Starlette(routes=[Mount("/", StaticFiles(directory=os.environ["BENCH_SITE"]))])
