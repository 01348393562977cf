"""What answers mean: statuses and their fields, validators, redirects, authentication, negotiation."""

import asyncio
import base64
import hashlib
import json
import random
import re
import shutil
import subprocess
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, Reply, request
from pairs import certificate

from fastserve.rig.origin import chance, digest, semantics
from rig.origins import SERVERS, Serve, ask, base_of, connect, session, start

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


# -- Statuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("status", [*(each.value for each in HTTPStatus if each >= 200), 299, 499, 599])
def test_a_status(serve: Serve, method: str, status: int) -> None:
    """And the next request on the connection is answered, too."""
    with connect(start(serve)) as client:
        reply = client.ask(request(method, f"/status/{status}", body=b"x" if method == "POST" else b""))
        assert reply.status == status
        assert [reply.get(name) for name, _ in semantics.FIELDS.get(status, ())] == [
            value for _, value in semantics.FIELDS.get(status, ())]
        assert client.ask(request(target="/status/200")).status == 200


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_a_status_in_between(serve: Serve, status: int) -> None:
    with connect(start(serve)) as client:
        interim = client.ask(request(target=f"/status/{status}"))
        assert interim.status == status
        final = client.reply()
        assert final is not None
        assert (final.status, final.body) == (200, f"Behind {status}.\n".encode())


@pytest.mark.parametrize("codes", [
    "99", "600", "101", "x", "200,x", "200:x", "200:-1", "200:0,500:0", "200:nan", "200:", ",", "200:1:1",
])
def test_no_status(serve: Serve, codes: str) -> None:
    assert ask(start(serve), f"/status/{codes}").status == 400


def expected_codes(seed: int, codes: list[int], weights: list[float], count: int) -> list[int]:
    """By the law that chance tells, done anew."""
    found = []
    for n in range(count):
        mark, at = random.Random(f"{seed}/{n}").random() * sum(weights), 0
        while mark >= weights[at]:
            mark -= weights[at]
            at += 1
        found.append(codes[at])
    return found


@pytest.mark.parametrize(("target", "codes", "weights"), [
    ("200:3,500:1", [200, 500], [3, 1]), ("200,404", [200, 404], [1, 1]),
    ("200:0.5,503:0.25,404:0.25", [200, 503, 404], [0.5, 0.25, 0.25]), ("500:0,204:7", [500, 204], [0, 7]),
])
def test_one_of_several_statuses(serve: Serve, target: str, codes: list[int], weights: list[float]) -> None:
    with connect(start(serve, seed=4)) as client:
        got = [client.ask(request(target=f"/status/{target}")).status for _ in range(30)]
    assert got == expected_codes(4, codes, weights, 30)


def test_how_often_each_is_chosen() -> None:
    chosen = [chance.Draw(0, n).choose("abc", [3, 1, 0]) for n in range(4000)]
    assert chosen.count("c") == 0
    assert chosen.count("a") / 4000 == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("rate", [0, 0.3, 1])
def test_one_that_fails_now_and_then(serve: Serve, rate: float) -> None:
    with connect(start(serve)) as client:
        got = [client.ask(request(target=f"/unstable?rate={rate}&seed=9")).status for _ in range(30)]
    assert got == [500 if random.Random(f"9/{n}").random() < rate else 200 for n in range(30)]


@pytest.mark.parametrize("query", ["rate=2", "rate=-0.1", "rate=x", "seed=1.5"])
def test_a_rate_that_is_none(serve: Serve, query: str) -> None:
    assert ask(start(serve), f"/unstable?{query}").status == 400


