"""The compiled load driver in a process of its own, pinned to cores of its own: a plan goes in, an outcome
comes out.

A process, so that the driver never waits for the GIL of whoever measures, and its CPU time is told apart.
What it has noted comes back through an unnamed file, whose first page both have in memory: progress is read
from there.

Knows the driver and no server; what a figure means it leaves to others. rig.measure.engine calls drive().
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import math
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fastserve.rig._drive import Drive
    from fastserve.rig._records import Records
    from fastserve.rig.measure.latency import Latency

KINDS: Final = ("closed", "rate", "think", "churn")
GRACE: Final = 30.0  # seconds that the process may take beside the plan, for starting and for writing down
TICK: Final = 0.25  # seconds between two looks at its progress
FASTEST: Final = 150_000  # answers a second that no driver of one thread comes to
COUNTS: Final = ("sent", "unsent", "octets", "opened", "reopened", "late")
NS: Final = 1e9


# -- What is asked ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """``octets`` are a whole request. A right answer has that ``status`` (0: any), and a body of ``length``
    octets without its coding in chunks (None: any).
    """

    octets: bytes
    status: int = 200
    length: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"octets": base64.b64encode(self.octets).decode()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Request:
        return cls(**{**value, "octets": base64.b64decode(value["octets"])})


@dataclass(frozen=True)
class Plan:
    """``address`` is (host, port), or (path of a unix socket, 0); ``kind`` is one of KINDS.

    ``order`` has which request is asked first, second and so on, again and again; empty: each in its turn.
    ``rate``: requests a second, even or ``poisson``. ``pause``: seconds that a client thinks, or on average
    where it is ``exponential``. ``seed`` is where chance begins. ``timeout``: seconds for connecting, and
    from a request to its answer's end. ``cores``: where the driver is to run, empty: anywhere. ``spin``: for
    how many seconds before a request's time it does not sleep. ``most``: answers for which there is room, 0:
    enough.
    """

    address: tuple[str, int]
    requests: tuple[Request, ...]
    kind: str = "closed"
    connections: int = 64
    seconds: float = 5.0
    rate: float = 0.0
    poisson: bool = False
    pause: float = 0.0
    exponential: bool = False
    seed: int = 0
    order: tuple[int, ...] = ()
    timeout: float = 10.0
    cores: tuple[int, ...] = ()
    spin: float = 50e-6
    most: int = 0

    def room(self) -> int:
        """For how many answers there is to be room."""
        if self.most or self.kind != "rate":
            return self.most or math.ceil(max(self.seconds, 0) * FASTEST) + max(self.connections, 1)
        mean = max(self.rate * self.seconds, 0)
        return math.ceil(mean + 10 * math.sqrt(mean)) + 100  # by chance there are more, but not so many

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"requests": [request.to_json() for request in self.requests]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """Raises TypeError where it has a name that no plan has."""
        given = dict(value)
        for name in ("address", "order", "cores"):
            if name in given:
                given[name] = tuple(given[name])
        given["requests"] = tuple(Request.from_json(each) for each in value["requests"])
        return cls(**given)


# -- What comes of it ----------------------------------------------------------------------------------


NS_ARRAY: Final = functools.partial(array, "q")


@dataclass
class Outcome:
    """Times in seconds, but those in arrays, which are ns, one for each right answer in the order of coming:
    ``latency`` from when a request was meant to be sent, ``uncorrected`` from when it was, both to its
    answer's end; ``first_byte`` from when it was meant to be sent to the first octet; ``intended`` from the
    plan's beginning to when it was meant to be sent; ``request``, which one it was.

    ``errors`` by kinds, ``statuses`` by codes. ``unsent``: requests for which there was no connection until
    the end. ``octets`` received. ``opened`` connections, and ``reopened`` since the server had closed one
    unasked. ``late``: requests that the driver itself sent more than 0.1 ms late, at worst by ``most_late``;
    ``busy``: in which part of its time it had something to do; ``cpu``: its CPU time; ``preempted``: how
    often another process had its core. ``interrupted``: a person ended it.
    """

    duration: float
    errors: dict[str, int]
    statuses: dict[int, int]
    sent: int
    unsent: int
    octets: int
    opened: int
    reopened: int
    late: int
    most_late: float
    busy: float
    cpu: float
    preempted: int
    interrupted: bool
    latency: array[int] = field(default_factory=NS_ARRAY, repr=False)
    uncorrected: array[int] = field(default_factory=NS_ARRAY, repr=False)
    first_byte: array[int] = field(default_factory=NS_ARRAY, repr=False)
    intended: array[int] = field(default_factory=NS_ARRAY, repr=False)
    request: array[int] = field(default_factory=functools.partial(array, "i"), repr=False)

    @property
    def requests(self) -> int:
        """How many right answers there were."""
        return len(self.latency)

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.requests / self.duration if self.duration else 0.0

    @property
    def saturated(self) -> bool:
        """Whether the driver rather than the server may be what was slow: figures of such a round say
        little.
        """
        return self.busy > 0.95 or self.late > 0.01 * self.sent

    def as_latency(self) -> Latency:
        """The latencies as a result has them. This and the next two raise Refusal where hdrhistogram is
        missing.
        """
        return _as_latency(self.latency)

    def as_uncorrected(self) -> Latency:
        return _as_latency(self.uncorrected)

    def as_first_byte(self) -> Latency:
        return _as_latency(self.first_byte)


def _as_latency(values: array[int]) -> Latency:
    from fastserve.rig.measure.latency import Latency

    return Latency.from_ns(values)


ARRAYS: Final = ("latency", "uncorrected", "first_byte", "intended", "request")


# -- The process that asks ------------------------------------------------------------------------------


def drive(plan: Plan, progress: Callable[[int, int], None] | None = None) -> Outcome:
    """Do what is planned, in a process of its own, and return what came of it.

    ``progress`` is called some times a second with how many right answers and how many errors there are.
    Ctrl-C ends the round, and what was measured so far is returned as ``interrupted``; a second one is
    KeyboardInterrupt. Raises OSError where no connection can be made, ValueError where the plan cannot be
    right, and RuntimeError where the process ends otherwise.
    """
    with tempfile.TemporaryFile() as file:
        file.truncate(mmap.PAGESIZE)
        command = [sys.executable, "-m", "fastserve.rig.measure.driver", str(file.fileno())]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=[file.fileno()], start_new_session=True)  # Ctrl-C is passed on, once
        try:
            said = _converse(process, plan, _Progress(file, progress))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return _outcome(said, file)


class _Progress:
    def __init__(self, file: IO[bytes], tell: Callable[[int, int], None] | None) -> None:
        self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._tell = tell

    def tell(self) -> None:
        if self._tell:
            self._tell(*struct.unpack_from("qq", self._page))


def _converse(process: subprocess.Popen[bytes], plan: Plan, progress: _Progress) -> dict[str, Any]:
    """Give it the plan, and wait for what it says."""
    until = time.monotonic() + plan.seconds + 3 * plan.timeout + GRACE
    given: bytes | None = json.dumps(plan.to_json()).encode()
    interrupted = False
    while True:
        try:
            said, complaints = process.communicate(given, TICK)
            break
        except subprocess.TimeoutExpired:
            given = None
            if time.monotonic() > until:
                raise RuntimeError("the load driver does not come to an end") from None
            progress.tell()
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            process.send_signal(signal.SIGINT)
    progress.tell()
    if process.returncode or not said:
        if interrupted:
            raise KeyboardInterrupt
        raise RuntimeError(f"the load driver failed: {complaints.decode(errors='replace').strip()}")
    found: dict[str, Any] = json.loads(said)
    return found


def _outcome(said: dict[str, Any], file: IO[bytes]) -> Outcome:
    if "wrong" in said:
        raise ValueError(said["wrong"])
    if "errno" in said:
        raise OSError(said["errno"], said["why"])
    count = said.pop("count")
    statuses = {int(code): many for code, many in said.pop("statuses").items()}
    outcome = Outcome(statuses=statuses, **said)
    file.seek(mmap.PAGESIZE)
    for name in ARRAYS:
        getattr(outcome, name).fromfile(file, count)
    return outcome


# -- The process that drives ----------------------------------------------------------------------------


def main(fd: int) -> None:
    """Read a plan from stdin, do it, write arrays into the file and all else to stdout."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs in the background may ignore it
    plan = Plan.from_json(json.load(sys.stdin))
    said: dict[str, Any]
    with open(fd, "r+b") as file:
        try:
            settle_on(plan.cores)
            driver = make_driver(plan)
            driver.show(mmap.mmap(fd, mmap.PAGESIZE))
            said = _run(driver)
        except ValueError as exc:
            said = {"wrong": str(exc)}
        except OSError as exc:
            said = {"errno": exc.errno or 0, "why": exc.strerror or str(exc)}
        else:
            file.seek(mmap.PAGESIZE)
            file.writelines(getattr(driver.records, name) for name in ARRAYS)
    json.dump(said, sys.stdout)


