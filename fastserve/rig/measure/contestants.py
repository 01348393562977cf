"""A contestant as a process: its files, its start on its cores, the wait until it answers, its end.

Knows no load and no measure. The engine calls `running`, which leaves nothing behind however it is left.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastserve.rig.measure import asking, observe
from fastserve.rig.measure.asking import Address, Question, Wrong
from fastserve.rig.measure.interruptions import INTERRUPTIONS
from fastserve.rig.measure.scenario import Contestant, File, Scenario
from fastserve.rig.origin.answers import Octets

GRACE: Final = 3.0  # seconds between the polite signal and the other one
LOOK: Final = 0.02  # seconds between two looks at whether it is ready, or gone
SAID: Final = 300  # characters of what a contestant said at last, to be repeated
DAEMONS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # where programs are that are no user's


@dataclass(frozen=True)
class Place:
    """Where one contestant runs: its own folder, and the site that all of them share."""

    folder: Path
    site: Path
    here: Path
    port: int
    scenario: str

    def filled(self, text: str) -> str:
        """Return a text with its places taken; braces around anything else stay."""
        values = {"port": self.port, "folder": self.folder, "site": self.site, "here": self.here,
                  "scenario": self.scenario, "python": sys.executable, "user": _user()}
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text


@dataclass
class Server:
    """A contestant that has said it is ready. ``process`` is None for one that ran already."""

    contestant: Contestant
    address: Address
    target: str
    command: list[str]
    version: str
    process: subprocess.Popen[bytes] | None
    log: Path | None

    @property
    def url(self) -> str:
        return self.address.url(self.target)

    def tree(self) -> observe.Tree | None:
        """Return its processes, None where they are not known to this machine or this user."""
        if self.process is not None:
            return observe.Tree([self.process.pid], self.process.pid)
        roots = observe.listeners(self.address)
        return observe.Tree(roots) if roots else None

    def ensure_alive(self) -> None:
        """Raise Wrong where it has ended, with what it said at last."""
        if self.process is not None and not _is_running(self.process):
            raise Wrong(f"ended by itself{_last_words(self.log)}")


def missing(contestant: Contestant) -> str | None:
    """Return why a contestant cannot be started here, None if nothing is known to be in the way."""
    for name in contestant.needs:
        if not _there(name):
            return f"needs {name}, which is neither a program on the path nor a module of this Python"
    return None


def lay_out(files: dict[str, File], folder: Path) -> Path:
    """Make the files of a site below a folder. Returns the folder ``site``, which servers serve."""
    site = folder / "site"
    site.mkdir()
    for name, file in files.items():
        if file.tree is None and file.entries is None:
            _write(folder / name, file)
        for inner in inside(file):
            _write(folder / name / inner, file)
    return site


def inside(file: File) -> list[str]:
    """The names of the files that one stands for, below its own; none where it is one itself."""
    return [*map(tree_name, range(file.tree or 0)), *map("entry-{:05d}.txt".format, range(file.entries or 0))]


def tree_name(number: int) -> str:
    """The name of a file of a tree: a hundred of them in each folder."""
    return f"{number // 100:02d}/{number % 100:02d}.txt"


@contextlib.contextmanager
def running(contestant: Contestant, scenario: Scenario, folder: Path, site: Path, here: Path,
            cores: list[int]) -> Iterator[Server]:
    """For the block, the contestant runs on ``cores`` and answers.

    ``folder`` (Path) is made, for its configuration and its log. Raises Wrong where it does not start, and
    OSError.
    """
    if contestant.url is not None:
        yield _found(contestant, scenario)
        return
    folder.mkdir(parents=True)
    place = Place(folder, site, here, _port(contestant), scenario.name)
    command = [place.filled(word) for word in contestant.command]
    command[0] = program(command[0]) or command[0]
    for name, text in contestant.config.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(place.filled(text), "utf-8")
    address = Address(contestant.host, place.port, contestant.tls)
    log = folder / "output.log"
    with _process(command, contestant, place, log, cores) as process:
        server = Server(contestant, address, place.filled(contestant.target(scenario)), command,
                        version(contestant, place), process, log)
        _wait_ready(server)
        yield server


def version(contestant: Contestant, place: Place) -> str:
    """Return the first line that a contestant's version command says, or the text that stands there."""
    if isinstance(contestant.version, str):
        return contestant.version
    command = [place.filled(word) for word in contestant.version]
    return first_line(command, environment(contestant, place))


def first_line(command: list[str], env: dict[str, str] | None = None) -> str:
    """Return the first line that a program says, '' where there is no such program."""
    if not command:
        return ""
    try:
        done = subprocess.run(
            [program(command[0]) or command[0], *command[1:]], env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=asking.PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), "")


def program(name: str) -> str | None:
    """Return the path of a program, None where there is none."""
    return shutil.which(name, path=_path())


def environment(contestant: Contestant, place: Place) -> dict[str, str]:
    """Return what a contestant finds in its environment: ours, and its own."""
    own = {name: place.filled(value) for name, value in contestant.environment.items()}
    return {**os.environ, "PATH": _path(), **own}


# -- Before it runs ------------------------------------------------------------------------------


def _user() -> str:
    """Who this is: the number where there is no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _there(name: str) -> bool:
    if program(name) is not None:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *DAEMONS])


def _write(path: Path, file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.text is not None:
        path.write_text(file.text, "utf-8")
        return
    with path.open("wb") as output:
        for start in range(0, file.octets, 1 << 20):
            output.write(bytes(Octets(min(1 << 20, file.octets - start), file.seed, start)))


def _port(contestant: Contestant) -> int:
    """The one that it must have, which nobody else may, or any free one."""
    wanted = contestant.port if isinstance(contestant.port, int) else 0
    try:
        with socket.socket(socket.AF_INET6 if ":" in contestant.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((contestant.host, wanted))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise Wrong(f"cannot listen on {contestant.host} port {wanted}: {error.strerror or error}") from error


def _found(contestant: Contestant, scenario: Scenario) -> Server:
    """One that runs already."""
    assert contestant.url is not None
    told = contestant.version if isinstance(contestant.version, str) else first_line(list(contestant.version))
    address = asking.address_of(contestant.url)
    try:
        socket.create_connection((address.host, address.port), asking.PATIENCE).close()
    except OSError as error:
        raise Wrong(f"accepts no connection at {address.authority}: {error.strerror or error}") from error
    return Server(contestant, address, contestant.target(scenario), [], told, None, None)


# -- While it runs -------------------------------------------------------------------------------


@contextlib.contextmanager
def _process(command: list[str], contestant: Contestant, place: Place, log: Path, cores: list[int]
             ) -> Iterator[subprocess.Popen[bytes]]:
    with contextlib.ExitStack() as stack:
        with INTERRUPTIONS.held():  # a Ctrl-C between these two lines would leave it running
            process = start(command, environment(contestant, place), place.here, log, cores)
            stack.callback(stop, process)
        yield process


def start(command: list[str], env: dict[str, str], cwd: Path, log: Path, cores: list[int]
          ) -> subprocess.Popen[bytes]:
    """Start a process that leads a session of its own, with nothing to read and its output in ``log``.

    A Ctrl-C at the terminal does not reach it. Raises Wrong where there is no such program.
    """
    try:
        with log.open("wb") as output, observe.pinned(cores):
            return subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                                    stderr=output, start_new_session=True)
    except OSError as error:
        raise Wrong(f"does not start: {command[0]}: {error.strerror or error}") from error


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that start() has started, politely, as it may have children to end; then who is left."""
    tree = observe.Tree([process.pid], process.pid)
    before = tree.processes()
    try:
        _signal(process, signal.SIGTERM)
        _wait(lambda: not _is_running(process), GRACE)
    finally:  # also when another Ctrl-C cuts the wait short
        tree.kill(before)
        process.wait()


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has not ended. Unlike poll() this leaves its number taken, by which its session is found."""
    return process.returncode is None and observe.is_running(process.pid)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def _wait(condition: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True


def _wait_ready(server: Server) -> None:
    patience = server.contestant.start_within

    def ready() -> bool:
        server.ensure_alive()
        return _answers(server)

    if not _wait(ready, patience):
        raise Wrong(f"was not ready within {patience:g} s{_last_words(server.log)}")
    server.ensure_alive()  # what answers may have had the port before


def _answers(server: Server) -> bool:
    path = server.contestant.ready
    try:
        if path is None:
            socket.create_connection((server.address.host, server.address.port), 1).close()
            return True
        return 200 <= asking.ask(server.address, Question(path), patience=1)[0].status < 400
    except (OSError, Wrong):
        return False


def _last_words(log: Path | None) -> str:
    """What it said at last, in one line."""
    if log is None:
        return ""
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    said = "".join(c if c.isprintable() else " " for c in lines[-1])[:SAID] if lines else ""
    return f", saying at last: {said}" if said else ", without a word"
