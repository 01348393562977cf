"""CGIHTTPRequestHandler: which requests run a script, what it is told, and what is answered where none runs.

What moves between a script and its client, and how one ends, is test_script.py's.
"""

import base64
import functools
import http.server
import os
import pwd
import socket
import socketserver
import sys
from typing import Any

import pytest
from cgi_scripts import ScriptFolder
from helpers import ask, request

import fastserve
from fastserve import CGIHTTPRequestHandler, SimpleHTTPRequestHandler
from fastserve.handlers import cgi

from .makers import get, head


def post(target: str, body: bytes = b"", *fields: str) -> bytes:
    return request("POST", target, *fields, body=body)


def told(body: bytes) -> dict[str, str]:
    """What env has printed."""
    pairs = (line.partition("=") for line in body.decode().splitlines() if "=" in line)
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize(("attributes", "refused"), [
    ({}, []),
    ({"hide_dotfiles": True}, ["/cgi-bin/.hidden", "/cgi-bin/.folder/script"]),
    ({"follow_symlinks": False}, ["/cgi-bin/link", "/cgi-bin/folder/script"]),
])
def test_scripts_that_are_not_served(
    scripts: ScriptFolder, serve: Any, attributes: dict[str, bool], refused: list[str]
) -> None:
    """What holds for files holds for scripts."""
    scripts.add("echo ran")
    scripts.add("echo ran", "outside/script")
    scripts.add("echo ran", "cgi-bin/.hidden")
    scripts.add("echo ran", "cgi-bin/.folder/script")
    (scripts.path / "cgi-bin" / "link").symlink_to("../outside/script")
    (scripts.path / "cgi-bin" / "folder").symlink_to("../outside")
    address = scripts.serve(serve, **attributes).server_address
    targets = ["/cgi-bin/script", "/cgi-bin/link", "/cgi-bin/folder/script", "/cgi-bin/.hidden",
               "/cgi-bin/.folder/script"]
    for target in targets:
        reply = ask(address, get(target))
        assert (reply.status, b"ran" in reply.body) == ((404, False) if target in refused else (200, True))


@pytest.fixture
def as_ourselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """For scripts that run this Python, which root's nobody may not reach."""
    monkeypatch.setattr(cgi, "nobody_uid", lambda: -1)


# -- Which requests ----------------------------------------------------------------------------


COLLAPSED = {
    "": "//", "/": "//", "//": "//", "/.": "//", "/a/..": "//", ".": "//",
    "a": "//a", "/a": "//a", "//a": "//a", "./a": "//a", "/./a": "//a", "/b/../a": "//a",
    "/a/b": "/a/b", "a/b": "/a/b", "/a//b": "/a/b", "/a/./b": "/a/b", "/a/c/../b": "/a/b",
    "/a/b/": "/a/b/", "/a/b/.": "/a/b/", "/a/b/c/..": "/a/b/", "/a/b//": "/a/b/",
    "/a/b?": "/a/b", "/a/b?c": "/a/b?c", "/a/b?../c//d?e": "/a/b?../c//d?e", "?q": "//?q",
    "/a%2Fb": "/a/b", "/a/c%2F%2e%2E/b": "/a/b", "/a/%62": "/a/b", "/a/%2562": "/a/%62",
    "/a/%3Fb": "/a/?b", "/a/b?%2e%2e%2F": "/a/b?%2e%2e%2F", "/\\..\\a": "//\\..\\a", "/a/...": "/a/...",
}


@pytest.mark.parametrize("path", COLLAPSED)
def test_a_collapsed_path(path: str) -> None:
    assert cgi._url_collapse_path(path) == COLLAPSED[path]


@pytest.mark.parametrize("path", [
    "..", "/..", "/.//..", "/a/../..", "/a/../../b", "/%2e%2e/a", "/a%2f..%2f../b",
])
def test_a_path_that_leads_out_is_not_collapsed(path: str) -> None:
    with pytest.raises(IndexError):
        cgi._url_collapse_path(path)


def asked(path: str, *folders: str) -> tuple[str, str] | None:
    """What is_cgi() finds."""
    handler = CGIHTTPRequestHandler.__new__(CGIHTTPRequestHandler)
    handler.path = path
    if folders:
        handler.cgi_directories = list(folders)
    return handler.cgi_info if handler.is_cgi() else None


