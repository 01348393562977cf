"""Servers for somebody's application or protocol: Bottle, Paste, Radicale, websockify."""

import base64
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from helpers import connect, request
from pairs import receive_exactly, receive_until
from programs.process import WAIT, running, script

APP = '''
import sys

def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body) + 6))])
    return [b"hello ", body]
'''

BOTTLE = APP + '''
import bottle

@bottle.route("/static/<name>")
def static(name):
    return bottle.static_file(name, root=".")

bottle.default_app().mount("/app/", app)
bottle.run(port=int(sys.argv[1]))
'''

PASTE = APP + '''
from paste.httpserver import serve

serve(app, port=int(sys.argv[1]), use_threadpool=sys.argv[2] == "pool", protocol_version="HTTP/1.1")
'''

EVENT = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//somebody//
BEGIN:VEVENT
UID:one
DTSTAMP:20260101T000000Z
DTSTART:20260101T100000Z
SUMMARY:A meeting
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def test_bottle(folder: Path, session: requests.Session) -> None:
    (folder / "octets").write_bytes(bytes(range(256)) * 4096)
    with running(folder, *script(folder, BOTTLE, "{port}")) as program:
        assert session.post(program.url + "/app/", b"x" * 300000).text == "hello " + "x" * 300000
        part = session.get(program.url + "/static/octets", headers={"Range": "bytes=250-259"})
        assert (part.status_code, part.content) == (206, bytes([*range(250, 256), *range(4)]))
        assert session.get(program.url + "/nowhere").status_code == 404


@pytest.mark.parametrize("kind", ["pool", "threads"])
def test_paste(folder: Path, kind: str, session: requests.Session) -> None:
    """It has a handle_one_request() of its own, and a pool of threads that takes the sockets."""
    with running(folder, *script(folder, PASTE, "{port}", kind)) as program:
        for n in range(5):
            assert session.put(program.url, b"x" * 100000 * n).text == "hello " + "x" * 100000 * n
        assert session.head(program.url).headers["Content-Length"] == "6"


def test_radicale(folder: Path, session: requests.Session) -> None:
    """CalDAV, with its own accept loop and handle()."""
    options = ["--auth-type", "none", "--storage-filesystem-folder", "data"]
    session.auth = ("me", "")
    with running(folder, "-m", "radicale", *options, "--server-hosts", "127.0.0.1:{port}") as program:
        calendar = program.url + "/me/calendar/"
        assert session.request("MKCALENDAR", calendar).status_code == 201
        assert session.put(calendar + "one.ics", EVENT).status_code == 201
        assert "SUMMARY:A meeting" in session.get(calendar + "one.ics").text
        found = session.request("PROPFIND", calendar, headers={"Depth": "1"})
        assert (found.status_code, "/me/calendar/one.ics" in found.text) == (207, True)
        assert session.delete(calendar + "one.ics").status_code == 200
        assert session.get(calendar + "one.ics").status_code == 404


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a TCP server that gives back what one client sends."""
    def serve() -> None:
        with server.accept()[0] as peer:
            while data := peer.recv(1 << 16):
                peer.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(WAIT)


def test_websockify(folder: Path, echo: int, session: requests.Session) -> None:
    """A file, and then a WebSocket over the bare socket; its server is no HTTPServer."""
    (folder / "page.html").write_text("a page")
    words = ["-m", "websockify", "--web", ".", "127.0.0.1:{port}", f"127.0.0.1:{echo}"]
    with running(folder, *words, server="websockify.websockifyserver.WebSockifyServer") as program:
        assert session.get(program.url + "/page.html").text == "a page"
        with connect(("127.0.0.1", program.port), WAIT) as peer:
            key = base64.b64encode(os.urandom(16)).decode()
            peer.sendall(request("GET", "/", "Upgrade: websocket", "Connection: Upgrade",
                                 "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"))
            assert receive_until(peer, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
            for text in (b"hello", b"again", b"x" * 60000):
                peer.sendall(frame(text))
                assert payload(peer, len(text)) == text


def frame(text: bytes) -> bytes:
    """A binary message from a client (RFC 6455 5.2), its mask zero."""
    length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x82" + length + bytes(4) + text


def payload(peer: socket.socket, size: int) -> bytes:
    """What messages of that size together hold."""
    got = b""
    while len(got) < size:
        length = receive_exactly(peer, 2)[1]
        if length == 126:
            length = int.from_bytes(receive_exactly(peer, 2), "big")
        got += receive_exactly(peer, length)
    return got
