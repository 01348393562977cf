"""The command itself in a browser: an upload, with its progress and by the form, and a folder as an archive.

Nothing stands in for anything: `python -m fastserve --upload` serves, Chromium asks. What the page can do
beside that test_pages.py holds.
"""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from handlers.uploading import is_receiving
from helpers import wait_until
from test_cli import serving

from .test_pages import CHROMIUM, browser, expect, files, names, visit  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")]

LARGE = bytes(range(256)) * 30_000  # 7.7 MB


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / "inbox").mkdir()
    (folder / "photos" / "d\u00e9j\u00e0 vu").mkdir(parents=True)
    (folder / "photos" / "d\u00e9j\u00e0 vu" / "a & b.txt").write_bytes(b"octets")
    (folder / "photos" / "large.bin").write_bytes(LARGE)
    return folder


@pytest.fixture
def url(home: Path) -> Iterator[str]:
    words = ("--upload", str(home / "inbox"), "-d", str(home), "-b", "127.0.0.1", "0")
    with serving(*words) as server:
        yield f"http://127.0.0.1:{server.port}"


def test_an_upload(url: str, home: Path, visit: Any) -> None:  # noqa: F811
    page = visit(f"{url}/inbox/")
    page.evaluate("""() => {
        window.seen = [];
        new MutationObserver(() => document.querySelectorAll("progress").forEach(
            bar => window.seen.push(bar.value))).observe(
            document.body, {subtree: true, childList: true, attributes: true, attributeFilter: ["value"]});
    }""")
    slow_down(page, len(LARGE) // 2)  # so that there is time to see it
    page.set_input_files("#pick", files(("large.bin", LARGE), ("b #1 100%.txt", b"new")))
    expect(page.get_by_text("stored")).to_have_count(2)
    expect(page.get_by_role("link", name="large.bin")).to_be_visible()
    assert (home / "inbox" / "large.bin").read_bytes() == LARGE
    assert (home / "inbox" / "b #1 100%.txt").read_bytes() == b"new"
    assert names(page) == ["b #1 100%.txt", "large.bin"]
    assert any(0 < value < 1 for value in page.evaluate("window.seen"))
    page.set_input_files("#pick", files(("large.bin", b"other")))
    expect(page.get_by_text("there already")).to_be_visible()
    assert (home / "inbox" / "large.bin").read_bytes() == LARGE


def slow_down(page: Any, rate: int) -> None:
    """What it sends takes a second for so many octets."""
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", {
        "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate})


def test_an_upload_without_a_script(url: str, home: Path, visit: Any) -> None:  # noqa: F811
    page = visit(f"{url}/inbox/", java_script_enabled=False)
    page.get_by_label("Choose files").set_input_files(files(("f \u00e9.txt", b"octets"), ("two.txt", b"2")))
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page).to_have_url(f"{url}/inbox/")
    assert names_without_script(page) == ["f \u00e9.txt", "two.txt"]
    assert (home / "inbox" / "f \u00e9.txt").read_bytes() == b"octets"


def names_without_script(page: Any) -> list[str]:
    found: list[str] = page.locator("tbody a").all_text_contents()
    return found


def test_there_is_no_form_elsewhere(url: str, visit: Any) -> None:  # noqa: F811
    expect(visit(f"{url}/photos/").locator("#pick")).to_have_count(0)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_folder_is_taken_along(kind: str, url: str, visit: Any) -> None:  # noqa: F811
    page = visit(f"{url}/photos/")
    with page.expect_download() as download:
        page.get_by_role("group", name="Download this folder").get_by_role("link", name=kind).click()
    taken = download.value
    assert taken.suggested_filename == f"photos.{kind}"
    assert contents(kind, Path(taken.path()).read_bytes()) == {
        "photos/d\u00e9j\u00e0 vu/a & b.txt": b"octets", "photos/large.bin": LARGE}


def contents(kind: str, octets: bytes) -> dict[str, bytes]:
    """The files of an archive, by their names in it."""
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(octets)) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            if file is not None:
                found[member.name] = file.read()
    return found


def test_an_upload_that_breaks_off_leaves_nothing(url: str, home: Path, visit: Any) -> None:  # noqa: F811
    """Of who leaves the page, say; meanwhile others do not see it."""
    page, other = visit(f"{url}/inbox/"), visit(f"{url}/inbox/")
    slow_down(page, len(LARGE) // 20)
    page.set_input_files("#pick", files(("large.bin", LARGE)))
    assert wait_until(lambda: is_receiving(home / "inbox"))
    other.reload()
    assert names(other) == []
    page.goto("about:blank")
    assert wait_until(lambda: list((home / "inbox").iterdir()) == [], 20)