# -- Validators ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tag", "fields", "status"), [
    ("abc", [], 200),
    ("abc", ['If-None-Match: "abc"'], 304),
    ("abc", ['If-None-Match: W/"abc"'], 304),
    ("abc", ['If-None-Match: "x", "abc"'], 304),
    ("abc", ['If-None-Match: "x"', 'If-None-Match: "abc"'], 304),
    ("abc", ["If-None-Match: *"], 304),
    ("abc", ["If-None-Match: abc"], 200),
    ("abc", ['If-None-Match: "ABC"'], 200),
    ("abc", ['If-Match: "abc"'], 200),
    ("abc", ["If-Match: *"], 200),
    ("abc", ['If-Match: W/"abc"'], 412),
    ("abc", ['If-Match: "x"'], 412),
    ("abc", ['If-Match: "x"', 'If-None-Match: "abc"'], 412),
    ("abc", ['If-Match: "abc"', 'If-None-Match: "abc"'], 304),
    ("W%2F%22abc%22", ['If-None-Match: "abc"'], 304),
    ("W%2F%22abc%22", ['If-Match: W/"abc"'], 412),
    ("%22a%22b%22", [], 400), ("a%0d%0ab", [], 400), ("%E2%82%AC", [], 400),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_entity_tags(serve: Serve, method: str, tag: str, fields: list[str], status: int) -> None:
    reply = ask(start(serve), f"/etag/{tag}", *fields, method=method)
    assert reply.status == status
    if status != 400:
        assert reply.get("ETag") == ('"abc"' if tag == "abc" else 'W/"abc"')


@pytest.mark.parametrize(("fields", "status"), [
    ([], 200), (["If-None-Match: x"], 304), (["If-Modified-Since: whenever"], 304), (["If-Match: x"], 200),
])
def test_a_cache(serve: Serve, fields: list[str], status: int) -> None:
    reply = ask(start(serve), "/cache", *fields)
    assert reply.status == status
    assert reply.get("ETag")
    assert bool(reply.get("Last-Modified")) == (status == 200)


def test_for_how_long_it_may_be_kept(serve: Serve) -> None:
    assert ask(start(serve), "/cache/60").get("Cache-Control") == "public, max-age=60"


# -- Fields ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_fields_of_an_answer(serve: Serve, method: str) -> None:
    query = "X-One=1&x-one=2&X-Two=%C3%A4&Set-Cookie=a%3D1&Set-Cookie=b%3D2&Content-Type=text/x-mine"
    reply = ask(start(serve), f"/response-headers?{query}", method=method)
    assert reply.get("X-One") == "1, 2"
    assert reply.get("X-Two") == "ä"
    assert reply.get("Content-Type") == "text/x-mine"
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("query", [
    "X=a%0d%0aY:b", "X=%00", "X%0d%0aY=b", "X%20=a", "=a", "X=%E2%82%AC", "Content-Length=1",
    "transfer-encoding=chunked",
])
def test_fields_that_may_not_be_sent(serve: Serve, query: str) -> None:
    with connect(start(serve)) as client:
        assert client.ask(request(target=f"/response-headers?{query}")).status == 400
        assert client.ask(request(target="/cache/1")).status == 200


def test_an_answer_that_ends_the_connection(serve: Serve) -> None:
    with connect(start(serve)) as client:
        assert client.ask(request(target="/response-headers?Connection=close")).status == 200
        assert client.is_closed()


# -- Redirects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(("target", "count"), [
    ("/redirect/3", 3), ("/redirect/1", 1), ("/relative-redirect/3", 3), ("/absolute-redirect/3", 3),
    ("/redirect-to?url=/redirect/2", 3), ("/redirect-to?url=../get&status_code=308", 1),
])
def test_redirects(serve: Serve, kind: str, target: str, count: int) -> None:
    server = start(serve, kind)
    with session("requests") as client:
        client.verify = str(certificate()) if "TLS" in kind else True
        reply = client.get(base_of(server) + target, timeout=PATIENCE)
    assert [each.status_code in (302, 308) for each in reply.history] == [True] * count
    assert reply.status_code == 200
    assert reply.url == base_of(server) + "/get"


