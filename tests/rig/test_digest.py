"""/digest-auth: the sums of RFC 7616, challenges, nonces, httpbin's cookies, and real clients."""

import asyncio
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, Reply, request

from fastserve.rig.origin import digest
from rig.origins import Serve, ask, base_of, connect, session, start

# -- Sums and challenges ---------------------------------------------------------------------------


def test_the_example_of_the_rfc() -> None:
    """RFC 7616 3.9.1, where all but the responses is the same."""
    for algorithm, response in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ]:
        given = {
            "algorithm": algorithm, "qop": "auth", "nc": "00000001",
            "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        }
        asked = digest.Asked("http-auth@example.org", "Mufasa", "Circle of Life", ("auth",), (algorithm,),
                             "GET", "/dir/index.html", b"")
        assert digest.response(given, asked, "GET", b"").decode() == response


class Digesting:
    """A client of /digest-auth that does the sums by itself."""

    def __init__(self, client: Client, path: str, method: str = "GET", body: bytes = b"") -> None:
        self.client, self.path, self.method, self.body = client, path, method, body
        self.challenge: dict[str, str] = {}

    def ask(self, *fields: str) -> Reply:
        reply = self.client.ask(request(self.method, self.path, *fields, body=self.body))
        challenge = reply.get("WWW-Authenticate")
        if challenge:
            found = re.findall(r'([a-z]+)=(?:"([^"]*)"|([^ ,]+))', challenge)
            self.challenge = {name: quoted or token for name, quoted, token in found}
        return reply

    def respond(self, count: int = 1, qop: str | None = "auth", cookies: str = "", **others: str) -> Reply:
        given = {"username": "u", "realm": self.challenge["realm"], "uri": self.path,
                 "nonce": self.challenge["nonce"], "password": "p",
                 "algorithm": self.challenge["algorithm"], "opaque": self.challenge["opaque"]}
        if qop is not None:
            given.update(qop=qop, nc=f"{count:08x}", cnonce="c")
        given.update(others)
        given.setdefault("response", self.response(given))
        del given["password"]
        fields = ["Authorization: Digest " + ", ".join(f'{n}="{v}"' for n, v in given.items())]
        return self.ask(*fields, *([f"Cookie: {cookies}"] if cookies else []))

    def response(self, given: dict[str, str]) -> str:
        def hashed(text: str) -> str:
            kind = given["algorithm"].removesuffix("-sess").replace("-", "").lower()
            return hashlib.new(kind if kind in ("sha256", "sha512") else "md5", text.encode()).hexdigest()

        first = hashed(f"{given['username']}:{given['realm']}:{given['password']}")
        if given["algorithm"].endswith("-sess"):
            first = hashed(f"{first}:{given['nonce']}:{given['cnonce']}")
        second = f"{self.method}:{given['uri']}"
        if given.get("qop") == "auth-int":
            second += f":{hashed(self.body.decode())}"
        protection = [given["nc"], given["cnonce"], given["qop"]] if "qop" in given else []
        return hashed(":".join([first, given["nonce"], *protection, hashed(second)]))


def cookies_set(reply: Reply) -> dict[str, str]:
    """What an answer sets, by name, attributes left out."""
    found = [value.partition(";")[0].partition("=") for name, value in reply.headers if name == "Set-Cookie"]
    return {name: value for name, _, value in found}


@pytest.mark.parametrize("algorithm", [
    "", "/MD5", "/SHA-256", "/SHA-512", "/MD5-sess", "/SHA-256-sess", "/SHA-512-sess"])
@pytest.mark.parametrize(("offered", "qop"), [
    ("auth", "auth"), ("auth-int", "auth-int"), ("both", "auth-int")])
@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b"body")])
def test_digests(serve: Serve, algorithm: str, offered: str, qop: str, method: str, body: bytes) -> None:
    with connect(start(serve)) as client:
        one = Digesting(client, f"/digest-auth/{offered}/u/p{algorithm}", method, body)
        assert one.ask().status == 401
        assert one.challenge["algorithm"] == (algorithm[1:] or "MD5")
        assert "stale" not in one.challenge
        for count in (1, 3, 2):
            reply = one.respond(count, qop)
            assert reply.status == 200, reply
            assert f"nc={count:08x}" in (reply.get("Authentication-Info") or "")


