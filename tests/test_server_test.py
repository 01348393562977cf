"""test(), http.server's function that serves a class until Ctrl-C, and the names that programs take."""

import functools
import http.server
import inspect
import os
import signal
import socket
import sys
from typing import Any
from unittest import mock

import pytest
from test_cli import GOODBYE, serving

import fastserve
from fastserve import server

# -- Names -------------------------------------------------------------------------------------

# What http.server has in Python 3.9 to 3.15 and programs take from there, but for its classes.
NAMES = {
    "DEFAULT_ERROR_CONTENT_TYPE", "DEFAULT_ERROR_MESSAGE", "HTTPStatus", "__version__", "_get_best_family",
    "_make_server", "_url_collapse_path", "copy", "datetime", "email", "executable", "html", "http", "io",
    "itertools", "mimetypes", "nobody", "nobody_uid", "os", "posixpath", "select", "shutil", "socket",
    "socketserver", "sys", "test", "time", "urllib",
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_that_programs_take(name: str) -> None:
    ours, theirs = getattr(server, name), getattr(http.server, name, None)
    if inspect.ismodule(ours):
        assert ours is sys.modules[name]
    elif isinstance(theirs, str) and not name.startswith("DEFAULT"):
        assert ours == theirs


@pytest.mark.parametrize(
    "path", ["email.utils.formatdate", "http.client.HTTPMessage", "urllib.parse.unquote"]
)
def test_parts_of_modules_that_programs_reach(path: str) -> None:
    assert callable(functools.reduce(getattr, path.split("."), server))


def test_a_module_may_be_patched_through_the_name(tmp_path: Any) -> None:
    with mock.patch("fastserve.server.os.getcwd", return_value=os.fspath(tmp_path)):
        handler = object.__new__(fastserve.SimpleHTTPRequestHandler)
        handler.finish = handler.handle = handler.setup = lambda: None
        handler.__init__(mock.Mock(), ("", 0), mock.Mock())
    assert handler.directory == os.fspath(tmp_path)


def test_the_version_is_http_server_s_and_not_ours() -> None:
    assert server.__version__ == "0.6" != fastserve.__version__


def test_test_has_http_server_s_parameters() -> None:
    ours, theirs = (inspect.signature(module.test).parameters for module in (server, http.server))
    assert list(ours)[: len(theirs)] == list(theirs)
    assert {name: ours[name].default for name in ("protocol", "port", "bind")} == {
        name: theirs[name].default for name in ("protocol", "port", "bind")
    }


# -- test() ------------------------------------------------------------------------------------


def mock_server(name: tuple[Any, ...] = ("", 0)) -> mock.MagicMock:
    httpd = mock.MagicMock()
    httpd.socket.getsockname.return_value = name
    server_class = mock.MagicMock()
    server_class.return_value.__enter__.return_value = httpd
    server_class.httpd = httpd
    return server_class


def handler_class() -> type:
    return type("Handler", (fastserve.SimpleHTTPRequestHandler,), {})


@pytest.mark.parametrize(("bind", "family"), [
    ("127.0.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET),
    ("::1", socket.AF_INET6), ("::", socket.AF_INET6)])
def test_test_chooses_the_family(bind: str, family: int) -> None:
    server_class, handler = mock_server(), handler_class()
    server.test(handler, server_class, bind=bind)
    assert server_class.address_family == family
    address = server_class.call_args.args[0]
    assert address[:2] == (bind, 8000)
    assert server_class.call_args == mock.call(address, handler)
    server_class.httpd.serve_forever.assert_called_once_with()
    server_class.return_value.__exit__.assert_called_once()


def test_test_says_where_it_serves(capsys: pytest.CaptureFixture[str]) -> None:
    server.test(handler_class(), mock_server(("127.0.0.1", 81)))
    server.test(handler_class(), mock_server(("::1", 82, 0, 0)), tls_cert="c")
    assert capsys.readouterr().out == (
        "Serving HTTP on 127.0.0.1 port 81 (http://127.0.0.1:81/) ...\n"
        "Serving HTTPS on ::1 port 82 (https://[::1]:82/) ...\n")


def test_test_sets_up_the_handler() -> None:
    handler = handler_class()
    server.test(handler, mock_server(), protocol="HTTP/1.1", content_type="text/odd")
    assert (handler.protocol_version, handler.default_content_type) == ("HTTP/1.1", "text/odd")
    server.test(handler, mock_server())
    assert (handler.protocol_version, handler.default_content_type) == ("HTTP/1.0", "text/odd")


def test_test_reaches_through_a_partial() -> None:
    handler = handler_class()
    made = functools.partial(functools.partial(handler), directory=".")
    server.test(made, mock_server(), protocol="HTTP/1.1")
    assert handler.protocol_version == "HTTP/1.1"


def test_test_hands_on_the_certificate() -> None:
    server_class = mock_server()
    server.test(handler_class(), server_class, tls_cert="c", tls_key="k", tls_password="p")
    assert server_class.call_args.kwargs == {"certfile": "c", "keyfile": "k", "password": "p"}


def test_test_ends_with_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    server_class = mock_server()
    server_class.return_value.__exit__.return_value = False
    server_class.httpd.serve_forever.side_effect = KeyboardInterrupt
    with pytest.raises(SystemExit) as ended:
        server.test(handler_class(), server_class)
    assert ended.value.code == 0
    assert capsys.readouterr().out.endswith(GOODBYE)


def test_test_serves() -> None:
    code = ("import fastserve, fastserve.server\n"
            "class H(fastserve.BaseHTTPRequestHandler):\n"
            "    def do_GET(self):\n"
            "        self.send_response(200)\n"
            "        self.send_header('Content-Length', '2')\n"
            "        self.end_headers()\n"
            "        self.wfile.write(b'hi')\n"
            "fastserve.server.test(H, port=0, bind='127.0.0.1')\n")
    with serving(code=code) as server:
        assert server.get("/")[1] == b"hi"
        assert server.signal(signal.SIGINT)[:2] == (0, GOODBYE)


def test_best_family() -> None:
    assert server._get_best_family("127.0.0.1", 80) == (socket.AF_INET, ("127.0.0.1", 80))
    assert server._get_best_family("::1", 80)[0] == socket.AF_INET6
    assert server._get_best_family(None, 80)[0] in (socket.AF_INET, socket.AF_INET6)
