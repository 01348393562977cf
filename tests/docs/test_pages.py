"""The pages of docs/: all are in the menu, links have a form that can be right, and the site builds.

That internal links lead somewhere MkDocs itself sees to, where it is installed; nothing is asked of the
network. What the built pages load is looked at in their HTML.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .blocks import PAGES, ROOT
from .running import known_flags

DOCS = ROOT / "docs"
MISSING = [
    name for name in ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers")
    if importlib.util.find_spec(name) is None]

# What makes a browser ask for something.
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "srcset", "use": "href"}


def external_links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\((https?:[^)]*)\)|<(https?:[^>]*)>", text):
            yield page, "".join(link)


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n", 1)[1]
    told = re.findall(r": (\S+\.md)$", menu, re.MULTILINE)
    assert sorted(told) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize(("page", "link"), [pytest.param(*pair, id=pair[1]) for pair in external_links()])
def test_an_external_link_can_be_right(page: Path, link: str) -> None:
    parts = urlsplit(link)
    assert parts.scheme == "https"
    assert "." in parts.netloc
    assert not re.search(r"\s", link)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_begins_with_its_title(page: Path) -> None:
    assert page.read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "benchmarks.md"], ids=lambda page: page.name)
def test_no_figures_but_those_of_the_results(page: Path) -> None:
    """A measured table is one of bench/RESULTS.md to the letter."""
    tables = re.findall(r"^\| CPU per request(?:.*\|\n)+", page.read_text("utf-8"), re.MULTILINE)
    assert len(tables) == 1
    assert tables[0] in (ROOT / "bench" / "RESULTS.md").read_text("utf-8")


class Loads(HTMLParser):
    """What a page loads: the addresses of its scripts, styles and images."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "link" and found.get("rel") in ("canonical", "next", "prev"):
            return
        self.addresses.append(found.get(LOADING.get(tag, "")) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    if MISSING:
        pytest.skip(f"what builds the documentation is not installed: {' '.join(MISSING)}")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})  # an announcement of the theme's, about no page
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    built = {str(page.relative_to(site)) for page in site.rglob("*.html")} - {"404.html"}
    assert built == {str(page.relative_to(DOCS).with_suffix(".html")) for page in DOCS.rglob("*.md")}


def test_no_page_asks_another_host(site: Path) -> None:
    loads = [address for page in site.rglob("*.html") for address in Loads(page).addresses]
    assert loads.count("") < len(loads)
    assert [address for address in loads if urlsplit(address).netloc] == []
    styles = [text for path in site.rglob("*.css") for text in [path.read_text("utf-8")]]
    assert [text[:80] for text in styles if re.search(r"url\(['\"]?(?:https?:)?//|@import", text)] == []


def test_the_reference_has_what_it_is_made_of(site: Path) -> None:
    command_line = (site / "reference" / "command-line.html").read_text("utf-8")
    assert [flag for flag in known_flags() if flag not in command_line] == []
    assert "generated:" not in command_line
    assert "serve_forever" in (site / "reference" / "servers.html").read_text("utf-8")
    assert "send_error" in (site / "reference" / "handlers.html").read_text("utf-8")