@pytest.mark.parametrize("wrong", [
    {"username": "x"}, {"password": "x"}, {"realm": "x"}, {"uri": "/x"}, {"qop": "auth-int"}, {"qop": "x"},
    {"nc": "1"}, {"nc": "0000000g"}, {"cnonce": ""}, {"algorithm": "SHA-256"}, {"algorithm": "x"},
    {"opaque": "x"}, {"response": "x"}, {"response": ""},
])
def test_digests_that_are_wrong(serve: Serve, wrong: dict[str, str]) -> None:
    with connect(start(serve)) as client:
        one = Digesting(client, "/digest-auth/auth/u/p")
        one.ask()
        assert one.respond(**wrong).status == 401  # type: ignore[arg-type]
        assert "stale" not in one.challenge
        assert one.respond().status == 200


@pytest.mark.parametrize("fields", [
    "Digest", "Digest x", 'Digest username="u', "Basic abc", 'Digest nonce="x", nc=00000001',
])
def test_what_is_no_digest(serve: Serve, fields: str) -> None:
    assert ask(start(serve), "/digest-auth/auth/u/p", f"Authorization: {fields}").status == 401


def test_a_count_is_good_once(serve: Serve) -> None:
    with connect(start(serve)) as client:
        one = Digesting(client, "/digest-auth/auth/u/p")
        one.ask()
        assert [one.respond(1).status, one.respond(1).status] == [200, 401]
        assert one.challenge["stale"] == "TRUE"
        assert one.respond(1).status == 200


@pytest.mark.parametrize("nonce", [None, "0-00", "x", "18-%s", ""])
def test_a_nonce_that_is_too_old_or_nobodys(serve: Serve, nonce: str | None) -> None:
    """Only who knows the password is told that it is stale."""
    with connect(start(serve)) as client:
        one = Digesting(client, f"/digest-auth/auth/u/p/MD5?lifetime={0 if nonce is None else 10}")
        one.ask()
        others = {} if nonce is None else {"nonce": nonce}
        assert one.respond(**others).status == 401  # type: ignore[arg-type]
        assert one.challenge.get("stale") == (None if nonce == "" else "TRUE")
        assert one.respond(password="x", **others).status == 401  # type: ignore[arg-type]
        assert "stale" not in one.challenge


def test_a_nonce_of_another_worker(serve: Serve) -> None:
    """Those of one seed know each other's nonces; those of another do not."""
    one, two, three = start(serve), start(serve), start(serve, seed=1)
    with connect(one) as first, connect(two) as second, connect(three) as third:
        asking = Digesting(first, "/digest-auth/auth/u/p")
        asking.ask()
        for client, status in ((second, 200), (third, 401)):
            asking.client = client
            assert asking.respond().status == status


def test_both_algorithms(serve: Serve) -> None:
    reply = ask(start(serve), "/digest-auth/auth/u/p/any")
    offered = [value for name, value in reply.headers if name == "WWW-Authenticate"]
    assert ["SHA-256" in offered[0], "MD5" in offered[1]] == [True, True]


@pytest.mark.parametrize(("path", "qop", "algorithm"), [
    ("/digest-auth/x/u/p", "auth, auth-int", "MD5"), ("/digest-auth/AUTH/u/p", "auth, auth-int", "MD5"),
    ("/digest-auth/both/u/p/SHA-512", "auth, auth-int", "SHA-512"),
    ("/digest-auth/auth/u/p/SHA-1", "auth", "MD5"), ("/digest-auth/auth-int/u/p/sha-256", "auth-int", "MD5"),
    ("/digest-auth/auth/u/p/x/never", "auth", "MD5"), ("/digest-auth/auth/u/p/SHA-256/x", "auth", "SHA-256"),
])
def test_what_digest_does_not_know(serve: Serve, path: str, qop: str, algorithm: str) -> None:
    """Is as httpbin has it: both qops, MD5, and a nonce that is good for any number of requests."""
    with connect(start(serve)) as client:
        one = Digesting(client, path)
        assert one.ask().status == 401
        assert (one.challenge["qop"], one.challenge["algorithm"]) == (qop, algorithm)
        last = qop.rpartition(", ")[2]
        assert [one.respond(count, last).status for count in (1, 2, 3)] == [200] * 3


