"""What the standard library builds on http.server: wsgiref, xmlrpc.server, pydoc."""

import urllib.request
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest
import requests
from programs.process import running, script

WSGIREF = '''
import sys
from wsgiref.simple_server import make_server
from wsgiref.validate import validator

def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    if environ["PATH_INFO"] == "/crash":
        raise RuntimeError("on purpose")
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Method", environ["REQUEST_METHOD"])])
    return [environ["QUERY_STRING"].encode(), body]

make_server("127.0.0.1", int(sys.argv[1]), validator(app)).serve_forever()
'''

XMLRPC = '''
import sys
from socketserver import ThreadingMixIn
from xmlrpc.server import DocXMLRPCServer, SimpleXMLRPCServer

class Threaded(ThreadingMixIn, SimpleXMLRPCServer):
    """As the manual says how."""

kinds = {"simple": SimpleXMLRPCServer, "documented": DocXMLRPCServer, "threaded": Threaded}
server = kinds[sys.argv[1]](("127.0.0.1", int(sys.argv[2])), allow_none=True)
server.register_introspection_functions()
server.register_multicall_functions()
server.register_function(pow)

@server.register_function
def echo(value):
    """Give it back."""
    return value

@server.register_function
def fail():
    raise ValueError("on purpose")

server.serve_forever()
'''

def test_wsgiref(folder: Path, session: requests.Session) -> None:
    """Under the standard library's own judge of WSGI."""
    with running(folder, *script(folder, WSGIREF, "{port}")) as program:
        assert session.get(program.url + "/?a=b").text == "a=b"
        sent = session.put(program.url + "/", data=b"x" * 300000)
        assert (sent.headers["X-Method"], sent.text) == ("PUT", "x" * 300000)
        assert session.get(program.url + "/crash").status_code == 500
        assert session.get(program.url + "/?still").text == "still"
        program.tracebacks = 1


@pytest.mark.parametrize("kind", ["simple", "documented", "threaded"])
def test_xmlrpc(folder: Path, kind: str) -> None:
    words = script(folder, XMLRPC, kind, "{port}")
    with running(folder, *words, server="xmlrpc.server.SimpleXMLRPCServer") as program:
        with xmlrpc.client.ServerProxy(program.url, allow_none=True) as proxy:
            assert proxy.pow(2, 10) == 1024
            assert proxy.system.listMethods()[:2] == ["echo", "fail"]
            large: Any = [{"n": n, "text": "x" * 100, "none": None} for n in range(2000)]
            assert proxy.echo(large) == large  # both ways compressed
            with pytest.raises(xmlrpc.client.Fault, match="on purpose"):
                proxy.fail()
            calls = xmlrpc.client.MultiCall(proxy)
            calls.pow(3, 3)
            calls.echo("x")
            assert list(calls()) == [27, "x"]
        if kind == "documented":
            assert "Give&nbsp;it&nbsp;back." in urllib.request.urlopen(program.url).read().decode()


def test_pydoc(folder: Path, session: requests.Session) -> None:
    """A server with a loop of its own around handle_request()."""
    with running(folder, "-m", "pydoc", "-n", "127.0.0.1", "-p", "{port}") as program:
        assert "Index of Modules" in session.get(program.url).text
        assert "socketserver" in session.get(program.url + "/socketserver.html").text
