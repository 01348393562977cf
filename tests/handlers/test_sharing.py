"""SharingMixin: fields of every answer, preflights, and that answers are recorded all the same."""

import time
from pathlib import Path
from typing import Any

import pytest
from helpers import ask, request

from fastserve.handlers.sharing import SharingMixin, cors_fields, isolation_fields

from .replaying import SETTLING, Files, partial, replays

ORIGIN = "https://a.example"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharing")
    (folder / "file.txt").write_bytes(b"x" * 100)
    (folder / "dir").mkdir()
    time.sleep(SETTLING)
    return folder


def handler(home: Path, base: Any = Files, **data: Any) -> Any:
    return partial(type("Handler", (SharingMixin, base), data), home)


@pytest.mark.parametrize(("line", "status"), [
    (("GET", "/file.txt"), 200), (("GET", "/none"), 404), (("GET", "/dir"), 301), (("GET", "/dir/"), 200),
    (("GET", "/file.txt", "Range: bytes=0-0"), 206), (("GET", "/file.txt", "Range: bytes=900-"), 416),
    (("DELETE", "/file.txt"), 501), (("OPTIONS", "/file.txt"), 204), (("OPTIONS", "*"), 204),
])
@pytest.mark.parametrize("origin", ["*", ORIGIN])
def test_every_answer_may_be_read(line: Any, status: int, origin: str, home: Path, serve: Any) -> None:
    """Those too that say what went wrong, which a page could not even see else."""
    server = serve(handler(home, cors_origin=origin, always_headers=tuple(cors_fields(origin))))
    reply = ask(server.server_address, request(*line))
    assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (status, origin)
    assert [value for name, value in reply.headers if name == "Vary"] == ([] if origin == "*" else ["Origin"])


def test_a_304_may_be_read(home: Path, serve: Any) -> None:
    server = serve(handler(home, always_headers=tuple(cors_fields("*"))))
    tag = ask(server.server_address, request(target="/file.txt")).get("ETag")
    reply = ask(server.server_address, request("GET", "/file.txt", f"If-None-Match: {tag}"))
    assert (reply.status, reply.get("Access-Control-Allow-Origin")) == (304, "*")


@pytest.mark.parametrize(("wanted", "allowed"), [
    ("range, x-own", "range, x-own"), ("Content-Type", "Content-Type"), ("a;b", "*"), ("", "*"),
])
def test_a_preflight(wanted: str, allowed: str, home: Path, serve: Any) -> None:
    server = serve(handler(home, cors_origin="*", always_headers=tuple(cors_fields("*"))))
    reply = ask(server.server_address, request(
        "OPTIONS", "/file.txt", f"Origin: {ORIGIN}", "Access-Control-Request-Method: GET",
        f"Access-Control-Request-Headers: {wanted}"))
    assert (reply.status, reply.get("Access-Control-Allow-Headers")) == (204, allowed)
    assert reply.get("Access-Control-Allow-Methods") == reply.get("Allow") == "GET, HEAD, OPTIONS"
    assert int(reply.get("Access-Control-Max-Age") or 0) > 0


def test_options_of_who_shares_nothing(home: Path, serve: Any) -> None:
    server = serve(handler(home))
    reply = ask(server.server_address, request("OPTIONS", "/", "Access-Control-Request-Method: GET"))
    assert (reply.get("Allow"), reply.get("Access-Control-Allow-Methods")) == ("GET, HEAD, OPTIONS", None)


@pytest.mark.parametrize(("shared", "policy"), [(False, "same-origin"), (True, "cross-origin")])
def test_isolation(shared: bool, policy: str, home: Path, serve: Any) -> None:
    server = serve(handler(home, always_headers=tuple(isolation_fields(shared))))
    reply = ask(server.server_address, request(target="/file.txt"))
    names = ("Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy", "Cross-Origin-Resource-Policy")
    assert [reply.get(name) for name in names] == ["same-origin", "require-corp", policy]


def test_answers_are_recorded(home: Path, serve: Any) -> None:
    assert replays(serve(handler(home, always_headers=tuple(cors_fields("*")))), "/file.txt")


def test_data_that_changes_counts(home: Path, serve: Any) -> None:
    made = handler(home, always_headers=(("X-Own", "1"),))
    server = serve(made)
    assert replays(server, "/file.txt")
    made.func.always_headers = (("X-Own", "2"),)
    time.sleep(0.2)
    assert ask(server.server_address, request(target="/file.txt")).get("X-Own") == "2"


def test_an_end_headers_of_somebody_else_s_counts(home: Path, serve: Any) -> None:
    class Own(Files):
        def end_headers(self) -> None:
            self.send_header("X-Time", str(time.monotonic_ns()))
            super().end_headers()

    assert not replays_own(serve(handler(home, Own)))


def replays_own(server: Any) -> bool:
    replies = [ask(server.server_address, request(target="/file.txt")).get("X-Time") for _ in range(3)]
    return len(set(replies)) < 3
