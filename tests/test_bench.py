"""What bench/ judges itself: promises, and handshakes that count. What it measures is no matter of tests."""

import json
from pathlib import Path

import certificate
import promises
import pytest
import results
import tls
from promises import Beside, Cost, Promise
from rig.making import contestant_of, result_of, round_of, scenario_of

pytest.importorskip("hdrh")

from fastserve.rig.measure import result, scenario
from fastserve.rig.measure.result import Idle, Round
from fastserve.words import Refusal


def rounds(*costs: float) -> list[Round]:
    return [round_of(cpu=cost) for cost in costs]


# -- Promises --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "least", "met"), [
    ([0.9, 1.0, 9.0], False, True), ([0.9, 1.01, 1.02], False, False), ([], False, False),
    ([1.0, 1.0, 0.1], True, True), ([0.99, 0.99, 9.0], True, False), ([], True, False),
])
def test_the_median_keeps_a_promise(values: list[float], least: bool, met: bool) -> None:
    promise = Promise("work", "what", 1.0, least)
    assert promise.is_met(values) == met
    assert promises.row(promise, values)[-1] == ("yes" if met else "NO")


def test_a_cost_is_compared_within_each_round_with_the_best_of_it() -> None:
    field = {name: contestant_of(name, rounds(*costs))
             for name, costs in {"ours": (2.0, 3.0), "a": (1.0, 6.0), "b": (4.0, 2.0)}.items()}
    assert Cost("file", "ours", ("a", "b"), Promise("", "", 1)).values(field) == [2.0, 1.5]


def test_a_figure_beside_idle_connections() -> None:
    one = round_of(rate=90.0)
    one.idle = Idle(10, 500.0, 100.0, 1e-5)
    field = {"ours": contestant_of("ours", [one])}
    assert Beside("idle", "ours", Round.idle_octets, Promise("", "", 1)).values(field) == [500.0]
    assert Beside("idle", "ours", Round.rate_kept, Promise("", "", 1)).values(field) == [0.9]


def test_who_took_no_part_leaves_a_promise_unmeasured() -> None:
    kept = promises.loaded(result_of(*(
        scenario_of(contestant_of("fastserve", rounds(1.0)), contestant_of("floor", rounds(0.5)), name=name)
        for name in {line.scenario for line in promises.LOADED})))
    assert {promise.what: values for promise, values in kept if values} == {"CPU a request, x floor": [2.0]}


def test_promises_are_about_contestants_that_there_are() -> None:
    pytest.importorskip("tomllib")
    plan = scenario.load(promises.PEERS)
    for line in promises.LOADED:
        [of] = plan.chosen([line.scenario], None).scenarios
        for each in plan.chosen(None, list(line.names)).contestants:
            assert each.scenarios is None or of.name in each.scenarios, (each.name, of.name)


# -- The page --------------------------------------------------------------------------------------


def test_the_page_has_promises_and_results(tmp_path: Path) -> None:
    people = contestant_of("fastserve", rounds(8e-6)), contestant_of("nginx", rounds(16e-6))
    one = result_of(scenario_of(*people))
    promises.save(tmp_path / "x.json", one, [(Promise("a file", "x nginx", 0.75), [0.5, 0.6, 0.7])])
    assert json.loads((tmp_path / "x.json").read_text())["schema"] == 1
    result.save(one, tmp_path / "y.json")
    results.write([tmp_path / "x.json", tmp_path / "y.json"], tmp_path / "page")
    page = (tmp_path / "page" / "RESULTS.md").read_text()
    assert "| a file | x nginx | <= 0.75 | 0.60 (0.50-0.70) | yes |" in page
    assert page.count("### hello") == 1
    assert "nginx" in (tmp_path / "page" / "chart-all.svg").read_text()


def test_promises_alone_are_no_comparison(tmp_path: Path) -> None:
    one = result_of(scenario_of(contestant_of("fastserve", rounds(8e-6))))
    promises.save(tmp_path / "x.json", one, [(Promise("a file", "x nginx", 0.75), [0.5])])
    with pytest.raises(Refusal, match="there is no comparison"):
        results.write([tmp_path / "x.json"], tmp_path)


# -- Handshakes ------------------------------------------------------------------------------------


AGREED = f"{certificate.PROTOCOL} {certificate.CIPHER}"


@pytest.mark.parametrize(("line", "resumes", "said"), [
    (f"1000 0 {AGREED} -c4 https://a/", False, None),
    (f"1000 1 {AGREED} -c4 https://a/", False, "resumed 1 TLS sessions of 1000, instead of none"),
    (f"1000 986 {AGREED} -c4 https://a/", True, None),
    (f"1000 985 {AGREED} -c4 https://a/", True, "resumed no more than 985 TLS sessions of 1000"),
    ("9 0 TLSv1.2 AES128-SHA -c4 https://a/", False, "agreed to TLSv1.2 AES128-SHA instead of TLSv1.3 "),
])
def test_which_handshakes_count(line: str, resumes: bool, said: str | None) -> None:
    why = tls.Count.of(line).fault(4, resumes)
    assert (why or "").startswith(said or "")
    assert (why is None) == (said is None)


def test_who_shakes_hands_otherwise_is_left_out() -> None:
    people = [contestant_of(name, rounds(1.0)) for name in ("right", "wrong", "uncounted")]
    for each in people:
        each.url = f"https://{each.name}/"
    found = result_of(scenario_of(*people, name="tls-fresh", warm_up=0))
    counts = [tls.Count.of(f"9 {resumed} {AGREED} https://{name}/")
              for name, resumed in (("right", 0), ("wrong", 5))]
    assert not tls.judge(found, counts)
    assert [each.name for each in found.scenarios[0].contestants] == ["right"]
    assert found.left_out == {"wrong, tls-fresh": "resumed 5 TLS sessions of 9, instead of none",
                              "uncounted, tls-fresh": "its handshakes were counted 0 times of 1"}
