"""AuthenticationMixin and its credentials: who is let in, who is not, and that nothing goes by it."""

import base64
import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import ask, request, wait_until

import fastserve
from fastserve.handlers import authentication, logs
from fastserve.handlers.authentication import (
    AuthenticationMixin,
    BadCredentials,
    Credentials,
    check_for,
    read_users,
)
from fastserve.handlers.sharing import SharingMixin, cors_fields

from .replaying import SETTLING, Files, hits, partial

SHA256 = "sha256:" + hashlib.sha256("päss".encode()).hexdigest()
SHA512 = "sha512:" + hashlib.sha512("päss".encode()).hexdigest().upper()
SHA1 = "{SHA}" + base64.b64encode(hashlib.sha1("päss".encode()).digest()).decode()
BCRYPT = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"  # of U*U, a known vector


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize("secret", ["päss", SHA256, SHA512, SHA1])
def test_the_right_password(secret: str) -> None:
    known = Credentials({"ann": secret, "bob": "other"})
    for _ in range(2):  # the second time from memory
        assert known.user(basic("ann", "päss")) == "ann"
        assert known.user(basic("bob", "päss")) is None
        assert known.user(basic("ann", "other")) is None
        assert known.user(basic("ann", "")) is None
        assert known.user(basic("", "päss")) is None
        assert known.user(basic("ann", secret)) is None or secret == "päss"


def test_bcrypt() -> None:
    pytest.importorskip("bcrypt")
    known = Credentials({"ann": BCRYPT})
    assert known.user(basic("ann", "U*U")) == "ann"
    assert known.user(basic("ann", "U*V")) is None


def test_a_password_with_colons() -> None:
    assert Credentials({"ann": "a:b:c"}).user(basic("ann", "a:b:c")) == "ann"


@pytest.mark.parametrize("field", [
    "", "Basic", "Basic ", "Basic !!!", "Bearer abc", "Basic " + base64.b64encode(b"ann").decode(),
    "Basic " + base64.b64encode(b"\xff:x").decode(), "Basic " + "A" * 50_000, "Digest username=ann",
])
def test_what_is_nobody_s(field: str) -> None:
    assert Credentials({"ann": "x"}).user(field) is None


@pytest.mark.parametrize("field", ["basic", "BASIC", "Basic "])
def test_the_scheme_is_a_token_of_any_case(field: str) -> None:
    encoded = basic("ann", "x").partition(" ")[2]
    assert Credentials({"ann": "x"}).user(f"{field} {encoded}") == "ann"


@pytest.mark.parametrize("secret", ["", "$1$abc", "$apr1$abc$def", "{SHA}!", "{SSHA}abc", "$2y$05$short"])
def test_a_secret_that_is_none(secret: str) -> None:
    with pytest.raises(BadCredentials):
        Credentials({"ann": secret})


