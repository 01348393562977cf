"""The static files: the same each time, and sent as SimpleHTTPRequestHandler sends such."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import Reply, request
from serving.apps import Files as SimpleFiles

from fastserve.rig.origin import codings, files
from rig.origins import SERVERS, Serve, ask, connect, start

ON_EACH = pytest.mark.parametrize("kind", SERVERS)
TEXTS = [name for name in files.MIX if name.rpartition(".")[2] not in ("webp", "woff2")]
BROTLI = codings.brotli_compressor() is not None


def listed(server: Any) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(ask(server, "/static/").body)["files"]}


@ON_EACH
def test_all_of_them(serve: Serve, kind: str) -> None:
    server = start(serve, kind)
    found = listed(server)
    assert {name: each["size"] for name, each in found.items()} == files.MIX
    with connect(server) as client:
        for name, each in found.items():
            reply = client.ask(request(target=f"/static/{name}"))
            assert hashlib.sha256(reply.body).hexdigest() == each["sha256"]
            assert reply.get("Content-Type") == each["type"]
            for sibling, size in each["siblings"].items():
                assert len(client.ask(request(target=f"/static/{sibling}")).body) == size


def test_the_mix() -> None:
    assert len(files.MIX) == 20
    kinds = [name.rpartition(".")[2] for name in files.MIX]
    assert set(kinds) == {"css", "js", "html", "svg", "json", "woff2", "webp"}
    for name, size in files.MIX.items():
        text = name in TEXTS
        assert (8_000 <= size <= 300_000) if text else (6_000 <= size <= 45_000)


@pytest.mark.parametrize("name", files.MIX)
def test_what_they_are_made_of(name: str) -> None:
    octets = files.content(name, files.MIX[name])
    assert len(octets) == files.MIX[name]
    packed = len(gzip.compress(octets, 9))
    assert (0.1 < packed / len(octets) < 0.5) if name in TEXTS else packed > len(octets)
    if name.endswith(".json"):
        json.loads(octets)


def run(code: str) -> str:
    """What another Python prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_they_are_the_same_in_another_process() -> None:
    told = "from fastserve.rig.origin import files; print(files.content('app.js', 120_000).hex())"
    assert bytes.fromhex(run(told)) == files.content("app.js", 120_000)


def test_the_folder_goes_with_the_process() -> None:
    told = "from fastserve.rig.origin import files; print(files.folder().path, files.folder().path.is_dir())"
    path, was_there = run(told).split()
    assert was_there == "True"
    assert not Path(path).exists()


@pytest.mark.parametrize("target", [
    "/static/nothing.css", "/static/..%2fapp.js", "/static/%2e%2e", "/static/app.js.gz.gz",
    "/static/hero.webp.gz", "/static/app.js%00", "/static/app.js/",
])
def test_what_is_not_there(serve: Serve, target: str) -> None:
    assert ask(start(serve), target).status == 404


# -- As SimpleHTTPRequestHandler ---------------------------------------------------------------------


class Oracle(SimpleFiles):
    precompressed = True
    extensions_map = {**files.TYPES}


def facts(reply: Reply) -> dict[str, Any]:
    """What must be the same; a boundary is another each time."""
    names = ("Content-Length", "Content-Range", "ETag", "Last-Modified", "Accept-Ranges", "Content-Encoding",
             "Vary", "Content-Type")
    found: dict[str, Any] = {name: reply.get(name) for name in names}
    if "multipart" in (found["Content-Type"] or ""):
        boundary = found["Content-Type"].rpartition("=")[2]
        found["Content-Type"] = "multipart/byteranges"
        return {**found, "status": reply.status, "body": reply.body.replace(boundary.encode(), b"")}
    return {**found, "status": reply.status, "body": reply.body}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("fields", [
    (), ("Accept-Encoding: gzip",), ("Accept-Encoding: br, gzip",),
    ("Accept-Encoding: gzip;q=0, identity;q=0",), ("Accept-Encoding: identity;q=0",), ("Accept-Encoding: *",),
    ("Range: bytes=0-9",), ("Range: bytes=-10",),
    ("Range: bytes=5-,0-1",), ("Range: bytes=0-1,-1",), ("Range: bytes=9999999-",), ("Range: octets=0-1",),
    ("Range: bytes=0-99", "Accept-Encoding: gzip"), ("If-None-Match: *",), ("If-Match: \"x\"",),
    ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",),
    ("If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT",),
    ("If-Unmodified-Since: Tue, 14 Nov 2023 22:13:19 GMT",), ("If-Range: \"x\"", "Range: bytes=0-1"),
    ("If-Range: Tue, 14 Nov 2023 22:13:20 GMT", "Range: bytes=0-1"),
])
@pytest.mark.parametrize("name", ["app.js", "hero.webp", "app.js.gz", "reset.css"])
def test_answers_are_those_of_a_file_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, method: str, name: str, fields: tuple[str, ...]
) -> None:
    monkeypatch.chdir(files.folder().path)
    ours, theirs = start(serve), serve(Oracle)
    with connect(ours) as one, connect(theirs) as other:
        for _ in range(2):
            answer = one.ask(request(method, f"/static/{name}", *fields))
            assert facts(answer) == facts(other.ask(request(method, f"/{name}", *fields)))


@ON_EACH
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_beside_them(serve: Serve, kind: str, name: str) -> None:
    server = start(serve, kind)
    reply = ask(server, f"/static/{name}", "Accept-Encoding: gzip")
    assert reply.get("Content-Encoding") == "gzip"
    assert gzip.decompress(reply.body) == files.content(name, files.MIX[name])
    if BROTLI:
        reply = ask(server, f"/static/{name}", "Accept-Encoding: gzip, br")
        assert reply.get("Content-Encoding") == "br"
        brotli: Any = pytest.importorskip("brotli")
        assert brotli.decompress(reply.body) == files.content(name, files.MIX[name])


def test_no_change(serve: Serve) -> None:
    server = start(serve)
    tag = ask(server, "/static/app.js").get("ETag")
    assert ask(server, "/static/app.js", f"If-None-Match: {tag}").status == 304
