"""The list of endpoints: as JSON, as a page without its script, and in a browser."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from helpers import ask, request

from fastserve.rig.origin import routes

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
OPTIONS = [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Page(HTMLParser):
    """The links, the texts of scripts and style sheets, and all attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.texts: dict[str, str] = {}
        self.attributes: list[tuple[str, str | None]] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.attributes += attrs
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")

    def handle_data(self, data: str) -> None:
        self.texts[self._tag] = self.texts.get(self._tag, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


def get(address: Any, *fields: str) -> Any:
    return ask(address, request("GET", "/", *fields))


def test_as_json(address: Any) -> None:
    reply = get(address, "Accept: application/json")
    assert (reply.get("Content-Type"), reply.get("Vary")) == ("application/json", "Accept")
    found = json.loads(reply.body)["endpoints"]
    assert {each["path"] for each in found} == {each.path for each in routes.ENDPOINTS}
    assert set(found[0]) == {"group", "path", "methods", "says", "example", "constant"}


@pytest.mark.parametrize("fields", [(), ("Accept: */*",), ("Accept: text/html,application/json;q=0.9",)])
def test_as_a_page(address: Any, fields: tuple[str, ...]) -> None:
    reply = get(address, *fields)
    assert (reply.status, reply.get("Content-Type")) == (200, "text/html; charset=utf-8")


def test_every_endpoint_is_on_the_page_with_a_link(address: Any) -> None:
    text = get(address).body.decode()
    links = Page(text).links
    for each in routes.ENDPOINTS:
        assert f'data-path="{each.path}"' in text
        assert (each.example in links) is ("GET" in each.methods), each.path
    assert len(re.findall("<details>", text)) == len(routes.ENDPOINTS)


def test_the_policy_names_the_script_and_the_style_and_nothing_else(address: Any) -> None:
    reply = get(address)
    page = Page(reply.body.decode())
    policy = dict(part.split(" ", 1) for part in str(reply.get("Content-Security-Policy")).split("; "))
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(page.texts[tag].encode()).digest()).decode()
        assert policy[name] == f"'sha256-{digest}'"
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]


def test_it_asks_nobody_for_anything(address: Any) -> None:
    attributes = Page(get(address).body.decode()).attributes
    targets = [value for name, value in attributes if name in ("src", "href", "action") and value]
    assert [value for value in targets if not value.startswith(("/", "#", "data:"))] == []
    assert not re.findall(r"url\((?!\"data:)", get(address).body.decode())


# -- In a browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("Chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The page, loaded; an error of its script, or of its policy, is one of the test."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    faults: list[str] = []

    def read(message: Any) -> None:
        if "Content Security" in message.text:
            faults.append(message.text)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", read)
    page.goto(f"{url}/")
    yield page
    page.close()
    assert faults == []


def opened(page: Any, path: str) -> Any:
    """The row of an endpoint, open."""
    row = page.locator("details").filter(has=page.locator(f'form[data-path="{path}"]'))
    row.locator("summary").click()
    return row


@pytest.mark.slow
def test_an_endpoint_is_tried_in_place(page: Any) -> None:
    row = opened(page, "/bytes/{count:int}")
    row.get_by_label("count").fill("5")
    row.get_by_label("Query").fill("seed=3")
    row.get_by_role("button", name="Send").click()
    row.get_by_text("5 octets", exact=True).wait_for()
    answer = row.locator(".answer")
    assert answer.locator("h3").inner_text().startswith("200 OK")
    assert "etag: \"5-3\"" in answer.get_by_label("Fields").inner_text()
    assert re.fullmatch("([0-9a-f]{2} ){5}", answer.get_by_label("Body").text_content())


@pytest.mark.slow
def test_a_body_is_sent(page: Any) -> None:
    row = opened(page, "/anything/{path:path}")
    row.get_by_label("Method").select_option("PUT")
    row.get_by_label("path").fill("a b/c")
    row.get_by_label("Body").fill("words")
    row.get_by_label("Body").press("Tab")
    page.keyboard.press("Enter")
    row.get_by_text(re.compile("^[0-9]+ octets$")).wait_for()
    said = json.loads(row.get_by_label("Body", exact=True).last.text_content())
    assert (said["method"], said["data"]) == ("PUT", "words")
    assert said["url"].endswith("/anything/a%20b/c?c=d")


@pytest.mark.slow
def test_no_more_is_read_than_is_shown(page: Any) -> None:
    row = opened(page, "/bytes/{count:int}")
    row.get_by_label("count").fill(str(1 << 40))
    row.get_by_role("button", name="Send").click()
    row.get_by_text("and more; no more were read").wait_for()


@pytest.mark.slow
def test_a_picture_is_shown(page: Any) -> None:
    row = opened(page, "/image/png")
    row.get_by_role("button", name="Send").click()
    row.locator("img").wait_for()
    assert page.evaluate("document.querySelector('img').naturalWidth") == 64


@pytest.mark.slow
def test_an_answer_that_takes_long_is_stopped(page: Any) -> None:
    row = opened(page, "/range/{count:int}")
    row.get_by_label("count").fill("1000")
    row.get_by_label("Query").fill("duration=600&chunk_size=1")
    row.get_by_role("button", name="Send").click()
    row.get_by_text("1 octet", exact=True).wait_for()
    row.get_by_role("button", name="Stop").click()
    row.get_by_text("Stopped.").wait_for()


@pytest.mark.slow
def test_the_filter_and_its_keys(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("image web")
    assert page.locator("details:visible").count() == 1
    assert page.get_by_role("status").inner_text().startswith("1 of ")
    page.keyboard.type("nothing")
    assert page.get_by_text("No endpoint matches.").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("details:visible").count() == len(routes.ENDPOINTS)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_people_who_cannot_see_well(browser: Any, url: str, scheme: str, width: int) -> None:
    """What axe-core finds wrong, with an answer on the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    size = {"width": width, "height": 900}
    context = browser.new_context(color_scheme=scheme, viewport=size, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{url}/")
    row = opened(page, "/get")
    row.get_by_role("button", name="Send").click()
    row.get_by_text(re.compile("^[0-9]+ octets$")).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in found] == []
    context.close()


@pytest.mark.slow
def test_without_a_script_there_are_links(browser: Any, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{url}/")
    page.locator("details").filter(has_text="/plaintext").first.locator("summary").click()
    assert page.locator("form:visible").count() == page.locator("#filter:visible").count() == 0
    page.get_by_role("link", name="/plaintext").click()
    assert page.content().count("Hello, World!") == 1
    context.close()
