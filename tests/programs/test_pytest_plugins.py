"""pytest-httpserver, pytest-localserver and pytest-httpbin: a small run of tests that use each, patched."""

from pathlib import Path

from programs.process import run

TESTS = '''
import ssl
import requests
from werkzeug import Response

def test_httpserver(httpserver):
    httpserver.expect_ordered_request("/1").respond_with_data("one")
    httpserver.expect_ordered_request("/2").respond_with_handler(lambda request: Response(request.data))
    assert requests.get(httpserver.url_for("/1")).text == "one"
    assert requests.put(httpserver.url_for("/2"), data=b"x" * 300000).text == "x" * 300000
    httpserver.check()
    assert requests.get(httpserver.url_for("/unexpected")).status_code == 500

def test_httpserver_waits(httpserver):
    httpserver.expect_oneshot_request("/", method="POST", json={"a": 1}).respond_with_json({"b": 2})
    with httpserver.wait(timeout=10) as waiting:
        assert requests.post(httpserver.url_for("/"), json={"a": 1}).json() == {"b": 2}
    assert waiting.result

def test_localserver(httpserver_of_localserver):
    server = httpserver_of_localserver
    server.serve_content(["part ", "by ", "part"], headers={"X": "y"}, chunked=True)
    reply = requests.get(server.url)
    assert (reply.text, reply.headers["X"]) == ("part by part", "y")
    server.serve_content("gone", code=410)
    assert requests.get(server.url).status_code == 410

def test_httpbin(httpbin):
    assert requests.get(httpbin.url + "/get", params={"a": "b"}).json()["args"] == {"a": "b"}
    assert requests.post(httpbin.url + "/post", data=b"x" * 300000).json()["data"] == "x" * 300000
    assert requests.get(httpbin.url + "/redirect/3").status_code == 200
    assert requests.get(httpbin.url + "/gzip").json()["gzipped"]
    assert len(requests.get(httpbin.url + "/stream/20").text.splitlines()) == 20
    assert len(requests.get(httpbin.url + "/bytes/100000").content) == 100000

def test_httpbin_over_tls(httpbin_secure, httpbin_ca_bundle):
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(httpbin_secure.url + "/status/204").status_code == 204
'''

# Two of them have a fixture of one name.
CONFTEST = '''
import pytest
from pytest_localserver.http import ContentServer

@pytest.fixture
def httpserver_of_localserver():
    server = ContentServer()
    server.start()
    yield server
    server.stop()
'''


def test_a_run_that_uses_them(folder: Path) -> None:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_them.py").write_text(TESTS)
    words = ["-m", "pytest", "-q", "-p", "no:localserver", "-p", "no:cacheprovider", "test_them.py"]
    program = run(folder, *words)
    assert "5 passed" in program.log()
    makers = " ".join(name for seen in program.seen() for name in seen.server)
    assert all(name in makers for name in ("werkzeug.serving", "pytest_httpbin.serve"))
