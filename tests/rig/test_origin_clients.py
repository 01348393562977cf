"""An origin as the clients see it that are tested with it: curl, requests, httpx, aiohttp."""

import asyncio
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.origin.answers import Octets

CURL = shutil.which("curl") or ""


def curl(*words: str) -> bytes:
    if not CURL:
        pytest.skip("curl is not installed")
    done = subprocess.run([CURL, "--silent", "--show-error", "--max-time", "20", *words],
                          capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- curl --------------------------------------------------------------------------------------


def test_curl_sends_a_form_with_a_file(url: str, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\xff")
    found = json.loads(curl("-F", "word=one", "-F", f"file=@{tmp_path / 'a.bin'}", f"{url}/post"))
    assert found["form"] == {"word": "one"}
    assert found["files"] == {"file": "data:application/octet-stream;base64,AP8="}


@pytest.mark.parametrize("fields", [(), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect:")])
def test_curl_uploads_and_has_it_echoed(url: str, tmp_path: Path, fields: tuple[str, ...]) -> None:
    data = bytes(Octets(20_000_000, 3))
    (tmp_path / "data").write_bytes(data)
    found = json.loads(curl(*fields, "-T", str(tmp_path / "data"), f"{url}/upload"))
    assert (found["octets"], found["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert curl(*fields, "-T", str(tmp_path / "data"), f"{url}/echo") == data


def test_curl_resumes(url: str, tmp_path: Path) -> None:
    path = tmp_path / "part"
    path.write_bytes(bytes(Octets(1000)))
    curl("-C", "-", "-o", str(path), f"{url}/bytes/3000000")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == curl(f"{url}/digest/3000000").decode().strip()


def test_curl_keeps_cookies(url: str, tmp_path: Path) -> None:
    jar = str(tmp_path / "jar")
    targets = (f"{url}/cookies/set?a=1&b=two%20words", f"{url}/cookies/delete?a")
    found = curl("-L", "-b", jar, "-c", jar, *targets)
    assert json.loads(found.split(b"}\n}\n")[1] + b"}}") == {"cookies": {"b": "two words"}}


def test_curl_follows_links_and_options(url: str) -> None:
    assert b"<a href='/links/3/2'>" in curl("-L", f"{url}/links/3")
    assert b"Allow: GET, HEAD, OPTIONS" in curl("-i", "-X", "OPTIONS", f"{url}/get")


def test_curl_of_http_1_0(url: str) -> None:
    assert curl("--http1.0", f"{url}/stream-bytes/100000") == bytes(Octets(100_000))


# -- requests ----------------------------------------------------------------------------------


@pytest.fixture
def requests() -> Any:
    return pytest.importorskip("requests")


def test_requests_bodies(requests: Any, url: str) -> None:
    with requests.Session() as session:
        post = session.post(f"{url}/post", data={"a": ["1", "2"]}, params={"q": "x y"}, timeout=10).json()
        assert (post["form"], post["args"]) == ({"a": ["1", "2"]}, {"q": "x y"})
        assert session.put(f"{url}/put", json={"a": None}, timeout=10).json()["json"] == {"a": None}
        files = {"f": ("n.txt", b"text", "text/plain")}
        assert session.patch(f"{url}/patch", files=files, timeout=10).json()["files"] == {"f": "text"}
        assert session.delete(f"{url}/delete", data=b"raw", timeout=10).json()["data"] == "raw"
        chunked = session.post(f"{url}/post", data=iter([b"a", b"b"]), timeout=10).json()
        assert (chunked["data"], chunked["headers"]["Transfer-Encoding"]) == ("ab", "chunked")


def test_requests_cookies_and_redirects(requests: Any, url: str) -> None:
    with requests.Session() as session:
        answer = session.get(f"{url}/cookies/set/a/1", timeout=10)
        assert answer.json() == {"cookies": {"a": "1"}}
        assert [each.status_code for each in answer.history] == [302]
        assert session.get(f"{url}/cookies/delete?a", timeout=10).json() == {"cookies": {}}


def test_requests_streams(requests: Any, url: str) -> None:
    with requests.Session() as session:
        lines = session.get(f"{url}/stream/5", stream=True, timeout=10).iter_lines()
        assert [json.loads(line)["id"] for line in lines] == [0, 1, 2, 3, 4]
        with session.get(f"{url}/bytes/5000000", stream=True, timeout=10) as answer:
            assert b"".join(answer.iter_content(70_000)) == bytes(Octets(5_000_000))
        assert session.post(f"{url}/echo", data=b"x" * 1_000_000, timeout=10).content == b"x" * 1_000_000


def test_requests_headers(requests: Any, url: str) -> None:
    found = requests.get(f"{url}/headers", headers={"x-some-thing": "a"}, timeout=10).json()["headers"]
    assert found["X-Some-Thing"] == "a"
    assert found["User-Agent"].startswith("python-requests/")


# -- httpx and aiohttp -------------------------------------------------------------------------


def test_httpx(url: str) -> None:
    httpx = pytest.importorskip("httpx")
    with httpx.Client(base_url=url, follow_redirects=True, trust_env=False) as client:
        assert client.get("/get", params={"a": [1, 2]}).json()["args"] == {"a": ["1", "2"]}
        assert client.post("/post", data={"a": "b"}, files={"f": b"\xff"}).json()["form"] == {"a": "b"}
        assert client.get("/cookies/set/a/b").json() == {"cookies": {"a": "b"}}
        assert client.get("/bytes/100", headers={"Range": "bytes=5-9"}).content == bytes(Octets(5, 0, 5))
        assert client.get("/stream-bytes/100000").content == bytes(Octets(100_000))
        assert client.post("/upload", content=iter([b"a"] * 1000)).json()["octets"] == 1000
        assert client.options("/get").headers["Allow"] == "GET, HEAD, OPTIONS"


def test_aiohttp(url: str) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def talk() -> None:
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(url, timeout=timeout) as client:
            async with client.post("/post", json=[1]) as answer:
                assert (await answer.json())["json"] == [1]
            form = aiohttp.FormData({"a": "b"})
            form.add_field("f", b"text", filename="n.txt", content_type="text/plain")
            async with client.post("/anything/x", data=form) as answer:
                said = await answer.json()
                assert (said["form"], said["files"]) == ({"a": "b"}, {"f": "text"})
            async with client.get("/stream/3") as answer:
                assert [json.loads(line)["id"] async for line in answer.content] == [0, 1, 2]
            sizes = range(0, 200_000, 10_000)
            answers = await asyncio.gather(*(client.get(f"/bytes/{count}") for count in sizes))
            assert [len(await each.read()) for each in answers] == [*sizes]

    asyncio.run(talk())