@pytest.mark.parametrize(("secret", "password"), [
    ("päss", "päss"), (SHA512, "päss"), (SHA1, "päss"), (BCRYPT, "U*U"),
])
def test_who_is_not_known_costs_a_hash_as_others_do(
    secret: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if secret == BCRYPT:
        pytest.importorskip("bcrypt")
    judged: list[bytes] = []

    def counting(secret: str) -> Any:
        check = check_for(secret)
        return lambda given: (judged.append(given), check(given))[1]

    monkeypatch.setattr(authentication, "check_for", counting)
    known = Credentials({"ann": secret})
    for count, (name, given) in enumerate((("ann", "x"), ("bob", "x"), ("bob", password), ("", "x")), 1):
        assert known.user(basic(name, given)) is None
        assert len(judged) == count
    assert known.user(basic("ann", password)) == "ann"


def test_where_one_has_a_slow_hash_all_cost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bcrypt = pytest.importorskip("bcrypt")
    judged: list[bytes] = []

    def counting(given: bytes, hashed: bytes) -> Any:
        judged.append(given)
        return bcrypt.hashpw(given, hashed) == hashed

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    known = Credentials({"ann": "plain", "bob": BCRYPT, "cat": BCRYPT})
    for count, name in enumerate(("ann", "bob", "cat", "dan", ""), 1):
        assert known.user(basic(name, "x")) is None
        assert len(judged) == count


def test_what_is_not_a_digest_s_length_is_a_password() -> None:
    assert Credentials({"ann": "sha256:abc"}).user(basic("ann", "sha256:abc")) == "ann"


def test_a_file_of_users() -> None:
    lines = ["# some\n", "\n", "ann:a:b\n", "bob:x\r\n", "ann:later"]
    assert read_users(lines) == {"ann": "later", "bob": "x"}
    with pytest.raises(BadCredentials, match="line 2 is not USER:PASSWORD"):
        read_users(["ann:x", "bob"])


# -- Over the wire -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authentication")
    (folder / "file.txt").write_bytes(b"octets")
    time.sleep(SETTLING)
    return folder


def handler(home: Path, *bases: Any, **data: Any) -> Any:
    data = {"credentials": Credentials({"ann": "x"}), **data}
    return partial(type("Handler", (AuthenticationMixin, *bases, Files), data), home)


LET_IN = f"Authorization: {basic('ann', 'x')}"
NOT_LET_IN = f"Authorization: {basic('ann', 'y')}"


@pytest.mark.parametrize(("line", "status"), [
    (("GET", "/file.txt", LET_IN), 200), (("GET", "/file.txt", NOT_LET_IN), 401),
    (("GET", "/file.txt"), 401), (("HEAD", "/file.txt"), 401), (("HEAD", "/file.txt", LET_IN), 200),
    (("GET", "/none"), 401), (("DELETE", "/file.txt"), 401), (("DELETE", "/file.txt", LET_IN), 501),
    (("OPTIONS", "/file.txt"), 401), (("GET", "/file.txt", LET_IN, NOT_LET_IN), 401),
])
def test_who_is_let_in(line: Any, status: int, home: Path, serve: Any) -> None:
    reply = ask(serve(handler(home)).server_address, request(*line))
    asked = reply.get("WWW-Authenticate")
    assert (reply.status, asked is not None) == (status, status == 401)
    assert asked is None or asked == 'Basic realm="fastserve", charset="UTF-8"'
    assert b"octets" not in reply.body or status == 200


def test_nobody_is_let_in_by_what_another_was_sent(home: Path, serve: Any) -> None:
    server = serve(handler(home))
    for _ in range(5):
        assert ask(server.server_address, request("GET", "/file.txt", LET_IN)).status == 200
        assert ask(server.server_address, request("GET", "/file.txt")).status == 401
    assert hits(server) == 0


def test_each_request_of_a_connection_is_asked(home: Path, serve: Any, client: Any) -> None:
    one = client(serve(handler(home)))
    statuses = [one.ask(request("GET", "/file.txt", *fields)).status
                for fields in ([LET_IN], [], [NOT_LET_IN], [LET_IN])]
    assert statuses == [200, 401, 401, 200]


def test_a_body_is_not_waited_for(home: Path, serve: Any, client: Any) -> None:
    """The final answer comes in the place of 100 Continue."""

    class Taking(Files):
        def do_PUT(self) -> None:
            self.send_error(200 if self.rfile.read(5) == b"12345" else 400)

    made = handler(home)
    made = partial(type("Handler", (made.func, Taking), {}), home)
    one = client(serve(made))
    reply = one.ask(request("PUT", "/x", "Expect: 100-continue", "Content-Length: 5"))
    assert (reply.status, reply.get("Connection")) == (401, "close")
    assert one.is_closed()


def test_a_preflight_has_no_password(home: Path, serve: Any) -> None:
    made = handler(home, SharingMixin, cors_origin="*", always_headers=tuple(cors_fields("*")))
    server = serve(made)
    asks = request("OPTIONS", "/file.txt", "Access-Control-Request-Method: GET")
    assert ask(server.server_address, asks).status == 204
    assert ask(server.server_address, request("OPTIONS", "/file.txt")).status == 401
    reply = ask(server.server_address, request("GET", "/file.txt"))
    assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (401, "*")


# -- The log -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["common", "json"])
@pytest.mark.parametrize(("second", "status"), [
    (request("GET", "/file.txt"), 401), (request("GET", "/file.txt", NOT_LET_IN), 401),
    (request("GET", "/file.txt", LET_IN, LET_IN), 401), (b"GET /file.txt HTTP/x\r\n\r\n", 400),
    (b"GET /file.txt HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (request("OPTIONS", "/file.txt", "Access-Control-Request-Method: GET"), 204),
    (request("GET", "/" + "x" * 70_000, LET_IN), 414),
])
def test_the_user_is_that_of_the_request(
    form: str, second: bytes, status: int, home: Path, serve: Any, client: Any, log: Any
) -> None:
    made = handler(home, SharingMixin, cors_origin="*")
    one = client(serve(partial(type("Logging", (logs.CLASSES[form], made.func), {}), home)))
    assert [one.ask(each).status for each in (request("GET", "/file.txt", LET_IN), second)] == [200, status]
    assert wait_until(lambda: log.text().count("\n") == 2)
    lines = log.text().splitlines()
    if form == "json":
        assert [json.loads(line)["user"] for line in lines] == ["ann", None]
    else:
        assert [line.split(" ")[2] for line in lines] == ["ann", "-"]


@pytest.mark.parametrize(("form", "quiet", "patterns"), [
    ("http.server", False, [r".*\] code 401, message Unauthorized", r'.*\] "GET /file.txt HTTP/1.1" 401 -']),
    ("common", False, [r'127.0.0.1 - - \[.*\] "GET /file.txt HTTP/1.1" 401 \d+']),
    ("json", False, [r'\{.* "status": 401, .* "user": null, "error": "Unauthorized"\}']),
    ("http.server", True, []), ("json", True, []),
])
def test_the_lines_of_a_401_are_those_of_any_error(
    form: str, quiet: bool, patterns: list[str], home: Path, serve: Any, log: Any
) -> None:
    mixin = logs.log_class(form, False, quiet)
    bases = (AuthenticationMixin, fastserve.SimpleHTTPRequestHandler)
    kind = type("Logging", (mixin, *bases) if mixin else bases, {"credentials": Credentials({"ann": "x"})})
    assert ask(serve(partial(kind, home)).server_address, request(target="/file.txt")).status == 401
    assert wait_until(lambda: log.text().count("\n") == len(patterns))
    assert all(map(re.fullmatch, patterns, log.text().splitlines()))
