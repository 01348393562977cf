"""What the scripts beside it share: who takes part, its start, wrk's load, and the lines that are printed.

They start, ask, load and look by fastserve.rig, this tree's, installed or not. Knows no script and no figure.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastserve.rig.measure import asking, closed, contestants, machine, observe
from fastserve.rig.measure.asking import Question, Wrong
from fastserve.rig.measure.contestants import Server
from fastserve.rig.measure.interruptions import INTERRUPTIONS
from fastserve.rig.measure.load import Load
from fastserve.rig.measure.result import Result
from fastserve.rig.measure.scenario import Contestant, Expected, File, Scenario
from fastserve.words import Refusal

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TREE = {"PYTHONPATH": str(ROOT)}
PATH, KIB, HELLO = "/file1k.txt", b"x" * 1024, b"Hello, World!"
SITE = {f"site{PATH}": File(text=KIB.decode())}
TIMEOUT = 10  # seconds that an answer to wrk may take


def cores() -> tuple[int, int]:
    """One for servers, and for who asks another one, if there is any."""
    servers, others = observe.apart(observe.usable_cores())
    return servers[0], others[0]


def wrk() -> str:
    """Where it is. Raises Refusal where it is not."""
    path = contestants.program("wrk")
    if path is None:
        raise Refusal("wrk is not installed (Debian package wrk); nothing can be measured")
    return path


def handlers(name: str, module: str, server: str, handler: str, *more: str, path: str = "/") -> Contestant:
    """A server of apps/handlers.py; ``path`` is what it is asked for."""
    command = ("{python}", "{here}/apps/handlers.py", "--module", module, "--server", server,
               "--handler", handler, "--port", "{port}", "--directory", "{site}", *more)
    return Contestant(name, command, path=path, environment=TREE)


@contextmanager
def running(field: Sequence[Contestant], core: int, files: dict[str, File] = SITE) -> Iterator[list[Server]]:
    """For the block they run on a core, with a site of these files. Raises Wrong where one does not start."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        site = contestants.lay_out(files, folder)
        yield [stack.enter_context(contestants.running(
            each, Scenario(), folder / each.name, site, HERE, [core])) for each in field]


def leader(server: Server) -> int:
    """The process that was started."""
    assert server.process is not None
    return server.process.pid


def tree(server: Server) -> observe.Tree:
    """That one, and all that it has started."""
    return observe.Tree([leader(server)], leader(server))


def sockets(pid: int) -> int:
    """How many a process has open."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we were reading
            found += os.readlink(entry).startswith("socket:")
    return found


def verified(server: Server, body: bytes) -> int:
    """Read an answer by hand, and return how many octets it has, head and all. Raises Wrong."""
    expected = Expected(sha256=hashlib.sha256(body).hexdigest())
    return asking.verified(server.address, Question(server.target), expected, None).whole


def loaded(server: Server, size: int, connections: int, seconds: int, core: int) -> Load:
    """Return what wrk has seen from a core. Raises Wrong where not all answers were like the verified one."""
    said = closed.run(server.address, Question(server.target), connections, seconds, TIMEOUT, [core])
    server.ensure_alive()
    load = closed.load_of(said, connections, 200)
    load.ensure_answers_of(size, connections)
    if load.errors.total:
        raise Wrong(f"answered {load.requests} requests under load, and failed {load.errors.total}")
    return load


def joined(results: list[Result]) -> Result:
    """One result of those of several scenarios."""
    first, *others = results
    for each in others:
        first.scenarios += each.scenarios
        first.left_out |= each.left_out
        first.interrupted |= each.interrupted
    return first


def spread(values: Sequence[float], digits: int) -> str:
    """Median, least and most."""
    three = statistics.median(values), min(values), max(values)
    return "{} ({}-{})".format(*(f"{value:,.{digits}f}" for value in three))


def percentile_99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def where() -> str:
    """What a figure must name to be worth keeping, in one line."""
    facts, commit = machine.machine([], []), machine.commit(ROOT) or "none"
    return f"commit {commit[:7]}{commit[40:]}, {facts.python}, {facts.kernel}, {facts.cpu}"


def concluded(work: Callable[[], int | None]) -> int:
    """Do it, and return the exit status: its own, 1 for what is Wrong or refused, 130 for an interruption."""
    try:
        with INTERRUPTIONS.listening():  # unwinding is what stops everything
            return work() or 0
    except (Wrong, Refusal) as reason:
        print(f"bench: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
