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
from handlers.uploading import is_receiving, put
from helpers import connect, listening, wait_until
from pairs import certificate
from test_cli import PACKAGE_HOME, WAIT, refused, serving, spawn
from test_cli_service import activation

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
        assert ask("/new.txt", "-T", str(home / "file.txt"))[0] == 405
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


@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_of_an_upload_that_is_cut_off_nothing_is_left(more: list[str], home: Path) -> None:
    words = ["--upload", ".", "--grace", "0.2", *more, "-d", str(home), "-b", "127.0.0.1", "0"]
    with serving(*words, cwd=home) as server, connect(("127.0.0.1", server.port), WAIT) as client:
        client.sendall(put("/new.bin", bytes(200_000))[:-100_000])
        assert wait_until(lambda: is_receiving(home), WAIT)
        assert server.signal(signal.SIGTERM)[0] == 0
    assert sorted(path.name for path in home.iterdir()) == ["empty", "file.txt"]


# -- What is the server's own ------------------------------------------------------------------

ANN = ("--insecure", "--user", "ann:x")


@pytest.fixture
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not served."""
    apart = tmp_path_factory.mktemp("apart")
    shutil.copy(certificate(), apart / "both.pem")
    (apart / "users").write_text("ann:x\n")
    return apart


def archived(ask: Any, name: str) -> bool:
    """Whether the archive of the folder has it; names stand there as they are."""
    assert "?archive=zip" in ask("/", *ANN)[2]
    octets = ask("/?archive=zip", *ANN)[2]
    assert "/file.txt" in octets
    return f"/{name}" in octets


@pytest.mark.parametrize(("words", "secret"), [
    (["--tls-cert", "both.pem", "--tls-key", "key.pem"], "key.pem"),
    (["--tls-cert", "both.pem"], "both.pem"),
    (["--tls-cert", "both.pem", "--tls-key", "key.pem"], "both.pem"),
    (["--tls-cert", "both.pem", "--tls-password-file", "users"], "users"),
    (["--auth-file", "users"], "users"),
    (["--log-file", "users"], "users"),
])
@pytest.mark.parametrize("kind", ["symlink_to", "hardlink_to"])
def test_what_leads_to_it_is_not_sent(
    words: list[str], secret: str, kind: str, home: Path, apart: Path
) -> None:
    shutil.copy(apart / "both.pem", apart / "key.pem")
    getattr(home / "link", kind)(apart / secret)
    with flags(home, *words, cwd=apart) as ask:
        assert [ask(path, *ANN)[0] for path in ("/file.txt", "/link", "/link")] == [200, 404, 404]
        assert not archived(ask, "link")


@pytest.mark.parametrize("words", [["--tls-cert", "both.pem"], ["--auth-file", "users"]])
def test_what_lies_in_the_folder_is_not_sent(words: list[str], apart: Path) -> None:
    """A certificate's file also holds its key, where no other file does."""
    (apart / "file.txt").write_bytes(b"octets")
    with flags(apart, *words, cwd=apart) as ask:
        assert [ask(path, *ANN)[0] for path in ("/file.txt", f"/{words[1]}")] == [200, 404]
        assert not archived(ask, words[1])


def test_nor_is_it_sent_instead(home: Path, apart: Path) -> None:
    """Nor as a compressed sibling, as the page of a 404, or by a link that comes to lead elsewhere."""
    (home / "file.txt.gz").symlink_to(apart / "users")
    (home / "404.html").symlink_to(apart / "users")
    (home / "users").symlink_to("version/users")
    (home / "version").symlink_to(apart)
    gzip = ("-H", "Accept-Encoding: gzip", *ANN)
    with flags(home, "--precompressed", "--auth-file", str(home / "users")) as ask:
        assert ask("/file.txt", *gzip)[2] == "octets"
        assert "ann:x" not in ask("/none", *ANN)[2]
        (home / "other").mkdir()
        (home / "other" / "users").write_text("ann:y")
        (home / "next").symlink_to("other")
        (home / "next").rename(home / "version")
        assert ask("/users", *ANN)[0] == 404
        assert not archived(ask, "users")


def test_settings_that_do_not_count_today(home: Path) -> None:
    for name in ("fastserve.toml", "today.toml", "new"):
        (home / name).write_text("quiet = true\n")
    words = ("--config", "today.toml", "--upload", ".", "--upload-overwrite")
    with flags(home, *words, cwd=home) as ask:
        for path in ("/fastserve.toml", "/today.toml"):
            assert [ask(path)[0], ask(path, "-T", str(home / "new"))[0]] == [404, 403]


def test_a_certificate_alone_may_be_sent(apart: Path) -> None:
    """Whoever connects has it."""
    both = (apart / "both.pem").read_text()
    (apart / "cert.pem").write_text(both[both.index("-----BEGIN CERTIFICATE") :])
    with flags(apart, "--tls-cert", "cert.pem", "--tls-key", "both.pem", cwd=apart) as ask:
        assert [ask(path, *ANN)[0] for path in ("/cert.pem", "/both.pem")] == [200, 404]


def test_nobody_puts_settings_there(home: Path) -> None:
    """Where there are none yet, and the next server that is started would read them."""
    (home / "new").write_text("port = 1\n")
    (home / "loop").symlink_to(".")
    with flags(home, "--upload", ".", "--upload-overwrite", cwd=home) as ask:
        for path in ("/fastserve.toml", "/%66astserve.toml", "/loop/fastserve.toml"):
            assert ask(path, "-T", str(home / "new"))[0] == 403
        assert ask("/", "-F", f"file=@{home / 'new'};filename=fastserve.toml")[0] == 403
        assert not (home / "fastserve.toml").exists()
        assert ask("/empty/fastserve.toml", "-T", str(home / "new"))[0] == 201


