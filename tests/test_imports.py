"""What can be imported: every module alone, the public names, stubs that say what the modules have.

And what is tested is the build that was meant: .ci/suite names it in FASTSERVE_TESTED (a folder) and
FASTSERVE_KIND (release, debug or sanitize).
"""

from __future__ import annotations

import ast
import http.client
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

import fastserve

PACKAGE = Path(fastserve.__file__).resolve().parent
STUBS = {path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("_*.pyi")}
COMPILED = sorted(".".join(path.parts) for path in STUBS)
PURE = sorted(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
              for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")

PUBLIC = {
    "BaseHTTPRequestHandler", "CGIHTTPRequestHandler", "HTTPSServer", "HTTPServer",
    "SimpleHTTPRequestHandler", "ThreadingHTTPSServer", "ThreadingHTTPServer", "__version__", "install",
    "uninstall",
}


HOME = {"PYTHONPATH": str(PACKAGE.parent)}


def run(code: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("FASTSERVE_")}
    return subprocess.run([sys.executable, "-W", "error", "-c", code], env={**others, **HOME},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


# -- Modules -----------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [*PURE, *(f"fastserve.{name}" for name in COMPILED)])
def test_a_module_can_be_imported_alone(module: str) -> None:
    done = run(f"import {module}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# What takes long to import, or belongs to what few programs and command lines ask for.
LATE = [
    "http.server", "argparse", "asyncio", "shutil", "subprocess", "encodings.idna", "http.client", "email",
    "ssl", "html", "datetime", "secrets", "tempfile", "traceback", "queue", "fastserve.headers",
    "fastserve.installing", "fastserve.handlers.authentication", "fastserve.handlers.cgi",
    "fastserve.handlers.sharing", "fastserve.reach", "fastserve.selfsigned", "fastserve.settings",
    "fastserve.serving.leader", "fastserve.serving.processes", "fastserve.serving.systemd",
    "fastserve.serving.pidfile", "fastserve.serving.unix", "fastserve.welcome",
]
OF_THREADS = {"queue", "fastserve.serving.leader"}  # which the command line serves with


@pytest.mark.parametrize("absent", [
    *LATE, "runpy", "copy", "fastserve.cli",
])
def test_importing_fastserve_leaves_out(absent: str) -> None:
    done = run(f"import sys, fastserve; sys.exit({absent!r} in sys.modules)")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("late", sorted({*LATE} - OF_THREADS))
def test_serving_a_file_leaves_out(late: str, tmp_path: Path) -> None:
    """From the command line to the first answer: then a person waits. The second one is recorded by then."""
    (tmp_path / "file.txt").write_bytes(b"octets")
    done = run(f"""if True:
        import os, signal, socket, sys, threading
        from fastserve import console
        from fastserve.cli import main
        def ask(line):
            with socket.create_connection((b"127.0.0.1", int(line.split()[5]))) as sock:
                sock.sendall(b"GET /file.txt HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
                print(sock.recv(12), {late!r} in sys.modules)
            os.kill(os.getpid(), signal.SIGTERM)
        console.say = lambda line: threading.Thread(target=ask, args=(line,)).start()
        main(["-d", {str(tmp_path)!r}, "-b", "127.0.0.1", "0"])
    """)
    assert (done.returncode, done.stdout) == (0, "b'HTTP/1.1 200' False\n"), done.stderr


def test_what_comes_late_is_there() -> None:
    """By every way to a name: programs write http.server.shutil too."""
    done = run("""if True:
        import fastserve, fastserve.server
        from fastserve import *
        from fastserve.server import executable, http
        print({*fastserve.__all__} <= {*dir(fastserve)}, CGIHTTPRequestHandler.__name__, install.__name__)
        print(fastserve.server.shutil.copyfileobj.__name__, fastserve.server.email.utils.__name__)
        print(http.client.HTTPMessage is fastserve.BaseHTTPRequestHandler.MessageClass)
        print(fastserve.server.CGIHTTPRequestHandler is CGIHTTPRequestHandler, executable("/"))
        print(hasattr(fastserve, "none"), hasattr(fastserve.server, "none"))
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "True CGIHTTPRequestHandler install", "copyfileobj email.utils", "True", "True True", "False False"]


def test_a_handler_class_has_the_message_class_that_is_put_there() -> None:
    """Though the usual one comes late: on the class, on one derived from it, and on an object."""
    from email.message import Message
    from unittest import mock

    class Derived(fastserve.BaseHTTPRequestHandler):
        pass

    class Own(Derived):
        MessageClass = Message

    assert Own.MessageClass is Message
    with mock.patch.object(fastserve.BaseHTTPRequestHandler, "MessageClass", Message):
        assert Derived.MessageClass is Message
    assert Derived.MessageClass is http.client.HTTPMessage
    one = Derived.__new__(Derived)
    one.MessageClass = Message
    assert one.MessageClass is Message


def test_a_python_without_ssl_lacks_https_alone() -> None:
    """The manual: then making an HTTPSServer is a RuntimeError."""
    done = run("""if True:
        import sys
        sys.modules["ssl"] = None
        import fastserve
        here = ("127.0.0.1", 0), fastserve.SimpleHTTPRequestHandler
        for server_class in (fastserve.HTTPSServer, fastserve.ThreadingHTTPSServer):
            try:
                server_class(*here, certfile="none.pem")
            except RuntimeError as error:
                print("ssl" in str(error))
        fastserve.HTTPServer(*here).server_close()
    """)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["True"] * 2, "")


# -- Names -------------------------------------------------------------------------------------


def test_public_names() -> None:
    assert set(fastserve.__all__) == PUBLIC
    assert [name for name in PUBLIC if not hasattr(fastserve, name)] == []


@pytest.mark.parametrize("name", ["fastserve", "fastserve.server"])
def test_all_is_there(name: str) -> None:
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    assert [word for word in module.__all__ if not hasattr(module, word)] == []


def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc|\.dev)\d+)?", fastserve.__version__)


def test_types_are_announced() -> None:
    assert (PACKAGE / "py.typed").is_file()


# -- Stubs -------------------------------------------------------------------------------------
#
# Both sides become a set of lines such as "RequestHead.get(name, default=)" or "RequestHead.raw".

OURS = {"__len__", "__iter__", "__next__", "__enter__", "__exit__"}
SLOTS = {"__len__", "__iter__", "__next__"}  # Python itself writes their docstrings: parameters unknown


def is_told(name: str) -> bool:
    return not name.startswith("_") or name in OURS


def stub_lines(body: list[ast.stmt], owner: str = "") -> Iterator[str]:
    """What a stub declares."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name
            yield from stub_lines(node.body, node.name + ".")
        elif isinstance(node, ast.FunctionDef) and is_told(node.name):
            words = {ast.unparse(each) for each in node.decorator_list}
            bare = node.name in SLOTS or "property" in words
            yield owner + node.name + ("" if bare else stub_parameters(node.args, "overload" in words))
        elif isinstance(node, ast.AnnAssign) and is_told(ast.unparse(node.target)):
            yield owner + ast.unparse(node.target)


def stub_parameters(args: ast.arguments, overloaded: bool) -> str:
    """One of several overloads may ask for the last one, which has a default then."""
    required = len(args.args) - max(len(args.defaults), overloaded)
    words = [arg.arg + "=" * (i >= required) for i, arg in enumerate(args.args)]
    return joined(words + ([f"*{args.vararg.arg}"] if args.vararg else []))


def joined(words: list[str]) -> str:
    return "(" + ", ".join(word for word in words if word != "self") + ")"


def module_lines(names: Mapping[str, object], owner: str = "") -> Iterator[str]:
    """What a compiled module or class has, what it imports left out."""
    home = names.get("__name__")
    for name, value in names.items():
        if home and (isinstance(value, ModuleType) or getattr(value, "__module__", home) != home):
            continue
        if is_told(name):
            yield owner + name + ("" if name in SLOTS else parameters(value))
        if isinstance(value, type):
            yield from module_lines(vars(value), name + ".")


def parameters(value: object) -> str:
    """As Cython writes them into the first line of a docstring; '' for what is no function."""
    signature = re.match(r"[\w.]+\((.*)\)", getattr(value, "__doc__", None) or "")
    if isinstance(value, type) or not callable(value):
        return ""
    assert signature
    return joined([re.sub("=.*", "=", word).split()[-1] for word in signature[1].split(",") if word.strip()])


@pytest.mark.parametrize("name", COMPILED)
def test_the_stub_says_what_the_module_has(name: str) -> None:
    module = importlib.import_module(f"fastserve.{name}")
    stub = ast.parse((PACKAGE / f"{name.replace('.', '/')}.pyi").read_text("utf-8"))
    told, there = set(stub_lines(stub.body)), set(module_lines(vars(module)))
    assert (sorted(told - there), sorted(there - told)) == ([], [])


def test_every_compiled_module_has_a_stub() -> None:
    sources = Path(__file__).resolve().parents[1] / "fastserve"
    there = (path.relative_to(sources).with_suffix("") for path in sources.rglob("*.pyx"))
    assert sorted(".".join(path.parts) for path in there) == COMPILED


# -- The build ---------------------------------------------------------------------------------


MEANT = os.environ.get("FASTSERVE_TESTED")
by_suite = pytest.mark.skipif(not MEANT, reason="no build was named in the environment")


def test_the_core_is_that_of_the_package() -> None:
    assert all(path_of(name).is_relative_to(PACKAGE) for name in COMPILED)


@by_suite
def test_the_package_is_the_one_that_was_meant() -> None:
    assert PACKAGE.is_relative_to(Path(str(MEANT)).resolve())


@by_suite
def test_the_build_is_of_the_kind_that_was_meant() -> None:
    kind, octets = os.environ["FASTSERVE_KIND"], path_of("_parser").read_bytes()
    assert (b"broken invariant" in octets) == (kind != "release")
    assert (b"__asan_init" in octets) == (kind == "sanitize")


@by_suite
def test_an_installed_package_holds_no_sources_of_the_core() -> None:
    kept = {path.suffix for path in PACKAGE.rglob("*") if path.is_file()}
    assert kept <= {".py", ".pyc", ".pyi", ".so", ".typed", ".html", ".css", ".js", ".lua"}


def path_of(name: str) -> Path:
    return Path(str(importlib.import_module(f"fastserve.{name}").__file__)).resolve()
