"""The page of a folder in a browser: Chromium, driven by playwright, on a server with FolderHandler.

What people do there: sort, filter, open, go back, look at images, change the colours, all by keys alone,
upload. And what axe-core, which comes with axe-playwright-python, finds wrong for people who cannot see well.
Knows the page by its roles and words, as people do, and of the server only public names.
"""

import contextlib
import functools
import json
import os
import shutil
import struct
import sys
import threading
import urllib.parse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, running, wait_until
from live.process import WAIT

import fastserve
from fastserve.handlers.folder import FolderHandler

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")]

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

OPTIONS = [
    "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
SIZES = {"desktop": {"width": 1200, "height": 800}, "phone": {"width": 390, "height": 800}}

# Each is told by its own content.
AWKWARD = [
    "a b.txt", " leading and trailing ", "<img src=x onerror=alert(1)>", "&amp;.txt", "\"quoted\" 'twice'",
    "100%.txt", "%41.txt", "hash#tag.txt", "question?.txt", "line\nbreak.txt", "tab\there.txt",
    "back\\slash.txt", "semi;colon,comma.txt", "c:drive.txt", "..almost", "-dash", "~tilde", "{rows}{title}",
    "\u0645\u0644\u0641 \u0639\u0631\u0628\u064a.txt", "\u202egpj.exe", "\U0001f600 emoji.txt",
    "e\u0301 combined.txt", "\u65e5\u672c\u8a9e.txt", "x" * 251 + ".txt", "constructor", "__proto__",
]
if sys.platform != "darwin":  # whose file systems have only UTF-8 names
    AWKWARD += [os.fsdecode(b"latin-\xe9\xff.txt")]


class Pages(FolderHandler):
    """Notes what it was asked for, and stores what is put there, in a way that is good enough for a test."""

    protocol_version = "HTTP/1.1"
    uploads = False
    answers: dict[str, int] = {}  # statuses for names that are not to be stored
    asked: list[str]
    held: threading.Event

    def accepts_uploads_in(self, path: str) -> bool:
        return self.uploads

    def do_PUT(self) -> None:
        name = os.path.basename(self.path)
        conditional = self.headers["If-None-Match"]
        size, taken = int(self.headers["Content-Length"]), b""
        while len(taken) < size:
            piece = self.rfile.read1(min(1 << 16, size - len(taken)))  # type: ignore[attr-defined]
            if not piece:  # the client is gone
                self.close_connection = True
                return
            taken += piece
            if "slow" in name:
                self.held.wait(WAIT)
        path = Path(self.translate_path(self.path))
        status = self.answers.get(name) or (412 if path.exists() and conditional == "*" else 201)
        if status == 201:
            path.write_bytes(taken)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        self.asked.append(f"{self.command} {self.path}")


class Site:
    """A server of a folder; its URL, and what it was asked for."""

    def __init__(self, folder: Path, **attributes: Any) -> None:
        self.folder, self.asked, self.held = folder, [], threading.Event()
        own = {"asked": self.asked, "held": self.held, **attributes}
        maker = functools.partial(type("Own", (Pages,), own), directory=str(folder))
        self.server = fastserve.ThreadingHTTPServer(("127.0.0.1", 0), maker)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def site(folder: Path) -> Iterator[Any]:
    """A function that serves ``folder`` with a subclass of Pages that has these attributes."""
    with contextlib.ExitStack() as stack:

        def start(**attributes: Any) -> Site:
            site = Site(folder, **attributes)
            stack.enter_context(running(site.server))
            stack.callback(site.held.set)
            return site

        yield start


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """A function that opens a URL in a new window. What the page complains of is an error at the end."""
    said: list[str] = []
    with contextlib.ExitStack() as stack:

        def start(url: str, size: str = "desktop", **options: Any) -> Any:
            context = browser.new_context(viewport=SIZES[size], locale="en-GB", **options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT * 1000)
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(url)
            return page

        yield start
    assert [line for line in said if "Failed to load resource" not in line] == []


def image(path: Path, width: int = 40, height: int = 30) -> None:
    """A grey one."""
    octets = b"\x89PNG\r\n\x1a\n"
    rows = (b"\0" + b"\x80" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        octets += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(octets)


@pytest.fixture
def album(folder: Path) -> Path:
    """Files of all sizes and times, images among them, and folders."""
    for number, name in enumerate(["b10.txt", "b9.txt", "a.md", "Z.zip"]):
        (folder / name).write_bytes(b"x" * 10 ** (4 - number))
        os.utime(folder / name, (1e9 + number, 1e9 + number))
    for name in ("one.png", "three.png", "two.png"):
        image(folder / name)
        os.utime(folder / name, (2e9, 2e9))
    (folder / "sub" / "inner").mkdir(parents=True)
    (folder / "sub" / "inside.txt").write_text("inside")
    return folder


def names(page: Any) -> list[str]:
    """The entries that the table has, in its order."""
    found: list[str] = page.eval_on_selector_all("tbody a", "all => all.map(a => a.textContent)")
    return found


def focused(page: Any) -> str:
    """The text of what has the focus, or its id."""
    return str(page.evaluate("document.activeElement.id || document.activeElement.textContent"))


ALL = ["sub/", "a.md", "b9.txt", "b10.txt", "one.png", "three.png", "two.png", "Z.zip"]


# -- Reading -----------------------------------------------------------------------------------


def test_sorting_at_once_and_by_the_query(site: Any, visit: Any, album: Path) -> None:
    """The page that a script has sorted is the one that the server sorts."""
    there = site()
    page = visit(there.url)
    assert names(page) == ALL
    asked = len(there.asked)
    for column, order in (("Size", "asc"), ("Size", "desc"), ("Modified", "asc"), ("Modified", "desc"),
                          ("Name", "asc"), ("Name", "desc")):
        page.get_by_role("columnheader", name=column).get_by_role("link").click()
        sort = {"Modified": "date"}.get(column, column.lower())
        assert page.url == f"{there.url}/?sort={sort}&order={order}"
        expect(page.locator("th[aria-sort]")).to_have_text(column)
        plain = visit(page.url, java_script_enabled=False)
        assert names(page) == plain.eval_on_selector_all("tbody a", "all => all.map(a => a.textContent)")
        headings = "all => all.map(th => [th.ariaSort, th.firstElementChild.getAttribute('href')])"
        assert page.eval_on_selector_all("th", headings) == plain.eval_on_selector_all("th", headings)
    assert len(there.asked) == asked + 6  # what the plain windows have asked for


def test_sorting_without_a_script(site: Any, visit: Any, album: Path) -> None:
    page = visit(site().url, java_script_enabled=False)
    page.get_by_role("link", name="Size").click()
    page.get_by_role("link", name="Size").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Size")
    expect(page.locator("tbody a").nth(1)).to_have_text("b10.txt")
    expect(page.get_by_role("searchbox")).to_be_hidden()


def test_filtering(site: Any, visit: Any, album: Path) -> None:
    page = visit(site().url)
    box, status = page.get_by_role("searchbox", name="Filter by name"), page.get_by_role("status")
    expect(status).to_contain_text("1 folder, 7 files")
    box.fill("B .TXT")
    expect(status).to_have_text("2 of 8 shown")
    assert names(page) == ["b9.txt", "b10.txt"]
    box.fill("nothing like it")
    expect(page.get_by_text("No name matches.")).to_be_visible()
    page.get_by_role("link", name="Size").click()
    box.fill("")
    expect(status).to_contain_text("1 folder, 7 files")
    assert sorted(names(page)) == sorted(ALL)


def test_opening_and_coming_back(site: Any, visit: Any, album: Path) -> None:
    there = site()
    page = visit(there.url)
    page.get_by_role("link", name="sub/").click()
    expect(page).to_have_title("Directory listing for /sub/")
    page.get_by_role("link", name="inside.txt").click()
    expect(page.locator("body")).to_have_text("inside")
    page.go_back()
    assert names(page) == ["inner/", "inside.txt"]
    page.get_by_role("link", name="inner/").click()
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Home").click()
    expect(page).to_have_url(there.url + "/")
    assert names(page) == ALL


def test_sizes_and_times_are_exact_when_asked_for(site: Any, visit: Any, album: Path) -> None:
    page = visit(site().url, timezone_id="Asia/Tokyo")
    row = page.get_by_role("row", name="b10.txt")
    expect(row.get_by_role("cell", name="10 kB")).to_have_attribute("title", "10,000 bytes")
    row.locator("time").hover()
    expect(row.locator("time")).to_have_attribute("title", "Sunday, 9 September 2001 at 10:46:40 GMT+9")


def test_previews_of_images(site: Any, visit: Any, album: Path) -> None:
    page = visit(site().url)
    page.get_by_role("link", name="one.png").click()
    dialog = page.get_by_role("dialog", name="one.png")
    expect(dialog).to_be_visible()
    # The page lets nothing evaluate texts, as wait_for_function() does again and again.
    assert wait_until(lambda: page.evaluate("document.querySelector('#preview img').naturalWidth") == 40)
    expect(dialog).to_contain_text("1 of 3")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name="three.png")).to_contain_text("2 of 3")
    page.get_by_role("button", name="Previous image").click()
    page.get_by_role("button", name="Previous image").click()
    expect(page.get_by_role("dialog", name="two.png")).to_contain_text("3 of 3")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name="two.png")).to_be_focused()


