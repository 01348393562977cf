"""The command line, seen from outside: a real process, its output and exit status, a real client.

Every server listens on port 0 and tells its port in its first line. Every wait has an end. Knows
nothing of what is inside fastserve but the names of the functions that stand in cli.py.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import selectors
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cgi_scripts import ScriptFolder
from helpers import connect, request

import fastserve
from fastserve import assembly, cli, options
from fastserve.limits import Timeouts

WAIT = 20.0  # seconds; long for a loaded machine, and reached only when something is broken
PACKAGE_HOME = Path(fastserve.__file__).resolve().parents[1]
BANNER = re.compile(r"Serving (HTTPS?) on (\S+) port (\d+) \((https?)://(\S+):(\d+)/\) \.\.\.\n")
GOODBYE = "\nKeyboard interrupt received, exiting.\n"
BODY = bytes(range(256)) * 300


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


# -- Starting and asking -----------------------------------------------------------------------


def spawn(
    *args: str, code: str = "", program: Sequence[str] = ("-m", "fastserve"), **options: Any
) -> subprocess.Popen[bytes]:
    """Start the command line with these arguments, or Python with this code or program."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_HOME), **options.pop("env", {})}
    environment.pop("PYTHONUNBUFFERED", None)  # the first line must be flushed without it
    command = [sys.executable, *(["-c", code] if code else program), *args]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, **{**pipes, "preexec_fn": hear_ctrl_c, **options})


def hear_ctrl_c() -> None:
    """Runs in the child: a job of a shell script inherits an ignored SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """Read up to the end of the first line, or as far as the process comes within WAIT."""
    assert process.stdout
    line, deadline = b"", time.monotonic() + WAIT
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n") and selector.select(max(0.0, deadline - time.monotonic())):
            got = os.read(process.stdout.fileno(), 1)
            if not got:
                break
            line += got
    return line.decode()


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    banner: str
    scheme: str
    host: str
    port: int

    def get(self, path: str = "/", host: str = "127.0.0.1", context: ssl.SSLContext | None = None,
            ) -> tuple[http.client.HTTPResponse, bytes]:
        if self.scheme == "https":
            client: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, self.port, timeout=WAIT, context=context)
        else:
            client = http.client.HTTPConnection(host, self.port, timeout=WAIT)
        with contextlib.closing(client):
            client.request("GET", path)
            answer = client.getresponse()
            return answer, answer.read()

    def signal(self, number: int) -> tuple[int, str, str]:
        """Send a signal and return exit status, the rest of stdout, and stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=WAIT)
        return self.process.returncode, out.decode(), err.decode()


@contextlib.contextmanager
def serving(*args: str, **options: Any) -> Iterator[Server]:
    process = spawn(*args, **options)
    try:
        banner = first_line(process)
        match = BANNER.fullmatch(banner)
        if not match:
            process.kill()
            pytest.fail(f"no banner but {banner!r}; stderr {process.communicate()[1].decode()!r}")
        yield Server(process, banner, match[4], match[2], int(match[3]))
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            _, err = process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert b"Traceback" not in (err or b"")


