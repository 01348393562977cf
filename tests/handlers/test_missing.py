"""SimpleHTTPRequestHandler where nothing is found: listings switched off, a fallback page, a page for 404."""

import time
from pathlib import Path
from typing import Any

import pytest
from helpers import ask, request

import fastserve

from .makers import get
from .replaying import SETTLING, Files, partial, replays

PAGE, LOST = b"<title>app</title>", b"<title>lost</title>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("missing")
    (folder / "empty").mkdir()
    (folder / "index.html").write_bytes(PAGE)
    (folder / "404.html").write_bytes(LOST)
    (folder / ".hidden").write_bytes(b"x")
    (folder / "secret.toml").write_bytes(b"password")
    (folder / "link").symlink_to("secret.toml")
    time.sleep(SETTLING)
    return folder


def handler(home: Path, **data: Any) -> Any:
    return partial(type("Handler", (Files,), data), home)


@pytest.mark.parametrize(("target", "status"), [
    ("/empty/", 404), ("/empty", 301), ("/", 200), ("/none", 404),
])
def test_folders_that_are_not_listed(target: str, status: int, home: Path, serve: Any) -> None:
    server = serve(handler(home, list_directories=False))
    assert ask(server.server_address, request(target=target)).status == status


@pytest.mark.parametrize("target", ["/users/7", "/users/", "/john.doe", "/a%20b", "/users?tab=1", "/empty/x"])
def test_a_name_that_is_no_file_s_gets_the_fallback(target: str, home: Path, serve: Any) -> None:
    server = serve(handler(home, fallback_page="index.html", not_found_page="404.html"))
    reply = ask(server.server_address, request(target=target))
    assert (reply.status, reply.get("Content-Type"), reply.body) == (200, "text/html", PAGE)
    again = ask(server.server_address, request("GET", target, f"If-None-Match: {reply.get('ETag')}"))
    assert again.status == 304


@pytest.mark.parametrize("target", ["/app.js", "/users/photo.png", "/x.CSS", "/data.gz"])
def test_a_file_s_name_gets_no_fallback(target: str, home: Path, serve: Any) -> None:
    """A browser would take the page for a script."""
    server = serve(handler(home, fallback_page="index.html"))
    assert ask(server.server_address, request(target=target)).status == 404


def test_a_folder_without_listing_gets_the_fallback(home: Path, serve: Any) -> None:
    server = serve(handler(home, fallback_page="index.html", list_directories=False))
    assert ask(server.server_address, request(target="/empty/")).body == PAGE


@pytest.mark.parametrize("page", ["none.html", "empty", "../none", "\0"])
def test_a_fallback_that_is_not_there(page: str, home: Path, serve: Any) -> None:
    server = serve(handler(home, fallback_page=page, not_found_page=page))
    reply = ask(server.server_address, request(target="/users"))
    assert (reply.status, reply.get("Connection")) == (404, "close")


@pytest.mark.parametrize(("method", "body"), [("GET", LOST), ("HEAD", b"")])
def test_the_page_for_what_is_not_found(
    method: str, body: bytes, home: Path, serve: Any, client: Any
) -> None:
    server = serve(handler(home, not_found_page="404.html"))
    one = client(server)
    for _ in range(2):  # the connection stays
        reply = one.ask(request(method, "/none.txt"))
        assert (reply.status, reply.body) == (404, body)
        assert (reply.get("Content-Type"), reply.get("Content-Length")) == ("text/html", str(len(LOST)))
        assert reply.get("ETag") is None


def test_what_is_withheld(home: Path, serve: Any) -> None:
    server = serve(handler(home, withheld=(str(home / "secret.toml"),)))
    for target in ("/secret.toml", "/link", "/./secret.toml", "/%73ecret.toml"):
        assert ask(server.server_address, request(target=target)).status == 404
    assert ask(server.server_address, request(target="/index.html")).status == 200


@pytest.mark.parametrize("data", [
    {"fallback_page": "index.html"}, {"not_found_page": "404.html"}, {"list_directories": False},
    {"fallback_page": "index.html", "follow_symlinks": False},
])
@pytest.mark.parametrize("target", ["/users", "/x.js", "/empty/", "/.hidden"])
def test_what_is_sent_instead_may_be_recorded(
    data: dict[str, Any], target: str, home: Path, serve: Any
) -> None:
    server = serve(handler(home, hide_dotfiles=True, **data))
    listed = target == "/empty/" and data.get("list_directories", True)
    assert replays(server, target) is not listed


@pytest.mark.parametrize(("name", "page"), [("fallback_page", "index.html"), ("not_found_page", "404.html")])
def test_a_page_that_changes(name: str, page: str, tmp_path: Path, serve: Any) -> None:
    (tmp_path / page).write_bytes(b"one")
    time.sleep(SETTLING)
    server = serve(handler(tmp_path, **{name: page}))
    assert replays(server, "/users")
    (tmp_path / page).write_bytes(b"two, and longer")
    assert ask(server.server_address, request(target="/users")).body == b"two, and longer"
    (tmp_path / page).unlink()
    assert ask(server.server_address, request(target="/users")).status == 404
    (tmp_path / "users").write_bytes(b"itself")
    assert ask(server.server_address, request(target="/users")).body == b"itself"


def test_without_all_that_it_is_http_server_s(home: Path, files: Any, client: Any) -> None:
    reply = client(files()).ask(get("/none"))
    assert (reply.status, fastserve.SimpleHTTPRequestHandler.not_found_page) == (404, None)
