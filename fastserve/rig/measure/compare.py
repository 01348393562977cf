"""Holds figures of rounds to each other: medians, ratios, and how far chance alone may have moved them.

An interval is a bootstrap's: the rounds are drawn anew, with a fixed seed, and the median of each draw is
taken. As rounds are few, the ends are put as much further out as Student's distribution is wider than the
normal one. Of contestants in one run rounds are compared pairwise, as they were measured in turns; two runs
are drawn apart. All rounds of a run have one start of a server: what another start changes of its memory they
cannot show, so that is allowed for.

Knows results and no terminal. cli.py compares two runs by it, terminal.py and the report compare contestants.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Final, NamedTuple

from fastserve.rig.measure.result import Contestant, Result, Round, Scenario
from fastserve.words import Refusal

SEED: Final = 9112
DRAWS: Final = 2000
CONFIDENCE: Final = 0.95
STARTED_OCTETS: Final = 1 << 18  # and
STARTED_SHARE: Final = 0.02  # of its memory: how far two starts of the same server may be apart
ENOUGH: Final = 4  # rounds, from which on chance alone keeps to the interval about as often as it says


class Figure(NamedTuple):
    """What is compared of rounds. ``more`` says whether more of it is better."""

    name: str
    more: bool
    of: Callable[[Round], float | None]


FIGURES: Final = (
    Figure("rate", True, lambda one: one.rate),
    Figure("cpu_per_request", False, lambda one: one.cpu_per_request),
    Figure("p50", False, lambda one: one.latency.within("50")),
    Figure("p99", False, lambda one: one.latency.within("99")),
    Figure("memory", False, lambda one: one.memory_peak),
)
RATE, CPU = FIGURES[:2]
MEMORY: Final = FIGURES[-1]


class Ratio(NamedTuple):
    """A ratio of medians; ``low`` and ``high`` hold the true one with 95 %, None where one round is all."""

    value: float
    low: float | None
    high: float | None

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval leaves out 1."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


@dataclass(frozen=True)
class Change:
    """One figure of one contestant in one scenario, in two runs; ``rounds`` is the smaller number of them."""

    scenario: str
    contestant: str
    figure: Figure
    old: float
    new: float
    ratio: Ratio
    rounds: int

    @property
    def is_worse(self) -> bool:
        return (self.ratio.value < 1) == self.figure.more and self.ratio.value != 1

    def verdict(self) -> str:
        """"same" where chance may have done it, else "better" or "worse"."""
        if not self.ratio.beyond_noise:
            return "same"
        return "worse" if self.is_worse else "better"

    def is_regression(self, threshold: float) -> bool:
        """Whether it got worse beyond noise, and by more than a threshold: 0.05 is 5 % of the better one."""
        size = self.ratio.value if self.ratio.value > 1 else 1 / self.ratio.value
        return self.verdict() == "worse" and size - 1 > threshold


@dataclass(frozen=True)
class Comparison:
    """Two runs. ``notes`` are lines on what makes them hard to compare, or is in one of them only."""

    changes: list[Change]
    notes: list[str]


# -- Intervals -----------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return within what the median of such rounds lies, with 95 %; of one round that is the round."""
    return _within(tuple(map(float, values)))


@functools.lru_cache(4096)
def _within(values: tuple[float, ...]) -> tuple[float, float]:
    chance = random.Random(SEED)
    return _middle([median(chance.choices(values, k=len(values))) for _ in range(DRAWS)], len(values))


def ratio(new: Sequence[float], old: Sequence[float]) -> Ratio | None:
    """Return the ratio of the medians of two runs; None where one has nothing, or the old one is 0."""
    if not new or not old or not median(old):
        return None
    value = median(new) / median(old)
    if min(len(new), len(old)) < 2:
        return Ratio(value, None, None)
    chance, drawn = random.Random(SEED), []
    for _ in range(DRAWS):
        over, under = (median(chance.choices(each, k=len(each))) for each in (new, old))
        if under:
            drawn.append(over / under)
    return Ratio(value, *_middle(drawn, min(len(new), len(old))))


def pairwise(own: Sequence[float | None], other: Sequence[float | None]) -> Ratio | None:
    """Return the ratio of two contestants of one run, round by round; None where no round has both."""
    found = [one / two for one, two in zip(own, other, strict=False) if one is not None and two]
    if not found:
        return None
    return Ratio(median(found), *(interval(found) if len(found) > 1 else (None, None)))


def _middle(drawn: list[float], rounds: int) -> tuple[float, float]:
    """The ends of what is left when as much is cut off on either side as the confidence leaves."""
    drawn.sort()
    cut = int(len(drawn) * outside(rounds))
    return drawn[cut], drawn[-1 - cut]