@pytest.mark.parametrize(("target", "status", "location"), [
    ("/redirect-to?url=http://x.example/%0d%0aX:1", 302, "http://x.example/%0D%0AX:1"),
    ("/redirect-to?url=/%C3%A4&status_code=307", 307, "/%C3%A4"),
    ("/redirect-to?url=/a%2520b", 302, "/a%20b"),
    ("/redirect-to", 400, None), ("/redirect-to?url=/&status_code=200", 400, None),
    ("/redirect/0", 400, None), ("/redirect/1001", 400, None), ("/relative-redirect/0", 400, None),
    ("/absolute-redirect/0", 400, None),
])
def test_where_redirects_lead(serve: Serve, target: str, status: int, location: str | None) -> None:
    reply = ask(start(serve), target)
    assert (reply.status, reply.get("Location")) == (status, location)


# -- Basic and Bearer --------------------------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(("fields", "lets_in"), [
    ([basic("ü", "p:w")], True), ([basic("ü", "p:w").replace("Basic", "bASIC")], True),
    ([], False), ([basic("ü", "pw")], False), ([basic("u", "p:w")], False),
    (["Authorization: Basic !!!"], False), (["Authorization: Bearer abc"], False),
    (["Authorization:"], False),
])
@pytest.mark.parametrize(("path", "refused"), [("/basic-auth", 401), ("/hidden-basic-auth", 404)])
def test_users(serve: Serve, path: str, refused: int, fields: list[str], lets_in: bool) -> None:
    reply = ask(start(serve), f"{path}/%C3%BC/p:w", *fields)
    assert reply.status == (200 if lets_in else refused)
    assert bool(reply.get("WWW-Authenticate")) == (reply.status == 401)
    said = {"authenticated": True, "user": "ü"} if lets_in else {"authenticated": False}
    assert json.loads(reply.body) == said


@pytest.mark.parametrize(("field", "token"), [
    ("Bearer abc.d-_~+/==", "abc.d-_~+/=="), ("bearer x", "x"), ("Bearer", None), ("Bearer a b", None),
    ("Basic abc", None), ("Bearer =", None),
])
def test_bearers(serve: Serve, field: str, token: str | None) -> None:
    reply = ask(start(serve), "/bearer", f"Authorization: {field}")
    assert reply.status == (401 if token is None else 200)
    assert json.loads(reply.body).get("token") == token


# -- Digest ----------------------------------------------------------------------------------------


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


# -- Digest, httpbin's cookies and stale nonces ----------------------------------------------------


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


# -- Digest, of real clients -----------------------------------------------------------------------

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


# -- Negotiation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "content_type"), [
    (None, "text/plain"), ("*/*", "text/plain"), ("text/html", "text/html"), ("text/*", "text/plain"),
    ("application/json, text/html;q=0.9", "application/json"), ("*/*, text/plain;q=0.1", "text/html"),
    ("text/html;q=0, */*;q=0.1", "text/plain"), ("APPLICATION/*", "application/json"),
    ("image/png, text/html; level=1; q=0.3", "text/html"), ("image/png", None), ("*/*;q=0", None),
])
def test_types(serve: Serve, accept: str | None, content_type: str | None) -> None:
    reply = ask(start(serve), "/vary", *([] if accept is None else [f"Accept: {accept}"]))
    assert reply.status == (406 if content_type is None else 200)
    assert reply.get("Vary") == "Accept, Accept-Language"
    if content_type:
        assert (reply.get("Content-Type") or "").partition(";")[0] == content_type


@pytest.mark.parametrize(("field", "language"), [
    (None, "en"), ("*", "en"), ("de", "de"), ("de-AT, en;q=0.9", "de"), ("it, fr;q=0.5", "fr"), ("it", "en"),
    ("en;q=0.1, es;q=0.2", "es"), ("en;q=0, *", "de"), ("FR-ca", "fr"),
])
def test_languages(serve: Serve, field: str | None, language: str) -> None:
    reply = ask(start(serve), "/vary", *([] if field is None else [f"Accept-Language: {field}"]))
    assert reply.get("Content-Language") == language
    assert reply.body == f"{semantics.GREETINGS[language]}\n".encode()