def settle_on(cores: tuple[int, ...]) -> None:
    """Stay on these cores, where the system has such a thing, and have as many descriptors as may be.

    Raises OSError where there are no such cores.
    """
    import resource

    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS says more than it gives
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def make_driver(plan: Plan) -> Drive:
    """Raises ValueError where the plan cannot be right, OSError where its host has no address."""
    from fastserve.rig._drive import Drive

    order = array("i", plan.order or range(len(plan.requests)))
    driver = Drive(_numeric(plan.address), [request.octets for request in plan.requests], order,
                   plan.connections, plan.timeout, plan.room())
    for i, request in enumerate(plan.requests):
        driver.expect(i, request.status, -1 if request.length is None else request.length)
    if plan.kind == "rate":
        driver.plan_rate(plan.rate, plan.seconds, plan.poisson, plan.seed)
    elif plan.kind == "think":
        driver.plan_think(plan.seconds, plan.pause, plan.exponential, plan.seed)
    elif plan.kind in KINDS:
        (driver.plan_churn if plan.kind == "churn" else driver.plan_closed)(plan.seconds)
    else:
        raise ValueError(f"a plan's kind is one of {', '.join(KINDS)}, and not {plan.kind}")
    driver.spin_for(int(plan.spin * NS))
    return driver


def _numeric(address: tuple[str, int]) -> tuple[str, int]:
    host, port = address
    if "/" in host:
        return address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return str(found[0][4][0]), port


def _run(driver: Drive) -> dict[str, Any]:
    import gc
    import resource

    gc.disable()
    before, interrupted = resource.getrusage(resource.RUSAGE_SELF), False
    try:
        driver.run()
    except KeyboardInterrupt:
        interrupted = True
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    after, records = resource.getrusage(resource.RUSAGE_SELF), driver.records
    return {
        "interrupted": interrupted,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "preempted": after.ru_nivcsw - before.ru_nivcsw,
        **_told(records),
    }


def _told(records: Records) -> dict[str, Any]:
    return {name: getattr(records, name) for name in COUNTS} | {
        "count": records.done,
        "duration": records.duration / NS,
        "most_late": records.most_late / NS,
        "busy": records.busy,
        "errors": records.errors,
        "statuses": records.statuses,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
