"""CGI scripts under http.server's CGIHTTPRequestHandler and under fastserve's: the same answers and log.

Each server has a process of its own, because http.server forks. A case may differ only by a row of
differences.py, and then says how; from Python 3.15 on there is nothing to compare with.
"""

import contextlib
import http.server
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import Client, log_messages, request, wait_until

import fastserve

from .differences import DIFFERENCES

HOME = Path(fastserve.__file__).resolve().parents[1]

if not hasattr(http.server, "CGIHTTPRequestHandler"):
    pytest.skip("http.server has no CGIHTTPRequestHandler", allow_module_level=True)

PROGRAM = """
import functools, importlib, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {home!r})
module = importlib.import_module(sys.argv[1])
class Handler(module.CGIHTTPRequestHandler):
    protocol_version = sys.argv[2]
server = module.HTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory={folder!r}))
print(server.server_port, flush=True)
server.serve_forever()
"""

HEAD = "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
SCRIPTS = {
    "env": HEAD + "env | grep -v ^_= | sort",
    "words": HEAD + 'for word in "$@"; do echo "($word)"; done',
    "echo": HEAD + "head -c $CONTENT_LENGTH",
    "method": "printf 'Content-Type: text/plain\\r\\nX-Method: %s\\r\\n\\r\\n' $REQUEST_METHOD",
    "status": "printf 'Status: 302 Found\\nLocation: /there\\n\\nbody'",
    "fails": HEAD + "exit 3",
    "killed": HEAD + "kill -9 $$",
    "silent": "exit 4",
    "deep/er/env": HEAD + "env | grep _NAME= | sort",
    "a space": HEAD + "echo spaced",
}


class Seen(NamedTuple):
    """An answer to its end, and what was logged for it."""

    answer: bytes
    log: list[str]


class Server:
    """One library's, in a process of its own."""

    def __init__(self, module: str, protocol: str, folder: Path) -> None:
        program = PROGRAM.format(home=str(HOME), folder=str(folder / "served"))
        self._log = folder / f"{module}.log"
        # Which ours keeps to itself.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTSERVE_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, module, protocol], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def answer(self, octets: bytes) -> bytes:
        """All of an answer, what cannot be the same masked."""
        with Client(("127.0.0.1", self.port)) as client:
            client.send(octets)
            return self._mask(client.rest())

    def ask(self, octets: bytes) -> Seen:
        before = len(self._log.read_text())
        answer = self.answer(octets)
        # The next one is answered when all of this one has been logged.
        self.answer(request("GET", "/end-of-a-case"))
        assert wait_until(lambda: "/end-of-a-case" in self._log.read_text()[before:])
        log = log_messages(self._log.read_text()[before:])
        return Seen(answer, [line for line in log if "end-of-a-case" not in line][:-1])

    def _mask(self, answer: bytes) -> bytes:
        for pattern, masked in [
            (rb"SimpleHTTP(/0\.6)? Python/\S+", b"SERVER"), (rb"Date: .*? GMT", b"DATE"),
            (rb"(?s)<!DOCTYPE.*", b"PAGE"), (rb"Content-Length: \d+\r\n\r\nPAGE", b"PAGE"),
            (rb"\b%d\b" % self.port, b"PORT"),
        ]:
            answer = re.sub(pattern, masked, answer)
        return answer

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)


