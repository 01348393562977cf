"""Makes the load of a scenario on one server, by the tool that can: wrk, or the rig's own driver.

Knows both tools and no process of a server. The engine makes a Loader for each contestant.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fastserve.rig.measure import asking, closed, driver, observe
from fastserve.rig.measure.asking import Address, Question, Seen, Wrong
from fastserve.rig.measure.contestants import tree_name
from fastserve.rig.measure.load import BUSY, Load
from fastserve.rig.measure.result import Errors
from fastserve.rig.measure.scenario import Contestant, Expected, Request, Scenario
from fastserve.words import Refusal

TURNS: Final = 1 << 16  # requests of a mixture, after which it begins again
KINDS: Final = {"think": "think", "churn": "churn"}  # by the driver's names; others are rates or closed loops
VERIFIED: Final = 25  # requests of a mixture, about
RECONNECTED: Final = 0.99  # of the requests that are to have a connection each


def tool(scenario: Scenario) -> str:
    """Return who makes the load: wrk, where it is there, for closed loops that it knows, else drive."""
    if scenario.driver != "auto":
        return scenario.driver
    if scenario.pipeline > 1:
        return "wrk"
    return "wrk" if scenario.kind == "closed" and scenario.method != "HEAD" and closed.is_there() else "drive"


def versions(name: str) -> dict[str, str]:
    """Return the version of a tool, by its name; of drive that is fastserve's."""
    return {name: closed.version()} if name == "wrk" else {}


def ensure_possible(scenario: Scenario, contestants: Iterable[Contestant]) -> None:
    """Raise Refusal where the load of a scenario cannot be made."""
    name = tool(scenario)
    if name == "wrk" and not closed.is_there():
        mend = "leave driver out" if scenario.driver == "wrk" else "leave pipeline out"
        raise Refusal(f"scenario {scenario.name!r} asks for wrk, which is not installed; {mend}")
    for each in contestants:
        if name == "drive" and (each.tls or (each.url or "").startswith("https:")):
            raise Refusal(f"{each.name}: only wrk measures TLS, in closed loops; leave it out of the others")


@dataclass(frozen=True)
class Part:
    """One request of a load, how often it comes beside the others, and what its answer is expected to be."""

    question: Question
    weight: float
    expected: Expected


@dataclass(frozen=True)
class Made:
    """A load, as its tool tells of it; meanwhile ``opened`` connections were accepted, None where not known.
    """

    said: driver.Outcome | closed.Said
    opened: int | None