def refused(*args: str, **options: Any) -> str:
    """Run what cannot start; return its complaint, one line without the prefix."""
    process = spawn(*args, **options)
    try:
        out, err = process.communicate(timeout=WAIT)
    finally:
        process.kill()
    complaint = err.decode()
    assert process.returncode == 2, complaint
    assert out == b""
    assert complaint.startswith("fastserve: error: ")
    assert complaint.count("\n") == 1
    assert complaint.endswith("\n")
    return complaint.removeprefix("fastserve: error: ").rstrip("\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "data.bin").write_bytes(BODY)
    (tree / "empty").write_bytes(b"")
    (tree / "page.html").write_text("<p>hello")
    (tree / "name.unheardof").write_text("what am I")
    (tree / "sub" / "deep.txt").write_text("deep")
    return tree


# -- The first line, and what is served --------------------------------------------------------


def test_serves_the_current_directory(folder: Path) -> None:
    with serving("0", cwd=folder) as server:
        for name, body in [("data.bin", BODY), ("empty", b""), ("sub/deep.txt", b"deep")]:
            answer, got = server.get("/" + name)
            assert (answer.status, got) == (200, body)
        answer, page = server.get("/")
        assert answer.status == 200
        assert b"data.bin" in page
        assert server.get("/missing")[0].status == 404


def test_directory_option(folder: Path, tmp_path: Path) -> None:
    with serving("0", "-d", "tree/sub", cwd=tmp_path) as server:
        assert server.get("/deep.txt")[1] == b"deep"
        assert server.get("/data.bin")[0].status == 404
        assert server.get("/../data.bin")[0].status == 404
    with serving("0", "--directory", str(folder)) as server:
        assert server.get("/data.bin")[1] == BODY


@needs_ipv6
def test_bind_to_an_ipv6_address(folder: Path) -> None:
    with serving("0", "--bind", "::1", "-d", str(folder)) as server:
        assert server.banner == f"Serving HTTP on ::1 port {server.port} (http://[::1]:{server.port}/) ...\n"
        assert server.get("/data.bin", host="::1")[1] == BODY
        with pytest.raises(OSError, match="refused"):
            server.get("/data.bin", host="127.0.0.1")


def test_bind_to_ipv4_only(folder: Path) -> None:
    with serving("0", "-b", "127.0.0.1", "-d", str(folder)) as server:
        port = server.port
        assert server.banner == f"Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...\n"
        assert server.get("/data.bin")[1] == BODY
        if has_ipv6():
            with pytest.raises(OSError, match="refused"):
                server.get("/data.bin", host="::1")


def test_bind_to_a_name(folder: Path) -> None:
    with serving("0", "-b", "localhost", "-d", str(folder)) as server:
        assert server.host in ("127.0.0.1", "::1")
        assert server.get("/data.bin", host=server.host)[1] == BODY


@needs_ipv6
@pytest.mark.parametrize("args", [["0"], ["0", "--bind", "::"]])
def test_dual_stack(folder: Path, args: list[str]) -> None:
    with serving(*args, "-d", str(folder)) as server:
        assert server.banner == f"Serving HTTP on :: port {server.port} (http://[::]:{server.port}/) ...\n"
        assert server.get("/data.bin", host="127.0.0.1")[1] == BODY
        assert server.get("/data.bin", host="::1")[1] == BODY


def test_without_ipv6_every_ipv4_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    assert assembly._address(None, 8000) == (socket.AF_INET, ("0.0.0.0", 8000))


def test_answers_on_one_connection_until_it_closes(folder: Path) -> None:
    with serving("0", "-d", str(folder)) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT)
        with contextlib.closing(client):
            client.connect()
            connection = client.sock
            for _ in range(5):
                client.request("GET", "/data.bin")
                answer = client.getresponse()
                assert (answer.version, answer.read()) == (11, BODY)
                assert client.sock is connection


@pytest.mark.skipif(not shutil.which("curl"), reason="this machine has no curl")
def test_curl_gets_the_same_bytes(folder: Path) -> None:
    with serving("0", "-d", str(folder)) as server:
        url = f"http://127.0.0.1:{server.port}/data.bin"
        got = subprocess.run(["curl", "-sS", "--noproxy", "*", url], capture_output=True, timeout=WAIT)
    assert (got.returncode, got.stdout, got.stderr) == (0, BODY, b"")


# -- Options of the answer ---------------------------------------------------------------------


@pytest.mark.parametrize(("word", "version"), [
    ("HTTP/1.0", 10), ("http/1.0", 10), ("HTTP/1.1", 11), ("http/1.1", 11), ("Http/1.1", 11)])
def test_protocol(folder: Path, word: str, version: int) -> None:
    with serving("0", "-p", word, "-d", str(folder)) as server:
        answer, body = server.get("/data.bin")
        assert (answer.version, answer.will_close, body) == (version, version == 10, BODY)