@pytest.mark.parametrize(("path", "folders", "found"), [
    ("/cgi-bin/a", (), ("/cgi-bin", "a")),
    ("/htbin/a", (), ("/htbin", "a")),
    ("/cgi-bin/", (), ("/cgi-bin", "")),
    ("/cgi-bin/a/b?c=d", (), ("/cgi-bin", "a/b?c=d")),
    ("/cgi-bin/a?", (), ("/cgi-bin", "a?")),
    ("/cgi-bin", (), None),
    ("/cgi-binary/a", (), None),
    ("/x/cgi-bin/a", (), None),
    ("/CGI-BIN/a", (), None),
    ("/a", (), None),
    ("/", (), None),
    ("/a?/cgi-bin/b", (), None),
    ("/a/b/c/d", ("/a/b", "/a/b/c"), ("/a/b", "c/d")),
    ("/a", ("/",), ("/", "a")),
    ("/a/b", ("/",), None),
    ("/a/b", ("", "a", "/a/"), None),
    # As a file's name is read: decoded once, without a host and a fragment.
    ("/cgi%2Dbin%2Fa", (), ("/cgi-bin", "a")),
    ("http://host/cgi-bin/a?b", (), ("/cgi-bin", "a?b")),
    ("/cgi-bin/a#b", (), ("/cgi-bin", "a")),
    ("/cgi-bin/a?b#c", (), ("/cgi-bin", "a?b#c")),
    ("/cgi-bin/%25%3F%23?%3F", (), ("/cgi-bin", "%25%3F%23?%3F")),
    ("/100%25/a%2561", ("/100%",), ("/100%25", "a%2561")),
])
def test_what_is_a_script(path: str, folders: tuple[str, ...], found: Any) -> None:
    assert asked(path, *folders) == found


def test_files_are_served_as_ever(host: Any, serve: Any, client: Any, scripts: ScriptFolder) -> None:
    scripts.add("echo output")
    scripts.add("echo output", "elsewhere/script")
    server = scripts.serve(serve, host, protocol_version="HTTP/1.1")
    with client(server) as peer:
        assert peer.ask(get("/elsewhere/script")).body.startswith(b"#!/bin/sh\n")
        assert peer.ask(head("/elsewhere/script")).get("Content-Type") == "application/octet-stream"
        assert b"cgi-bin/" in peer.ask(get("/")).body
        assert peer.ask(get("/cgi-bin")).status == 301
        assert peer.ask(get("/cgi-bin/script")).body == b"output\n"
        assert peer.is_closed()


SERVERS = {
    "loop": fastserve.HTTPServer,
    "threads": fastserve.ThreadingHTTPServer,
    "http.server": http.server.HTTPServer,
    "http.server-threads": http.server.ThreadingHTTPServer,
}