class Loader:
    """The load of one scenario on one server, from ``cores``.

    ``closes`` (bool) says that each answer is to end its connection.
    """

    def __init__(self, scenario: Scenario, contestant: Contestant, address: Address, target: str,
                 cores: list[int]) -> None:
        self._scenario, self._address, self._cores = scenario, address, cores
        self._tool = tool(scenario)
        self.closes = scenario.kind == "churn"
        said = scenario.expect.over(contestant.expect)
        self._parts = list(mixed(scenario, said)) if scenario.requests else [
            Part(Question(target, scenario.method, scenario.headers, scenario.body.encode()), 1.0, said)]
        self._order = order([each.weight for each in self._parts], scenario.seed)
        self._sizes: list[int] = []  # of the answers that were verified, whole
        self._bodies: list[int] = []

    @property
    def question(self) -> Question:
        """What is asked, or first of all."""
        return self._parts[0].question

    def verify(self, first: Sequence[Seen] | None) -> list[Seen]:
        """Return the answers to what will be asked, of a large mixture to some of it, read by hand.

        ``first`` are those of the first contestant. Raises Wrong where one is not what is expected.
        """
        if self._scenario.conditional:
            self._parts = [self._conditional(each) for each in self._parts]
        seen: list[Seen] = []
        for at in verified(len(self._parts)):
            part = self._parts[at]
            seen.append(asking.verified(self._address, part.question, part.expected,
                                        first[len(seen)] if first else None, self.closes))
        if self.closes and self._tool == "wrk" and not all(each.ends for each in seen):
            raise Wrong("does not say that it ends its connection, which wrk must know; leave driver out")
        self._sizes, self._bodies = [each.whole for each in seen], [each.octets for each in seen]
        return seen

    def _conditional(self, part: Part) -> Part:
        """The same, if it has changed since this server told of it; which it has not."""
        [whole] = asking.ask(self._address, part.question, close=self.closes, pattern=part.expected.matches)
        asking.hold(whole, replace(part.expected, status=None), None)
        if not whole.validators:
            raise Wrong("its answers have no validator")
        question = replace(part.question, headers={**part.question.headers, **whole.validators})
        return replace(part, question=question, expected=Expected(304, 0))

    def run(self, seconds: float, rate: float | None = None) -> Made:
        """Load the server for so long, at a ``rate`` (requests a second) where it is not the scenario's.

        Raises Wrong where that fails. What it returns is to be read by ``read``, when nobody is looked at any
        more: that takes a while.
        """
        before = observe.passive_opens()
        said = self._wrk(seconds) if self._tool == "wrk" else self._drive(seconds, rate)
        return Made(said, observe.passive_opens() - before if before else None)

    def read(self, made: Made) -> Load:
        """Return what a load has seen. Raises Wrong where its answers are none of those that were verified.
        """
        said, connections = made.said, self._scenario.connections
        if isinstance(said, driver.Outcome):
            return self._of_outcome(said)
        pipeline = self._scenario.pipeline
        load = closed.load_of(said, connections, status_of(self._parts[0]), pipeline)
        load.ensure_answers_of(self._sizes[0], connections * pipeline)
        if self.closes and made.opened is not None and made.opened < RECONNECTED * load.requests:
            raise Wrong(f"took {made.opened} connections for {load.requests} requests")
        return load

    # -- wrk -------------------------------------------------------------------------------------

    def _wrk(self, seconds: float) -> closed.Said:
        scenario, question = self._scenario, self._parts[0].question
        if self.closes:
            question = replace(question, headers={**question.headers, "Connection": "close"})
        return closed.run(self._address, question, scenario.connections, seconds, scenario.timeout,
                          self._cores, scenario.pipeline)

    # -- drive -----------------------------------------------------------------------------------

    def plan(self, seconds: float, rate: float | None = None) -> driver.Plan:
        """Return what the driver is to do."""
        scenario = self._scenario
        rate = rate or scenario.rate or (scenario.rates() or [0.0])[0]
        return driver.Plan(
            address=(self._address.host, self._address.port), requests=tuple(self._requests()),
            kind=KINDS.get(scenario.kind, "rate" if rate else "closed"),
            connections=scenario.connections, seconds=seconds, rate=rate,
            poisson=scenario.arrivals == "poisson", pause=scenario.think,
            exponential=scenario.thinking == "exponential", seed=scenario.seed, order=tuple(self._order),
            timeout=scenario.timeout, cores=tuple(self._cores))

    def _requests(self) -> Iterator[driver.Request]:
        """As octets, with the length of the body that was verified, where it must be that each time."""
        lengths = dict(zip(verified(len(self._parts)), self._bodies, strict=False))
        for at, part in enumerate(self._parts):
            length = None if part.expected.same is False else lengths.get(at, part.expected.octets)
            yield driver.Request(part.question.octets(self._address, self.closes), status_of(part), length)

    def _drive(self, seconds: float, rate: float | None) -> driver.Outcome:
        try:
            outcome = driver.drive(self.plan(seconds, rate))
        except (OSError, RuntimeError, ValueError) as error:
            raise Wrong(f"the load driver: {getattr(error, 'strerror', None) or error}") from error
        if outcome.interrupted:
            raise KeyboardInterrupt
        return outcome

    def _of_outcome(self, outcome: driver.Outcome) -> Load:
        if not outcome.requests:
            told = ", ".join(f"{kind} {count}" for kind, count in outcome.errors.items() if count)
            raise Wrong(f"answered nothing rightly in {outcome.duration:.0f} s (errors: {told or 'none'})")
        errors = Errors(**outcome.errors)
        errors.connect += outcome.unsent  # it had none to be sent on
        has_rate = self._scenario.kind in ("rate", "ramp") or self._scenario.rate is not None
        # Without a rate only the first requests are late: they are all meant to be sent at once.
        limit = (f"the driver was busy for {outcome.busy:.0%} of the time, and itself late with "
                 f"{outcome.late} of {outcome.sent} requests")
        is_limited = outcome.saturated if has_rate else outcome.busy > BUSY
        return Load(
            outcome.requests, outcome.duration, outcome.octets, errors, outcome.as_latency(),
            outcome.as_uncorrected() if has_rate else None, outcome.as_first_byte(), outcome.busy,
            limit if is_limited else "")


# -- What is asked -------------------------------------------------------------------------------


def mixed(scenario: Scenario, said: Expected) -> Iterator[Part]:
    """Return the requests of a mixture; ``said`` is what is expected of all of them."""
    for request in scenario.requests:
        headers, expected = {**scenario.headers, **request.headers}, request.expect.over(said)
        for path, weight in paths(request, scenario.seed):
            yield Part(Question(path, request.method, headers, request.body.encode()), weight, expected)


def paths(request: Request, seed: int) -> Iterator[tuple[str, float]]:
    """Return the path of a request and its weight, or those of all files that it stands for.

    Which file has which rank is drawn, so that those that are asked for most are not all in one folder.
    """
    if request.files is None:
        yield request.path, request.weight
        return
    ranks = list(range(1, request.files + 1))
    random.Random(seed).shuffle(ranks)
    shares = [1 / rank if request.spread == "zipf" else 1.0 for rank in ranks]
    total = sum(shares)
    for number, share in enumerate(shares):
        yield request.path.replace("{file}", tree_name(number)), request.weight * share / total


def order(weights: Sequence[float], seed: int) -> list[int]:
    """Return which request comes when, the same for all contestants: it begins again behind the last one."""
    if len(weights) == 1:
        return [0]
    return random.Random(seed).choices(range(len(weights)), weights, k=TURNS)


def verified(count: int) -> range:
    """Return which of so many requests are verified."""
    return range(0, count, max(count // VERIFIED, 1))


def status_of(part: Part) -> int:
    return 200 if part.expected.status is None else part.expected.status
