"""Each flag beyond http.server's, by a real process and a real client; and each wrong value of one.

What starts and asks is test_cli's. What the classes behind the flags do in all cases their own tests hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import wait_until
from test_cli import PACKAGE_HOME, WAIT, refused, serving, spawn

from fastserve import options

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")
SECRET = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of x


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "file.txt").write_bytes(b"octets")
    (tmp_path / "empty").mkdir()
    return tmp_path


def curl(url: str, *words: str) -> tuple[int, dict[str, str], str]:
    """Return status, fields by names in lower case, and body."""
    command = [CURL or "", "--silent", "--show-error", "--max-time", "10", "--path-as-is", "-i", *words, url]
    done = subprocess.run(command, capture_output=True, check=True, timeout=WAIT)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), fields, body.decode("utf-8", "replace")


@contextlib.contextmanager
def flags(home: Path, *words: str, **given: Any) -> Any:
    """Serve with these words; gives a function that asks for a path by curl."""
    with serving(*words, "-d", str(home), "-b", "127.0.0.1", "0", **given) as server:
        yield lambda path, *more: curl(f"{server.scheme}://127.0.0.1:{server.port}{path}", *more)


# -- What browsers may do ----------------------------------------------------------------------


def test_cors(home: Path) -> None:
    with flags(home, "--cors") as ask:
        assert ask("/file.txt")[1]["access-control-allow-origin"] == "*"
        assert ask("/none")[1]["access-control-allow-origin"] == "*"
        status, fields, _ = ask("/file.txt", "-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET")
        assert (status, fields["access-control-allow-methods"]) == (204, "GET, HEAD, OPTIONS")


def test_cors_for_one_origin(home: Path) -> None:
    with flags(home, "--cors", "https://a.example") as ask:
        fields = ask("/file.txt")[1]
        assert (fields["access-control-allow-origin"], fields["vary"]) == ("https://a.example", "Origin")


def test_isolate(home: Path) -> None:
    with flags(home, "--isolate") as ask:
        fields = ask("/file.txt")[1]
        assert fields["cross-origin-opener-policy"] == "same-origin"
        assert fields["cross-origin-embedder-policy"] == "require-corp"
        assert fields["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(("words", "expected"), [
    (["--no-cache"], "no-cache"), (["--cache-control", "max-age=60, immutable"], "max-age=60, immutable"),
    (["--no-cache", "-H", "cache-control", "private"], "private"),
])
def test_caching(words: list[str], expected: str, home: Path) -> None:
    with flags(home, *words) as ask:
        _, fields, _ = ask("/file.txt")
        assert fields["cache-control"] == expected
        again = ask("/file.txt", "-H", f"If-None-Match: {fields['etag']}")
        assert (again[0], again[1]["cache-control"]) == (304, expected)


# -- Files and folders -------------------------------------------------------------------------


def test_spa(home: Path) -> None:
    (home / "index.html").write_text("app")
    (home / "other.html").write_text("other")
    with flags(home, "--spa") as ask:
        assert (ask("/users/7")[0], ask("/users/7")[2], ask("/app.js")[0]) == (200, "app", 404)
    with flags(home, "--spa", "other.html") as ask:
        assert ask("/users/7")[2] == "other"


def test_no_listing(home: Path) -> None:
    with flags(home, "--no-listing") as ask:
        assert [ask(path)[0] for path in ("/", "/empty/", "/file.txt")] == [404, 404, 200]


def test_a_page_for_what_is_not_found(home: Path) -> None:
    (home / "404.html").write_text("lost")
    with flags(home) as ask:
        assert (ask("/none")[0], ask("/none")[2]) == (404, "lost")


@pytest.mark.parametrize(("words", "coding"), [
    (["--precompressed"], "gzip"), (["--precompressed", "--no-precompressed"], None), ([], None),
])
def test_precompressed(words: list[str], coding: str | None, home: Path) -> None:
    (home / "file.txt.gz").write_bytes(b"not really")
    with flags(home, *words) as ask:
        assert ask("/file.txt", "-H", "Accept-Encoding: gzip")[1].get("content-encoding") == coding


# -- Who may come in ---------------------------------------------------------------------------


@pytest.mark.parametrize("words", [
    ["--auth", "ann:x"], ["--auth", f"ann:{SECRET}"], ["--auth", "bob:y", "--auth", "ann:x"],
])
def test_auth(words: list[str], home: Path) -> None:
    with flags(home, *words) as ask:
        for more, status in (([], 401), (["-u", "ann:y"], 401), (["-u", "ann:x"], 200)):
            assert ask("/file.txt", *more)[0] == status


def test_a_file_of_users_is_not_served(home: Path) -> None:
    (home / "users").write_text("ann:x\n")
    with flags(home, "--auth-file", str(home / "users")) as ask:
        assert (ask("/file.txt", "-u", "ann:x")[0], ask("/users", "-u", "ann:x")[0]) == (200, 404)


def test_a_certificate_of_one_s_own(home: Path) -> None:
    pytest.importorskip("trustme")
    with flags(home, "--tls-self-signed") as ask:
        assert ask("/file.txt", "--insecure")[2] == "octets"


def test_a_certificate_is_for_this_machine(home: Path) -> None:
    pytest.importorskip("trustme")
    with serving("--tls-self-signed", "-d", str(home), "-b", "127.0.0.1", "0") as server:
        pem = ssl.get_server_certificate(("127.0.0.1", server.port))
    made = ssl._ssl._test_decode_cert(written(home, pem))  # type: ignore[attr-defined]
    assert {("DNS", "localhost"), ("IP Address", "127.0.0.1")} <= set(made["subjectAltName"])


def written(home: Path, text: str) -> str:
    (home / "made.pem").write_text(text)
    return str(home / "made.pem")


# -- Uploads -----------------------------------------------------------------------------------


def test_uploads(home: Path) -> None:
    with flags(home, "--upload", str(home / "empty"), "--upload-limit", "1K") as ask:
        status, fields, _ = ask("/empty/new.txt", "-T", str(home / "file.txt"))
        assert (status, fields["location"], ask("/empty/new.txt")[2]) == (201, "/empty/new.txt", "octets")
        assert ask("/empty/new.txt", "-T", str(home / "file.txt"))[0] == 409
        assert ask("/new.txt", "-T", str(home / "file.txt"))[0] in (403, 405)
        assert ask("/empty/", "-F", f"file=@{home / 'file.txt'}")[0] == 201
        (home / "large").write_bytes(b"x" * 1025)
        assert ask("/empty/large", "-T", str(home / "large"))[0] == 413
    assert (home / "empty" / "file.txt").read_bytes() == b"octets"


def test_uploads_that_overwrite(home: Path) -> None:
    (home / "other").write_text("other")
    with flags(home, "--upload", ".", "--upload-overwrite", cwd=home) as ask:
        assert (ask("/file.txt", "-T", str(home / "other"))[0], ask("/file.txt")[2]) == (204, "other")


def test_a_drop_box(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    box = tmp_path_factory.mktemp("box")
    with flags(home, "--upload", str(box)) as ask:
        assert ask("/new.txt", "-T", str(home / "file.txt"))[0] == 201
        assert ask("/new.txt")[0] == 404
    assert (box / "new.txt").read_bytes() == b"octets"


def test_uploads_into_a_folder_by_a_link(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "site"
    link.symlink_to(home)
    with flags(link, "--upload", str(home / "empty")) as ask:
        assert ask("/empty/new.txt", "-T", str(home / "file.txt"))[0] == 201


def test_uploads_by_who_may(home: Path) -> None:
    with flags(home, "--upload", str(home), "--auth", "ann:x") as ask:
        assert ask("/new.txt", "-T", str(home / "file.txt"))[0] == 401
        assert ask("/new.txt", "-T", str(home / "file.txt"), "-u", "ann:x")[0] == 201


# -- Settings ----------------------------------------------------------------------------------


def test_the_environment(home: Path) -> None:
    with flags(home, env={"FASTSERVE_NO_LISTING": "1", "FASTSERVE_HEADER": "X-Own: 1"}) as ask:
        assert (ask("/")[0], ask("/file.txt")[1]["x-own"]) == (404, "1")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_settings_in_the_folder_are_not_served(home: Path) -> None:
    (home / "fastserve.toml").write_text('auth = "ann:x"\nno-listing = true\n')
    with flags(home, cwd=home) as ask:
        for path, status in (("/file.txt", 200), ("/", 404), ("/fastserve.toml", 404)):
            assert ask(path, "-u", "ann:x")[0] == status
        assert ask("/file.txt")[0] == 401


# -- What is told ------------------------------------------------------------------------------


def on_a_terminal(home: Path, *words: str, **environment: str) -> str:
    """What a person sees before the first request."""
    main, terminal = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    env |= {"TERM": "xterm", **environment}
    process = spawn(*words, "-d", str(home), "0", stdout=terminal, env=env)
    os.close(terminal)
    seen, deadline = b"", time.monotonic() + WAIT
    while b"Ctrl-C" not in seen and time.monotonic() < deadline and process.poll() is None:
        if select.select([main], [], [], 0.1)[0]:
            seen += os.read(main, 65536)
    process.terminate()
    process.communicate(timeout=WAIT)
    os.close(main)
    return seen.decode()


def test_the_first_screen(home: Path) -> None:
    seen = on_a_terminal(home)
    first, *others = re.sub(r"\x1b\[\d+m", "", seen).splitlines()
    assert first.startswith("Serving HTTP on ")
    assert any(line.split() == ["folder", str(home)] for line in others)
    assert any(re.fullmatch(r"  here +http://localhost:\d+/", line) for line in others)
    assert others[-1].split() == ["stop", "Ctrl-C"]
    assert "\x1b[" in seen


def test_the_first_screen_without_colours(home: Path) -> None:
    assert "\x1b[" not in on_a_terminal(home, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(home, TERM="dumb")


def test_a_qr_code(home: Path) -> None:
    pytest.importorskip("segno")
    assert "\u2580" in on_a_terminal(home, "--qr")


def test_open(home: Path, tmp_path: Path) -> None:
    note, browser = tmp_path / "note", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {note}.new && mv {note}.new {note}\n')
    browser.chmod(0o755)
    words = ("--open", "-d", str(home), "-b", "127.0.0.1", "0")
    with serving(*words, env={"BROWSER": f"{browser} %s"}) as server:
        deadline = time.monotonic() + WAIT
        while not note.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert note.read_text() == f"http://127.0.0.1:{server.port}/\n"


@pytest.mark.parametrize(("words", "pattern"), [
    ([], r'127\.0\.0\.1 - - \[[^]]+\] "GET /file.txt HTTP/1.1" 200 -\n'),
    (["--log-format", "common"], r'127\.0\.0\.1 - - \[[^]]+ [+-]\d{4}\] "GET /file.txt HTTP/1.1" 200 6\n'),
    (["--log-format", "combined"], r'127.* 200 6 "http://a\.example/" "agent"\n'),
    (["--quiet"], ""),
])
def test_the_log(words: list[str], pattern: str, home: Path) -> None:
    with serving(*words, "-d", str(home), "-b", "127.0.0.1", "0") as server:
        url = f"http://127.0.0.1:{server.port}/file.txt"
        assert curl(url, "-A", "agent", "-e", "http://a.example/")[0] == 200
        code, _, err = server.signal(signal.SIGTERM)
    assert code == 0
    assert re.fullmatch(pattern, err)


def test_a_log_of_objects_in_a_file(home: Path) -> None:
    """The file is made anew when whoever rotates logs says so."""
    log, moved = home / "access.log", home / "moved.log"
    words = ("--log-format", "json", "--log-file", str(log), "-d", str(home), "-b", "127.0.0.1", "0")
    with serving(*words) as server:
        url = f"http://127.0.0.1:{server.port}/file.txt"
        curl(url)
        log.rename(moved)
        server.process.send_signal(signal.SIGUSR1)
        assert wait_until(log.exists)
        curl(f"{url}?again")
        assert curl(f"http://127.0.0.1:{server.port}/access.log")[0] == 404
        assert server.signal(signal.SIGTERM)[2] == ""
    lines = [json.loads(line) for file in (moved, log) for line in file.read_text().splitlines()]
    assert [(line["target"], line["status"], line["size"]) for line in lines[:2]] == [
        ("/file.txt", 200, 6), ("/file.txt?again", 200, 6)]


def test_metrics(home: Path) -> None:
    with flags(home, "--metrics", "/metrics", "--auth", "ann:x") as ask:
        for _ in range(3):
            ask("/file.txt", "-u", "ann:x")
        ask("/file.txt")
        status, fields, body = ask("/metrics")
    assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'fastserve_requests_total{method="GET",code="200"} 3\n' in body
    assert 'fastserve_requests_total{method="GET",code="401"} 1\n' in body


def test_completion() -> None:
    pytest.importorskip("shtab")
    for shell in ("bash", "zsh", "tcsh"):
        done = spawn("--print-completion", shell)
        out, err = done.communicate(timeout=WAIT)
        assert (done.returncode, err, b"--log-format" in out or b"log-format" in out) == (0, b"", True)


def test_help_is_80_columns_wide() -> None:
    done = spawn("--help", env={"COLUMNS": "80"})
    out, _ = done.communicate(timeout=WAIT)
    lines = out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "usage: python -m fastserve [options] [port]"
    for title in list(options.GROUPS)[1:]:
        assert f"{title}:" in lines


# -- What is wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "complaint"), [
    (["--cors", "ftp:/x.example"], "origin 'ftp:/x.example' is not of the form https://name[:port]; "),
    (["--cors", "https://a.example/path"], "origin 'https://a.example/path' is not of the form"),
    (["--spa=../x.html"], "page '../x.html' is not a file's name below the folder that is served"),
    (["--cache-control", "a\nb"], "header value 'a\\nb' must be one line of latin-1 text"),
    (["--no-cache", "--cache-control", "x"], "--no-cache and --cache-control are two answers to one "),
    (["--auth", "ann"], "--auth is to be USER:PASSWORD; the password may be sha256:HEX or sha512:HEX"),
    (["--auth", "ann:$1$x"], "cannot use --auth: it is a hash of a kind that is not known"),
    (["--auth-file", "/none"], "cannot read the users in '/none': No such file or directory"),
    (["--auth-file", os.devnull], "there is no user in '/dev/null'; give it lines USER:PASSWORD"),
    (["--tls-self-signed", "--tls-cert", "x"], "--tls-self-signed makes a certificate; leave out --tls"),
    (["--upload", "/none"], "cannot upload to '/none': No such file or directory; give a folder that is"),
    (["--upload-limit", "much"], "size 'much' is not a number of bytes, such as 500M or 2G"),
    (["--cgi", "--upload", "."], "--cgi and --upload do not go together"),
    (["--log-format", "xml"], "log format 'xml' is not known; choose one of http.server, common, "),
    (["--log-file", "/none/x", "0"], "cannot open the log file '/none/x': No such file or directory"),
    (["--metrics", "x"], "--metrics path 'x' is not right: it must begin with /"),
    (["--metrics", "/x", "--health", "/x"], "--metrics and --health need a path each"),
    (["--config", "/none.toml"], "cannot read the settings in '/none.toml': No such file or directory"),
    (["--print-completion", "fish"], "shell 'fish' is not known; choose one of bash, zsh, tcsh"),
])
def test_a_wrong_value_is_one_line(words: list[str], complaint: str) -> None:
    assert refused(*words).startswith(complaint)


@pytest.mark.parametrize(("words", "module", "extra"), [
    (["--tls-self-signed", "0"], "trustme", "tls"), (["--print-completion", "zsh"], "shtab", "completion"),
    (["--auth", "ann:$2y$05$" + "x" * 53, "0"], "bcrypt", "auth"),
    (["--qr", "-b", "127.0.0.1", "0"], "segno", "qr"),
])
def test_an_extra_that_is_missing(words: list[str], module: str, extra: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise ImportError")
    path = os.pathsep.join([str(tmp_path), str(PACKAGE_HOME)])
    done = spawn(*words, env={"PYTHONPATH": path})
    _, err = done.communicate(timeout=WAIT)
    assert done.returncode == 2
    assert err.decode().endswith(f"pip install 'fastserve[{extra}]'\n")
    assert err.count(b"\n") == 1


def test_a_port_in_use_names_the_next_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("-b", "127.0.0.1", str(port))
    free = re.search(r"it is in use; choose another port, the next free one is (\d+), or 0 for any", said)
    assert free
    assert int(free[1]) > port


def test_a_wrong_variable_is_one_line() -> None:
    assert refused(env={"FASTSERVE_PORT": "x"}) == "FASTSERVE_PORT: port 'x' is not a number from 0 to 65535"
