"""What the tools are told to do: requests of a mixture and their order, and plans for the driver."""

from collections import Counter
from typing import Any

import pytest

from fastserve.rig.measure import closed, loads
from fastserve.rig.measure.asking import Address
from fastserve.rig.measure.loads import Loader
from fastserve.rig.measure.scenario import Contestant, Expected, Request, Scenario

HERE = Address("127.0.0.1", 80)


def loader_of(scenario: Scenario, **contestant: Any) -> Loader:
    return Loader(scenario, Contestant("a", ("a",), **contestant), HERE, "/x", [1])


@pytest.mark.parametrize(("settings", "there", "name"), [
    ({}, True, "wrk"), ({}, False, "drive"), ({"driver": "drive"}, True, "drive"),
    ({"method": "HEAD"}, True, "drive"),
    ({"kind": "churn"}, True, "drive"), ({"kind": "churn", "driver": "wrk"}, True, "wrk"),
    ({"kind": "rate", "rate": 1.0}, True, "drive"), ({"kind": "mixed"}, True, "drive"),
])
def test_who_makes_the_load(settings: Any, there: bool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "is_there", lambda: there)
    assert loads.tool(Scenario(name="s", **settings)) == name


@pytest.mark.parametrize(("settings", "kind", "rate"), [
    ({"driver": "drive"}, "closed", 0.0), ({"kind": "rate", "rate": 5.0}, "rate", 5.0),
    ({"kind": "ramp", "steps": (7.0, 9.0)}, "rate", 7.0), ({"kind": "think"}, "think", 0.0),
    ({"kind": "churn"}, "churn", 0.0), ({"kind": "mixed", "requests": (Request("/"),)}, "closed", 0.0),
    ({"kind": "mixed", "requests": (Request("/"),), "rate": 3.0}, "rate", 3.0),
])
def test_what_the_driver_is_to_do(settings: Any, kind: str, rate: float) -> None:
    plan = loader_of(Scenario(name="s", **settings)).plan(2.5)
    assert (plan.kind, plan.rate, plan.seconds, plan.cores) == (kind, rate, 2.5, (1,))
    assert plan.address == ("127.0.0.1", 80)


def test_a_step_of_a_ramp_has_its_own_rate() -> None:
    loader = loader_of(Scenario(name="s", kind="ramp", steps=(7.0, 9.0)))
    assert loader.plan(1, 9.0).rate == 9


@pytest.mark.parametrize(("scenario_expects", "contestant_expects", "status", "length"), [
    (Expected(), Expected(), 200, None), (Expected(status=404, octets=7), Expected(), 404, 7),
    (Expected(), Expected(status=0, octets=5), 0, 5), (Expected(octets=5, same=False), Expected(), 200, None),
])
def test_what_the_driver_expects(
        scenario_expects: Expected, contestant_expects: Expected, status: int, length: int | None) -> None:
    scenario = Scenario(name="s", driver="drive", expect=scenario_expects, method="POST", body="é",
                        headers={"A": "b"})
    [request] = loader_of(scenario, expect=contestant_expects).plan(1).requests
    assert (request.status, request.length) == (status, length)
    assert request.octets == (
        b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA: b\r\nContent-Length: 2\r\n\r\n\xc3\xa9")


def test_who_has_a_connection_for_each_request_says_so() -> None:
    [request] = loader_of(Scenario(name="s", kind="churn")).plan(1).requests
    assert b"\r\nConnection: close\r\n" in request.octets


# -- Mixtures ------------------------------------------------------------------------------------


def test_requests_of_a_mixture_have_their_own_and_all_headers() -> None:
    requests = (Request("/a", 3), Request("/b", 1, "PUT", {"B": "2"}, "body", expect=Expected(status=404)))
    scenario = Scenario(name="s", kind="mixed", headers={"A": "1", "B": "1"}, expect=Expected(status=201),
                        requests=requests)
    first, second = loads.mixed(scenario, scenario.expect)
    assert first.question.headers == {"A": "1", "B": "1"}
    assert second.question.headers == {"A": "1", "B": "2"}
    assert (first.expected.status, second.expected.status, first.weight) == (201, 404, 3)
    assert (second.question.method, second.question.body) == ("PUT", b"body")


@pytest.mark.parametrize(("spread", "first"), [("even", 1 / 100), ("zipf", 0.1927)])
def test_files_share_the_weight_of_their_request(spread: Any, first: float) -> None:
    found = dict(loads.paths(Request("/t/{file}", 5, files=100, spread=spread), 1))
    assert len(found) == 100
    assert {"/t/00/00.txt", "/t/00/99.txt"} <= found.keys()
    assert sum(found.values()) == pytest.approx(5)
    assert max(found.values()) == pytest.approx(5 * first, rel=0.01)


def test_the_order_is_by_weight_and_the_same_each_time() -> None:
    found = loads.order([3, 1], 7)
    counts = Counter(found)
    assert found == loads.order([3, 1], 7) != loads.order([3, 1], 8)
    assert counts[0] / counts[1] == pytest.approx(3, rel=0.1)
    assert loads.order([5], 1) == [0]


@pytest.mark.parametrize(("count", "least", "most"), [(1, 1, 1), (25, 25, 25), (10_000, 25, 30)])
def test_of_large_mixtures_some_is_verified(count: int, least: int, most: int) -> None:
    assert least <= len(loads.verified(count)) <= most
