"""Carries a plan out: all contestants of a scenario run at once, and are loaded in turns, one at a time.

Idle they sleep in the kernel, while a start before each round would measure cold caches. Rounds interleave
(A B C, A B C, ...), so what drifts on the machine drifts under all of them. Servers and load have cores of
their own.

Knows no command line. cli.py calls `measure`.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from fastserve.rig.measure import contestants, idle, loads, machine, observe, result
from fastserve.rig.measure.asking import Seen, Wrong
from fastserve.rig.measure.contestants import Server
from fastserve.rig.measure.interruptions import INTERRUPTIONS
from fastserve.rig.measure.latency import Latency
from fastserve.rig.measure.load import Load
from fastserve.rig.measure.loads import Loader
from fastserve.rig.measure.result import Result, Round, Step
from fastserve.rig.measure.scenario import Contestant, Plan, Scenario
from fastserve.rig.measure.terminal import Watcher

SETTLING: Final = 0.3  # seconds between two steps of a ramp, for what is still queued
FAULTY: Final = 0.01  # of the answers of a step; with more of them wrong it has not been carried


@dataclass
class Runner:
    """A contestant that runs and has answered as it should; ``ending`` is its end."""

    server: Server
    loader: Loader
    tree: observe.Tree | None
    entry: result.Contestant
    ending: contextlib.ExitStack


@dataclass
class Stage:
    """A scenario while it is carried out: what the result says of it, the cores, and who runs."""

    scenario: Scenario
    entry: result.Scenario
    cores: list[int]
    load_cores: list[int]
    runners: dict[str, Runner] = field(default_factory=dict)

    def known(self, name: str) -> result.Contestant | None:
        """Return what the result says of a contestant, None where it has no such."""
        return next((each for each in self.entry.contestants if each.name == name), None)

    def entry_of(self, contestant: result.Contestant) -> result.Contestant:
        """Return what there is already of one that has been started again, else this, which is kept."""
        if (found := self.known(contestant.name)) is not None:
            return found
        self.entry.contestants.append(contestant)
        return contestant


def measure(plan: Plan, watcher: Watcher, command: Sequence[str] = ()) -> Result:
    """Carry out a plan, and return what was measured: of a run that was interrupted, what there was by then.

    ``command`` is how this was asked for, for the result. Raises Refusal where nothing can be measured.
    """
    return Engine(plan, watcher, command).run()


class Engine:
    """One run."""

    def __init__(self, plan: Plan, watcher: Watcher, command: Sequence[str]) -> None:
        self._plan, self._watcher = plan, watcher
        self._usable = observe.usable_cores()
        self._began = time.monotonic()
        self._site = self._folder = Path()
        self._first: dict[str, list[Seen]] = {}
        self._limited: set[str] = set()
        self._places = 0
        pins = [self._pins(each) for each in plan.scenarios]
        servers, load = (sorted({core for pair in pins for core in pair[side]}) for side in (0, 1))
        self.result = Result(
            made=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), command=list(command),
            title=plan.title, commit=machine.commit(Path.cwd()), machine=machine.machine(servers, load),
            tools=machine.tools())

    def run(self) -> Result:
        Latency.from_counts([])  # what it needs should be missed now, not behind the first round
        for scenario in self._plan.scenarios:
            loads.ensure_possible(scenario, self._plan.contestants)
            idle.ensure_possible(scenario.idle)
        facts = self.result.machine
        observe.ensure_usable([*facts.server_cores, *facts.load_cores])
        observe.ensure_usable(core for each in self._plan.contestants for core in each.cores or ())
        self._warn()
        try:
            with (INTERRUPTIONS.listening(), tempfile.TemporaryDirectory(prefix="fastserve-rig-") as folder):
                self._folder = Path(folder).resolve()
                self._watcher.began(self._takes())
                self._site = contestants.lay_out(self._plan.files, self._folder)
                for scenario in self._plan.scenarios:
                    self._scenario(scenario)
        except KeyboardInterrupt:
            self.result.interrupted = True
        for scenario_result in self.result.scenarios:
            scenario_result.contestants = [each for each in scenario_result.contestants if each.rounds]
        return self.result

    # -- Before ----------------------------------------------------------------------------------

    def _pins(self, scenario: Scenario) -> tuple[list[int], list[int]]:
        """The cores of the servers, and of the load."""
        servers, load = observe.apart(self._usable)
        return (list(servers if scenario.server_cores is None else scenario.server_cores),
                list(load if scenario.load_cores is None else scenario.load_cores))

    def _warn(self) -> None:
        facts = self.result.machine
        if shared := sorted(set(facts.server_cores) & set(facts.load_cores)):
            self._watcher.tell(f"servers and load share core {', '.join(map(str, shared))}: each takes time "
                               "from the other")
        elif not facts.server_cores:
            self._watcher.tell("nothing is pinned to a core: servers and load may take time from each other")

    def _takes(self) -> float:
        """Seconds, of load alone; a ramp that ends early takes less."""
        return sum(_loaded_for(scenario) * len(self._field(scenario)) for scenario in self._plan.scenarios)

    def _field(self, scenario: Scenario) -> list[Contestant]:
        """Those that can take part."""
        asked = [each for each in self._plan.contestants
                 if each.scenarios is None or scenario.name in each.scenarios]
        for each in asked:
            if each.name not in self.result.left_out and (why := contestants.missing(each)):
                self._leave_out(each.name, why)
        return [each for each in asked if each.name not in self.result.left_out]

    def _leave_out(self, name: str, why: str) -> None:
        self.result.left_out[name] = why
        self._watcher.tell(f"{name} is left out: {why}")

    # -- A scenario ------------------------------------------------------------------------------

    def _scenario(self, scenario: Scenario) -> None:
        tool = loads.tool(scenario)
        self.result.tools.update(loads.versions(tool))
        told = {**scenario.told(), "driver": tool}
        stage = Stage(scenario, result.Scenario(scenario.name, scenario.title, scenario.kind, told),
                      *self._pins(scenario))
        self.result.scenarios.append(stage.entry)
        # Who waits here and looks at the servers must not do so on their cores.
        with observe.pinned(stage.load_cores):
            (self._beside_idle if scenario.idle else self._in_turns)(stage)

    def _in_turns(self, stage: Stage) -> None:
        with contextlib.ExitStack() as stack:
            for contestant in self._field(stage.scenario):
                self._enter(contestant, stage, stack)
            for number in range(stage.scenario.rounds):
                for runner in list(stage.runners.values()):
                    self._take_turn(number, runner, stage)
            for runner in list(stage.runners.values()):
                self._count_calls(runner, stage)

    def _beside_idle(self, stage: Stage) -> None:
        """One runs at a time, and anew for each round: who has had many connections once keeps the memory."""
        field_ = self._field(stage.scenario)
        for number in range(stage.scenario.rounds):
            for contestant in field_:
                with contextlib.ExitStack() as stack:
                    self._enter(contestant, stage, stack)
                    if runner := stage.runners.get(contestant.name):
                        self._take_turn(number, runner, stage)
                        if number == stage.scenario.rounds - 1:
                            self._count_calls(runner, stage)
            field_ = [each for each in field_ if each.name in stage.runners]

    def _enter(self, contestant: Contestant, stage: Stage, stack: contextlib.ExitStack) -> None:
        """It runs until the end of the stack, has answered as it should, and is warm."""
        self._watcher.doing(f"{stage.scenario.name}: starting", contestant.name)
        own = stage.cores if contestant.cores is None else list(contestant.cores)
        self._places += 1
        place = self._folder / f"{self._places}-{contestant.name.replace(' ', '-')}"
        with self._guarded(contestant.name, stage), contextlib.ExitStack() as ending:
            server = ending.enter_context(contestants.running(
                contestant, stage.scenario, place, self._site, self._plan.here, own or self._usable))
            loader = Loader(stage.scenario, contestant, server.address, server.target, stage.load_cores)
            runner = Runner(server, loader, server.tree(), self._verified(server, loader, stage), stack)
            with INTERRUPTIONS.held():
                runner.ending = stack.enter_context(ending.pop_all())
            stage.runners[contestant.name] = runner

    def _verified(self, server: Server, loader: Loader, stage: Stage) -> result.Contestant:
        """Nothing is timed before every answer has been read."""
        scenario = stage.scenario
        seen = loader.verify(self._first.get(scenario.name))
        self._first.setdefault(scenario.name, seen)
        if scenario.warm_up:
            loader.read(loader.run(scenario.warm_up))
            self._watcher.spent(scenario.warm_up)
        return stage.entry_of(result.Contestant(
            server.contestant.name, server.version, server.command, server.url,
            result.Answer(seen[0].status, seen[0].octets, seen[0].sha256)))

    @contextlib.contextmanager
    def _guarded(self, name: str, stage: Stage) -> Iterator[None]:
        """The others go on without one that fails, whose rounds cannot be trusted then."""
        try:
            yield
        except (Wrong, OSError) as error:
            why = str(error) if isinstance(error, Wrong) else error.strerror or str(error)
            if runner := stage.runners.pop(name, None):
                runner.ending.close()  # who has gone wrong may be busy
            if (entry := stage.known(name)) is not None:
                stage.entry.contestants.remove(entry)
                why += f" (in round {len(entry.rounds) + 1})"
            self._leave_out(f"{name}, {stage.scenario.name}", why)

    def _take_turn(self, number: int, runner: Runner, stage: Stage) -> None:
        scenario, name = stage.scenario, runner.entry.name
        self._watcher.doing(f"{scenario.name}: round {number + 1} of {scenario.rounds}", name)
        with self._guarded(name, stage):
            runner.entry.rounds.append(self._round(runner, scenario))
        self._watcher.spent(_seconds(scenario))

    # -- A round ---------------------------------------------------------------------------------

    def _round(self, runner: Runner, scenario: Scenario) -> Round:
        began = time.monotonic() - self._began
        if scenario.kind == "ramp":
            return self._ramp(runner, scenario, began)
        if scenario.idle:
            return self._idle_round(runner, scenario, began)
        load, watch = self._loaded(runner, scenario.seconds, scenario.rate)
        return _round_of(load, watch, began)

    def _idle_round(self, runner: Runner, scenario: Scenario, began: float) -> Round:
        """The load without idle connections, and then beside them."""
        without, watch = self._loaded(runner, scenario.seconds, scenario.rate)
        cost, before = _each(watch.cpu_seconds, without.requests), _resident(runner)
        with idle.connections(runner.server.address, runner.loader.question, scenario.idle):
            grown = (_resident(runner) - before) / scenario.idle if runner.tree else None
            load, watch = self._loaded(runner, scenario.seconds, scenario.rate)
        found = _round_of(load, watch, began)
        found.idle = result.Idle(scenario.idle, grown, without.rate, cost)
        return found

    def _loaded(self, runner: Runner, seconds: float, rate: float | None) -> tuple[Load, observe.Watch]:
        with observe.Watch(runner.tree, self._began) as watch:
            made = runner.loader.run(seconds, rate)
        runner.server.ensure_alive()
        load = runner.loader.read(made)
        if load.limit and runner.entry.name not in self._limited:
            self._limited.add(runner.entry.name)
            self._watcher.tell(f"{runner.entry.name}: {load.limit}; it may not be the server that was slow")
        return load, watch

    def _ramp(self, runner: Runner, scenario: Scenario, began: float) -> Round:
        """Ever higher rates, until one is not carried. The figures are those of the last that was."""
        steps: list[Step] = []
        watches: list[observe.Watch] = []
        best: tuple[Load, observe.Watch] | None = None
        for rate in scenario.rates():
            load, watch = self._loaded(runner, scenario.seconds, rate)
            watches.append(watch)
            cost = _each(watch.cpu_seconds, load.requests)
            steps.append(Step(rate, load.rate, load.latency, cost, load.errors))
            carried = is_carried(load, rate, scenario)
            if best is None or carried:
                best = load, watch
            if not carried:
                break
            time.sleep(SETTLING)
        assert best is not None  # there is a step
        found = _round_of(*best, began)
        found.steps = steps
        found.memory = [sample for watch in watches for sample in watch.memory]
        found.memory_peak = max((octets for _, octets in found.memory), default=None)
        return found

    def _count_calls(self, runner: Runner, stage: Stage) -> None:
        """Where that is asked for; in a round of its own, as it makes a server slower."""
        scenario, name = stage.scenario, runner.entry.name
        if not scenario.system_calls or runner.tree is None or not runner.entry.rounds:
            return
        self._watcher.doing(f"{scenario.name}: system calls", name)
        output = self._folder / f"{name}.strace"
        with self._guarded(name, stage):
            try:
                with observe.traced(runner.tree, output):
                    made = runner.loader.run(scenario.seconds)
            except observe.Untraced as why:
                self._watcher.tell(f"{name}: system calls are not counted: {why}")
                return
            calls, last = observe.counted(output.read_text("utf-8", "replace")), runner.entry.rounds[-1]
            requests = runner.loader.read(made).requests
            last.system_calls = _each(sum(calls.values()), requests)
            last.calls = {call: number / requests for call, number in calls.items() if requests}


def _loaded_for(scenario: Scenario) -> float:
    """Seconds of one contestant; beside idle connections it is started, and warmed up, for each round."""
    return scenario.rounds * _seconds(scenario) + scenario.warm_up * (scenario.rounds if scenario.idle else 1)


def _seconds(scenario: Scenario) -> float:
    """Of a round."""
    return scenario.seconds * (len(scenario.rates()) or (2 if scenario.idle else 1))


def _resident(runner: Runner) -> int:
    return runner.tree.resident() if runner.tree else 0


def is_carried(load: Load, rate: float, scenario: Scenario) -> bool:
    """Whether a server has answered so many requests a second, fast enough and rightly."""
    p99 = load.latency.percentiles.get("99", 0.0)
    faulty = load.errors.total > FAULTY * (load.requests + load.errors.total)
    return load.rate >= scenario.reached_limit * rate and p99 <= scenario.p99_limit and not faulty


def _round_of(load: Load, watch: observe.Watch, began: float) -> Round:
    return Round(
        began=round(began, 3), seconds=load.seconds, requests=load.requests, rate=load.rate,
        octets=load.octets, latency=load.latency, errors=load.errors, cpu_seconds=watch.cpu_seconds,
        load_busy=load.busy, note=load.limit,
        cpu_per_request=_each(watch.cpu_seconds, load.requests), memory_peak=watch.peak, memory=watch.memory,
        uncorrected=load.uncorrected, first_byte=load.first_byte)


def _each(total: float | None, requests: int) -> float | None:
    return total / requests if total is not None and requests else None