def test_archives_of_the_folder(site: Any, visit: Any, album: Path) -> None:
    page = visit(site().url)
    group = page.get_by_role("group", name="Download this folder")
    for kind in ("zip", "tar"):
        expect(group.get_by_role("link", name=kind)).to_have_attribute("href", f"?archive={kind}")


# -- Colours -----------------------------------------------------------------------------------


def ground(page: Any) -> int:
    """How bright the page is: the sum of its ground's three colours."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(", ")))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours(scheme: str, site: Any, visit: Any, album: Path) -> None:
    """Those of the system, until somebody chooses; and then on each page."""
    page = visit(site().url, color_scheme=scheme)
    assert (ground(page) > 600) == (scheme == "light")
    for chosen, bright in (("light", True), ("dark", False)):
        page.get_by_role("button", name="Colours").click()
        expect(page.get_by_role("button", name=f"Colours: {chosen}")).to_be_visible()
        assert (ground(page) > 600) == bright
        page.get_by_role("link", name="sub/").click()
        assert (ground(page) > 600) == bright
        page.go_back()
    page.get_by_role("button", name="Colours: dark").click()
    assert (ground(page) > 600) == (scheme == "light")


# -- By keys alone -----------------------------------------------------------------------------


def test_keys(site: Any, visit: Any, album: Path) -> None:
    there = site()
    page = visit(there.url)
    press = page.keyboard.press
    press("Tab")
    assert focused(page) == "Skip to the entries"
    press("ArrowDown")
    assert focused(page) == "sub/"
    press("ArrowDown")
    press("ArrowDown")
    assert focused(page) == "b9.txt"
    press("End")
    assert focused(page) == "Z.zip"
    press("ArrowDown")
    assert focused(page) == "Z.zip"
    press("Home")
    press("ArrowUp")
    assert focused(page) == "filter"
    press("Escape")
    press("ArrowDown")
    press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    press("Escape")
    press("/")
    page.keyboard.type("png")
    press("ArrowDown")
    assert (focused(page), names(page)) == ("one.png", ["one.png", "three.png", "two.png"])
    press("Enter")
    expect(page.get_by_role("dialog", name="one.png")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert wait_until(lambda: focused(page) == "one.png")
    press("Escape")
    assert wait_until(lambda: focused(page) == "one.png"), focused(page)
    assert names(page) == ALL
    press("/")
    page.keyboard.type("sub")
    press("Enter")
    expect(page).to_have_url(there.url + "/sub/")
    press("Backspace")
    expect(page).to_have_url(there.url + "/")


def test_keys_with_a_modifier_are_the_browser_s(site: Any, visit: Any, album: Path) -> None:
    page = visit(site().url + "/sub/")
    page.keyboard.press("Alt+Backspace")
    page.keyboard.press("Control+ArrowDown")
    assert focused(page).strip() != "inner/"
    expect(page).to_have_title("Directory listing for /sub/")


# -- Names, and many of them -------------------------------------------------------------------


def test_awkward_names(site: Any, visit: Any, folder: Path) -> None:
    """Each is shown, and its link leads to its file; and both ways of sorting agree."""
    for name in AWKWARD:
        (folder / name).write_bytes(os.fsencode(name))
    there = site()
    page = visit(there.url)
    shown = [name.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for name in AWKWARD]
    assert sorted(names(page)) == sorted(shown)
    hrefs = page.eval_on_selector_all("tbody a", "all => all.map(a => a.href)")
    bodies = {page.request.get(href).body() for href in hrefs}
    assert bodies == {os.fsencode(name) for name in AWKWARD}
    before = names(page)
    for _ in range(2):
        page.get_by_role("link", name="Name", exact=True).click()
    assert names(page) == before


def test_folders_with_awkward_names(site: Any, visit: Any, folder: Path) -> None:
    for number, name in enumerate(AWKWARD):
        (folder / name[:100] / "inner").mkdir(parents=True)
        (folder / name[:100] / "inner" / f"{number}").touch()
    there = site()
    page = visit(there.url)
    for at in range(len(AWKWARD)):
        page.locator("tbody a").nth(at).click()
        page.get_by_role("link", name="inner/").click()
        [inside] = names(page)
        name = AWKWARD[int(inside)][:100]
        assert urllib.parse.unquote_to_bytes(page.url) == os.fsencode(f"{there.url}/{name}/inner/")
        page.keyboard.press("Backspace")
        expect(page.get_by_role("link", name="inner/")).to_be_visible()
        page.keyboard.press("Backspace")
        expect(page).to_have_url(there.url + "/")


def test_ten_thousand_entries(site: Any, visit: Any, folder: Path) -> None:
    for number in range(10_000):
        (folder / f"entry-{number}.txt").touch()
    page = visit(site().url)
    expect(page.get_by_role("status")).to_have_text("10,000 files")
    page.keyboard.press("/")
    page.keyboard.type("9 99.t")
    expect(page.get_by_role("status")).to_have_text("100 of 10,000 shown")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert focused(page) == "entry-9999.txt"
    expect(page.get_by_role("link", name="entry-9999.txt")).to_be_in_viewport()
    page.get_by_role("link", name="Name", exact=True).click()
    assert names(page) == [f"entry-{number}.txt" for number in reversed(range(10_000))]


# -- For everybody -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def axe() -> Any:
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()


def findings(axe: Any, page: Any) -> list[str]:
    """What is serious or critical."""
    found = axe.run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found
            if each["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(scheme: str, size: str, axe: Any, site: Any, visit: Any, album: Path) -> None:
    (album / "link").symlink_to("a.md")
    (album / "broken").symlink_to("nowhere")
    page = visit(site(uploads=True, answers={"large": 413}).url, size, color_scheme=scheme)
    assert findings(axe, page) == []
    page.get_by_role("link", name="one.png").click()
    assert findings(axe, page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert findings(axe, page) == []
    page.keyboard.press("Escape")
    page.set_input_files("#pick", [{"name": "large", "mimeType": "text/plain", "buffer": b"x"}])
    expect(page.get_by_text("too large")).to_be_visible()
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_text("No name matches.")).to_be_visible()
    assert findings(axe, page) == []
    page.goto(page.url + "sub/inner/")
    expect(page.get_by_text("This folder is empty.")).to_be_visible()
    assert findings(axe, page) == []


def test_the_checker_finds_what_is_wrong(axe: Any, visit: Any, site: Any, album: Path) -> None:
    page = visit(site().url)
    page.evaluate("document.querySelector('#help').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('#theme').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('#theme').removeAttribute('title')")
    assert any("button-name" in each for each in findings(axe, page))


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(size: str, site: Any, visit: Any, folder: Path) -> None:
    (folder / ("x" * 250)).touch()
    (folder / ("y" * 250) / "z").mkdir(parents=True)
    there = site(uploads=True)
    for path in ("/", f"/{'y' * 250}/"):
        page = visit(there.url + path, size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# -- Uploads -----------------------------------------------------------------------------------


def files(*pairs: tuple[str, bytes]) -> list[dict[str, Any]]:
    return [{"name": name, "mimeType": "application/octet-stream", "buffer": body} for name, body in pairs]


def test_uploads_with_their_progress(site: Any, visit: Any, album: Path) -> None:
    there = site(uploads=True)
    page = visit(there.url + "/sub/")
    page.set_input_files("#pick", files(("slow.bin", b"x" * 6_000_000), ("b #1 100%.txt", b"new")))
    slow = page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text="slow.bin")
    bar = slow.get_by_role("progressbar", name="slow.bin")
    expect(bar).to_be_visible()
    assert wait_until(lambda: 0 < bar.evaluate("bar => bar.value") < 1, PATIENCE)
    there.held.set()
    expect(slow.get_by_text("stored")).to_be_visible(timeout=WAIT * 1000)
    expect(page.get_by_role("link", name="slow.bin")).to_be_visible()
    assert (album / "sub" / "slow.bin").read_bytes() == b"x" * 6_000_000
    assert (album / "sub" / "b #1 100%.txt").read_bytes() == b"new"
    assert names(page) == ["inner/", "b #1 100%.txt", "inside.txt", "slow.bin"]


@pytest.mark.parametrize(("status", "words"), [
    (409, "there already"), (412, "there already"), (413, "too large"), (401, "not allowed"),
    (403, "not allowed"), (507, "no room left"), (500, "500 Internal Server Error"),
])
def test_uploads_that_fail(status: int, words: str, site: Any, visit: Any, album: Path) -> None:
    page = visit(site(uploads=True, answers={"file": status}).url)
    page.set_input_files("#pick", files(("file", b"x"), ("other", b"y")))
    item = page.get_by_role("list", name="Uploads").get_by_role("listitem").filter(has_text="file")
    expect(item.get_by_text(words, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="other")).to_be_visible()
    assert not (album / "file").exists()


def test_nothing_is_replaced(site: Any, visit: Any, album: Path) -> None:
    page = visit(site(uploads=True).url)
    page.set_input_files("#pick", files(("a.md", b"other")))
    expect(page.get_by_text("there already")).to_be_visible()
    assert (album / "a.md").read_bytes() == b"x" * 100


def test_an_upload_that_is_cancelled(site: Any, visit: Any, album: Path) -> None:
    page = visit(site(uploads=True).url)
    page.set_input_files("#pick", files(("slow.bin", b"x" * 6_000_000)))
    page.get_by_role("button", name="Cancel slow.bin").click()
    expect(page.get_by_text("cancelled")).to_be_visible()
    assert not (album / "slow.bin").exists()


def test_files_that_are_dropped(site: Any, visit: Any, album: Path) -> None:
    page = visit(site(uploads=True).url)
    data = page.evaluate_handle("""() => {
        const data = new DataTransfer();
        for (const name of ["one.txt", "two.txt", "three.txt", "four.txt", "five.txt"])
            data.items.add(new File([name], name));
        return data;
    }""")
    page.dispatch_event("main", "dragover", {"dataTransfer": data})
    expect(page.locator("html")).to_have_class("dropping")
    page.dispatch_event("main", "drop", {"dataTransfer": data})
    expect(page.get_by_text("stored")).to_have_count(5)
    assert (album / "five.txt").read_bytes() == b"five.txt"
    expect(page.get_by_role("link", name="five.txt")).to_be_visible()


def test_the_form_without_a_script(site: Any, visit: Any, album: Path) -> None:
    """It posts the file, as multipart/form-data, to the folder."""
    posted: dict[str, Any] = {}

    def do_POST(self: Any) -> None:
        posted.update(path=self.path, type=self.headers["Content-Type"], origin=self.headers["Origin"])
        posted.update(body=self.rfile.read())
        self.send_response(303)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    there = site(uploads=True, do_POST=do_POST)
    page = visit(there.url + "/sub/?sort=size", java_script_enabled=False)
    page.get_by_label("Choose files").set_input_files(files(("f \u00e9.txt", b"octets")))
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page).to_have_url(there.url + "/sub/")
    assert posted["path"] == "/sub/"
    assert posted["origin"] == there.url
    assert posted["type"].startswith("multipart/form-data; boundary=")
    assert 'name="file"; filename="f \u00e9.txt"'.encode() in posted["body"]
    assert b"\r\n\r\noctets\r\n" in posted["body"]


def test_there_is_no_form_where_nothing_is_accepted(site: Any, visit: Any, album: Path) -> None:
    page = visit(site().url)
    assert page.locator("form#upload, #uploads").count() == 0


def test_a_page_asks_for_nothing_but_itself(site: Any, visit: Any, album: Path) -> None:
    there = site(uploads=True)
    page = visit(there.url + "/sub/")
    page.wait_for_load_state("networkidle")
    assert there.asked == ["GET /sub/"]
    assert json.loads(page.request.get(there.url + "/sub/?format=json").text())["path"] == "/sub/"
