"""What came out, in words that are made of the figures; what was measured, and how, in sentences.

Says that one is better only where an interval lies on one side of 1. Knows results, and no page; html.py
calls it.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from fastserve.rig.measure.compare import ENOUGH
from fastserve.rig.report import figures, units
from fastserve.rig.report.figures import CPU, P50, P99, RATE, Interval, Part

TIMES: Final = "\N{MULTIPLICATION SIGN}"
PERCENT: Final = f"95{units.SPACE}%"
UNTOLD: Final = "no difference can be told"

KINDS: Final = {
    "closed": "Closed loop: each connection sends its next request as soon as the answer has come.",
    "rate": "Constant rate: requests are sent at set times, whether the answers before have come or not.",
    "ramp": "Rising rate: step by step more requests a second are asked for.",
    "churn": "A new connection for each request.",
    "mixed": "Closed loop, in which several targets are asked for in turns.",
    "think": "Each connection waits for a while between an answer and its next request.",
}
FAULTS: Final = {
    "connect": "without a connection", "read": "broken off", "timeout": "without an answer in time",
    "status": "with another status", "body": "with another body",
}
BRIEF: Final = ("rate", "connections", "seconds", "rounds", "think", "driver")  # what stands above charts
SETTINGS: Final[dict[str, units.Writer]] = {
    **dict.fromkeys(("rounds", "connections", "seed"), units.count),
    **dict.fromkeys(("rate", "steps"), units.rate),
    **dict.fromkeys(("seconds", "warm_up", "timeout", "think", "p99_limit"), units.seconds),
}


class Sentence(NamedTuple):
    """What is said of somebody, or of a scenario: ``name`` stands before it."""

    name: str
    says: str


# -- What came out -------------------------------------------------------------------------------


def comparison(found: Interval, first: bool = True) -> str:
    """An interval in brackets, and that it tells nothing if 1 is in it. ``first``: with what it is."""
    if found.low is None:
        return "(one round, so without an interval)"
    ends = units.between(found.low, found.high, units.ratio)
    said = f"{PERCENT} interval {ends}" if first else ends
    return f"({said})" if found.beside else f"({said}: {UNTOLD})"


def ratios(scenario: Part, measure: figures.Measure, name: str | None = None) -> list[tuple[str, Interval]]:
    """Return who can be compared with the reference, and the ratio; the least first."""
    chosen = figures.reference(scenario["contestants"], name)
    others = [each for each in scenario["contestants"] if each is not chosen]
    found = [(each["name"], figures.against(each, chosen, measure)) for each in others if chosen]
    return sorted(((who, one) for who, one in found if one), key=lambda each: each[1].value)


def line(scenario: Part, name: str | None = None) -> str:
    """A scenario in one sentence: its capacity where it is a ramp, else CPU time, else the rate."""
    if scenario["kind"] == "ramp" and (said := capacities(scenario)):
        return said
    return costs(scenario, name) or rates(scenario) or "Nothing has been measured."


def costs(scenario: Part, name: str | None = None) -> str:
    """Ratios of CPU time to that of the reference; '' where it cannot be compared."""
    chosen, found = figures.reference(scenario["contestants"], name), ratios(scenario, CPU, name)
    if chosen is None or not found:
        return ""
    (who, one), *rest = found
    said = [f"{who} {times(one.value)} the CPU of {chosen['name']} per request {comparison(one)}"]
    said += [f"{who} {times(one.value)} {comparison(one, False)}" for who, one in rest]
    return "; ".join(said) + "."


def rates(scenario: Part) -> str:
    found = [(each["name"], figures.interval(each, RATE)) for each in scenario["contestants"]]
    said = [f"{who} {units.rate(one.value)}" for who, one in found if one]
    return f"{units.listed(said)}." if said else ""


def capacities(scenario: Part) -> str:
    """Up to which rates everybody has kept pace; '' where there were no steps."""
    said = [f"{each['name']} {found}" for each in scenario["contestants"]
            if (found := capacity(each, scenario))]
    rest = [each.replace("kept pace up to", "up to") for each in said[1:]]
    return "; ".join([*said[:1], *rest]) + "." if said else ""


def capacity(contestant: Part, scenario: Part, chosen: Part | None = None) -> str:
    """Where a contestant is saturated, beside where another one is; '' where there were no steps."""
    own, taken = figures.interval(contestant, RATE), figures.steps(contestant, scenario)
    if not taken or own is None:
        return ""
    if all(each.kept for each in taken):
        return f"kept pace with all that was asked for, up to {units.rate(taken[-1].asked)}"
    if not taken[0].kept:
        return f"did not keep pace with {units.rate(taken[0].asked)}, the least that was asked for"
    return f"kept pace up to {units.rate(own.value)}{beside(contestant, chosen, RATE)}"


def beside(own: Part, chosen: Part | None, measure: figures.Measure, first: bool = True) -> str:
    """A clause with the ratio to another contestant; '' where there is none."""
    found = figures.against(own, chosen, measure) if chosen else None
    if not found or not chosen:
        return ""
    return f", {times(found.value)} that of {chosen['name']} {comparison(found, first)}"


def times(value: float) -> str:
    return f"{units.ratio(value)}{units.SPACE}{TIMES}"


def sentences(scenario: Part, name: str | None = None) -> list[Sentence]:
    """Say of each contestant what it did: the reference first, its figures alone."""
    chosen = figures.reference(scenario["contestants"], name)
    ordered = sorted(scenario["contestants"], key=lambda each: each is not chosen)
    return [Sentence(each["name"], told(each, chosen, scenario)) for each in ordered]


def told(contestant: Part, chosen: Part | None, scenario: Part) -> str:
    if not contestant["rounds"]:
        return "has no round that was finished."
    compared = None if contestant is chosen else chosen
    said = [capacity(contestant, scenario, compared) or pace(contestant, scenario, compared),
            cost(contestant, compared), waits(contestant, scenario)]
    return "; ".join(filter(None, said)) + "."


def pace(contestant: Part, scenario: Part, chosen: Part | None) -> str:
    """The rate: beside another's, where it is the server that bounds it; else beside what was asked for."""
    own = figures.interval(contestant, RATE)
    if own is None:
        return ""
    asked = figures.known(scenario["settings"].get("rate"))
    if asked:
        short = "" if own.value >= figures.KEPT * asked else ", fewer than were asked for"
        return f"{units.rate(own.value)} answered{short}"
    return f"{units.rate(own.value)} answered{beside(contestant, chosen, RATE)}"


