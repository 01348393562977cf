"""What answers mean: statuses and their fields, validators, redirects, users and bearers, negotiation."""

import base64
import json
import random
from http import HTTPStatus

import pytest
from helpers import PATIENCE, request
from pairs import certificate

from fastserve.rig.origin import chance, semantics
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
