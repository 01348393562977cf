"""aiohttp: the hello handler, or its static files. Started by bench/peers.toml."""

import argparse
import asyncio

from aiohttp import web

options = argparse.ArgumentParser()
options.add_argument("--handler", choices=["hello", "files"], required=True)
options.add_argument("--loop", choices=["asyncio", "uvloop"], required=True)
options.add_argument("--port", type=int, required=True)
options.add_argument("--directory", required=True)
args = options.parse_args()


async def hello(request):
    return web.Response(body=b"Hello, World!", content_type="text/plain")


if args.loop == "uvloop":
    import uvloop

    uvloop.install()
app = web.Application()
if args.handler == "hello":
    app.router.add_get("/", hello)
else:
    app.router.add_static("/", args.directory, show_index=True)
loop = asyncio.new_event_loop()
web.run_app(app, host="127.0.0.1", port=args.port, access_log=None, print=None, backlog=4096, loop=loop,
            keepalive_timeout=300)
