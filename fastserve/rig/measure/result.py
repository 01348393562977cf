"""The result of a measurement: what it consists of, into a JSON file and out of it again.

Knows nothing of how a figure comes about. The engine makes one; reports, tables and comparisons read it. All
times are in seconds, all sizes in octets.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fastserve.rig.measure import shaped
from fastserve.rig.measure.latency import Latency
from fastserve.words import Refusal, reason

SCHEMA: Final = 1
STDOUT: Final = ("-", "/dev/stdout")
KINDS: Final = ("closed", "rate", "ramp", "churn", "mixed", "think")


@dataclass
class Errors:
    """Requests that got no right answer, by what went wrong."""

    connect: int = 0
    read: int = 0  # the connection ended or broke before the answer did
    timeout: int = 0
    status: int = 0  # another one than was asked for
    body: int = 0  # of another length than when it was verified

    @property
    def total(self) -> int:
        return self.connect + self.read + self.timeout + self.status + self.body


@dataclass
class Step:
    """One asked rate of a ramp, and what became of it."""

    rate: float
    reached: float
    latency: Latency
    cpu_per_request: float | None = None
    errors: Errors = field(default_factory=Errors)


@dataclass
class Idle:
    """The connections beside which a round was, what each took of memory, and how it was without them."""

    connections: int
    octets_each: float | None
    rate_without: float
    cpu_without: float | None  # seconds of a request


@dataclass
class Round:
    """One contestant under load once. Of a ramp ``rate`` is the saturation point, and the figures are its."""

    began: float  # since the run began
    seconds: float
    requests: int
    rate: float
    octets: int
    latency: Latency
    errors: Errors = field(default_factory=Errors)
    cpu_seconds: float | None = None
    cpu_per_request: float | None = None
    memory_peak: int | None = None
    memory: list[tuple[float, int]] = field(default_factory=list)
    uncorrected: Latency | None = None
    first_byte: Latency | None = None
    system_calls: float | None = None  # of a request
    calls: dict[str, float] = field(default_factory=dict)  # the same by their names
    idle: Idle | None = None
    note: str = ""  # why the figures may not be the server's own
    load_busy: float | None = None  # share of its core that the load took; near 1 it is the load's limit
    steps: list[Step] = field(default_factory=list)

    def idle_octets(self) -> float | None:
        """Return what an idle connection takes of memory, None where there were none or nobody knows."""
        return self.idle.octets_each if self.idle else None

    def rate_kept(self) -> float | None:
        """Return the part of the rate that is left beside idle connections, None where there were none."""
        return self.rate / self.idle.rate_without if self.idle and self.idle.rate_without else None


@dataclass
class Answer:
    """What a contestant answered before it was measured: the body alone counts."""

    status: int
    octets: int
    sha256: str


@dataclass
class Contestant:
    """A contestant in a scenario. ``command`` is empty for one that was running already."""

    name: str
    version: str
    command: list[str]
    url: str
    answer: Answer | None = None
    rounds: list[Round] = field(default_factory=list)


@dataclass
class Scenario:
    """``settings`` has what was asked for, by the names of the scenario file, and the driver."""

    name: str
    title: str
    kind: str
    settings: dict[str, Any] = field(default_factory=dict)
    contestants: list[Contestant] = field(default_factory=list)


@dataclass
class Machine:
    """What a figure must name to be worth keeping."""

    cpu: str
    cores: int
    memory: int
    kernel: str
    python: str
    system: str
    governor: str | None = None
    loopback_mtu: int | None = None
    load_cores: list[int] = field(default_factory=list)
    server_cores: list[int] = field(default_factory=list)


@dataclass
class Result:
    """A run. ``made`` is when it began (RFC 3339), ``left_out`` says who took no part and why."""

    made: str
    command: list[str]
    machine: Machine
    title: str = ""
    commit: str | None = None
    tools: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    scenarios: list[Scenario] = field(default_factory=list)
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Return it as tables, lists, texts and numbers."""
        members = {name: shaped.plain(value) for name, value in vars(self).items()}
        return {"schema": members.pop("schema"), **members}

    @classmethod
    def from_json(cls, data: Any, where: str = "") -> Result:
        """Return the result that to_json() has told of. Raises Refusal where ``data`` is none.

        ``where`` (str) is what a person knows it by.
        """
        if not isinstance(data, dict) or "schema" not in data:
            raise Refusal(f"{where or 'this'} is no result of a measurement: it has no schema")
        if data["schema"] != SCHEMA:
            raise Refusal(f"{where or 'this'} has schema {data['schema']!r}; this version reads {SCHEMA}")
        found = shaped.made(cls, data, where, strict=False)
        for scenario in found.scenarios:
            if scenario.kind not in KINDS:
                raise Refusal(f"{where}.scenarios: {scenario.name!r} is of no known kind: {scenario.kind!r}")
        return found

    def entries(self) -> Iterator[tuple[Scenario, Contestant]]:
        """Every contestant of every scenario."""
        for scenario in self.scenarios:
            for contestant in scenario.contestants:
                yield scenario, contestant


def load(path: str | os.PathLike[str]) -> Result:
    """Return what a file has. Raises Refusal where it cannot be read or is no result."""
    try:
        data = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(f"cannot read the result in {os.fspath(path)!r}: {reason(error)}") from error
    return Result.from_json(data, os.fspath(path))


def save(result: Result, path: str | os.PathLike[str]) -> None:
    """Write a file, whole or not at all, or to the standard output.

    Raises Refusal where it cannot be written.
    """
    text = json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n"
    if path in STDOUT:
        sys.stdout.write(text)
        return
    target = Path(path).resolve()  # a link stays one
    try:
        if target.exists() and not target.is_file():  # a pipe
            target.write_text(text, "utf-8")
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
            file.write(text)
        os.chmod(file.name, 0o666 & ~_umask())
        os.replace(file.name, target)
    except OSError as error:
        raise Refusal(f"cannot write the result to {os.fspath(path)!r}: {reason(error)}") from error


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask
