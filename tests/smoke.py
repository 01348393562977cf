"""Whether an installed fastserve works at all: `python tests/smoke.py [--installed] [unittest's arguments]`.

It needs nothing but Python and the package, so it also runs where neither pytest nor a compiler is: .ci/wheel
and cibuildwheel run it against the wheels that they have made. With --installed the package must be one that
pip has put there, whole, and without sources of the core. A certificate is made by the openssl command, or by
trustme.
"""

import contextlib
import http.client
import importlib
import importlib.metadata
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastserve

INSTALLED = "--installed" in sys.argv
PACKAGE = Path(fastserve.__file__).resolve().parent
WAIT = 30.0  # seconds: an emulated machine is slow

TEXT = b"some octets of a text\n"
LARGE = bytes(range(256)) * 16384  # 4 MiB: leaves by sendfile


# -- A server in a process of its own --------------------------------------------------------------


@contextlib.contextmanager
def serving(*words: str, command: tuple[str, ...] = (sys.executable, "-m", "fastserve")) -> Iterator[int]:
    """The port of the command line, which must end with status 0 and say nothing but its log."""
    process = subprocess.Popen([*command, "0", "-b", "127.0.0.1", *words], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    late = threading.Timer(WAIT, process.kill)
    late.start()
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.match(r"Serving HTTPS? on 127\.0\.0\.1 port (\d+) ", line)
        if not found:
            process.kill()
            raise AssertionError((line, process.communicate()[1]))
        yield int(found[1])
        process.send_signal(signal.SIGTERM)
        err = process.communicate(timeout=WAIT)[1]
    finally:
        late.cancel()
        process.kill()
        process.communicate()
    assert process.returncode == 0, (process.returncode, err)
    assert all(" - - [" in line for line in err.splitlines()), err


class Answer:
    """What a client gets for one request on a connection of its own."""

    def __init__(self, port: int, target: str, method: str = "GET", body: bytes | None = None,
                 context: ssl.SSLContext | None = None, **fields: str) -> None:
        name = "localhost" if context else "127.0.0.1"
        client: Any = (http.client.HTTPSConnection(name, port, timeout=WAIT, context=context) if context
                       else http.client.HTTPConnection(name, port, timeout=WAIT))
        with contextlib.closing(client):
            client.request(method, target, body, {key.replace("_", "-"): fields[key] for key in fields})
            response = client.getresponse()
            self.body = response.read()
            self.status, self.get = response.status, response.headers.get


def certificate(folder: Path) -> Path:
    """A PEM file with the key and the certificate of localhost."""
    made = folder / "both.pem"
    if shutil.which("openssl") is None:
        import trustme

        authority = trustme.CA()
        made.write_bytes(authority.issue_cert("localhost").private_key_and_cert_chain_pem.bytes())
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        return made
    (folder / "request.cnf").write_text(
        "[req]\ndistinguished_name = name\nx509_extensions = more\nprompt = no\n"
        "[name]\nCN = localhost\n[more]\nsubjectAltName = DNS:localhost\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-config", "request.cnf", "-keyout", "key.pem", "-out", "authority.pem"],
                   cwd=folder, check=True, capture_output=True, timeout=WAIT)
    made.write_bytes((folder / "key.pem").read_bytes() + (folder / "authority.pem").read_bytes())
    return made


class InFolder(unittest.TestCase):
    """A test that has a folder to serve, and one beside it."""

    def setUp(self) -> None:
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.folder, self.beside = Path(home.name, "served"), Path(home.name, "beside")
        (self.folder / "sub").mkdir(parents=True)
        self.beside.mkdir()
        (self.folder / "text.txt").write_bytes(TEXT)
        (self.folder / "large.bin").write_bytes(LARGE)


# -- Serving ---------------------------------------------------------------------------------------


class CommandLine(InFolder):
    def test_files(self) -> None:
        with serving("-d", str(self.folder)) as port:
            answer = Answer(port, "/text.txt")
            self.assertEqual((answer.status, answer.body), (200, TEXT))
            self.assertEqual(answer.get("Content-Type"), "text/plain")
            again = Answer(port, "/text.txt", If_None_Match=str(answer.get("ETag")))
            self.assertIn(again.status, (200, 304))  # 200 while the file is too new for its ETag to be strong
            self.assertEqual(Answer(port, "/large.bin").body, LARGE)
            head = Answer(port, "/large.bin", "HEAD")
            self.assertEqual((head.get("Content-Length"), head.body), (str(len(LARGE)), b""))
            self.assertEqual(Answer(port, "/none").status, 404)
            self.assertEqual(Answer(port, "/%2e%2e/beside").status, 404)

    def test_ranges(self) -> None:
        with serving("-d", str(self.folder)) as port:
            answer = Answer(port, "/large.bin", Range="bytes=70000-70009")
            self.assertEqual((answer.status, answer.body), (206, LARGE[70000:70010]))
            self.assertEqual(answer.get("Content-Range"), f"bytes 70000-70009/{len(LARGE)}")
            self.assertEqual(Answer(port, "/text.txt", Range="bytes=-5").body, TEXT[-5:])
            self.assertEqual(Answer(port, "/text.txt", Range="bytes=900-").status, 416)

    def test_listings(self) -> None:
        with serving("-d", str(self.folder)) as port:
            answer = Answer(port, "/")
            self.assertEqual(answer.status, 200)
            self.assertIn(b"text.txt", answer.body)
            self.assertIn(b"sub/", answer.body)
            self.assertEqual(Answer(port, "/sub").get("Location"), "/sub/")

    def test_tls(self) -> None:
        cert = certificate(self.beside)
        context = ssl.create_default_context(cafile=str(self.beside / "authority.pem"))
        with serving("-d", str(self.folder), "--tls-cert", str(cert)) as port:
            self.assertEqual(Answer(port, "/text.txt", context=context).body, TEXT)
            self.assertEqual(Answer(port, "/large.bin", context=context).body, LARGE)

    def test_workers(self) -> None:
        with serving("-d", str(self.folder), "--workers", "2") as port:
            self.assertEqual({Answer(port, "/text.txt").body for _ in range(8)}, {TEXT})

    def test_a_wrong_value_is_one_line(self) -> None:
        done = subprocess.run([sys.executable, "-m", "fastserve", "none"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=WAIT)
        self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (2, "", 1))


