"""Medians, ratios and their intervals; what changed between two runs, and what chance may have done."""

import random
from statistics import median

import pytest

from fastserve.rig.measure import compare
from fastserve.rig.measure.compare import CPU, RATE, Ratio
from fastserve.rig.measure.result import Errors, Result
from fastserve.words import Refusal
from rig.making import contestant_of, result_of, round_of, scenario_of

NOISE = (0.98, 1.01, 1.0, 1.02, 0.99)


def run_of(factor: float = 1.0, name: str = "a", rounds: tuple[float, ...] = NOISE) -> Result:
    """A run whose server takes so many times the CPU, and reaches so much less."""
    return result_of(scenario_of(contestant_of(name, [
        round_of(rate=1000 * each / factor, cpu=1e-5 * factor * each, p50=each * factor)
        for each in rounds])))


def verdicts(old: Result, new: Result) -> dict[str, str]:
    return {each.figure.name: each.verdict() for each in compare.runs(old, new).changes}


# -- Intervals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], [5.0, 1.0, 4.0, 2.0, 3.0]])
def test_an_interval_holds_the_median_and_lies_within_the_rounds(values: list[float]) -> None:
    low, high = compare.interval(values)
    assert min(values) <= low <= median(values) <= high <= max(values)


def test_an_interval_is_the_same_each_time() -> None:
    values = [random.Random(1).random() for _ in range(9)]
    assert compare.interval(values) == compare.interval(list(values))


def test_an_interval_gets_narrower_with_rounds() -> None:
    chance = random.Random(2)
    few, many = (compare.interval([chance.gauss(100, 5) for _ in range(count)]) for count in (5, 100))
    assert many[1] - many[0] < few[1] - few[0]


def test_intervals_hold_the_true_median_about_as_often_as_they_say() -> None:
    chance, held = random.Random(3), 0
    for _ in range(100):
        low, high = compare.interval([chance.gauss(100, 5) for _ in range(7)])
        held += low <= 100 <= high
    assert 85 <= held <= 100


@pytest.mark.parametrize(("own", "other", "value", "beyond"), [
    ([2.0, 2.1, 1.9, 2.0, 2.05], [1.0, 1.05, 0.95, 1.0, 1.0], 2.0, True),
    ([1.0, 1.2, 0.8, 1.1, 0.9], [1.0, 0.9, 1.1, 0.8, 1.2], 1.0, False),
])
def test_contestants_are_compared_round_by_round(
        own: list[float], other: list[float], value: float, beyond: bool) -> None:
    ratio = compare.pairwise(own, other)
    assert ratio is not None
    assert ratio.value == pytest.approx(value, rel=0.01)
    assert ratio.beyond_noise == beyond


def test_what_drifts_on_the_machine_cancels() -> None:
    """Both get slower and slower, the one always by a twentieth more than the other."""
    other = [1.0, 1.5, 2.0, 2.5, 3.0]
    ratio = compare.pairwise([each * 1.05 for each in other], other)
    assert ratio is not None
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([1.05] * 3)
    assert ratio.beyond_noise


@pytest.mark.parametrize(("own", "other"), [([], []), ([1.0], []), ([None], [1.0]), ([1.0], [0.0])])
def test_nothing_can_be_compared_with_nothing(own: list[float | None], other: list[float | None]) -> None:
    assert compare.pairwise(own, other) is None


def test_one_round_has_no_interval() -> None:
    assert compare.pairwise([2.0], [1.0]) == Ratio(2.0, None, None)
    assert compare.ratio([2.0], [1.0]) == Ratio(2.0, None, None)
    assert not Ratio(2.0, None, None).beyond_noise


# -- Runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "said"), [(1.0, "same"), (1.5, "worse"), (0.5, "better")])
def test_what_changed_is_said_of_each_figure(factor: float, said: str) -> None:
    found = verdicts(run_of(), run_of(factor))
    assert found == {"rate": said, "cpu_per_request": said, "p50": said, "p99": said, "memory": "same"}


