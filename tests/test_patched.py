"""python -m fastserve.patched: programs written for http.server, run as they are."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_cli import GOODBYE, PACKAGE_HOME, WAIT, serving

PROGRAM = """\
import http.server, sys
from http.server import HTTPServer, BaseHTTPRequestHandler

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = repr([sys.argv, __name__, __file__, sys.path[0], Handler.__mro__[1].__module__]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

if __name__ == "__main__":
    http.server.test(Handler, HTTPServer, port=0, bind="127.0.0.1")
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def patched(*words: str, **options: Any) -> Any:
    """A server that says where it listens; `python -c` to start what -m would, with the same sys.argv."""
    return serving(program=["-m", "fastserve.patched", *words], **options)


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastserve.patched", *words], cwd=cwd, timeout=WAIT, text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_HOME)}, capture_output=True, check=False,
    )


def test_a_script(program: Path) -> None:
    with patched(str(program), "one", "-m", "--help") as server:
        argv, name, file, first, module = eval(server.get("/")[1])
        assert argv == [str(program), "one", "-m", "--help"]
        assert (name, file, first) == ("__main__", str(program), str(program.parent.resolve()))
        assert module == "fastserve.handlers.base"
        assert server.signal(signal.SIGINT)[:2] == (0, GOODBYE)


def test_a_module(program: Path) -> None:
    with patched("-m", "program", "two", cwd=program.parent) as server:
        argv, name, file, _, module = eval(server.get("/")[1])
        assert (Path(argv[0]).name, argv[1:], name) == ("program.py", ["two"], "__main__")
        assert (Path(file).name, module) == ("program.py", "fastserve.handlers.base")


def test_http_server_itself(program: Path) -> None:
    with patched("-m", "http.server", "0", "-b", "127.0.0.1", cwd=program.parent) as server:
        answer, body = server.get("/program.py")
        assert body == PROGRAM.encode()
        assert str(answer.getheader("Server")).startswith("SimpleHTTP Python/")
        assert answer.version == 11


def test_the_exit_status_is_the_program_s(tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(7)")
    assert run(str(tmp_path / "leaves.py")).returncode == 7


def test_a_program_that_fails_shows_its_own_traceback(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("1 / 0")
    done = run(str(tmp_path / "fails.py"))
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(("words", "why"), [
    ([], "name a script, or -m and a module"),
    (["-m"], "name a script, or -m and a module"),
    (["-x", "script.py"], "name a script, or -m and a module"),
    (["nowhere.py"], "there is no file 'nowhere.py'"),
    (["-m", "no_such_module"], "there is no module 'no_such_module'"),
    (["-m", "json.no_such_module"], "there is no module 'json.no_such_module'"),
    (["-m", "no_such.module"], "there is no module 'no_such.module'"),
])
def test_what_cannot_be_run_is_one_line(words: list[str], why: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"fastserve.patched: error: {why} (see python -m fastserve.patched --help)\n"


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help(word: str) -> None:
    done = run(word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m fastserve.patched SCRIPT [ARGUMENT ...]\n")