@pytest.mark.parametrize("name", SERVERS)
def test_on_every_server(name: str, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("env; cat")
    server = scripts.serve(serve, SERVERS[name])
    for target in ("/cgi-bin/script", "/cgi-bin/script/more"):
        reply = ask(server.server_address, post(target, b"x=" + b"the body" * 9000))
        assert reply.line == "HTTP/1.0 200 Script output follows"
        assert [name for name, _ in reply.headers] == ["Server", "Date", "Content-Type"]
        assert reply.body.endswith(b"x=" + b"the body" * 9000)
        assert told(reply.body)["SERVER_PORT"] == str(server.server_port)
        assert told(reply.body)["SERVER_NAME"] == server.server_name


def test_a_server_may_have_no_name(serve: Any, scripts: ScriptFolder) -> None:
    """As socketserver's own."""
    scripts.add("env")
    server = scripts.serve(serve, socketserver.TCPServer)
    variables = told(ask(server.server_address, get("/cgi-bin/script")).body)
    assert (variables["SERVER_NAME"], variables["SERVER_PORT"]) == (
        "127.0.0.1", str(server.server_address[1]))


def test_a_client_may_have_no_address(serve: Any, scripts: ScriptFolder) -> None:
    class Local(fastserve.HTTPServer):
        address_family = socket.AF_UNIX

    scripts.add("env")
    address = str(scripts.path / "socket")
    serve(functools.partial(CGIHTTPRequestHandler, directory=scripts.path), Local, address)
    variables = told(ask(address, get("/cgi-bin/script")).body)
    assert (variables["REMOTE_ADDR"], variables["SERVER_PORT"]) == ("", "")


# -- Overrides ---------------------------------------------------------------------------------


def test_cgi_directories_of_a_class(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("echo one", "deep/in/here/script")
    scripts.add("echo two")
    server = scripts.serve(serve, host, cgi_directories=["/deep/in"])
    assert ask(server.server_address, get("/deep/in/here/script")).body == b"one\n"
    assert ask(server.server_address, get("/cgi-bin/script")).body.startswith(b"#!")


def test_is_cgi_may_be_overridden(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    """As people do who have one script for everything; what they put there is encoded still, or plain."""
    scripts.add("env", "cgi-bin/a script")

    def is_cgi(self: Any) -> bool:
        self.cgi_info = "/cgi-bin", "a%20script" + self.path
        return True

    server = scripts.serve(serve, host, is_cgi=is_cgi)
    for method in ("GET", "POST"):
        variables = told(ask(server.server_address, request(method, "/any/%41/path?query")).body)
        assert variables["SCRIPT_NAME"] == "/cgi-bin/a script"
        assert (variables["PATH_INFO"], variables["QUERY_STRING"]) == ("/any/A/path", "query")


def test_run_cgi_may_be_overridden(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("echo output")

    def run_cgi(self: Any) -> Any:
        self.cgi_info = self.cgi_info[0], self.cgi_info[1] + "ipt"
        return CGIHTTPRequestHandler.run_cgi(self)

    server = scripts.serve(serve, host, run_cgi=run_cgi)
    assert ask(server.server_address, get("/cgi-bin/scr")).body == b"output\n"


def test_is_executable_may_be_overridden(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    files = [scripts.add("echo output", f"cgi-bin/{name}") for name in ("one", "two")]
    asked: list[str] = []

    def is_executable(self: Any, path: str) -> bool:
        asked.append(path)
        return path.endswith("one")

    server = scripts.serve(serve, host, is_executable=is_executable)
    assert ask(server.server_address, get("/cgi-bin/one")).status == 200
    assert ask(server.server_address, get("/cgi-bin/two")).status == 403
    assert asked == [str(file) for file in files]


def test_our_streams_although_rbufsize_is_0(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    seen: list[Any] = []

    def run_cgi(self: Any) -> Any:
        seen.append((self.rbufsize, type(self.rfile).__name__, type(self.wfile).__name__))
        return CGIHTTPRequestHandler.run_cgi(self)

    scripts.add("echo output")
    server = scripts.serve(serve, host, run_cgi=run_cgi)
    assert ask(server.server_address, get("/cgi-bin/script")).body == b"output\n"
    assert seen == [(0, "RequestReader", "ResponseWriter")]


def test_the_class_is_what_http_server_has() -> None:
    assert issubclass(CGIHTTPRequestHandler, SimpleHTTPRequestHandler)
    assert CGIHTTPRequestHandler.cgi_directories == ["/cgi-bin", "/htbin"]
    assert CGIHTTPRequestHandler.have_fork == hasattr(os, "fork")
    assert CGIHTTPRequestHandler.rbufsize == 0
    handler = CGIHTTPRequestHandler.__new__(CGIHTTPRequestHandler)
    for path, python in [("a.py", True), ("a.PYW", True), ("a.pyc", False), ("py", False), (".py", False)]:
        assert handler.is_python(path) == python
    assert handler.is_executable("/bin/sh")
    assert not handler.is_executable("/nothing")


# -- What a script is told ---------------------------------------------------------------------


def test_the_variables_of_a_request(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("env")
    server = scripts.serve(serve, host)
    reply = ask(server.server_address, post(
        "/cgi-bin/script/path%20info/x?a=b&c+d", b"12345", "Content-Type: text/x-own; a=b", "Accept: text/a",
        "Accept: text/b, text/c", "User-Agent: Agent/1", "Referer: http://there/", "Cookie: a=1",
        "Cookie: b=2",
        "Authorization: Basic " + base64.b64encode(b"user:pass:word").decode()))
    expected = {
        "AUTH_TYPE": "Basic",
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "text/x-own; a=b",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "HTTP_ACCEPT": "text/a,text/b, text/c",
        "HTTP_COOKIE": "a=1, b=2",
        "HTTP_REFERER": "http://there/",
        "HTTP_USER_AGENT": "Agent/1",
        "PATH_INFO": "/path info/x",
        "PATH_TRANSLATED": str(scripts.path / "path info" / "x"),
        "QUERY_STRING": "a=b&c+d",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_HOST": "",
        "REMOTE_USER": "user",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/cgi-bin/script",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "SERVER_SOFTWARE": reply.get("Server"),
    }
    variables = told(reply.body)
    assert {name: variables.get(name) for name in expected} == expected


def test_the_variables_of_a_bare_request(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("env")
    server = scripts.serve(serve, host, protocol_version="HTTP/1.1")
    variables = told(ask(server.server_address, get("/cgi-bin/script")).body)
    empty = {name for name, value in variables.items() if not value}
    assert {"CONTENT_LENGTH", "HTTP_ACCEPT", "HTTP_COOKIE", "HTTP_REFERER", "HTTP_USER_AGENT", "PATH_INFO",
            "QUERY_STRING", "REMOTE_HOST"} <= empty
    assert not {"AUTH_TYPE", "REMOTE_IDENT", "REMOTE_USER"} & variables.keys()
    assert variables["CONTENT_TYPE"] == "text/plain"
    assert variables["REQUEST_METHOD"] == "GET"
    assert variables["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert variables["PATH_TRANSLATED"] == str(scripts.path)


def test_the_server_s_own_environment_is_passed_on(
        serve: Any, scripts: ScriptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_SERVER", "value \udcff")
    monkeypatch.setenv("SERVER_SOFTWARE", "another")
    monkeypatch.setenv("QUERY_STRING", "another")
    scripts.add("printf %s \"$OF_THE_SERVER|$QUERY_STRING\"")
    server = scripts.serve(serve)
    assert ask(server.server_address, get("/cgi-bin/script")).body == b"value \xff|"
    assert os.environ["SERVER_SOFTWARE"] == "another"


def test_cve_2016_1000110_no_request_sets_http_proxy(
        host: Any, serve: Any, scripts: ScriptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a script take what the server was started with for a request's."""
    for name in ("HTTP_PROXY", "HTTP_COOKIE", "HTTP_X", "REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT"):
        monkeypatch.setenv(name, "of the server")
    monkeypatch.setenv("http_proxy", "of the server")
    scripts.add("env")
    server = scripts.serve(serve, host)
    variables = told(ask(server.server_address, get("/cgi-bin/script", "Proxy: evil:1", "X: y")).body)
    assert not {"HTTP_PROXY", "HTTP_X", "REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT"} & variables.keys()
    assert variables["HTTP_COOKIE"] == ""
    assert variables["http_proxy"] == "of the server"


@pytest.mark.parametrize(("field", "kind", "user"), [
    ("Basic dXNlcjpwYXNz", "Basic", "user"),
    ("bAsIc dXNlcjpwYXNz", "bAsIc", "user"),
    ("Basic  dXNlcjpwOmE6c3M= ", "Basic", "user"),
    ("Basic OnBhc3M=", "Basic", ""),
    ("Basic dXNlcg==", "Basic", None),
    ("Basic \xe9\xe9\xe9\xe9", "Basic", None),
    ("Basic w7xzZXI6cGFzcw==", "Basic", None),
    ("Basic d", "Basic", None),
    ("Bearer dXNlcjpwYXNz", "Bearer", None),
    ("Basic", None, None),
    ("Basic a b", None, None),
    ("", None, None),
])
def test_users(field: str, kind: str | None, user: str | None) -> None:
    variables = cgi.user_of(field)
    assert (variables.pop("AUTH_TYPE", None), variables.pop("REMOTE_USER", None)) == (kind, user)
    assert not variables


@pytest.mark.parametrize(("query", "words"), [
    ("", [""]), ("word", ["word"]), ("two+words", ["two words"]), ("%2B+%20", ["%2B %20"]),
    ("a=b", []), ("a+b=", []), ("=", []),
    ("-s", []), ("+-s", []), ("++-s", []), ("-s+-d", []), ("a-s", ["a-s"]), ("%2Ds", ["%2Ds"]),
])
def test_a_query_as_arguments(
        query: str, words: list[str], host: Any, serve: Any, scripts: ScriptFolder) -> None:
    """And CVE-2012-1823: never as an option."""
    scripts.add('for word in "$@"; do echo "($word)"; done')
    server = scripts.serve(serve, host)
    reply = ask(server.server_address, get(f"/cgi-bin/script?{query}"))
    assert reply.body.decode().splitlines() == [f"({word})" for word in words]


# -- Folders below -----------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "name", "info"), [
    ("/cgi-bin/script", "/cgi-bin/script", ""),
    ("/cgi-bin/script/", "/cgi-bin/script", "/"),
    ("/cgi-bin/script/a/b", "/cgi-bin/script", "/a/b"),
    ("/cgi-bin/script/a//b/../c/.", "/cgi-bin/script", "/a/c/"),
    ("/cgi-bin/a/b/script", "/cgi-bin/a/b/script", ""),
    ("/cgi-bin/a/b/script/path/info", "/cgi-bin/a/b/script", "/path/info"),
    ("/cgi-bin/a/../script/a", "/cgi-bin/script", "/a"),
    ("/cgi-bin%2Fscript%2Fa", "/cgi-bin/script", "/a"),
    ("/cgi-bin/s%70ace%20d", "/cgi-bin/space d", ""),
    ("/cgi-bin/%C3%BC%25%3F%23/%C3%BC%25%3F%23", "/cgi-bin/\xfc%?#", "/\xfc%?#"),
    ("/cgi-bin/script/%2541", "/cgi-bin/script", "/%41"),
    ("http://host/cgi-bin/script/a", "/cgi-bin/script", "/a"),
])
def test_scripts_and_what_follows_them(
        target: str, name: str, info: str, host: Any, serve: Any, scripts: ScriptFolder) -> None:
    for script in ("script", "a/b/script", "space d", "\xfc%?#"):
        scripts.add("env", f"cgi-bin/{script}")
    server = scripts.serve(serve, host)
    for query in ("", "?query/../a"):
        variables = told(ask(server.server_address, get(target + query)).body)
        assert (variables["SCRIPT_NAME"], variables["PATH_INFO"]) == (name, info)
        assert variables["PATH_TRANSLATED"] == (
            os.path.join(scripts.path, info[1:]) if info else str(scripts.path))
        assert variables["QUERY_STRING"] == query[1:]


# -- What does not run -------------------------------------------------------------------------


def test_refusals(host: Any, serve: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("", mode=0o644)
    scripts.add("", "cgi-bin/folder/script")
    scripts.add("", "cgi-bin/text", mode=0o644)
    (scripts.path / "cgi-bin" / "no-format").write_text("no program")
    (scripts.path / "cgi-bin" / "no-format").chmod(0o755)
    (scripts.path / "cgi-bin" / "no-interpreter").write_text("#!/no/interpreter\n")
    (scripts.path / "cgi-bin" / "no-interpreter").chmod(0o755)
    (scripts.path / "cgi-bin" / "link").symlink_to("nowhere")
    server = scripts.serve(serve, host)
    for target, status, message in [
        ("/cgi-bin/nothing", 404, "No such CGI script ('/cgi-bin/nothing')"),
        ("/cgi-bin/nothing/at/all?x", 404, "No such CGI script ('/cgi-bin/nothing')"),
        ("/cgi-bin/link", 404, "No such CGI script ('/cgi-bin/link')"),
        ("/cgi-bin/a%00b", 404, "No such CGI script ('/cgi-bin/a\\\\x00b')"),
        ("/cgi-bin/", 403, "CGI script is not a plain file ('/cgi-bin/')"),
        ("/cgi-bin/folder", 403, "CGI script is not a plain file ('/cgi-bin/folder')"),
        ("/cgi-bin/folder/", 403, "CGI script is not a plain file ('/cgi-bin/folder/')"),
        ("/cgi-bin/text", 403, "CGI script is not executable ('/cgi-bin/text')"),
        ("/cgi-bin/no-format", 403, "CGI script cannot be run ('/cgi-bin/no-format')"),
        ("/cgi-bin/no-interpreter", 403, "CGI script cannot be run ('/cgi-bin/no-interpreter')"),
        ("/cgi-bin/folder/script/a%00b", 403, "CGI script cannot be run ('/cgi-bin/folder/script')"),
        ("/../cgi-bin/script", 400, "Path leads out of the root"),
    ]:
        for octets in (get(target), head(target), post(target, b"body")):
            assert ask(server.server_address, octets).status == status
            assert f"code {status}, message {message}" in log.messages()


def test_post_is_for_scripts(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("echo output", "script")
    server = scripts.serve(serve, host)
    for target in ("/script", "/", "/nothing", "/cgi-bin"):
        reply = ask(server.server_address, post(target, b"body"))
        assert reply.line == "HTTP/1.0 501 Can only POST to CGI scripts"


def test_a_chunked_body_has_no_length(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    """And CONTENT_LENGTH, by which a script reads, must be that of the decoded one (RFC 3875 4.1.2)."""
    scripts.add("echo output")
    server = scripts.serve(serve, host, protocol_version="HTTP/1.1")
    octets = request("POST", "/cgi-bin/script", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n"
    reply = ask(server.server_address, octets)
    assert reply.line == "HTTP/1.1 411 CGI script needs a Content-Length ('/cgi-bin/script')"


# -- What has gone wrong before ----------------------------------------------------------------


SPELLINGS = [
    "cgi-bin/script", "./cgi-bin/script", "x/../cgi-bin/script", "/./cgi-bin/script", "//cgi-bin/script",
    "/cgi-bin//script", "/cgi-bin/./script", "/x/../cgi-bin/script", "/%63gi-bin/script", "/cgi-bin%2fscript",
    "%2fcgi-bin/script", "/%2e/cgi-bin/script", "/x%2f..%2fcgi-bin/script", "/x/%2e%2e/cgi-bin/script",
    "/cgi-bin/x/../script", "/cgi-bin/script#", "/cgi-bin/script?", "http://host/cgi-bin/script",
    "http://host//cgi-bin/script", "HTTPS://host/x/../cgi-bin/script", "/../cgi-bin/script",
    "../cgi-bin/script", "/%2e%2e/cgi-bin/script", "http://host/../cgi-bin/script", "/cgi-bin/script/",
    "/#/../cgi-bin/script", "/cgi-bin#/script", "/cgi-bin/script%20", "/cgi-bin/script%00",
    "/cgi-bin\\script", "/.%2fcgi-bin/script", "/..%5ccgi-bin/script", "/%252e%252e/cgi-bin/script",
]


@pytest.mark.parametrize("target", SPELLINGS)
def test_cve_2011_1015_no_spelling_gets_the_source(
        target: str, host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("echo output # the source")
    server = scripts.serve(serve, host)
    for fields in ((), ("If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT",)):
        assert b"the source" not in ask(server.server_address, get(target, *fields)).body


@pytest.mark.parametrize("target", [
    "/program/../cgi-bin/nothing", "///////program/../cgi-bin/nothing", "/cgi-bin/../program",
    "/cgi-bin/nothing/../../program", "/program?/cgi-bin/script", "/program%3f/../cgi-bin/x",
    "/cgi-bin/..%2fprogram", "/cgi-bin/x/..%2f..%2fprogram",
])
def test_psf_2013_3_nothing_else_is_run(target: str, host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("note ran", "program")
    scripts.add("echo output")
    server = scripts.serve(serve, host)
    for octets in (get(target), post(target, b"body")):
        ask(server.server_address, octets)
    assert not (scripts.notes / "ran").exists()


@pytest.mark.parametrize("target", [
    "/cgi-bin%2f..%2f..%2fprogram", "/cgi-bin/%2e%2e/program", "/cgi-bin/%252e%252e/program",
    "/cgi-bin/%25%32%65%25%32%65/program", "/cgi-bin/%252e%252e%252fprogram", "/cgi-bin%252f..%252fprogram",
    "/cgi-bin/x%252f%252e%252e%252f%252e%252e%252fprogram", "/cgi-bin/%252e%252e/%252e%252e/program",
    "/cgi-bin/script%252f%252e%252e%252f%252e%252e%252fprogram",
])
def test_cve_2014_4650_a_path_is_decoded_once(
        target: str, host: Any, serve: Any, scripts: ScriptFolder) -> None:
    """Twice, and what was judged is not what is run: http.server goes up by %252e%252e."""
    scripts.add("note ran", "program")
    scripts.add("echo output # the source")
    server = scripts.serve(serve, host)
    for octets in (get(target), post(target, b"body")):
        assert b"the source" not in ask(server.server_address, octets).body
    assert not (scripts.notes / "ran").exists()


# -- As whom, and by what ----------------------------------------------------------------------


def test_scripts_of_root_run_as_nobody(serve: Any, scripts: ScriptFolder) -> None:
    """Whoever runs this test, in no group of root's; anybody else's run as themselves."""
    scripts.add("id -u; id -g; id -G")
    server = scripts.serve(serve)
    uid, gid, groups = ask(server.server_address, get("/cgi-bin/script")).body.decode().splitlines()
    if os.geteuid() == 0:
        assert int(uid) == cgi.nobody_uid() > 0
        assert int(gid) != 0
        assert groups == gid
    else:
        assert (int(uid), int(gid)) == (os.geteuid(), os.getegid())


def test_a_user_who_may_not_run_it(serve: Any, scripts: ScriptFolder) -> None:
    """It does not run as root then."""
    if os.geteuid() != 0:
        pytest.skip("only root runs scripts as somebody else")
    scripts.add("echo output", mode=0o700)
    server = scripts.serve(serve)
    assert ask(server.server_address, get("/cgi-bin/script")).status == 403


def test_who_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgi, "nobody", None)
    users = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
    assert cgi.nobody_uid() == cgi.nobody == users.get("nobody", 1 + max(users.values()))
    monkeypatch.setattr(cgi, "nobody", 77)
    assert cgi.nobody_uid() == 77


def test_a_system_without_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgi, "nobody", None)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {}[name])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    uid = 1 + max(user.pw_uid for user in pwd.getpwall())
    assert cgi.nobody_uid() == uid
    assert cgi.owner_of_scripts() == {"user": uid, "group": uid, "extra_groups": [uid]}
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    assert cgi.owner_of_scripts() == {}


def test_a_system_without_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgi, "nobody", None)
    monkeypatch.setitem(sys.modules, "pwd", None)
    assert cgi.nobody_uid() == -1
    assert cgi.owner_of_scripts() == {}


PYTHON = "import sys\nprint('Content-Type: text/plain\\r\\n\\r')\nprint(sys.argv[1:], sys.stdin.read())\n"


@pytest.mark.usefixtures("as_ourselves")
def test_without_fork_python_runs_python_scripts(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    """They need not be executable then, and everything else must be, as with http.server."""
    scripts.add("", mode=0o644)
    for name in ("a.py", "b.PYW"):
        (scripts.path / "cgi-bin" / name).write_text(PYTHON)
    server = scripts.serve(serve, host, have_fork=False)
    for name in ("a.py", "b.PYW"):
        reply = ask(server.server_address, post(f"/cgi-bin/{name}?a+word", b"body"))
        assert reply.body.decode().split() == ["['a", "word']", "body"]
    assert ask(server.server_address, get("/cgi-bin/script")).status == 403


@pytest.mark.usefixtures("as_ourselves")
def test_with_fork_python_scripts_are_programs_like_others(
        host: Any, serve: Any, scripts: ScriptFolder) -> None:
    file = scripts.add("", "cgi-bin/a.py", mode=0o644)
    file.write_text(f"#!{sys.executable}\n{PYTHON}")
    server = scripts.serve(serve, host, have_fork=True)
    assert ask(server.server_address, get("/cgi-bin/a.py")).status == 403
    file.chmod(0o755)
    assert ask(server.server_address, get("/cgi-bin/a.py")).body == b"[''] \n"


def test_argv_0_is_the_name_of_the_script(serve: Any, scripts: ScriptFolder, log: Any) -> None:
    """A program is called by it; a shell's script by its path, from the system."""
    folder = scripts.add("echo $0").parent
    (folder / "by this name").symlink_to("/bin/sh")
    server = scripts.serve(serve)
    assert ask(server.server_address, get("/cgi-bin/script")).body.decode() == f"{folder}/script\n"
    ask(server.server_address, head("/cgi-bin/by%20this%20name?nothing"))
    assert [line for line in log.messages() if line.startswith("by this name: ") and "nothing" in line]
