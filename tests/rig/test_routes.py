"""The table of endpoints by itself: patterns, what they find, and what a query says."""

from typing import Any

import pytest

from fastserve.rig.origin import routes
from fastserve.rig.origin.routes import Query, Refusal


def register(path: str, **about: Any) -> routes.Endpoint:
    routes.endpoint(path, "Says.", group="Test", **about)(lambda request: None)
    return routes.ENDPOINTS[-1]


@pytest.mark.parametrize(("path", "target", "arguments"), [
    ("/t", "/t", {}),
    ("/t", "/t/", None),
    ("/t", "/tt", None),
    ("/t", "/t\n", None),
    ("/t.x", "/tyx", None),
    ("/t/{a}", "/t/one%20two", {"a": "one two"}),
    ("/t/{a}", "/t/a%2Fb", {"a": "a/b"}),
    ("/t/{a}", "/t/", None),
    ("/t/{a}", "/t/a/b", None),
    ("/t/{a}/{b}", "/t/1/2", {"a": "1", "b": "2"}),
    ("/t/{a:int}", "/t/007", {"a": 7}),
    ("/t/{a:int}", "/t/-1", None),
    ("/t/{a:int}", "/t/1.0", None),
    ("/t/{a:int}", "/t/999999999999999", {"a": 999_999_999_999_999}),
    ("/t/{a:int}", "/t/1000000000000000", None),
    ("/t/{a:int}", "/t/\u0661", None),
    ("/t/{a:float}", "/t/0.25", {"a": 0.25}),
    ("/t/{a:float}", "/t/3", {"a": 3.0}),
    ("/t/{a:float}", "/t/1e3", None),
    ("/t/{a:float}", "/t/nan", None),
    ("/t/{a:path}", "/t/x/y%2Fz", {"a": "x/y/z"}),
    ("/t/{a:path}", "/t/", {"a": ""}),
    ("/t/x-{a:int}.png", "/t/x-3.png", {"a": 3}),
])
def test_what_a_path_has_in_its_places(table: Any, path: str, target: str, arguments: Any) -> None:
    assert register(path).arguments(target) == arguments


def test_the_first_of_two_comes_first(table: Any) -> None:
    first, second = register("/t-two/{a:int}"), register("/t-two/{a}", methods=("POST",))
    assert [each for each, _ in routes.find("/t-two/5")] == [first, second]
    assert [each for each, _ in routes.find("/t-two/x")] == [second]
    assert routes.find("/t-three") == []


@pytest.mark.parametrize("path", ["", "t", "{a}", "/{a}", "/x{a:int}", "t/{a}"])
def test_a_path_needs_a_name_of_its_own(table: Any, path: str) -> None:
    with pytest.raises(ValueError, match="must begin"):
        routes.endpoint(path, "Says.", group="Test")


def test_an_unknown_kind_is_a_programmers_mistake(table: Any) -> None:
    with pytest.raises(KeyError):
        routes.endpoint("/t/{a:number}", "Says.", group="Test")


def test_every_example_leads_to_its_endpoint() -> None:
    for each in routes.ENDPOINTS:
        path = each.example.partition("?")[0]
        assert each in [found for found, _ in routes.find(path)], each.path


def test_every_endpoint_says_what_it_is() -> None:
    for each in routes.ENDPOINTS:
        assert each.says.endswith((".", ")")), each.path
        assert each.group[:1].isupper(), each.path


def test_no_two_endpoints_are_for_the_same_path_and_method() -> None:
    pairs = [(each.pattern.pattern, method) for each in routes.ENDPOINTS for method in each.methods]
    assert sorted(set(pairs)) == sorted(pairs)


# -- Queries -----------------------------------------------------------------------------------


def test_a_query_keeps_the_order_and_empty_values() -> None:
    query = Query("b=2&a=1&b=3&c")
    assert query.pairs == [("b", "2"), ("a", "1"), ("b", "3"), ("c", "")]
    assert (query.text("b"), query.text("d", "none")) == ("3", "none")
    assert Query("").pairs == []


@pytest.mark.parametrize(("text", "value"), [
    ("", False), ("x", False), ("x=0", False), ("x=No", False), ("x=off", False), ("x=1", True),
    ("x=yes", True),
])
def test_a_flag(text: str, value: bool) -> None:
    assert Query(text).flag("x") is value


@pytest.mark.parametrize("text", ["5", "+5", "05"])
def test_a_number(text: str) -> None:
    query = Query(f"x={text.replace('+', '%2B')}")
    assert query.integer("x", 1, 0, 9) == 5
    assert query.number("x", 1, 0, 9) == 5.0


@pytest.mark.parametrize("text", [
    "-1", "10", "five", "", "nan", "inf", "1_0", "\u0665", "5 ", "9" * 5000, "1e999", ".",
])
def test_what_is_no_number_or_too_much_is_refused(text: str) -> None:
    query = Query(f"x={text}")
    for ask in (query.integer, query.number):
        with pytest.raises(Refusal, match="is no number from 0 to 9") as caught:
            ask("x", 1, 0, 9)
        assert caught.value.status == 400


def test_a_number_that_is_not_there() -> None:
    assert Query("y=3").integer("x", 7, 0, 9) == 7


@pytest.mark.parametrize(("text", "value"), [("x=0.5", 0.5), ("x=.5", 0.5), ("x=1e-3", 0.001), ("x=2.", 2.0)])
def test_a_fraction(text: str, value: float) -> None:
    assert Query(text).number("x", 1, 0, 9) == value


def test_a_choice() -> None:
    assert Query("x=b").choice("x", ("a", "b"), "a") == "b"
    assert Query("").choice("x", ("a", "b"), "a") == "a"
    with pytest.raises(Refusal, match="x=c is none of a, b"):
        Query("x=c").choice("x", ("a", "b"), "a")