@pytest.fixture(scope="module", params=["HTTP/1.0", "HTTP/1.1"])
def servers(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    """http.server's and ours, on the same folder, which the user nobody can reach."""
    with tempfile.TemporaryDirectory() as path, contextlib.ExitStack() as stack:
        Path(path).chmod(0o755)
        for name, text in SCRIPTS.items():
            file = Path(path, "served", "cgi-bin", name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)
        Path(path, "served", "cgi-bin", "text").write_text("text")
        Path(path, "served", "program").write_text("#!/bin/sh\n" + HEAD + "echo out of its folder\n")
        Path(path, "served", "program").chmod(0o755)
        made = [Server(module, request.param, Path(path)) for module in ("http.server", "fastserve")]
        for server in made:
            stack.callback(server.stop)
        yield made


def get(target: str, *fields: str, method: str = "GET") -> bytes:
    return request(method, target, "Connection: close", *fields)


def post(target: str, body: bytes, *fields: str) -> bytes:
    return request("POST", target, "Connection: close", *fields, body=body)


CASES = {
    "the environment": get("/cgi-bin/env"),
    "the environment of POST": post("/cgi-bin/env/path%20info?a=b", b"x", "Content-Type: text/x; a=b"),
    "a field of each kind": get(
        "/cgi-bin/env", "Accept: a/b", "Accept: c", "Cookie: a=1", "Cookie: b=2", "User-Agent: x",
        "Referer: y", "Authorization: Basic dXNlcjpwYXNz", "X-Own: z"),
    "another Authorization": get("/cgi-bin/env", "Authorization: Bearer token"),
    "an Authorization that is none": get("/cgi-bin/env", "Authorization: Basic"),
    "no words": get("/cgi-bin/words"),
    "words": get("/cgi-bin/words?some+words%20and%2Bmore"),
    "a query that has no words": get("/cgi-bin/words?a=b+c"),
    "a query in path info": get("/cgi-bin/env/a/b//c/../d/?x=/y/../z?w"),
    "a folder below": get("/cgi-bin/deep/er/env/more"),
    "an encoded name": get("/cgi-bin/a%20space"),
    "an encoded slash": get("/cgi-bin%2Fdeep%2fer/env"),
    "no slash in front": get("cgi-bin/env"),
    "a fragment": get("/cgi-bin/env?a#b"),
    "a body": post("/cgi-bin/echo", b"the body"),
    "HEAD": get("/cgi-bin/method", method="HEAD"),
    "a status of the script's own": get("/cgi-bin/status"),
    "an exit code": get("/cgi-bin/fails"),
    "a signal": get("/cgi-bin/killed"),
    "no such script": get("/cgi-bin/nothing/more?x"),
    "a folder": get("/cgi-bin/deep"),
    "a folder with a slash": get("/cgi-bin/deep/"),
    "the folder of scripts": get("/cgi-bin/"),
    "the folder of scripts without a slash": get("/cgi-bin"),
    "a file that is not executable": get("/cgi-bin/text"),
    "POST to a file that is not executable": post("/cgi-bin/text", b"x"),
    "POST to a file": post("/program", b""),
    "a file": get("/program"),
    "another folder": get("/cgi-binary/env"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same(name: str, servers: list[Server]) -> None:
    theirs, ours = (server.ask(CASES[name]) for server in servers)
    assert without_ours(ours.answer) == without_ours(theirs.answer)
    assert ours.log == theirs.log


def without_ours(answer: bytes) -> bytes:
    """Rows says-close, validators and ranges: what only fastserve says."""
    return re.sub(rb"(Connection: close|ETag: .*|Accept-Ranges: bytes)\r\n", b"", answer)


RUNS = rb"\S+ 200 Script output follows\r\n"

# The row, the request, and what http.server and fastserve answer.
DIFFERENT = {
    "a script that says nothing": (
        "cgi-failures", get("/cgi-bin/silent"),
        RUNS + rb"Server: SERVER\r\nDATE\r\n$",
        rb"\S+ 403 CGI script has no output \('/cgi-bin/silent'\)\r\n"),
    "HEAD to a script that writes a body": (
        "cgi-head", get("/cgi-bin/words?a", method="HEAD"),
        RUNS + rb"(?s:.*)\r\n\r\n\(a\)\n$", RUNS + rb"(?s:.*)\r\n\r\n$"),
    "a path that is encoded twice": (
        "cgi-paths", get("/cgi-bin/%252e%252e/program"),
        RUNS + rb"(?s:.*)\nout of its folder\n$", rb"\S+ 404 No such CGI script \('/cgi-bin/%2e%2e'\)\r\n"),
    "path info that is encoded twice": (
        "cgi-paths", get("/cgi-bin/env/%2541"),
        RUNS + rb"(?s:.*)\nPATH_INFO=/A\n", RUNS + rb"(?s:.*)\nPATH_INFO=/%41\n"),
    "an encoded question mark": (
        "cgi-paths", get("/cgi-bin/env/a%3Fb"),
        RUNS + rb"(?s:.*)\nQUERY_STRING=b\n", RUNS + rb"(?s:.*)\nQUERY_STRING=\n"),
    "a path that leads out": (
        "cgi-paths", get("/../cgi-bin/env"), rb"$", rb"\S+ 400 Path leads out of the root\r\n"),
    "an absolute-form target": (
        "cgi-paths", get("http://any.host/cgi-bin/method"), rb"\S+ 404 ", RUNS),
    "a password with a colon": (
        "cgi-environment", get("/cgi-bin/env", "Authorization: Basic dTpwOnA="),
        RUNS + rb"(?s:(?!.*\nREMOTE_USER=))", RUNS + rb"(?s:.*)\nREMOTE_USER=u\n"),
    "a word like an option": (
        "cgi-environment", get("/cgi-bin/words?-s"), RUNS + rb"(?s:.*)\(-s\)", RUNS + rb"(?s:(?!.*\(-s))"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_difference_is_a_row_and_real(name: str, servers: list[Server]) -> None:
    row, octets, theirs, ours = DIFFERENT[name]
    assert row in DIFFERENCES
    assert re.match(theirs, servers[0].answer(octets))
    assert re.match(ours, servers[1].answer(octets))
    assert not re.match(ours, servers[0].answer(octets))
