"""The scenario file: what is to be measured, of whom and how; TOML into dataclasses, and every mistake told.

Knows no process, no load and no result. cli.py reads one, or makes one of addresses; the engine carries it
out.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from fastserve.rig.measure import shaped
from fastserve.words import Refusal, reason

Kind = Literal["closed", "rate", "ramp", "churn", "mixed", "think"]
Driver = Literal["auto", "wrk", "drive"]
RATED: Final = ("rate", "mixed")  # those that can have a rate
SHAPES: Final = ("pipeline", "conditional", "idle")  # that make a load another one than its kind says
DEFAULT_STEPS: Final = 24  # of a progression without an end
FASTEST: Final = 1e7  # requests a second, more than any load can ask for
MOST_STEPS: Final = 1000  # of one with an end
NAME: Final = re.compile(r"[\w.+@:\[\]-]+( [\w.+@:\[\]-]+)*")


@dataclass(frozen=True)
class Expected:
    """What an answer must be; what is None is not looked at.

    ``same``: the body must be that of the first contestant, as it must where nothing else is said of it.
    ``matches`` is a regular expression, and ``found`` how many matches of it there must be that differ.
    """

    status: int | None = None
    octets: int | None = None
    sha256: str | None = None
    matches: str | None = None
    found: int | None = None
    same: bool | None = None

    def over(self, other: Expected) -> Expected:
        """Return this, and of the other what this does not say."""
        return Expected(*(getattr(other, each.name) if (own := getattr(self, each.name)) is None else own
                          for each in fields(self)))


@dataclass(frozen=True)
class File:
    """A file of the site, or as many of them below a folder: with ``tree`` NN/NN.txt, with ``entries`` all in
    it, entry-NNNNN.txt.

    The octets are those that the rig's origin sends for /bytes/``octets``?seed=``seed``; or it is ``text``.
    """

    octets: int = 0
    seed: int = 0
    tree: int | None = None
    entries: int | None = None
    text: str | None = None


@dataclass(frozen=True)
class Request:
    """One of those that are mixed. With ``files``, {file} in the path is each file of such a tree.

    ``weight`` is how often it comes beside the others; ``spread`` is how it is shared by the files: alike, or
    the one of rank n 1/n as often as the first.
    """

    path: str
    weight: float = 1
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    files: int | None = None
    spread: Literal["even", "zipf"] = "even"
    expect: Expected = field(default_factory=Expected)


@dataclass(frozen=True)
class Progression:
    """Rates of a ramp: from one on, each ``times`` or ``by`` larger, until ``to``."""

    start: float
    to: float | None = None
    times: float | None = None
    by: float | None = None

    def rates(self) -> list[float]:
        """Return the rates, in requests a second."""
        found: list[float] = []
        rate = self.start
        most, to = (DEFAULT_STEPS, FASTEST) if self.to is None else (MOST_STEPS, self.to * (1 + 1e-9))
        while len(found) < most and rate <= to:
            found.append(rate)
            rate = rate + self.by if self.by else rate * (self.times or 2)
        return found


@dataclass(frozen=True)
class Settings:
    """What [defaults] may say, for every scenario that does not say it."""

    connections: int = 64
    seconds: float = 3  # of load in a round, or in a step of a ramp; wrk has whole ones alone, rounded up
    rounds: int = 5
    warm_up: float = 1  # seconds of load before the first round
    timeout: float = 10  # seconds an answer may take
    seed: int = 1  # of all chance
    driver: Driver = "auto"
    system_calls: bool = False
    server_cores: tuple[int, ...] | None = None
    load_cores: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Scenario(Settings):
    """One load, the same for all contestants."""

    name: str = ""
    title: str = ""
    kind: Kind = "closed"
    path: str | None = None
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    rate: float | None = None  # requests a second, of all connections together
    arrivals: Literal["uniform", "poisson"] = "uniform"
    think: float = 0  # seconds that a connection waits behind an answer
    thinking: Literal["constant", "exponential"] = "constant"
    steps: Progression | tuple[float, ...] | None = None
    p99_limit: float = 0.1  # seconds; a step whose p99 is above has not been carried
    reached_limit: float = 0.95  # of the asked rate; as well a step that stays below
    requests: tuple[Request, ...] = ()
    pipeline: int = 1  # requests that are sent at once, before the first of their answers has come
    conditional: bool = False  # asked with the validators that the contestant has given (RFC 9110, 13.1)
    idle: int = 0  # connections beside those of the load, which have been answered once and stay
    expect: Expected = field(default_factory=Expected)
    optional: bool = False  # measured where it is named, or all is asked for

    def rates(self) -> list[float]:
        """The rates of a ramp, ascending."""
        return self.steps.rates() if isinstance(self.steps, Progression) else sorted(self.steps or ())

    def shape(self) -> list[str]:
        """Return the names of what makes this load another one than its kind says."""
        return [name for name in SHAPES if getattr(self, name) != DEFAULTS[name]]

    def told(self) -> dict[str, Any]:
        """Return the settings as a result tells them: those of its kind."""
        names = ["connections", "seconds", "rounds", "warm_up", "timeout", "seed", "path", "method",
                 "headers"]
        names += {"rate": ["rate", "arrivals"], "mixed": ["rate", "arrivals", "requests"],
                  "think": ["think", "thinking"],
                  "ramp": ["arrivals", "p99_limit", "reached_limit"]}.get(self.kind, [])
        names += self.shape()
        told = {name: shaped.plain(getattr(self, name)) for name in names}
        return {"rate": None, **told, **({"steps": self.rates()} if self.kind == "ramp" else {})}


DEFAULTS: Final = {each.name: each.default for each in fields(Scenario)}


@dataclass(frozen=True)
class Contestant:
    """A server: how it is started, or by ``url`` where one is that runs.

    In ``command``, ``version``, ``config``, ``environment`` and ``path`` are replaced {port}, {folder} (its
    own, with its config), {site} (of [files]), {here} (the scenario file's), {scenario} (its name), {python}
    and {user}.
    """

    name: str = ""
    command: tuple[str, ...] = ()
    url: str | None = None
    port: int | str = "{port}"
    host: str = "127.0.0.1"
    tls: bool = False
    path: str | dict[str, str] = "/"  # where the scenario has none; in a table, by scenario, it counts first
    version: tuple[str, ...] | str = ()
    config: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    cores: tuple[int, ...] | None = None
    ready: str | None = None  # a path that must answer; else it is ready when it accepts a connection
    start_within: float = 20  # seconds
    needs: tuple[str, ...] = ()  # programs and modules of Python
    expect: Expected = field(default_factory=Expected)
    scenarios: tuple[str, ...] | None = None
    optional: bool = False  # as a scenario's

    def target(self, scenario: Scenario) -> str:
        """Return the path that this contestant is asked for."""
        if isinstance(self.path, dict):
            return self.path.get(scenario.name) or scenario.path or "/"
        return scenario.path or self.path


@dataclass(frozen=True)
class Plan:
    """All of a scenario file. ``here`` is the folder that it is in."""

    title: str
    here: Path
    files: dict[str, File]
    contestants: tuple[Contestant, ...]
    scenarios: tuple[Scenario, ...]

    def chosen(self, scenarios: list[str] | None, contestants: list[str] | None, everything: bool = False
               ) -> Plan:
        """Return the part with these names; where None all that is not optional, or ``everything``.

        Raises Refusal where there is no such name.
        """
        return replace(self, scenarios=_named("scenario", self.scenarios, scenarios, everything),
                       contestants=_named("contestant", self.contestants, contestants, everything))

    def changed(self, **settings: Any) -> Plan:
        """Return the plan with settings of the command line, those that are not None, for every scenario."""
        said = {name: value for name, value in settings.items() if value is not None}
        rate = said.pop("rate", None)
        scenarios = (replace(each, **said) for each in self.scenarios)
        plan = replace(self, scenarios=tuple(each if rate is None else _at(rate, each) for each in scenarios))
        plan.check()
        return plan

    def check(self) -> None:
        """Raise Refusal where something in it cannot be."""
        if not self.contestants:
            raise Refusal("there is no contestant; add a table [contestant.NAME] with its command")
        if not self.scenarios:
            raise Refusal("there is no scenario; add a table [scenario.NAME]")
        for contestant in self.contestants:
            _check_contestant(contestant)
        for scenario in self.scenarios:
            _check_scenario(scenario)
        for name, file in self.files.items():
            _check_file(name, file)


def load(path: str | os.PathLike[str]) -> Plan:
    """Return the plan in a file. Raises Refusal where it cannot be read, or says what makes no sense."""
    data = _toml(path)
    try:
        plan = parsed(data, Path(path).resolve().parent)
    except Refusal as refusal:
        raise Refusal(f"{os.fspath(path)}: {refusal}") from refusal
    return plan


def parsed(data: dict[str, Any], here: Path) -> Plan:
    """Return the plan that a TOML document has, read. Raises Refusal."""
    known = ("title", "defaults", "files", "contestant", "scenario")
    for name in data:
        if name not in known:
            raise Refusal(f"there is no {name!r}{shaped.nearest(name, known)}")
    defaults = _table(data, "defaults")
    shaped.made(Settings, defaults, "defaults")
    plan = Plan(
        shaped.made(str, data.get("title", ""), "title"), here,
        shaped.made(dict[str, File], data.get("files", {}), "files"),
        tuple(shaped.made(Contestant, {"name": name, **_tabled(each, f"contestant.{name}")},
                          f"contestant.{name}") for name, each in _table(data, "contestant").items()),
        tuple(shaped.made(Scenario, {"name": name, **defaults, **_tabled(each, f"scenario.{name}")},
                          f"scenario.{name}") for name, each in _table(data, "scenario").items()))
    plan.check()
    for contestant in plan.contestants:
        _check_mentions(contestant, [each.name for each in plan.scenarios])
    return plan


def of_addresses(urls: list[str]) -> Plan:
    """Return the plan for servers that run already: each a contestant, one closed loop. Raises Refusal."""
    contestants: dict[str, Contestant] = {}
    for url in urls:
        name = urllib.parse.urlsplit(url).netloc
        name = url if name in contestants else name
        contestants[name] = Contestant(name, url=url, path=_path_of(url))
    plan = Plan("", Path.cwd(), {}, tuple(contestants.values()), (Scenario(name="load"),))
    plan.check()
    return plan


# -- Reading -------------------------------------------------------------------------------------


def _toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        try:
            import tomli as tomllib
        except ImportError as error:
            raise Refusal(f"to read {os.fspath(path)!r} this Python needs tomli: pip install 'fastserve[rig]'"
                          ) from error
    try:
        return dict(tomllib.loads(Path(path).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise Refusal(f"cannot read the scenarios in {os.fspath(path)!r}: {reason(error)}") from error


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    return _tabled(data.get(name, {}), name)


def _tabled(value: Any, where: str) -> dict[str, Any]:
    """A table, in which nobody may say what name it has."""
    if not isinstance(value, dict):
        raise Refusal(f"{where} is not a table; write [{where}.NAME] above its lines")
    if "name" in value and "." in where:
        raise Refusal(f"{where} has no 'name'; its name stands in [{where}]")
    return value


def _path_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _named(what: str, all_of_them: tuple[Any, ...], names: list[str] | None, everything: bool
           ) -> tuple[Any, ...]:
    if not names:
        usual = tuple(each for each in all_of_them if everything or not each.optional)
        if all_of_them and not usual:
            raise Refusal(f"every {what} is optional; say which one, or --all")
        return usual
    known = {each.name: each for each in all_of_them}
    for name in names:
        if name not in known:
            raise Refusal(f"no {what} is called {name!r}{shaped.nearest(name, known)}")
    return tuple(each for each in all_of_them if each.name in names)


def _at(rate: float, scenario: Scenario) -> Scenario:
    """A scenario at a constant rate, where it can have one."""
    if scenario.kind not in ("closed", *RATED):
        raise Refusal(f"--rate is not for scenario {scenario.name!r}, a {scenario.kind}; "
                      "choose others by --scenario NAME")
    return replace(scenario, rate=rate, kind="rate" if scenario.kind == "closed" else scenario.kind)


# -- Judging -------------------------------------------------------------------------------------


def _check_contestant(contestant: Contestant) -> None:
    where = f"contestant.{contestant.name}"
    if not NAME.fullmatch(contestant.name) and contestant.url is None:
        raise Refusal(f"{where}: a name has letters, digits and . _ - + @")
    if bool(contestant.command) == (contestant.url is not None):
        raise Refusal(f"{where} needs a command, or the url of a server that runs already; one of them")
    if contestant.url is not None:
        _check_url(where, contestant.url)
    if isinstance(contestant.port, str) and contestant.port != "{port}":
        raise Refusal(f'{where}.port is {contestant.port!r}; it is a number, or "{{port}}" for any free one')
    paths = contestant.path.values() if isinstance(contestant.path, dict) else [contestant.path]
    for path in [*paths, *([contestant.ready] if contestant.ready else [])]:
        _check_path(where, path)
    for name in contestant.config:
        if os.path.isabs(name) or ".." in Path(name).parts:
            raise Refusal(f"{where}.config: {name!r} is no name of a file in its own folder")


def _check_mentions(contestant: Contestant, scenarios: list[str]) -> None:
    paths = contestant.path if isinstance(contestant.path, dict) else {}
    for name in [*(contestant.scenarios or ()), *paths]:
        if name not in scenarios:
            raise Refusal(f"contestant.{contestant.name}: there is no scenario {name!r}"
                          f"{shaped.nearest(name, scenarios)}")


def _check_url(where: str, url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise Refusal(f"{where}: {url!r} is not of the form http://host[:port]/path")


def _check_path(where: str, path: str) -> None:
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise Refusal(f"{where}: path {path!r} must begin with a slash and be encoded (%20 for a space)")


def _check_scenario(scenario: Scenario) -> None:
    where = f"scenario.{scenario.name}"
    if not NAME.fullmatch(scenario.name):
        raise Refusal(f"{where}: a name has letters, digits and . _ - + @")
    for name, least in (("connections", 1), ("seconds", 0.1), ("rounds", 1), ("warm_up", 0), ("timeout", 0.1),
                        ("think", 0), ("p99_limit", 0), ("reached_limit", 0), ("pipeline", 1), ("idle", 0)):
        if getattr(scenario, name) < least:
            raise Refusal(f"{where}.{name} is {getattr(scenario, name):g}; it must be at least {least:g}")
    for path in [*([scenario.path] if scenario.path else []), *(each.path for each in scenario.requests)]:
        _check_path(where, path)
    for fields_ in [scenario.headers, *(each.headers for each in scenario.requests)]:
        _check_fields(where, fields_)
    for expected in [scenario.expect, *(each.expect for each in scenario.requests)]:
        _check_expected(where, expected)
    _check_kind(where, scenario)


def _check_fields(where: str, lines: dict[str, str]) -> None:
    from fastserve import words

    for name, value in lines.items():
        try:
            words.header(name, value)
        except Refusal as refusal:
            raise Refusal(f"{where}.headers: {refusal}") from refusal


def _check_expected(where: str, expected: Expected) -> None:
    if (expected.matches is None) != (expected.found is None):
        raise Refusal(f"{where}.expect: matches and found go together: of what, and how many")
    try:
        re.compile(expected.matches or "")
    except re.error as error:
        raise Refusal(f"{where}.expect: {expected.matches!r} is no regular expression: {error}") from error


def _check_kind(where: str, scenario: Scenario) -> None:
    """That it has what its kind needs, and nothing that its kind would pass over."""
    kind = scenario.kind
    if kind == "rate" and scenario.rate is None:
        raise Refusal(f"{where} is a rate; say rate = requests a second")
    if kind == "ramp" and not scenario.steps:
        raise Refusal(f"{where} is a ramp; say steps = [1000, 2000] or steps = {{start = 1000, times = 2}}")
    if isinstance(scenario.steps, Progression):
        _check_progression(where, scenario.steps)
    if kind == "mixed" and not scenario.requests:
        raise Refusal(f"{where} is mixed; say requests = [{{path = \"/a\", weight = 3}}, {{path = \"/b\"}}]")
    for name, kinds in (("rate", RATED), ("steps", ("ramp",)), ("requests", ("mixed",)),
                        ("think", ("think",)), ("pipeline", ("closed",)), ("idle", ("closed",)),
                        ("conditional", ("closed", "churn", "rate", "think", "ramp"))):
        if getattr(scenario, name) != DEFAULTS[name] and kind not in kinds:
            raise Refusal(f"{where}.{name} is for kind {' or '.join(kinds)}, and this is {kind}")
    for rate in [*([] if scenario.rate is None else [scenario.rate]), *scenario.rates()]:
        if not 0 < rate <= FASTEST:
            raise Refusal(f"{where}: {rate:g} is no rate; that is requests a second, up to {FASTEST:g}")
    if scenario.driver == "wrk" and kind not in ("closed", "churn"):
        raise Refusal(f"{where}: wrk has no {kind}; leave driver out")
    if scenario.driver == "wrk" and scenario.method == "HEAD":
        raise Refusal(f"{where}: wrk would wait for the body that answers to HEAD have not; leave driver out")
    if scenario.driver == "drive" and scenario.pipeline > 1:
        raise Refusal(f"{where}: only wrk sends several requests at once; leave driver out")
    for each in scenario.requests:
        if each.weight <= 0 or (each.files is not None and (each.files < 1 or "{file}" not in each.path)):
            raise Refusal(f"{where}: request {each.path!r} needs a weight above 0, and {{file}} for files")


def _check_progression(where: str, steps: Progression) -> None:
    if steps.times is not None and steps.by is not None:
        raise Refusal(f"{where}.steps: say times or by, not both")
    if (steps.times is not None and steps.times < 1.01) or (steps.by is not None and steps.by <= 0):
        raise Refusal(f"{where}.steps must ascend: times is at least 1.01, by above 0")


def _check_file(name: str, file: File) -> None:
    parts = Path(name).parts
    if parts[:1] != ("site",) or len(parts) < 2 or ".." in parts:
        raise Refusal(f"files: {name!r} must be below site/, as \"site/{Path(name).name or 'name'}\"")
    numbers = [each for each in (file.tree, file.entries) if each is not None]
    if len(numbers) > 1:
        raise Refusal(f"files: {name!r} is a tree or a folder with entries, not both")
    if file.octets < 0 or min(numbers, default=1) < 1:
        raise Refusal(f"files: {name!r} has a number below what there can be")
