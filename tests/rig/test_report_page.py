"""The page of a report in a browser: Chromium, driven by playwright, with the page as a file and without a
network.

What people do there: read, look at charts, hide servers, change colours, walk through points by keys, print,
save; and all but the charts without a script. And what axe-core finds wrong for people who cannot see well.
"""

import contextlib
import functools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.report import as_csv, html
from rig import results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")]

playwright = pytest.importorskip("playwright.sync_api")
for module in ("hdrh", "jinja2", "plotly"):
    pytest.importorskip(module)
expect = playwright.expect

WAIT = 30_000  # milliseconds
expect.set_options(timeout=WAIT)
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server",
           "--host-resolver-rules=MAP * ~NOTFOUND"]
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
LONG = "a-contestant-whose-name-goes-on-and-on-and-on"


@functools.cache
def whole() -> dict[str, Any]:
    return results.result(1, ("closed", "rate", "ramp"))


def awkward() -> dict[str, Any]:
    """Names that are long or no words, and figures that are missing."""
    found = results.result(2, ["closed", "ramp"], rounds=2, interrupted=True)
    for scenario in found["scenarios"]:
        scenario["contestants"][1]["name"] = LONG
        scenario["contestants"][2]["name"] = "<b>&amp;"
        scenario.update(name="x" * 120, title="word " * 40)
    found.update(title="A" * 300, command=["python", "y" * 400])
    return found