def test_nobody_puts_users_there(home: Path, apart: Path) -> None:
    (home / "link").symlink_to(apart / "users")
    (home / "users").write_text("ann:x\n")
    for users, path in ((apart / "users", "/link"), (home / "users", "/users")):
        with flags(home, "--upload", str(home), "--upload-overwrite", "--auth-file", str(users)) as ask:
            assert ask(path, "-T", str(home / "file.txt"), *ANN)[0] == 403
        assert users.read_text() == "ann:x\n"


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


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_the_first_screen_without_colours(environment: dict[str, str], home: Path) -> None:
    seen = on_a_terminal(home, **environment)
    assert "Ctrl-C" in seen
    assert "\x1b[" not in seen


def test_a_folder_whose_name_is_not_for_a_terminal(home: Path) -> None:
    (home / "two\nlines\x1b[2J").mkdir()
    seen = on_a_terminal(home / "two\nlines\x1b[2J", NO_COLOR="1")
    assert seen.splitlines()[1].split() == ["folder", str(home / r"two\nlines\x1b[2J")]
    assert "\x1b" not in seen


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


@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_a_log_of_objects_in_a_file(more: list[str], home: Path) -> None:
    """The file is made anew when whoever rotates logs says so."""
    log, moved = home / "access.log", home / "moved.log"
    words = ("--log-format", "json", "--log-file", str(log), "-d", str(home), "-b", "127.0.0.1", "0", *more)
    with serving(*words) as server:
        url = f"http://127.0.0.1:{server.port}/file.txt"
        curl(url)
        log.rename(moved)
        server.process.send_signal(signal.SIGUSR1)
        assert wait_until(log.exists)
        # A worker hears of it a moment later than the process that they belong to.
        assert wait_until(lambda: curl(f"{url}?again")[0] == 200 and log.read_text(), WAIT)
        assert curl(f"http://127.0.0.1:{server.port}/access.log")[0] == 404
        assert server.signal(signal.SIGTERM)[2] == ""
    lines = [json.loads(line) for file in (moved, log) for line in file.read_text().splitlines()]
    assert {("/file.txt", 200, 6), ("/file.txt?again", 200, 6)} < {
        (line["target"], line["status"], line["size"]) for line in lines}


def test_metrics(home: Path) -> None:
    with flags(home, "--metrics", "/metrics", "--auth", "ann:x") as ask:
        for _ in range(3):
            ask("/file.txt", "-u", "ann:x")
        ask("/file.txt")
        status, fields, body = ask("/metrics")
    assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'fastserve_requests_total{method="GET",code="200"} 3\n' in body
    assert 'fastserve_requests_total{method="GET",code="401"} 1\n' in body


@pytest.mark.parametrize(("shell", "command"), [
    ("bash", rb"^complete .* -F \w+ fastserve$"), ("zsh", rb"^#compdef fastserve$"),
    ("tcsh", rb"^complete fastserve "),
])
def test_completion(shell: str, command: bytes) -> None:
    """Of the command, also where Python was asked."""
    pytest.importorskip("shtab")
    done = spawn("--print-completion", shell)
    out, err = done.communicate(timeout=WAIT)
    assert (done.returncode, err, b"log-format" in out) == (0, b"", True)
    assert re.search(command, out, re.MULTILINE)


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
    (["--upload-limit", "5M"], "--upload-limit and --upload-overwrite need --upload"),
    (["--upload-overwrite"], "--upload-limit and --upload-overwrite need --upload"),
    (["--open", "--unix", "socket"], "--open and --qr need an address with a port; a unix socket has none"),
    (["--qr", "--unix", "socket"], "--open and --qr need an address with a port; a unix socket has none"),
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


@pytest.mark.parametrize("word", ["--open", "--qr"])
def test_an_inherited_socket_without_a_port(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket may be no longer than about a hundred octets
    with listening(socket.AF_UNIX, "socket") as sock:
        assert refused(word, **activation(sock)).startswith("--open and --qr need an address with a port")


@pytest.mark.parametrize(("words", "module", "extra"), [
    (["--tls-self-signed", "0"], "trustme", "tls"), (["--print-completion", "zsh"], "shtab", "completion"),
    (["--auth", "ann:$2y$05$" + "x" * 53, "0"], "bcrypt", "auth"),
    (["--qr", "-b", "127.0.0.1", "0"], "segno", "qr"),
])
def test_an_extra_that_is_missing(words: list[str], module: str, extra: str, tmp_path: Path) -> None:
    assert refused(*words, env=without(module, tmp_path)).endswith(f"pip install 'fastserve[{extra}]'")


def without(module: str, folder: Path) -> dict[str, str]:
    """The environment of a machine that has no such module."""
    (folder / f"{module}.py").write_text("raise ImportError")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(PACKAGE_HOME)])}


@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_without_qr_codes_nothing_is_served(more: list[str], tmp_path: Path) -> None:
    """Nor is it tried: the port is not looked at."""
    with listening() as taken:
        port = str(taken.getsockname()[1])
        said = refused("--qr", "-b", "127.0.0.1", port, *more, env=without("segno", tmp_path))
    assert said.startswith("--qr needs segno")


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
