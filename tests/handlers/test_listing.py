"""The page of a folder and its JSON, as they are rendered: words, links, headings; and what the page has."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from fastserve._listing import Folder
from fastserve.handlers import listing
from fastserve.handlers.listing import HTML_HEADERS, POLICY, Order, prefers_json


def read(path: Any) -> Folder:
    return Folder(os.open(path, os.O_RDONLY), True, True, True)


def page(folder: Path, target: str = "/", order: Any = None, uploads: bool = False,
         archives: bool = True) -> str:
    return listing.html(target, read(folder), order or Order(), uploads, archives).decode()


def crumbs(text: str) -> list[tuple[str, str]]:
    """Link, '' for none, and text."""
    found = re.search(r'<nav aria-label="Folders"><ol>(.*?)</ol></nav>', text, re.DOTALL)
    assert found
    items = re.findall(r'<li>(?:<a href="([^"]*)">|<span aria-current="page">)(.*?)</(?:a|span)>', found[1])
    return [(link, re.sub("<.*?>", "", words)) for link, words in items]


@pytest.mark.parametrize(("accept", "wanted"), [
    ("", False), ("*/*", False), ("text/html", False), ("application/json", True), ("application/*", True),
    ("APPLICATION/JSON", True), ("application/json, text/html", False),
    ("text/html, application/json", False),
    ("application/json, text/html;q=0.9", True), ("application/json;q=0.5, text/html;q=0.9", False),
    ("application/json, */*;q=0.1", True), ("application/json, text/*;q=0.9, */*", True),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
    ("application/json;q=0", False), ("application/json; q=0.8, text/html; q=0.7", True),
    ("application/json;q=x", False), ("application/json;q=", False), ("application/json;q=-1", False),
    (",, ;q=1, application/json;charset=utf-8;q=1", True), ("text/html;q=0, */*", True),
    ("application/jsonx", False),
])
def test_which_is_preferred(accept: str, wanted: bool) -> None:
    assert prefers_json(accept) == wanted


@pytest.mark.parametrize(("query", "order"), [
    ({}, Order()), ({"sort": "size"}, Order("size")),
    ({"sort": "date", "order": "desc"}, Order("date", True)),
    ({"sort": "SIZE", "order": "DESC"}, Order()), ({"sort": "text", "order": "down"}, Order()),
    ({"order": "desc"}, Order("name", True)), ({"sort": "", "order": ""}, Order()),
])
def test_what_is_no_order_is_passed_over(query: Any, order: Any) -> None:
    assert Order.of(query) == order


@pytest.mark.parametrize(("target", "wanted"), [
    ("/", [("", "Home")]),
    ("", [("", "Home")]),
    ("/a/", [("../", "Home"), ("", "a")]),
    ("/a/b%20c/d/", [("../../../", "Home"), ("../../", "a"), ("../", "b c"), ("", "d")]),
    ("/a//b/", [("../../../", "Home"), ("../../", "a"), ("", "b")]),
    ("/%3Cb%3E%26/", [("../", "Home"), ("", "&lt;b&gt;&amp;")]),
    ("/%2e%2E/%22/", [("../../", "Home"), ("../", ".."), ("", "&quot;")]),
    ("/%FF%C3%A9/", [("../", "Home"), ("", "\ufffdé")]),
])
def test_the_way_to_a_folder(target: str, wanted: Any, folder: Path) -> None:
    assert crumbs(page(folder, target)) == wanted


@pytest.mark.parametrize("name", ["{rows}", "{title}", "</title><script>", "<!-- empty -->", "\\1 \\g<0>"])
def test_names_are_not_taken_for_parts_of_the_page(name: str, folder: Path) -> None:
    (folder / name.replace("/", "_")).mkdir()
    text = page(folder, "/" + "".join(f"%{octet:02x}" for octet in name.encode()) + "/")
    assert text.count("<tbody>") == text.count("<title>") == text.count("<script>") == 1
    assert text.count("{rows}") in (0, 5)
    assert text.endswith("</html>\n")


@pytest.mark.parametrize(("names", "words"), [
    ([], ""), (["a"], "1 file, 1 B"), (["a", "b", "c/"], "1 folder, 2 files, 2 B"),
    (["c/", "d/"], "2 folders"),
])
def test_the_summary(names: list[str], words: str, folder: Path) -> None:
    for name in names:
        (folder / name).mkdir() if name.endswith("/") else (folder / name).write_bytes(b"x")
    assert f'<p id="summary" role="status">{words}</p>' in page(folder)
    assert ("This folder is empty." in page(folder)) == (not names)


def headings(text: str) -> list[tuple[str, str]]:
    return re.findall(r'<th scope="col"(?: aria-sort="(\w+)")?><a href="([^"]*)">', text)


@pytest.mark.parametrize(("order", "wanted"), [
    (Order(), [("ascending", "name", "desc"), ("", "size", "asc"), ("", "date", "asc")]),
    (Order("name", True), [("descending", "name", "asc"), ("", "size", "asc"), ("", "date", "asc")]),
    (Order("size"), [("", "name", "asc"), ("ascending", "size", "desc"), ("", "date", "asc")]),
    (Order("date", True), [("", "name", "asc"), ("", "size", "asc"), ("descending", "date", "asc")]),
])
def test_headings_sort_without_a_script(order: Any, wanted: Any, folder: Path) -> None:
    assert headings(page(folder, order=order)) == [
        (state, f"?sort={by}&amp;order={way}") for state, by, way in wanted]


def test_uploads_and_archives_are_offered_where_there_are_some(folder: Path) -> None:
    for offered in (False, True):
        text = page(folder, uploads=offered)
        form = '<form id="upload" method="post" action="./" enctype="multipart/form-data">'
        assert (form in text) == offered
        assert ('type="file" id="pick" name="file" multiple' in text) == offered
        text = page(folder, archives=offered)
        assert ('href="?archive=zip"' in text, 'href="?archive=tar"' in text) == (offered, offered)
        assert "<!--" not in re.sub("(?s)<script>.*?</script>", "", text)


def test_the_json(folder: Path) -> None:
    (folder / 'a "b" \\ \n\x01é.txt').write_bytes(b"x")
    (folder / "dir").mkdir()
    entries = read(folder)
    entries.sort("name")
    found = json.loads(listing.json("/a%20b/%FF/", entries))
    assert found["path"] == "/a b/\ufffd/"
    assert [each["name"] for each in found["entries"]] == ["dir", 'a "b" \\ \n\x01é.txt']
    assert json.loads(listing.json("/", Folder(os.open(folder / "dir", 0), True, True, True))) == {
        "path": "/", "entries": []}


# -- What the page is made of ------------------------------------------------------------------


def test_the_policy_names_what_is_in_the_page(folder: Path) -> None:
    text = page(folder, uploads=True)
    for part, name in (("style", "style-src"), ("script", "script-src")):
        [inner] = re.findall(rf"(?s)<{part}>(.*?)</{part}>", text)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}';" in POLICY
    assert POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in POLICY
    assert dict(HTML_HEADERS)["X-Content-Type-Options"] == "nosniff"


def test_the_page_runs_and_asks_for_nothing_else(folder: Path) -> None:
    text = re.sub("(?s)<script>.*?</script>", "", page(folder, uploads=True))
    assert not re.search(r"\son\w+=|\sstyle=|<script|javascript:", text)
    assert not re.search(r"@import|url\((?!\"data:)", text)
    assert re.findall(r'(?:src|href)="(?!data:)([^"?#]+)', text) == []
    assert set(re.findall(r"https?://[^\s'\"]*", page(folder))) == {"http://www.w3.org/2000/svg"}


def test_a_page_without_rows_is_small(folder: Path) -> None:
    assert len(page(folder, uploads=True).encode()) < 30 << 10


def test_what_is_tightened() -> None:
    text = "/* a\n   b */\n\na {\n  b: c;  \n}\n// d\n    e // f\n  // g\n"
    assert listing.tightened(text) == "a {\nb: c;\n}\ne // f"
