"""Calls over HTTP: jsonrpclib-pelix, and Robot Framework's remote server; each asked by its own client."""

import xmlrpc.client
from pathlib import Path

import jsonrpclib
import pytest
from programs.process import running, script

JSONRPC = '''
import sys
from jsonrpclib.SimpleJSONRPCServer import PooledJSONRPCServer, SimpleJSONRPCServer

kinds = {"simple": SimpleJSONRPCServer, "pooled": PooledJSONRPCServer}
server = kinds[sys.argv[1]](("127.0.0.1", int(sys.argv[2])))
server.register_function(pow)
server.register_function(lambda value: value, "echo")
server.serve_forever()
'''

ROBOT = '''
import sys
from robotremoteserver import RobotRemoteServer

class Library:
    """What a test suite may call."""

    def concatenate(self, *words):
        """Put them behind each other."""
        return "".join(words)

    def fail(self):
        raise AssertionError("on purpose")

RobotRemoteServer(Library(), host="127.0.0.1", port=int(sys.argv[1]))
'''


@pytest.mark.parametrize("kind", ["simple", "pooled"])
def test_jsonrpclib(folder: Path, kind: str) -> None:
    words = script(folder, JSONRPC, kind, "{port}")
    with running(folder, *words, server="jsonrpclib.SimpleJSONRPCServer.SimpleJSONRPCServer") as program:
        proxy = jsonrpclib.ServerProxy(program.url)
        for n in range(5):
            assert proxy.pow(2, n) == 2**n
        large = [{"n": n, "text": "x" * 100} for n in range(2000)]
        assert proxy.echo(large) == large
        with pytest.raises(jsonrpclib.ProtocolError, match="not supported"):
            proxy.nothing()
        calls = jsonrpclib.MultiCall(proxy)
        calls.pow(3, 3)
        calls.echo("x")
        assert list(calls()) == [27, "x"]
        proxy("close")()


def test_robot_remote_server(folder: Path) -> None:
    words = script(folder, ROBOT, "{port}")
    with running(folder, *words, server="xmlrpc.server.SimpleXMLRPCServer") as program:
        proxy = xmlrpc.client.ServerProxy(program.url)
        assert "concatenate" in proxy.get_keyword_names()
        assert proxy.run_keyword("concatenate", ["a", "b"]) == {"status": "PASS", "return": "ab"}
        failed = proxy.run_keyword("fail", [])
        assert (failed["status"], failed["error"]) == ("FAIL", "on purpose")
        proxy("close")()