def outside(rounds: int) -> float:
    """Return the share of draws that lies beyond either end of the interval of so many rounds.

    With many it is half of what the confidence leaves. Of few rounds draws vary less than their source: by
    (n - 1) / n in the variance, and Student's quantile stands in for the normal one (Hesterberg 2015,
    "expanded percentiles"), here by the first terms of its expansion.
    """
    normal = NormalDist()
    z = normal.inv_cdf((1 + CONFIDENCE) / 2)
    free = max(rounds - 1, 1)
    student = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return normal.cdf(-math.sqrt((free + 1) / free) * student)


# -- Contestants, runs ---------------------------------------------------------------------------


def values(contestant: Contestant, figure: Figure) -> list[float | None]:
    """Return a figure of each round, None where it has none."""
    return [figure.of(each) for each in contestant.rounds]


def known(contestant: Contestant, figure: Figure) -> list[float]:
    """Return a figure of each round that has it."""
    return [value for value in values(contestant, figure) if value is not None]


def runs(old: Result, new: Result) -> Comparison:
    """Compare what two runs have in common. Raises Refusal where that is nothing."""
    before = _by_names(old)
    after = _by_names(new)
    changes = [change for names in before if names in after
               for change in _changes(names, before[names][1], after[names][1])]
    if not changes:
        raise Refusal("these results have no contestant in the same scenario; nothing can be compared")
    return Comparison(changes, [*_notes(old, new), *_lonely(before.keys() - after.keys(), "old"),
                                *_lonely(after.keys() - before.keys(), "new"), *_few(changes),
                                *_by_chance(changes)])


def _by_names(result: Result) -> dict[tuple[str, str], tuple[Scenario, Contestant]]:
    return {(scenario.name, contestant.name): (scenario, contestant)
            for scenario, contestant in result.entries() if contestant.rounds}


def _changes(names: tuple[str, str], old: Contestant, new: Contestant) -> list[Change]:
    found = []
    for figure in FIGURES:
        before, after = known(old, figure), known(new, figure)
        one = ratio(after, before)
        if one is not None and one.value > 0:
            if figure is MEMORY:
                one = started_anew(one, median(before))
            rounds = min(len(before), len(after))
            found.append(Change(*names, figure, median(before), median(after), one, rounds))
    return found


def started_anew(one: Ratio, octets: float) -> Ratio:
    """Return a ratio of memory with room for what another start of a server of so many octets changes."""
    if one.low is None or one.high is None:
        return one
    room = STARTED_SHARE + STARTED_OCTETS / octets
    return Ratio(one.value, one.low - room, one.high + room)


def _notes(old: Result, new: Result) -> list[str]:
    """What differs beside what is to be compared."""
    notes = []
    for name in ("cpu", "cores", "kernel", "python", "governor", "server_cores", "load_cores"):
        before, after = getattr(old.machine, name), getattr(new.machine, name)
        if before != after:
            notes.append(f"the machines differ: {name.replace('_', ' ')} {before} and {after}")
    known_before = {each.name: each for each in old.scenarios}
    for scenario in new.scenarios:
        if (same := known_before.get(scenario.name)) is not None:
            notes += _differing(same, scenario)
    notes += [f"the {name} run was interrupted"
              for name, run in (("old", old), ("new", new)) if run.interrupted]
    return notes


def _differing(old: Scenario, new: Scenario) -> list[str]:
    one, two = ({"kind": each.kind, **each.settings} for each in (old, new))
    return [f"scenario {new.name} is not the same: {name} {one.get(name)} and {two.get(name)}"
            for name in sorted({*one, *two} - {"rounds"}) if one.get(name) != two.get(name)]


def _lonely(names: set[tuple[str, str]], run: str) -> list[str]:
    return [f"{contestant} in {scenario} is in the {run} run only" for scenario, contestant in sorted(names)]


def _few(changes: list[Change]) -> list[str]:
    least = min(each.rounds for each in changes)
    if least >= ENOUGH:
        return []
    return [f"{least} rounds are too few for an interval to be trusted; measure {ENOUGH + 1} or more"
            if least > 1 else "one round has no interval; nothing can be told from noise"]


def _by_chance(changes: list[Change]) -> list[str]:
    """Of many intervals some leave out what is true: how many, where any does."""
    told = [each for each in changes if each.ratio.low is not None]
    beyond = sum(each.ratio.beyond_noise for each in told)
    expected = len(told) * (1 - CONFIDENCE)
    if not beyond or expected < 1:
        return []
    by_chance = f"by chance alone some {expected:.0f} would"
    return [f"{beyond} of {len(told)} figures changed beyond their intervals; {by_chance}"]


def threshold(text: str) -> float:
    """Return a share that a person writes as 5% or 0.05. Raises Refusal."""
    number = text.strip()
    try:
        share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        share = -1
    if not 0 <= share < 10:
        raise Refusal(f"threshold {text!r} is no share; write 5% or 0.05")
    return share