KINDS: dict[str, Callable[[], Any]] = {"whole": whole, "awkward": awkward}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages, by their kind."""
    folder = tmp_path_factory.mktemp("pages")
    for kind, made in KINDS.items():
        (folder / f"{kind}.html").write_text(html.make_html(made()), "utf-8")
    return {kind: folder / f"{kind}.html" for kind in KINDS}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """A function that opens a page in a new window. What that complains of, or asks for, is an error."""
    said: list[str] = []
    with contextlib.ExitStack() as stack:

        def start(kind: str = "whole", size: str = "desktop", before: str = "", **options: Any) -> Any:
            context = browser.new_context(viewport=SIZES[size], locale="en-GB", **options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT)
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: said.append(request.url))
            if before:
                page.add_init_script(before)
            page.goto(files[kind].as_uri())
            return page

        yield start
    assert [line for line in said if not line.startswith(("file:", "data:"))] == []
    assert sum(line.startswith("file:") for line in said) <= said.count(said[0])


def drawn(page: Any) -> None:
    """Have all charts drawn, also those that are not in sight, and wait for it."""
    expect(page.locator("#legend")).to_be_visible()
    page.evaluate("drawAll()")
    expect(page.locator(".plot .main-svg").first).to_be_visible()


def scrolled(page: Any, key: str) -> Any:
    """A chart, drawn as it came into sight."""
    chart = page.locator(key)
    expect(page.locator("#legend")).to_be_visible()
    chart.scroll_into_view_if_needed()
    expect(chart.locator(".main-svg").first).to_be_visible()
    return chart


def names(chart: Any) -> list[str]:
    """The servers of a chart with bars, from above."""
    return [text.split("\n")[0] for text in chart.evaluate(
        "plot => plot.firstElementChild.data.filter(each => each.type === 'bar').map(each => each.meta)")]


# -- Reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_is_drawn(kind: str, visit: Any) -> None:
    page = visit(kind)
    drawn(page)
    plots = page.locator(".plot").count()
    assert plots > 10
    assert page.locator(".plot:has(.main-svg)").count() == plots
    assert page.locator(".plot .points path, .plot .lines path").count() > 5 * plots


def test_charts_are_drawn_as_they_come_into_sight(visit: Any) -> None:
    page = visit()
    scrolled(page, "#r1-s1-c1")
    expect(page.locator("#r1-s3-c6 .main-svg")).to_have_count(0)
    scrolled(page, "#r1-s3-c6")


def test_hovering_tells_figures(visit: Any) -> None:
    page = visit()
    chart = scrolled(page, "#r1-s1-c2")
    chart.locator(".bars .point path").first.hover(force=True)
    expect(chart.locator(".hoverlayer .hovertext").first).to_contain_text(re.compile(r"round|95"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wider_than_the_screen(kind: str, size: str, visit: Any) -> None:
    page = visit(kind, size)
    drawn(page)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for chart in page.locator(".plot").all():
        box, inner = chart.bounding_box(), chart.locator(".main-svg").first.bounding_box()
        assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1


def test_names_at_the_ends_of_lines_do_not_cover_each_other(visit: Any) -> None:
    page = visit()
    drawn(page)
    charts = page.eval_on_selector_all(".plot", """plots => plots.map(plot =>
        Array.from(plot.querySelectorAll(".annotation-text-g"), each => {
            const box = each.getBoundingClientRect();
            return [box.left, box.top, box.right, box.bottom];
        }))""")
    assert max(map(len, charts)) == 5
    for boxes in charts:
        for at, (left, top, right, bottom) in enumerate(boxes):
            for other in boxes[:at]:
                apart = right <= other[0] or other[2] <= left or bottom <= other[1] + 2 or other[3] <= top + 2
                assert apart, boxes


# -- Hiding, colours ---------------------------------------------------------------------------


def test_a_server_is_hidden_in_all_charts(visit: Any) -> None:
    page = visit()
    drawn(page)
    chart = page.locator("#r1-s1-c1")
    height = chart.bounding_box()["height"]
    assert names(chart) == ["fastserve", "nginx", "h2o", "lighttpd", "elsewhere"]
    page.get_by_role("checkbox", name="nginx").uncheck()
    expect(page.locator(".annotation-text", has_text="nginx")).to_have_count(0)
    assert names(chart) == ["fastserve", "h2o", "lighttpd", "elsewhere"]
    assert chart.bounding_box()["height"] < height
    left = page.eval_on_selector_all(".plot", """plots => plots.flatMap(plot =>
        plot.firstElementChild.data.map(trace => trace.meta))""")
    assert set(left) == {"fastserve", "h2o", "lighttpd", "elsewhere"}
    page.get_by_role("checkbox", name="nginx").check()
    expect(page.locator(".annotation-text", has_text="nginx").first).to_be_visible()


QUIET = {"light": "rgb(91, 99, 110)", "dark": "rgb(160, 168, 180)"}
GROUND = {"light": "rgb(251, 251, 252)", "dark": "rgb(18, 20, 23)"}


def expect_colours(page: Any, theme: str) -> None:
    """Of the page, and of a chart."""
    expect(page.locator("body")).to_have_css("background-color", GROUND[theme])
    expect(page.locator("#r1-s1-c1 .xtick text").first).to_have_css("fill", QUIET[theme])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours(scheme: str, visit: Any) -> None:
    """Those of the system until somebody chooses; charts change with the page."""
    page = visit(color_scheme=scheme)
    scrolled(page, "#r1-s1-c1")
    for chosen in ("as the system", "light", "dark", "as the system"):
        button = page.get_by_role("button", name=f"Colours: {chosen}")
        expect(button).to_be_visible()
        expect_colours(page, chosen if chosen in QUIET else scheme)
        button.click()


def test_colours_follow_the_system(visit: Any) -> None:
    page = visit(color_scheme="light")
    scrolled(page, "#r1-s1-c1")
    expect_colours(page, "light")
    page.emulate_media(color_scheme="dark")
    expect_colours(page, "dark")


# -- By keys, without a script -----------------------------------------------------------------


def test_points_by_keys(visit: Any) -> None:
    page = visit()
    chart, said = scrolled(page, "#r1-s1-c2"), page.get_by_role("status")
    chart.focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("fastserve")
    page.keyboard.press("ArrowDown")
    expect(said).to_contain_text("fastserve, round 1")
    page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("fastserve, round 2")
    expect(chart.locator(".hoverlayer .hovertext").first).to_contain_text("round 2")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(said).to_contain_text("fastserve, round 5")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(said).to_have_text("elsewhere, not known")
    page.keyboard.press("Escape")
    expect(chart.locator(".hoverlayer .hovertext")).to_have_count(0)


def test_keys_pass_over_gaps(visit: Any) -> None:
    page = visit()
    chart = scrolled(page, "#r1-s1-c5")
    chart.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("status")).to_contain_text("fastserve, round 2")


def test_the_way_by_tab(visit: Any) -> None:
    page = visit()
    expect(page.locator("#legend")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the summary")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#summary").get_by_role("link").first).to_be_focused()


def test_without_a_script_there_are_tables(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    expect(page.locator("figure table")).to_have_count(page.locator("figure").count())
    for table in page.locator("figure table").all():
        expect(table).to_be_visible()
    for selector in (".plot", "#legend", "#theme"):
        expect(page.locator(selector).first).to_be_hidden()
    expect(page.get_by_text("the CPU of fastserve per request").first).to_be_visible()


def test_a_browser_that_cannot_unpack_shows_tables(visit: Any) -> None:
    page = visit(before="delete window.DecompressionStream")
    expect(page.locator("figure table").first).to_be_visible()
    expect(page.locator(".plot").first).to_be_hidden()


# -- For everybody -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def axe() -> Any:
    return pytest.importorskip("axe_playwright_python.sync_playwright").Axe()


def findings(axe: Any, page: Any) -> list[str]:
    """What is serious or critical."""
    found = axe.run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found
            if each["impact"] in ("serious", "critical")]


@pytest.mark.parametrize(("kind", "scheme", "size"), [  # each with each
    ("whole", "light", "desktop"), ("whole", "dark", "phone"),
    ("awkward", "light", "phone"), ("awkward", "dark", "desktop"),
])
def test_accessibility(kind: str, scheme: str, size: str, axe: Any, visit: Any) -> None:
    page = visit(kind, size, color_scheme=scheme)
    drawn(page)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert findings(axe, page) == []


def test_the_checker_finds_what_is_wrong(axe: Any, visit: Any) -> None:
    page = visit()
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert any("html-has-lang" in each for each in findings(axe, page))


# -- Away from the screen ----------------------------------------------------------------------


def test_printing_has_all_charts_in_light_colours(visit: Any) -> None:
    page = visit(color_scheme="dark")
    expect(page.locator("#legend")).to_be_visible()
    page.evaluate("addEventListener('beforeprint', () => { window.theme = root.dataset.theme; })")
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF-")
    assert page.locator(".plot:has(.main-svg)").count() == page.locator(".plot").count()
    assert page.evaluate("window.theme") == "light"
    expect(page.locator("html")).to_have_attribute("data-theme", "system")


def test_charts_fit_on_paper(visit: Any) -> None:
    """The width of a page is not known before it is printed, so they have one that all have room for."""
    page = visit()
    scrolled(page, "#r1-s1-c3")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    svg = page.locator("#r1-s1-c3 .main-svg").first
    expect(svg).to_have_attribute("width", "640")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    expect(svg).not_to_have_attribute("width", "640")


def test_saving_what_is_inside(visit: Any, tmp_path: Path) -> None:
    page = visit()
    for words, name, made in (
        ("The whole result, JSON", "file-servers-on-one-core-2026-11-30.json", json.dumps(whole())),
        ("Every round, CSV", "file-servers-on-one-core-2026-11-30-rounds.csv", as_csv.rounds([whole()])),
    ):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=words).click()
        assert waiting.value.suggested_filename == name
        waiting.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().decode() == made