@pytest.mark.parametrize("offered", ["auth", "auth-int", "x"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-512"])
def test_a_client_that_knows_no_qop(serve: Serve, offered: str, algorithm: str) -> None:
    """As those of RFC 2069, which count nothing."""
    with connect(start(serve)) as client:
        one = Digesting(client, f"/digest-auth/{offered}/u/p/{algorithm}/2")
        one.ask()
        assert one.respond(qop=None, password="x").status == 401
        replies = [one.respond(qop=None) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 401]
        assert replies[0].get("Authentication-Info") is None
        assert one.challenge["stale"] == "TRUE"


def test_what_is_said_to_who_is_let_in(serve: Serve) -> None:
    """Just what httpbin says: tests of clients compare all of it."""
    with connect(start(serve)) as client:
        one = Digesting(client, "/digest-auth/auth/u/p")
        one.ask()
        assert json.loads(one.respond().body) == {"authenticated": True, "user": "u"}


# -- httpbin's cookies, and stale nonces -----------------------------------------------------------


@pytest.mark.parametrize(("stale_after", "said"), [
    ("", "never"), ("/never", "never"), ("/3", "3"), ("/x%20y", "never"), ("/-1", "never")])
def test_cookies_of_a_challenge(serve: Serve, stale_after: str, said: str) -> None:
    path = f"/digest-auth/auth/u/p/MD5{stale_after}"
    reply = ask(start(serve), path)
    assert cookies_set(reply) == {"fake": "fake_value", "stale_after": said}
    assert "fake=fake_value; Path=/" in [value for name, value in reply.headers if name == "Set-Cookie"]
    assert cookies_set(ask(start(serve), path, "Authorization: Basic abc")) == cookies_set(reply)


def test_cookies_of_other_answers(serve: Serve) -> None:
    with connect(start(serve)) as client:
        one = Digesting(client, "/digest-auth/auth/u/p/MD5/3")
        one.ask()
        nonce = one.challenge["nonce"]
        assert cookies_set(one.respond(1)) == {"fake": "fake_value"}
        second = one.respond(2, cookies="stale_after=3")
        assert cookies_set(second) == {"fake": "fake_value", "stale_after": "2"}
        assert cookies_set(one.respond(3, cookies="stale_after=never"))["stale_after"] == "never"
        one.ask()
        nonce = one.challenge["nonce"]
        used_up = one.respond(1, cookies="stale_after=1")
        assert cookies_set(used_up) == {"fake": "fake_value", "stale_after": "0", "last_nonce": nonce}
        assert cookies_set(one.respond(2, cookies="stale_after=0"))["stale_after"] == "2"
        wrong = one.respond(4, password="x")
        assert cookies_set(wrong) == {"fake": "fake_value", "stale_after": "3", "last_nonce": nonce}
        assert "last_nonce" not in cookies_set(one.respond(nonce="x" * 1000))


@pytest.mark.parametrize("uses", [0, 1, 3])
@pytest.mark.parametrize("qop", ["auth", "auth-int", None])
def test_a_nonce_that_is_stale_behind_so_many_requests(serve: Serve, uses: int, qop: str | None) -> None:
    """Of a client that keeps no cookies."""
    with connect(start(serve)) as client:
        one = Digesting(client, f"/digest-auth/x/u/p/SHA-256/{uses}", "POST", b"body")
        one.ask()
        for _ in range(2):
            assert [one.respond(count, qop).status for count in range(uses)] == [200] * uses
            assert one.respond(uses, qop, password="x").status == 401
            assert "stale" not in one.challenge
            if uses:
                assert [one.respond(count, qop).status for count in range(uses)] == [200] * uses
            assert one.respond(uses, qop).status == 401
            assert one.challenge["stale"] == "TRUE"


def test_a_nonce_that_is_stale_by_a_cookie(serve: Serve) -> None:
    """Which tells what another worker has seen."""
    with connect(start(serve)) as client:
        one = Digesting(client, "/digest-auth/auth/u/p/MD5/5")
        one.ask()
        nonce = one.challenge["nonce"]
        reply = one.respond(cookies=f"stale_after=0; last_nonce={nonce}")
        assert (reply.status, one.challenge["stale"]) == (401, "TRUE")
        assert cookies_set(reply) == {"fake": "fake_value", "stale_after": "5", "last_nonce": nonce}
        assert one.respond(cookies=f"stale_after=0; last_nonce={nonce}").status == 200


@pytest.mark.parametrize("word", ["1", "t", "True"])
def test_cookies_that_are_wanted(serve: Serve, word: str) -> None:
    with connect(start(serve)) as client:
        one = Digesting(client, f"/digest-auth/auth/u/p?require-cookie={word}")
        one.ask()
        without = one.respond()
        assert (without.status, cookies_set(without)["fake"]) == (401, "fake_value")
        assert "stale" not in one.challenge
        wrong = one.respond(cookies="fake=x")
        assert (wrong.status, cookies_set(wrong)) == (403, {"fake": "fake_value"})
        assert list(json.loads(wrong.body)) == ["errors"]
        assert one.respond(cookies="fake=fake_value").status == 200


@pytest.mark.parametrize("word", ["0", "f", "no", ""])
def test_cookies_that_are_not_wanted(serve: Serve, word: str) -> None:
    with connect(start(serve)) as client:
        one = Digesting(client, f"/digest-auth/auth/u/p?require-cookie={word}")
        one.ask()
        assert one.respond().status == 200


def test_bounds_of_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "MOST_NONCES", 2)
    monkeypatch.setattr(digest, "MOST_COUNTS", 2)
    nonces = digest.Nonces()
    assert [nonces.take("a", count) for count in (1, 2, 2, 3)] == [True, True, False, False]
    assert nonces._counts == {"a": {1, 2}}
    assert [nonces.take(nonce, 1) for nonce in ("b", "c", "a")] == [True, True, True]


# -- Real clients ----------------------------------------------------------------------------------

REAL = ("", "/MD5", "/SHA-256", "/SHA-512", "/any", "/SHA-256/never", "/SHA-512/1", "/MD5/2")
ALGORITHMS = ("MD5", "SHA-256", "SHA-512")


def digest_kind(client: str) -> Any:
    module: Any = pytest.importorskip(client)
    return module.auth.HTTPDigestAuth if client == "requests" else module.DigestAuth


@pytest.mark.parametrize("algorithm", REAL)
@pytest.mark.parametrize("query", ["", "?require-cookie=1"])
@pytest.mark.parametrize("client", ["requests", "httpx"])
def test_digests_of_sessions(serve: Serve, client: str, query: str, algorithm: str) -> None:
    """Of one that knows its last nonce, and of new ones; both get what is stale once more."""
    kind = digest_kind(client)
    url = f"{base_of(start(serve))}/digest-auth/auth/u/p%20w{algorithm}{query}"
    with session(client) as one:
        kept = kind("u", "p w")
        for auth in [kept] * 5 + [kind("u", "p w") for _ in range(3)]:
            assert one.get(url, auth=auth, timeout=PATIENCE).status_code == 200
        assert one.get(url, auth=kind("u", "x"), timeout=PATIENCE).status_code == 401
        assert one.get(url, auth=kind("u", "p w"), timeout=PATIENCE).status_code == 200
        assert one.cookies["fake"] == "fake_value"


@pytest.mark.parametrize("client", ["requests", "httpx"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digests_without_a_session(serve: Serve, client: str, algorithm: str) -> None:
    """The 401 sets the cookie, and the same client object asks again with a nonce that becomes stale."""
    kind = digest_kind(client)
    url = f"{base_of(start(serve))}/digest-auth/auth/u/p/{algorithm}"
    auth = kind("u", "p")
    for target in [url] * 2 + [f"{url}/2"] * 6:
        with session(client) as one:
            assert one.get(target, auth=auth, timeout=PATIENCE).status_code == 200
    with session(client) as one:
        refused = one.get(url, timeout=PATIENCE)
        assert (refused.status_code, refused.cookies["fake"]) == (401, "fake_value")


@pytest.mark.parametrize("algorithm", REAL)
def test_digests_of_aiohttp(serve: Serve, algorithm: str) -> None:
    aiohttp: Any = pytest.importorskip("aiohttp")
    if not hasattr(aiohttp, "DigestAuthMiddleware"):
        pytest.skip("aiohttp has no digest authentication before 3.12")
    url = f"{base_of(start(serve))}/digest-auth/both/u/p{algorithm}"

    async def statuses(password: str, make_jar: Any) -> list[int]:
        auth, found = aiohttp.DigestAuthMiddleware("u", password), []
        async with aiohttp.ClientSession(middlewares=(auth,), cookie_jar=make_jar()) as client:
            for _ in range(5):
                async with client.post(url, data=b"body") as answer:
                    found.append(answer.status)
        return found

    for make_jar in (aiohttp.CookieJar, aiohttp.DummyCookieJar):
        assert asyncio.run(statuses("p", make_jar)) == [200] * 5
        assert asyncio.run(statuses("x", make_jar)) == [401] * 5


@pytest.mark.parametrize("algorithm", ["", "/MD5", "/SHA-256", "/any", "/MD5/never", "/MD5/1", "/SHA-256/2"])
@pytest.mark.parametrize("jar", [False, True])
def test_digests_of_curl(serve: Serve, tmp_path: Path, algorithm: str, jar: bool) -> None:
    curl = shutil.which("curl") or pytest.skip("curl is not installed")
    url = f"{base_of(start(serve))}/digest-auth/auth/u/p{algorithm}"
    words = [curl, "-s", "--digest", "--max-time", str(PATIENCE), "-w", "%{http_code}\n", "-o", "/dev/null"]
    words += ["-b", str(tmp_path / "jar"), "-c", str(tmp_path / "jar")] if jar else []
    for password, status in (("p", b"200\n"), ("x", b"401\n")):
        done = subprocess.run([*words, "-u", f"u:{password}", *[url, "-o", "/dev/null"] * 3, url],
                              capture_output=True, timeout=2 * PATIENCE)
        assert done.stdout == status * 4, done.stderr