def test_header_twice(folder: Path) -> None:
    args = ["-H", "X-One", "first of all", "--header", "Set-Cookie", "a=1", "-H", "Set-Cookie", "b=2"]
    with serving("0", "-d", str(folder), *args) as server:
        for path in ("/data.bin", "/"):
            answer, _ = server.get(path)
            assert answer.status == 200
            assert answer.headers["X-One"] == "first of all"
            assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_content_type_of_unknown_names(folder: Path) -> None:
    with serving("0", "-d", str(folder), "--content-type", "text/plain;charset=utf-8") as server:
        assert server.get("/name.unheardof")[0].headers["Content-Type"] == "text/plain;charset=utf-8"
        assert server.get("/page.html")[0].headers["Content-Type"] == "text/html"
    with serving("0", "-d", str(folder)) as server:
        assert server.get("/name.unheardof")[0].headers["Content-Type"] == "application/octet-stream"


# -- TLS ---------------------------------------------------------------------------------------


def openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=WAIT)


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate, its key, the key under a password, a chain of all, and a strange key."""
    home = tmp_path_factory.mktemp("pem")
    curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    (home / "request.cnf").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=more\nprompt=no\n"
        "[name]\nCN=localhost\n[more]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("req", "-x509", "-newkey", "ec", *curve, "-nodes", "-days", "2", "-config", f"{home}/request.cnf",
            "-keyout", f"{home}/key.pem", "-out", f"{home}/cert.pem")
    openssl("pkey", "-aes256", "-passout", "pass:open sesame", "-in", f"{home}/key.pem",
            "-out", f"{home}/locked.pem")
    openssl("genpkey", "-algorithm", "EC", *curve, "-out", f"{home}/strange.pem")
    (home / "chain.pem").write_bytes((home / "key.pem").read_bytes() + (home / "cert.pem").read_bytes())
    (home / "password").write_text("open sesame\n")
    (home / "wrong").write_text("open barley\n")
    (home / "junk.pem").write_text("not what it seems\n")
    return home


@pytest.mark.parametrize("words", [
    ["--tls-cert", "cert.pem", "--tls-key", "key.pem"],
    ["--tls-cert", "chain.pem"],
    ["--tls-cert", "cert.pem", "--tls-key", "locked.pem", "--tls-password-file", "password"],
], ids=["cert-and-key", "one-file", "locked-key"])
def test_https(pem: Path, folder: Path, words: list[str]) -> None:
    trust = ssl.create_default_context(cafile=str(pem / "cert.pem"))
    with serving("0", "-b", "127.0.0.1", "-d", str(folder), *words, cwd=pem) as server:
        port = server.port
        assert server.banner == f"Serving HTTPS on 127.0.0.1 port {port} (https://127.0.0.1:{port}/) ...\n"
        answer, body = server.get("/data.bin", context=trust)
        assert (answer.status, answer.version, body) == (200, 11, BODY)
        assert server.signal(signal.SIGINT)[:2] == (0, GOODBYE)


@pytest.mark.parametrize(("words", "complaint"), [
    (["--tls-cert", "none.pem"], "cannot read the certificate 'none.pem': No such file"),
    (["--tls-cert", "."], "cannot read the certificate '.': Is a directory"),
    (["--tls-cert", "junk.pem"], "no PEM certificate in 'junk.pem'"),
    (["--tls-cert", "cert.pem"], "no PEM private key in 'cert.pem'; name its file with --tls-key"),
    (["--tls-cert", "cert.pem", "--tls-key", "none.pem"], "cannot read the private key 'none.pem'"),
    (["--tls-cert", "cert.pem", "--tls-key", "junk.pem"], "no PEM private key in 'junk.pem'"),
    (["--tls-cert", "cert.pem", "--tls-key", "strange.pem"], "does not belong to the certificate"),
    (["--tls-cert", "cert.pem", "--tls-key", "locked.pem"], "encrypted; give its password with --tls-pass"),
    (["--tls-cert", "cert.pem", "--tls-key", "locked.pem", "--tls-password-file", "wrong"],
     "the password does not open the private key in 'locked.pem'"),
    (["--tls-cert", "cert.pem", "--tls-key", "locked.pem", "--tls-password-file", "none"],
     "cannot read the password file 'none': No such file"),
    # "$CERT" of a variable that is not set: nobody wants plain HTTP then.
    (["--tls-cert", ""], "cannot read the certificate '': No such file"),
    (["--tls-cert", "cert.pem", "--tls-key", ""], "cannot read the private key '': No such file"),
    (["--tls-cert", "chain.pem", "--tls-password-file", ""], "cannot read the password file '': No such"),
    (["--tls-key", ""], "need --tls-cert"),
    (["--tls-password-file", ""], "need --tls-cert"),
    (["--tls-key", "key.pem"], "need --tls-cert"),
    (["--tls-password-file", "password"], "need --tls-cert"),
])
def test_tls_trouble(pem: Path, words: list[str], complaint: str) -> None:
    assert complaint in refused("0", "-b", "127.0.0.1", *words, cwd=pem, start_new_session=True)


def test_a_password_too_long_for_openssl(pem: Path, tmp_path: Path) -> None:
    long = tmp_path / "long"
    long.write_text("x" * 2000)
    words = ["--tls-cert", "cert.pem", "--tls-key", "locked.pem", "--tls-password-file", str(long)]
    assert "the password does not open" in refused("0", *words, cwd=pem)


def test_a_certificate_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may read everything, so the system is not asked.
    monkeypatch.setattr(assembly, "open", mock.Mock(side_effect=PermissionError(13, "Denied")), raising=False)
    trouble = assembly._pem_trouble("cert.pem", "CERTIFICATE-----", "certificate")
    assert trouble == "cannot read the certificate 'cert.pem': Denied"


# -- How long clients may take -----------------------------------------------------------------


def test_timeouts_are_the_servers(folder: Path) -> None:
    words = ["0", "-d", str(folder), "--head-timeout", "1.5", "--idle-timeout", "2",
             "--progress-timeout", "3e0", "--handshake-timeout", "4", "--min-rate", "0"]
    with assembly.make_server(options.parse(words)) as server:
        assert server.timeouts == Timeouts(  # type: ignore[attr-defined]
            head=1.5, idle=2, progress=3, handshake=4, grace=3, min_rate=0)


def test_a_client_that_takes_too_long(folder: Path) -> None:
    short = ["--head-timeout", "0.2", "--idle-timeout", "0.2", "--progress-timeout", "0.2"]
    body = request("POST", "/", "Content-Length: 9")
    with serving("0", "-b", "127.0.0.1", "-d", str(folder), *short) as server:
        for octets, status in ((b"", b""), (b"GET / HT", b"HTTP/1.1 408 "), (body, b"HTTP/1.1 408 ")):
            with connect(("127.0.0.1", server.port), WAIT) as sock:
                sock.sendall(octets)
                answer = b"".join(iter(lambda sock=sock: sock.recv(1 << 16), b""))
            assert answer[:13] == status


def test_a_body_that_comes_too_slowly(folder: Path) -> None:
    """An octet in time, each time: that is progress, and not enough."""
    words = ["--progress-timeout", "1", "--min-rate", "1000"]
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving("0", "-b", "127.0.0.1", "-d", str(folder), *words))
        sock = stack.enter_context(connect(("127.0.0.1", server.port), 0.05))
        sock.sendall(request("POST", "/", "Content-Length: 60000"))
        answer, deadline = b"", time.monotonic() + WAIT
        while not answer and time.monotonic() < deadline:
            sock.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = sock.recv(13)
    assert answer == b"HTTP/1.1 408 "


# -- Refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "complaint"), [
    (["-1"], "port '-1' is not a number from 0 to 65535"),
    (["65536"], "port '65536' is not a number from 0 to 65535"),
    (["9" * 5000], "is not a number from 0 to 65535"),
    (["http"], "port 'http' is not a number"),
    (["80 80"], "port '80 80' is not a number"),
    (["\N{FULLWIDTH DIGIT EIGHT}"], "is not a number"),
    (["-p", "HTTP/2"], "protocol 'HTTP/2' is not known; choose HTTP/1.1 or HTTP/1.0"),
    (["-p", "HTTP/0.9"], "protocol 'HTTP/0.9' is not known"),
    (["-p", ""], "protocol '' is not known"),
    (["-d", "nowhere"], "directory 'nowhere': No such file or directory"),
    (["-d", "page.html"], "directory 'page.html': Not a directory"),
    (["-d", ""], "directory ''"),
    (["-d", "two\nlines"], r"directory 'two\nlines'"),
    (["-b", "256.1.1.1"], "cannot find the address '256.1.1.1'"),
    (["-b", "no.such.host.invalid"], "cannot find the address 'no.such.host.invalid'"),
    (["-b", "a..b"], "cannot find the address 'a..b'"),
    (["-b", "192.0.2.1"], "this machine has no such address"),
    (["-H", "Bad Name", "x"], "header name 'Bad Name'"),
    (["-H", "", "x"], "header name ''"),
    (["-H", "X:", "x"], "header name 'X:'"),
    (["-H", "X", "a\r\nSet-Cookie: b"], "header value"),
    (["-H", "X", "a\nb"], "header value"),
    (["-H", "X", "\N{EURO SIGN}"], "header value"),
    (["-H", "X"], "expected 2 arguments"),
    (["--content-type", "text/plain\r\nX: y"], "header value"),
    (["--head-timeout", "0"], "timeout '0' is not a number of seconds above 0"),
    (["--idle-timeout", "-1"], "timeout '-1' is not a number of seconds"),
    (["--progress-timeout", "nan"], "timeout 'nan' is not a number of seconds"),
    (["--progress-timeout", "1e400"], "timeout '1e400' is not a number of seconds"),
    (["--handshake-timeout", "1_0"], "timeout '1_0' is not a number of seconds"),
    (["--handshake-timeout", ""], "timeout '' is not a number of seconds"),
    (["--min-rate", "-0.1"], "minimum rate '-0.1' is not a number of bytes a second, or 0 for none"),
    (["--min-rate", "all"], "minimum rate 'all' is not a number"),
    (["--nonsense"], "unrecognized arguments: --nonsense"),
    (["--nonsense\nof two lines"], r"unrecognized arguments: --nonsense\nof two lines"),
    (["8000", "8001"], "unrecognized arguments: 8001"),
    (["--bind"], "expected one argument"),
])
def test_refusal(folder: Path, words: list[str], complaint: str) -> None:
    port = [] if words[0][0] != "-" or words[0] == "-1" else ["0"]
    assert complaint in refused(*port, *words, cwd=folder, env={"PYTHONUTF8": "1"})


def test_a_nul_is_refused_too() -> None:
    for words in (["-H", "X", "a\0b"], ["-d", "a\0b"], ["--tls-password-file", "a\0b", "--tls-cert", "x"]):
        with pytest.raises(cli.Refusal):
            assembly.make_server(options.parse(words))


def test_busy_port(folder: Path) -> None:
    with serving("0", "-d", str(folder)) as server:
        assert f"cannot listen on port {server.port}: it is in use" in refused(str(server.port))
        assert server.get("/data.bin")[1] == BODY


def test_privileged_port(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = mock.Mock(side_effect=PermissionError(13, "Permission denied"))
    monkeypatch.setattr(cli.HTTPServer, "server_bind", denied)
    with pytest.raises(cli.Refusal, match=r"port 80: .* choose a port from 1024 up"):
        assembly.make_server(options.parse(["80"]))


def test_a_current_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    # The imports come first because some Pythons cannot import from where there is no directory.
    code = "import argparse, os, sys; from fastserve.cli import main; " \
           "os.rmdir(os.getcwd()); sys.exit(main(['0']))"
    assert refused(code=code, cwd=gone).startswith("cannot serve the current directory: ")


# -- Scripts -----------------------------------------------------------------------------------


def test_cgi_option(scripts: ScriptFolder) -> None:
    scripts.add("echo $PATH_INFO $SERVER_PROTOCOL")
    source = scripts.add("echo other", "other/script")
    with serving("0", "--cgi", "-d", str(scripts.path), "-H", "X-Of", "files") as server:
        answer, body = server.get("/cgi-bin/script/info")
        assert (answer.reason, body) == ("Script output follows", b"/info HTTP/1.1\n")
        assert answer.getheader("X-Of") is None
        answer, body = server.get("/other/script")
        assert (answer.getheader("X-Of"), body) == ("files", source.read_bytes())
        assert server.get("/cgi-bin/nothing")[0].status == 404


def test_scripts_are_files_without_the_option(scripts: ScriptFolder) -> None:
    source = scripts.add("echo output")
    with serving("0", "-d", str(scripts.path)) as server:
        assert server.get("/cgi-bin/script")[1] == source.read_bytes()


def test_cgi_over_tls(scripts: ScriptFolder, pem: Path) -> None:
    scripts.add("echo output")
    trust = ssl.create_default_context(cafile=str(pem / "cert.pem"))
    paths = "--tls-cert", str(pem / "cert.pem"), "--tls-key", str(pem / "key.pem")
    with serving("0", "-b", "127.0.0.1", "--cgi", "-d", str(scripts.path), *paths) as server:
        assert server.get("/cgi-bin/script", context=trust)[1] == b"output\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_holds_nobody_and_ends_with_the_server(scripts: ScriptFolder, number: int) -> None:
    scripts.add("sleep 1000 & note pid2 $!; note pid $$; wait", head="")
    scripts.add("echo output", "cgi-bin/other")
    with serving("0", "--cgi", "-d", str(scripts.path), "--grace", "0.1") as server:
        with connect(("127.0.0.1", server.port)) as waiting:
            waiting.sendall(request("GET", "/cgi-bin/script"))
            scripts.note("pid")
            assert server.get("/cgi-bin/other")[1] == b"output\n"
            assert server.signal(number)[0] == 0
        scripts.check_nothing_runs()


# -- Help --------------------------------------------------------------------------------------


def output(*args: str) -> str:
    out, err = spawn(*args).communicate(timeout=WAIT)
    assert err == b""
    return out.decode()


def test_help_names_every_option() -> None:
    text = output("--help")
    assert text.startswith("usage: python -m fastserve [options] [port]\n")
    for option in ("port", "--bind", "--directory", "--protocol", "--content-type", "--tls-cert", "--tls-key",
                   "--tls-password-file", "-H", "--header", "--cgi", "--version",
                   "--head-timeout", "--idle-timeout", "--progress-timeout", "--handshake-timeout",
                   "--min-rate"):
        assert option in text
    assert "how long clients may take:" in text


def test_version() -> None:
    assert output("--version") == f"fastserve {fastserve.__version__}\n"


def test_defaults() -> None:
    chosen = options.parse([])
    assert (chosen.port, chosen.bind, chosen.protocol) == (8000, None, "HTTP/1.1")
    assert options.timeouts(chosen) == Timeouts()


@pytest.mark.parametrize("line", [
    "", "8000", "8000 --cgi", "--cgi 8000", "-d . -b 127.0.0.1 0", "--bind ::1 --directory . 1",
    "-p http/1.0",
    "--health /up --max-connections 3 --pidfile here.pid", "--no-symlinks --hide-dotfiles --precompressed",
    "--head-timeout 1 --idle-timeout 2 --progress-timeout 3 --handshake-timeout 4 --min-rate 0 --grace 0",
    "--tls-cert a --tls-key b --tls-password-file c", "--unix sock --workers 2", "-b one -b two",
    "--charset utf-8 --content-type text/plain", "--grace 1 7 --cgi",
])
def test_a_plain_line_means_what_argparse_says(line: str) -> None:
    plain, whole = options.Plain().read(line.split()), options.make_parser().parse_args(line.split())
    assert plain is not None
    pidfiles = [vars(each).pop("pidfile") for each in (plain, whole)]
    assert vars(plain) == vars(whole)
    assert [each and each.path for each in pidfiles] == [pidfiles[1] and pidfiles[1].path] * 2


@pytest.mark.parametrize("line", [
    "-h", "--help", "--version", "1 2", "-b", "8000 -d", "--bind -x", "-b -1", "--direct .", "-d=.",
    "--grace=1", "-b127.0.0.1", "-H Name value", "--", "-- 8000", "-", "-1", "--none", "-x 3",
])
def test_a_line_that_is_not_plain_is_argparse_s(line: str) -> None:
    assert options.Plain().read(line.split()) is None



def test_usage_fits_how_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/fastserve"])
    assert options.make_parser().prog == "fastserve"
    monkeypatch.setattr(sys, "argv", ["/somewhere/fastserve/__main__.py"])
    assert options.make_parser().prog == "python -m fastserve"