def cost(contestant: Part, chosen: Part | None) -> str:
    own = figures.interval(contestant, CPU)
    if own is None:
        return "CPU time is not known"
    return f"{units.seconds(own.value)} of CPU per request{beside(contestant, chosen, CPU, False)}"


def waits(contestant: Part, scenario: Part) -> str:
    half, most = figures.interval(contestant, P50), figures.interval(contestant, P99)
    if half is None or most is None or scenario["kind"] == "ramp":
        return ""
    return (f"half of the answers within {units.seconds(half.value)}, "
            f"99 of 100 within {units.seconds(most.value)}")


# -- What is to be noticed -----------------------------------------------------------------------


def faults(scenario: Part) -> list[Sentence]:
    """Say who had errors, in how many rounds, and which."""
    found = []
    for each in scenario["contestants"]:
        kinds, total = figures.errors(each), figures.values(each, REQUESTS)
        rounds = sum(bool(figures.errors(one)) for one in each["rounds"])
        if kinds:
            said = ", ".join(f"{units.count(number)} {FAULTS.get(kind, kind)}"
                             for kind, number in kinds.items())
            found.append(Sentence(each["name"],
                                  f"{said}; in {rounds} of {len(each['rounds'])} rounds, beside "
                                  f"{units.count(sum(total))} requests."))
    return found


def notes(scenario: Part) -> list[Sentence]:
    """Say in whose rounds the load was near its own limits, and how near in the last of them."""
    found = []
    for each in scenario["contestants"]:
        said = [one["note"] for one in each["rounds"] if one.get("note")]
        if said:
            found.append(Sentence(each["name"], f"{said[-1]} ({len(said)} of {len(each['rounds'])} rounds)."))
    return found


REQUESTS: Final = figures.Measure("requests", "Requests", units.count, figures.field("requests"))


