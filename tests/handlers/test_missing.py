"""SimpleHTTPRequestHandler where nothing is found: listings switched off, a fallback page, a page for 404."""

import os
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


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder with ``page.html`` and two files that are not to be sent, the other as an index page."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "page.html").write_bytes(b"first")
    for name in ("secret", "dir/index.html"):
        (tmp_path / name).write_bytes(b"secret")
    return tmp_path


def not_sending(reason: str, secret: Path, serve: Any, **data: Any) -> Any:
    """A server of ``secret`` that does not send them, for that reason."""
    files = [secret / "secret", secret / "dir" / "index.html"]
    if reason == "withheld":
        data["withheld"] = tuple(map(str, files))
    else:
        for file in files:
            file.chmod(0)
        if os.access(files[0], os.R_OK):
            pytest.skip("root may read everything")
    time.sleep(SETTLING)
    return serve(handler(secret, **data))


@pytest.mark.parametrize(("reason", "page", "targets"), [
    ("withheld", "not_found_page", ["/secret", "/dir/"]),
    ("unreadable", "not_found_page", ["/secret", "/dir/"]),
    ("withheld", "fallback_page", ["/secret"]),
    ("unreadable", "fallback_page", ["/secret"]),
])
def test_the_page_changes_that_stands_for_what_is_not_sent(
    reason: str, page: str, targets: list[str], secret: Path, serve: Any
) -> None:
    server = not_sending(reason, secret, serve, **{page: "page.html"})
    assert all(replays(server, target) for target in targets)
    (secret / "page.html").write_bytes(b"second, and longer")
    bodies = [ask(server.server_address, request(target=target)).body for target in targets]
    assert bodies == [b"second, and longer"] * len(targets)


@pytest.mark.parametrize("pages", [
    {"not_found_page": "secret"}, {"fallback_page": "secret"},
    {"fallback_page": "secret", "not_found_page": "secret"},
])
def test_a_page_that_is_withheld_is_none(pages: dict[str, str], secret: Path, serve: Any) -> None:
    server = not_sending("withheld", secret, serve, **pages)
    for target in ("/none", "/secret", "/none"):
        reply = ask(server.server_address, request(target=target))
        assert (reply.status, b"secret" in reply.body) == (404, False)


def test_what_is_no_file_has_a_page_in_its_place(secret: Path, serve: Any) -> None:
    os.mkfifo(secret / "pipe")
    server = serve(handler(secret, fallback_page="page.html"))
    assert ask(server.server_address, request(target="/pipe")).body == b"first"


@pytest.mark.parametrize("reason", ["withheld", "unreadable"])
def test_what_may_be_sent_from_now_on(reason: str, secret: Path, serve: Any) -> None:
    server = not_sending(reason, secret, serve, not_found_page="page.html")
    assert replays(server, "/secret")
    assert replays(server, "/dir/")
    server.RequestHandlerClass.func.withheld = ()
    for name, target in (("secret", "/secret"), ("dir/index.html", "/dir/")):
        (secret / name).chmod(0o644)
        reply = ask(server.server_address, request(target=target))
        assert (reply.status, reply.body) == (200, b"secret")


def test_without_all_that_it_is_http_server_s(home: Path, files: Any, client: Any) -> None:
    reply = client(files()).ask(get("/none"))
    assert (reply.status, fastserve.SimpleHTTPRequestHandler.not_found_page) == (404, None)