def test_a_change_within_noise_is_none() -> None:
    wide = (0.7, 1.3, 1.0, 0.8, 1.2)
    assert set(verdicts(run_of(rounds=wide), run_of(1.05, rounds=wide)).values()) == {"same"}


@pytest.mark.parametrize(("factor", "threshold", "regression"), [
    (1.5, 0.05, True), (1.5, 0.6, False), (0.5, 0.0, False), (1.0, 0.0, False)])
def test_a_regression_is_worse_beyond_noise_and_threshold(
        factor: float, threshold: float, regression: bool) -> None:
    changes = compare.runs(run_of(), run_of(factor)).changes
    found = {each.figure.name: each.is_regression(threshold) for each in changes}
    assert (found["rate"], found["cpu_per_request"], found["memory"]) == (regression, regression, False)


def test_a_figure_that_one_run_lacks_is_not_compared() -> None:
    old, new = run_of(), run_of()
    for one in new.scenarios[0].contestants[0].rounds:
        one.cpu_per_request = None
    assert CPU.name not in verdicts(old, new)
    assert RATE.name in verdicts(old, new)


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(Refusal, match="nothing can be compared"):
        compare.runs(run_of(name="a"), run_of(name="b"))


def notes_of(old: Result, new: Result) -> str:
    return "\n".join(compare.runs(old, new).notes)


def test_what_makes_runs_hard_to_compare_is_noted() -> None:
    old, new = run_of(), run_of()
    new.machine = type(new.machine)(**{**vars(new.machine), "cpu": "another"})
    new.scenarios[0].settings["connections"] = 32
    new.scenarios[0].contestants.append(contestant_of("b", [round_of(errors=Errors())]))
    new.interrupted = True
    notes = notes_of(old, new)
    for said in ("cpu a cpu and another", "connections 64 and 32", "b in hello is in the new run only",
                 "the new run was interrupted"):
        assert said in notes


@pytest.mark.parametrize(("rounds", "said"), [
    (1, "one round has no interval"), (2, "2 rounds are too few"), (5, "")])
def test_too_few_rounds_are_noted(rounds: int, said: str) -> None:
    notes = notes_of(run_of(rounds=NOISE[:rounds]), run_of(rounds=NOISE[:rounds]))
    assert said in notes
    assert bool(notes) == bool(said)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), (" 12.5% ", 0.125), ("0", 0)])
def test_a_threshold(text: str, share: float) -> None:
    assert compare.threshold(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "x", "-1%", "nan", "5 percent", "1e9"])
def test_what_is_no_threshold(text: str) -> None:
    with pytest.raises(Refusal, match=r"write 5% or 0\.05"):
        compare.threshold(text)


# -- What rounds cannot show -----------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new", "verdict"), [
    (1400, 1520, "same"), (22500, 22900, "same"), (22500, 23400, "worse"), (1400, 1800, "worse"),
    (22900, 22500, "same"), (30000, 22500, "better"),
])
def test_memory_differs_from_start_to_start(old: int, new: int, verdict: str) -> None:
    """Each KiB; all rounds of a run are of one start."""
    one, two = (result_of(scenario_of(contestant_of("a", [round_of(memory=each << 10)] * 5)))
                for each in (old, new))
    [memory] = [each for each in compare.runs(one, two).changes if each.figure.name == "memory"]
    assert memory.verdict() == verdict


def test_how_many_changes_chance_makes_is_told() -> None:
    def run(*costs: float) -> Result:
        return result_of(*(scenario_of(contestant_of("a", [round_of(cpu=cost * 1e-6)] * 5), name=f"s{at}")
                           for at, cost in enumerate(costs)))

    notes = compare.runs(run(*[10.0] * 5), run(11.0, *[10.0] * 4)).notes
    assert "1 of 25 figures changed beyond their intervals; by chance alone some 1 would" in notes
    assert compare.runs(run(*[10.0] * 5), run(*[10.0] * 5)).notes == []
    assert compare.runs(run(10.0), run(11.0)).notes == []