class Hello(fastserve.BaseHTTPRequestHandler):
    """A handler as people write them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(f"hello {self.path}, {self.headers['Host'].partition(':')[0]}\n".encode())

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers["Content-Length"]))[::-1])

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Classes(unittest.TestCase):
    def test_a_handler_class(self) -> None:
        for server_class in (fastserve.HTTPServer, fastserve.ThreadingHTTPServer):
            with self.subTest(server_class), server_class(("127.0.0.1", 0), Hello) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                try:
                    port = server.server_address[1]
                    self.assertEqual(Answer(port, "/there").body, b"hello /there, 127.0.0.1\n")
                    self.assertEqual(Answer(port, "/", "POST", b"octets").body, b"stetco")
                    self.assertEqual(Answer(port, "/", "PUT", b"octets").status, 501)
                finally:
                    server.shutdown()
                    thread.join(WAIT)
                self.assertFalse(thread.is_alive())

    def test_a_program_that_is_not_edited(self) -> None:
        code = "import http.server; print(http.server.HTTPServer.__module__)"
        with tempfile.TemporaryDirectory() as home:
            Path(home, "program.py").write_text(code)
            done = subprocess.run([sys.executable, "-m", "fastserve.patched", "program.py"], cwd=home,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT)
        self.assertEqual((done.stdout, done.stderr), ("fastserve.server\n", ""))


# -- What is there ---------------------------------------------------------------------------------


class Package(unittest.TestCase):
    def test_every_module_can_be_imported_without_cython(self) -> None:
        names = sorted(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
                       for path in PACKAGE.rglob("*.pyi"))
        self.assertGreater(len(names), 20)
        code = f"import sys, importlib; sys.modules['Cython'] = sys.modules['cython'] = None\n" \
               f"for name in {names}: assert importlib.import_module(name).__file__[-3:] == '.so'"
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=WAIT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_types_are_told(self) -> None:
        self.assertTrue((PACKAGE / "py.typed").is_file())
        told = {path.with_suffix("") for path in PACKAGE.rglob("*.pyi")}
        there = {path.parent / path.name.partition(".")[0] for path in PACKAGE.rglob("*.so")}
        self.assertEqual(told, there)

    def test_all_public_names(self) -> None:
        for name in fastserve.__all__:
            self.assertTrue(hasattr(fastserve, name), name)


@unittest.skipUnless(INSTALLED, "not asked for an installed package")
class Installed(InFolder):
    def test_it_is_in_this_environment_alone(self) -> None:
        self.assertTrue(PACKAGE.is_relative_to(Path(sys.prefix).resolve()), PACKAGE)
        self.assertEqual(PACKAGE.parent.name, "site-packages")

    def test_it_holds_no_sources_and_no_tests(self) -> None:
        files = importlib.metadata.files("fastserve")
        assert files
        tops = {path.parts[0] for path in files if path.parts[0] != ".."}
        self.assertEqual({re.sub(r"-.*\.", ".", top) for top in tops}, {"fastserve", "fastserve.dist-info"})
        kept = {path.suffix for path in files if path.parts[0] == "fastserve"}
        self.assertLessEqual(kept, {".py", ".pyc", ".pyi", ".so", ".typed", ".html", ".css", ".js"})

    def test_its_metadata(self) -> None:
        about = importlib.metadata.metadata("fastserve")
        self.assertEqual((about["Version"], about["License-Expression"]), (fastserve.__version__, "MIT"))
        asked = importlib.metadata.requires("fastserve") or []
        self.assertEqual([line for line in asked if "extra ==" not in line], [])

    def test_the_console_script(self) -> None:
        script = str(Path(sys.executable).parent / "fastserve")
        done = subprocess.run([script, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=WAIT)
        self.assertEqual((done.stdout, done.stderr), (f"fastserve {fastserve.__version__}\n", ""))
        with serving("-d", str(self.folder), command=(script,)) as port:
            self.assertEqual(Answer(port, "/text.txt").body, TEXT)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    unittest.main(argv=[word for word in sys.argv if word != "--installed"], verbosity=2)
