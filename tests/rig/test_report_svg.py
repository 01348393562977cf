"""A result as one picture: which bars, how long they are, and what stands beside them."""

import re
import xml.etree.ElementTree as tree
from typing import Any

import pytest

from fastserve.rig.report.svg import make_svg
from rig import results

SPACE = "{http://www.w3.org/2000/svg}"
WICKED = "<img src=x onerror=\"alert(1)\"> & 'co'"


def drawn(result: dict[str, Any]) -> tree.Element:
    return tree.fromstring(make_svg(result))


def bars(picture: tree.Element) -> list[tuple[str, float]]:
    """Names of contestants with their bars' widths, from above."""
    names = [each.text or "" for each in shapes(picture, "text", "name")]
    widths = [float(each.get("width", 0)) for each in shapes(picture, "rect", "bar")]
    return list(zip(names, widths, strict=True))


def shapes(picture: tree.Element, tag: str, kind: str) -> list[tree.Element]:
    return [each for each in picture.iter(SPACE + tag) if kind in each.get("class", "").split()]


def test_cpu_time_where_it_is_known() -> None:
    result = results.result(1, ["closed"], servers=results.SERVERS[:4])
    picture = drawn(result)
    found = bars(picture)
    assert {name for name, _ in found} == {"fastserve", "nginx", "h2o", "lighttpd"}
    assert [width for _, width in found] == sorted(width for _, width in found)
    assert found[-1][0] == "nginx"
    words = [each.text for each in picture.iter(f"{SPACE}text")]
    assert "CPU microseconds of a request" in words


def test_else_rates_the_largest_first() -> None:
    picture = drawn(results.result(1, ["closed"]))
    widths = [width for _, width in bars(picture)]
    assert widths == sorted(widths, reverse=True)
    assert "requests a second" in [each.text for each in picture.iter(f"{SPACE}text")]


def test_the_first_contestant_stands_out() -> None:
    ours = [each for each in drawn(results.result(1, ["closed"])).iter(f"{SPACE}rect")
            if each.get("class") == "bar first"]
    assert len(ours) == 1


@pytest.mark.parametrize("kinds", [["closed"], ["closed", "rate"], ["closed", "rate", "churn"]])
def test_a_panel_for_each_scenario(kinds: list[str]) -> None:
    result = results.result(1, kinds)
    words = [each.text for each in drawn(result).iter(f"{SPACE}text") if each.get("class") == "title"]
    assert words == [each["title"] or each["name"] for each in result["scenarios"]]


def test_what_is_far_from_the_least_is_broken_off() -> None:
    result = results.result(1, ["closed"], servers=results.SERVERS[:4])
    for one in result["scenarios"][0]["contestants"][1]["rounds"]:
        one["cpu_per_request"] *= 100
    picture = drawn(result)
    assert [each for each in picture.iter(f"{SPACE}line") if each.get("class") == "gap"]
    assert max(width for _, width in bars(picture)) < 400


def test_names_are_text() -> None:
    result = results.result(1, ["closed"])
    scenario = result["scenarios"][0]
    result["title"] = scenario["title"] = scenario["contestants"][0]["name"] = WICKED
    picture = drawn(result)
    assert not list(picture.iter(f"{SPACE}img"))
    assert WICKED in [each.text for each in picture.iter(f"{SPACE}text")]


def test_it_asks_for_nothing() -> None:
    text = make_svg(results.result(1))
    assert re.findall(r"(?:href|src|url\(|@import)", text) == []


def test_without_rounds_there_is_no_panel() -> None:
    result = results.result(1, ["closed"], errors=False, servers=[])
    assert bars(drawn(result)) == []
