"""What a result has, as the report compares it: a figure of each round, medians, intervals, ratios, steps.

Knows a result as JSON has it, and no page. What is null there, or is no finite number, is None or left out
here. charts, tables, summary, as_csv and as_markdown call it.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final, NamedTuple, TypeAlias

from fastserve.rig.measure import compare
from fastserve.rig.measure.latency import Latency
from fastserve.rig.report import units

# A result or a part of it: a scenario, a contestant, a round.
Part: TypeAlias = Mapping[str, Any]

KEPT: Final = 0.95  # of the rate that is asked for: who reaches as much keeps pace, where nothing else is set
BEYOND: Final = 10  # answers that lie beyond a percentile that is drawn; fewer are chance
RARE: Final = 0.0005  # calls of a request; a system call that everybody makes less often is not shown
OURS: Final = "fastserve"


def known(value: Any) -> float | None:
    """Return a finite number as a float, None for whatever else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


class Interval(NamedTuple):
    """A median of rounds; ``low`` and ``high`` hold the true one in 95 of 100 cases, None after one round."""

    value: float
    low: float | None
    high: float | None

    @property
    def beside(self) -> str | None:
        """On which side of 1 all of it lies: "above", "below", or None where that cannot be told."""
        if self.low is None or self.high is None:
            return None
        return "above" if self.low > 1 else "below" if self.high < 1 else None


class Measure(NamedTuple):
    """One figure of a round: ``write`` makes text of it, ``of`` finds it in a round."""

    key: str
    title: str
    write: units.Writer
    of: Callable[[Part], float | None]


def within(percentile: str, of: str = "latency") -> Callable[[Part], float | None]:
    """Return what finds the time (seconds) within which so many per cent of the answers of a part came."""
    def find(part: Part) -> float | None:
        found = part.get(of)
        return known(found["percentiles"].get(percentile)) if found and found["count"] else None

    return find


def field(name: str) -> Callable[[Part], float | None]:
    return lambda part: known(part.get(name))


def beside_idle(name: str) -> Callable[[Part], float | None]:
    """Return what finds a figure of the connections that were idle beside a round."""
    return lambda part: known((part.get("idle") or {}).get(name))


def rate_kept(part: Part) -> float | None:
    """Return the part of the rate that is left beside idle connections."""
    rate, without = known(part.get("rate")), beside_idle("rate_without")(part)
    return rate / without if rate is not None and without else None


RATE: Final = Measure("rate", "Rate", units.rate, field("rate"))
CPU: Final = Measure("cpu_per_request", "CPU per request", units.seconds, field("cpu_per_request"))
P50: Final = Measure("p50", "Latency p50", units.seconds, within("50"))
P99: Final = Measure("p99", "p99", units.seconds, within("99"))
P999: Final = Measure("p99_9", "p99.9", units.seconds, within("99.9"))
FIRST: Final = Measure("first_byte", "First byte p50", units.seconds, within("50", "first_byte"))
MEMORY: Final = Measure("memory_peak", "Memory, peak", units.octets, field("memory_peak"))
CALLS: Final = Measure("system_calls", "System calls per request", units.plain, field("system_calls"))
IDLE: Final = Measure("idle_octets", "Idle connection", units.octets, beside_idle("octets_each"))
BESIDE: Final = Measure("rate_kept", "Rate beside idle ones", units.ratio, rate_kept)
OTHERS: Final = (P50, P99, P999, FIRST, MEMORY, CALLS, IDLE, BESIDE)


# -- Contestants of a scenario -------------------------------------------------------------------


def values(contestant: Part, measure: Measure) -> list[float]:
    """Return the figure of each round that has it."""
    found = (measure.of(each) for each in contestant["rounds"])
    return [value for value in found if value is not None]


def interval(contestant: Part, measure: Measure) -> Interval | None:
    """Return the median of the rounds, None where no round has that figure."""
    found = values(contestant, measure)
    if not found:
        return None
    return Interval(median(found), *(compare.interval(found) if len(found) > 1 else (None, None)))


def against(own: Part, other: Part, measure: Measure) -> Interval | None:
    """Return the ratio of two contestants, round by round: what drifts on the machine cancels.

    None where they have no round with that figure in common.
    """
    found = compare.pairwise(*([measure.of(each) for each in one["rounds"]] for one in (own, other)))
    return Interval(*found) if found else None


def ratios(own: Part, other: Part, measure: Measure) -> list[float]:
    """Return the ratio of two contestants in each round that both have: what against() is the median of."""
    pairs = zip(*([measure.of(each) for each in one["rounds"]] for one in (own, other)), strict=False)
    return [one / two for one, two in pairs if one is not None and two]


def reference(contestants: Iterable[Part], name: str | None = None) -> Part | None:
    """Return with whom the others are compared: who is called so, else fastserve, else the first one."""
    took_part = [each for each in contestants if each["rounds"]]
    for wanted in (name, OURS):
        for each in took_part:
            if each["name"] == wanted:
                return each
    return next((each for each in took_part if each["name"].startswith(OURS)), next(iter(took_part), None))


def names(result: Part) -> list[str]:
    """Return everybody who took part in a scenario, the first one first."""
    everybody = (each["name"] for scenario in result["scenarios"] for each in scenario["contestants"])
    return list(dict.fromkeys(everybody))


def errors(part: Part) -> dict[str, int]:
    """Return how many there were of each kind, in a contestant or a round; no kind that has none."""
    total: dict[str, int] = {}
    for each in part.get("rounds", [part]):
        for kind, number in (each.get("errors") or {}).items():
            total[kind] = total.get(kind, 0) + int(known(number) or 0)
    return {kind: number for kind, number in total.items() if number}


# -- System calls ---------------------------------------------------------------------------------


def by_call(found: Mapping[str, Mapping[str, float]]) -> list[tuple[str, list[float]]]:
    """Return the system calls of a request by name, those made most first, and "all" at the end.

    ``found`` has them by contestant; each row has a figure for each, in that order. [] where there are none.
    """
    most: dict[str, float] = {}
    for calls in found.values():
        for name, number in calls.items():
            most[name] = max(most.get(name, 0.0), number)
    shown = sorted((name for name in most if most[name] >= RARE), key=most.__getitem__, reverse=True)
    rows = [(name, [calls.get(name, 0.0) for calls in found.values()]) for name in shown]
    return [*rows, ("all", [sum(calls.values()) for calls in found.values()])] if rows else []


# -- Latency by percentile -----------------------------------------------------------------------


def curve(contestant: Part, of: str = "latency") -> list[tuple[float, float]]:
    """Return pairs of per cent and seconds over all rounds, for a line; [] where nothing is known.

    From the histograms, where every round has one, else the medians of the percentiles that the rounds have.
    """
    return curve_of([each[of] for each in contestant["rounds"] if each.get(of) and each[of]["count"]])


def curve_of(found: Sequence[Part]) -> list[tuple[float, float]]:
    latencies = [Latency.from_json(each) for each in found]
    total = sum(each.count for each in latencies)
    if latencies and all(each.histogram for each in latencies):
        together = Latency.merged(latencies)
        points = dict([*together.curve(), *numbered(together.percentiles)])
    else:
        points = dict(numbered(typical(found)))
    return sorted((percent, value) for percent, value in points.items() if beyond(percent, total) >= BEYOND)


def beyond(percent: float, total: int) -> float:
    """How many answers of so many took longer than a percentile."""
    return round(total * (1 - percent / 100), 6)


def numbered(percentiles: Mapping[str, float]) -> list[tuple[float, float]]:
    return [(float(key), value) for key, value in percentiles.items()]


def typical(found: Sequence[Part]) -> dict[str, float]:
    """Return the median of each percentile, over rounds."""
    keys = dict.fromkeys(key for each in found for key in each["percentiles"])
    every = {key: [known(each["percentiles"].get(key)) for each in found] for key in sorted(keys, key=float)}
    numbers = {key: [value for value in some if value is not None] for key, some in every.items()}
    return {key: median(some) for key, some in numbers.items() if some}


# -- Steps of a ramp -----------------------------------------------------------------------------


class Step(NamedTuple):
    """What was reached where ``asked`` requests a second were asked for; medians over rounds.

    ``times`` are seconds by percentile, ``cpu`` is seconds of a request, ``kept`` says whether it kept pace.
    """

    asked: float
    reached: float
    times: dict[str, float]
    cpu: float | None
    errors: int
    kept: bool
    latencies: tuple[Part, ...]


def steps(contestant: Part, scenario: Part) -> list[Step]:
    """Return those of a contestant in a scenario, the lowest rate first; [] where there was no ramp."""
    ramps = [one for one in contestant["rounds"] if one.get("steps")]
    by_rate: dict[float, list[tuple[Part, bool]]] = {}
    for one in ramps:
        for each in one["steps"]:
            taken = each, was_kept(each, one, scenario["settings"])
            by_rate.setdefault(float(each["rate"]), []).append(taken)
    return [step(asked, by_rate[asked], len(ramps)) for asked in sorted(by_rate)]


def was_kept(step: Part, of_round: Part, settings: Part) -> bool:
    """Whether a server kept pace. A ramp ends where it does not; its round's rate is the last one kept."""
    if step is not of_round["steps"][-1]:
        return True
    enough = step["reached"] >= step["rate"] * (known(settings.get("reached_limit")) or KEPT)
    in_time = (P99.of(step) or 0.0) <= (known(settings.get("p99_limit")) or math.inf)
    return enough and in_time and step["reached"] == of_round["rate"]


def step(asked: float, parts: Sequence[tuple[Part, bool]], ramps: int) -> Step:
    """Join what that rate was like in several rounds; it is kept if it was in half of all or more."""
    found = [each for each, _ in parts]
    latencies = tuple(each["latency"] for each in found if each["latency"]["count"])
    costs = [cost for each in found if (cost := CPU.of(each)) is not None]
    reached, faults = median([known(each["reached"]) or 0.0 for each in found]), map(errors, found)
    times, is_kept = typical(latencies), 2 * sum(kept for _, kept in parts) >= ramps
    return Step(asked, reached, times, median(costs) if costs else None,
                sum(sum(each.values()) for each in faults), is_kept, latencies)


def kept(taken: Iterable[Step]) -> list[Step]:
    """Return the steps up to the first one that was not kept."""
    return list(itertools.takewhile(lambda each: each.kept, taken))


def common_rate(scenario: Part) -> float | None:
    """Return the highest rate of a ramp that everybody kept, where all can be compared; None without one."""
    people = [taken for each in scenario["contestants"] if (taken := steps(each, scenario))]
    rates = [{each.asked for each in kept(taken)} for taken in people]
    return max(set.intersection(*rates), default=None) if rates else None
