"""install() and uninstall(): what http.server's names are bound to, before, meanwhile and afterwards.

Each test that imports something else than http.server does so in a process of its own.
"""

import http.server
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE

import fastserve
from fastserve import installing, server

CLASSES = ("BaseHTTPRequestHandler", "HTTPServer", "SimpleHTTPRequestHandler", "ThreadingHTTPServer")
HOME = Path(fastserve.__file__).resolve().parents[1]


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code], env={**os.environ, "PYTHONPATH": str(HOME)},
        capture_output=True, text=True, timeout=60,
    )


@pytest.fixture
def before() -> Iterator[dict[str, Any]]:
    """http.server's names as they are; whatever a test does, they are so again afterwards."""
    names = dict(vars(http.server))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # other tests hold the old classes
        yield names
    fastserve.uninstall()
    assert vars(http.server) == names


@pytest.mark.parametrize("name", [*server.__all__, "test", "_get_best_family"])
def test_a_name_is_bound_and_bound_back(name: str, before: dict[str, Any]) -> None:
    fastserve.install()
    assert getattr(http.server, name) is getattr(server, name)
    fastserve.uninstall()
    assert vars(http.server).get(name) is before.get(name)


def test_a_name_that_http_server_has_not_goes_again(
    before: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(http.server, "_get_best_family")
    fastserve.install()
    assert http.server._get_best_family is server._get_best_family
    fastserve.uninstall()
    assert not hasattr(http.server, "_get_best_family")


def test_twice_is_once(before: dict[str, Any]) -> None:
    fastserve.install()
    fastserve.install()
    fastserve.uninstall()
    assert http.server.HTTPServer is before["HTTPServer"]
    fastserve.uninstall()


def test_a_star_import_gives_all_names(before: dict[str, Any]) -> None:
    fastserve.install()
    names: dict[str, Any] = {}
    exec("from http.server import *", names)
    assert {name: names.get(name) for name in server.__all__} == {
        name: getattr(server, name) for name in server.__all__
    }


def test_what_somebody_bound_meanwhile_is_left(
    before: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fastserve.install()
    with monkeypatch.context() as patch:
        patch.setattr(http.server, "HTTPServer", int)
        fastserve.uninstall()
        assert http.server.HTTPServer is int
    http.server.HTTPServer = before["HTTPServer"]


def test_many_threads(before: dict[str, Any]) -> None:
    """All names are of one library whenever nobody is at work, and the last word is uninstall()'s."""
    start = threading.Barrier(8)

    def restless() -> None:
        start.wait(PATIENCE)
        for _ in range(50):
            fastserve.install()
            fastserve.uninstall()

    threads = [threading.Thread(target=restless) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert {name: before[name] for name in CLASSES} == {name: getattr(http.server, name) for name in CLASSES}


def test_who_imports_later_gets_the_new_classes() -> None:
    done = run(
        "import fastserve; fastserve.install()\n"
        "import wsgiref.simple_server as w, xmlrpc.server as x, http.server as h\n"
        "from http.server import BaseHTTPRequestHandler as B\n"
        "assert B is h.BaseHTTPRequestHandler is fastserve.BaseHTTPRequestHandler\n"
        "assert issubclass(w.WSGIServer, fastserve.HTTPServer)\n"
        "assert issubclass(x.SimpleXMLRPCRequestHandler, fastserve.BaseHTTPRequestHandler)\n",
        "-W", "error",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_who_imported_earlier_has_the_module_s_names_too() -> None:
    done = run(
        "import http.server, fastserve; fastserve.install()\n"
        "assert http.server.HTTPServer is fastserve.HTTPServer\n",
        "-W", "error",
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("early", "who"), [
    ("import wsgiref.simple_server", "wsgiref.simple_server"),
    ("from http.server import HTTPServer", "__main__"),
    ("import http.server\nclass Own(http.server.HTTPServer): pass", "__main__"),
])
def test_who_keeps_the_old_classes_is_named(early: str, who: str) -> None:
    done = run(f"{early}\nimport fastserve\nfastserve.install()\nfastserve.install()")
    assert done.returncode == 0
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"imported before fastserve.install(), so not changed: {who}\n" in done.stderr
    assert "<string>" in done.stderr  # the caller's line


def test_installing_leaves_http_server_itself_alone() -> None:
    """What http.server calls inside it stays: its names are bound, its functions are its own."""
    done = run(
        "import fastserve; fastserve.install(); import http.server\n"
        "print(http.server.__name__, http.server.__file__ != fastserve.server.__file__)"
    )
    assert done.stdout.split() == ["http.server", "True"]


def test_the_names_are_there() -> None:
    assert [name for name in installing.NAMES if not hasattr(server, name)] == []
