"""Werkzeug and Flask: the development server as its command starts it, and as a script does."""

import http.client
import json
import ssl
from pathlib import Path

import pytest
import requests
from programs.process import WAIT, change, running, script

APP = '''
import flask

app = flask.Flask(__name__)

@app.route("/")
def index():
    return "hello"

@app.post("/form")
def form():
    file = flask.request.files["file"]
    return {"name": flask.request.form["name"], "file": file.filename, "size": len(file.read())}

@app.post("/json")
def echo():
    return flask.jsonify(flask.request.get_json())

@app.route("/lines")
def lines():
    return (f"line {n}\\n" for n in range(1000))

@app.route("/crash")
def crash():
    raise RuntimeError("on purpose")
'''

SCRIPT = APP + '''
import sys
from werkzeug.serving import WSGIRequestHandler, run_simple

class Keeping(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

run_simple("127.0.0.1", int(sys.argv[1]), app, use_reloader=True, reloader_type="stat", threaded=True,
           request_handler=Keeping, static_files={"/files": "."})
'''


@pytest.fixture
def app(folder: Path) -> Path:
    (folder / "app.py").write_text(APP)
    (folder / "static").mkdir()
    (folder / "static" / "large.bin").write_bytes(bytes(range(256)) * 4096)
    return folder


@pytest.mark.parametrize("mode", ["--with-threads", "--without-threads"])
def test_flask_run(app: Path, mode: str, session: requests.Session) -> None:
    with running(app, "-m", "flask", "--app", "app", "run", "--port", "{port}", mode) as program:
        assert session.get(program.url).text == "hello"
        assert session.get(program.url + "/static/large.bin").content == bytes(range(256)) * 4096
        part = session.get(program.url + "/static/large.bin", headers={"Range": "bytes=250-259"})
        assert (part.status_code, part.content) == (206, bytes([*range(250, 256), *range(4)]))
        sent = session.post(program.url + "/form", {"name": "me"}, files={"file": ("f.txt", b"x" * 300000)})
        assert sent.json() == {"name": "me", "file": "f.txt", "size": 300000}
        assert session.get(program.url + "/lines").text.splitlines() == [f"line {n}" for n in range(1000)]
        assert session.get(program.url + "/nowhere").status_code == 404
        assert session.head(program.url).headers["Content-Length"] == "5"
        assert '"GET / HTTP/1.1" 200 -' in program.log()


def test_a_request_in_chunks(app: Path, session: requests.Session) -> None:
    """Werkzeug takes the chunked coding off itself."""
    with running(app, "-m", "flask", "--app", "app", "run", "--port", "{port}") as program:
        chunks = (piece.encode() for piece in ['{"a": ', "[1, 2]", "}"])
        reply = session.post(program.url + "/json", chunks, headers={"Content-Type": "application/json"})
        assert reply.json() == {"a": [1, 2]}


def test_over_tls(app: Path) -> None:
    """With a certificate that it makes itself."""
    with running(app, "-m", "flask", "--app", "app", "run", "--cert", "adhoc", "--port", "{port}") as program:
        context = ssl._create_unverified_context()
        for _ in range(2):
            client = http.client.HTTPSConnection("127.0.0.1", program.port, timeout=WAIT, context=context)
            client.request("GET", "/")
            assert client.getresponse().read() == b"hello"
            client.close()


def test_an_application_that_fails(app: Path, session: requests.Session) -> None:
    words = ["-m", "flask", "--app", "app", "--debug", "run", "--no-reload"]
    with running(app, *words, "--port", "{port}") as program:
        assert session.get(program.url).text == "hello"
        crashed = session.get(program.url + "/crash")
        assert crashed.status_code == 500
        assert "RuntimeError: on purpose" in crashed.text
        program.tracebacks = 1


def test_the_reloader(folder: Path, session: requests.Session) -> None:
    """It starts the command again, and what that starts is patched as well."""
    with running(folder, *script(folder, SCRIPT, "{port}")) as program:
        assert session.get(program.url).text == "hello"
        change(folder / "program.py", session, program.url)
        assert len(program.seen()) >= 2


def test_run_simple(folder: Path, session: requests.Session) -> None:
    (folder / "note.txt").write_text("a note")
    with running(folder, *script(folder, SCRIPT, "{port}")) as program:
        client = http.client.HTTPConnection("127.0.0.1", program.port, timeout=WAIT)
        for _ in range(3):
            client.request("POST", "/json", json.dumps([1, 2]), {"Content-Type": "application/json"})
            assert json.loads(client.getresponse().read()) == [1, 2]
        client.close()
        assert session.get(program.url + "/files/note.txt").text == "a note"