def few(scenario: Part) -> str:
    """Say so where there are too few rounds for what is made of them; '' where there are enough."""
    rounds = [len(each["rounds"]) for each in scenario["contestants"] if each["rounds"]]
    if not rounds or min(rounds) >= ENOUGH:
        return ""
    if min(rounds) == 1:
        return "One round has no interval: what is chance cannot be told."
    return f"{span(rounds)} are few: the intervals are narrower than what chance may have done."


def differing(scenario: Part) -> str:
    """Say so where the contestants were not to answer alike; '' where they were."""
    sizes = {each["name"]: (each.get("answer") or {}).get("octets") for each in scenario["contestants"]}
    if len({size for size in sizes.values() if size is not None}) < 2:
        return ""
    said = units.listed([f"{name} {units.count(size)} octets" for name, size in sizes.items()])
    return f"The answers are not of one size: {said}."


# -- What was measured, and how ------------------------------------------------------------------


def about(result: Part) -> str:
    """The whole in one sentence, for who was not there."""
    scenarios, people = result["scenarios"], figures.names(result)
    rounds = [len(each["rounds"]) for one in scenarios for each in one["contestants"]]
    machine = result.get("machine") or {}
    parts = [plural(len(people), "server"), plural(len(scenarios), "scenario"),
             f"{span(rounds)} each" if rounds else ""]
    where = f"{machine.get('cores') or 'unknown'} cores of {machine.get('cpu') or 'an unknown CPU'}"
    return f"{', '.join(filter(None, parts))}, on {where}, {units.moment(result.get('made') or '')}."


def plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def span(rounds: list[int]) -> str:
    least, most = min(rounds), max(rounds)
    return plural(most, "round") if least == most else f"{least} to {most} rounds"


def kind(scenario: Part) -> str:
    name: str = scenario["kind"]
    return KINDS.get(name, name)


def settings(scenario: Part, names: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """Return names and values of what was set, or of some of it; what was not set is left out."""
    found = scenario["settings"]
    return [(name.replace("_", " "), setting(name, found[name])) for name in names or found
            if found.get(name) not in (None, [], {}, "")]


def setting(name: str, value: Any) -> str:
    number = figures.known(value)
    if number is not None:
        return units.trimmed(SETTINGS.get(name, units.plain)(number))
    if isinstance(value, (list, tuple)):
        return ", ".join(setting(name, each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {setting(key, each)}" for key, each in value.items())
    return "yes" if value is True else "no" if value is False else str(value)


def pinning(machine: Part) -> str:
    """Which cores were whose."""
    load, server = machine.get("load_cores") or [], machine.get("server_cores") or []
    if not load or not server:
        return "Load and servers were not pinned to cores of their own, so they took time from each other."
    apart = "and" if set(load).isdisjoint(server) else "and, not apart from it,"
    return f"The server ran on core {cores(server)}, {apart} what makes the load on core {cores(load)}."


def cores(numbers: Iterable[int]) -> str:
    return units.listed([str(each) for each in numbers])


def warming(result: Part) -> str:
    every = (figures.known(each["settings"].get("warm_up")) for each in result["scenarios"])
    found = {length for length in every if length}
    if not found:
        return ""
    lengths = [units.trimmed(units.seconds(each)) for each in sorted(found)]
    return f"Before its first round each was under load for {units.listed(lengths)}, which does not count."


def machine(result: Part) -> list[tuple[str, str]]:
    """Return what a figure must name to be worth keeping."""
    known = result.get("machine") or {}
    tools = ", ".join(f"{name} {version}" for name, version in (result.get("tools") or {}).items())
    rows = [
        ("Made", units.moment(result.get("made") or "")),
        ("Commit", result.get("commit")), ("CPU", known.get("cpu")),
        ("Cores", known.get("cores")), ("Memory", units.octets(figures.known(known.get("memory")))),
        ("System", known.get("system")), ("Kernel", known.get("kernel")), ("Governor", known.get("governor")),
        ("MTU of the loopback", known.get("loopback_mtu")),
        ("Cores of the load", cores(known.get("load_cores") or [])),
        ("Cores of the servers", cores(known.get("server_cores") or [])), ("Python", known.get("python")),
        ("Tools", tools),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "", units.NOTHING)]
