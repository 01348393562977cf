"""What the processes of a server use: CPU time, resident memory, system calls; of the whole tree of them.

A server that we have started leads a session of its own, so its processes are that session's, however they
were forked, and whoever descends from it. Knows no scenario and no load. Every psutil of the rig is here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastserve.rig.measure.interruptions import INTERRUPTIONS
from fastserve.words import Refusal

if TYPE_CHECKING:
    from fastserve.rig.measure.asking import Address

SAMPLED: Final = 0.2  # seconds between two looks at the memory
COUNTED: Final = 5  # looks between two counts of who is in the tree
KILLED: Final = 2.0  # seconds that those have to be gone who cannot refuse
PATIENCE: Final = 10.0  # seconds for strace to attach, and to say what it has counted
SCHEDULED: Final = 2  # of a clock's number (Linux): the time that the scheduler has given, in ns
CAN_PIN: Final = hasattr(os, "sched_setaffinity")


def library() -> Any:
    """Return psutil. Raises Refusal where it is missing."""
    try:
        import psutil
    except ImportError as error:
        raise Refusal("measuring needs psutil: pip install 'fastserve[rig]'") from error
    return psutil


# -- Cores ---------------------------------------------------------------------------------------


def usable_cores() -> list[int]:
    """The cores that this process may run on; none where the system cannot say."""
    return sorted(os.sched_getaffinity(0)) if CAN_PIN else []


@contextlib.contextmanager
def pinned(cores: Iterable[int]) -> Iterator[None]:
    """For the block this thread, and what it starts, runs on these cores; where there are none, on any."""
    wanted = set(cores)
    if not wanted or not CAN_PIN:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def ensure_usable(cores: Iterable[int]) -> None:
    """Raise Refusal where this process may not run on one of these cores. Without pins none is wrong."""
    usable = usable_cores()
    missing = sorted(set(cores) - set(usable))
    if missing and usable:
        named, there = (", ".join(map(str, each)) for each in (missing, usable))
        raise Refusal(f"there is no core {named} to run on; there are {there}")


def apart(usable: list[int]) -> tuple[list[int], list[int]]:
    """Return a core for servers and up to two others for the load, no threads of the same if that can be."""
    if not usable:
        return [], []
    server = usable[0]
    others = usable[1:] or usable
    unshared = [core for core in others if core not in _siblings(server)]
    return [server], (unshared or others)[:2]


def _siblings(core: int) -> set[int]:
    """The threads of the core that one is of."""
    found: set[int] = set()
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
        for part in text.strip().split(","):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    except (OSError, ValueError):
        pass
    return found


# -- Processes -----------------------------------------------------------------------------------


def is_running(pid: int) -> bool:
    """Whether a process has not ended; one that has, and was not waited for, has ended."""
    psutil = library()
    try:
        return _has_not_ended(psutil.Process(pid))
    except psutil.Error:
        return False


def listeners(address: Address) -> list[int]:
    """Return the processes that listen at a local address: of those that have forked each other the first."""
    psutil = library()
    if not _is_local(address):
        return []
    try:
        found = {each.pid for each in psutil.net_connections("tcp") if each.pid and _listens(each, address)}
    except (psutil.Error, OSError):  # macOS tells root alone
        return []
    return sorted({_first(pid, address) for pid in found})


def _listens(connection: Any, address: Address) -> bool:
    return bool(connection.status == library().CONN_LISTEN and connection.laddr.port == address.port)


def _first(pid: int, address: Address) -> int:
    """Of a process and its parents the oldest that has the socket, not counting a service manager."""
    psutil = library()
    with contextlib.suppress(psutil.Error):
        for parent in psutil.Process(pid).parents():
            if parent.pid == 1 or not any(_listens(each, address) for each in parent.net_connections("tcp")):
                break
            pid = parent.pid
    return pid


def _is_local(address: Address) -> bool:
    import socket

    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        with socket.socket(found[0][0], socket.SOCK_DGRAM) as probe:
            probe.bind((found[0][4][0], 0))
            return True
    except OSError:
        return False


def passive_opens() -> int:
    """Return how many connections the servers of this machine have accepted so far; 0 where nobody knows."""
    try:
        lines = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines())
        names, numbers = (words for words in lines if words[0] == "Tcp:")
        return int(numbers[names.index("PassiveOpens")])
    except (OSError, ValueError):
        return 0


class Tree:
    """Processes by their roots (pids), all that descend from them, and all of a session, if one is named."""

    def __init__(self, roots: list[int], session: int | None = None) -> None:
        self._psutil = library()
        self._roots, self._session = roots, session

    def processes(self) -> dict[int, Any]:
        """Return psutil's processes by their pids: those that are there, ended ones that wait included."""
        found: dict[int, Any] = {}
        for pid in self._roots:
            with contextlib.suppress(self._psutil.Error):
                process = self._psutil.Process(pid)
                found |= {each.pid: each for each in (process, *process.children(recursive=True))}
        for pid in self._of_session():
            if pid not in found:
                with contextlib.suppress(self._psutil.Error):
                    found[pid] = self._psutil.Process(pid)
        return found

    def _of_session(self) -> list[int]:
        if self._session is None:
            return []
        found = []
        for pid in self._psutil.pids():
            with contextlib.suppress(OSError):
                if os.getsid(pid) == self._session:
                    found.append(pid)
        return found

    def cpu_seconds(self) -> float:
        """User and system time so far, with that of children that have ended and were waited for."""
        return sum(self._cpu_of(pid, each) for pid, each in self.processes().items())

    def _cpu_of(self, pid: int, process: Any) -> float:
        try:
            times = process.cpu_times()
            own = _exact_cpu(pid)
            if own is None:
                own = times.user + times.system
            return float(own + getattr(times, "children_user", 0) + getattr(times, "children_system", 0))
        except self._psutil.Error:
            return 0.0

    def resident(self, processes: dict[int, Any] | None = None) -> int:
        """Octets of resident memory; pages that processes share count in each."""
        total = 0
        for each in (self.processes() if processes is None else processes).values():
            with contextlib.suppress(self._psutil.Error):
                total += each.memory_info().rss
        return total

    def kill(self, others: dict[int, Any]) -> None:
        """End at once whoever is left, and those of ``others`` that are, and wait for it."""
        left = {**others, **self.processes()}
        for each in left.values():
            with contextlib.suppress(self._psutil.Error):
                each.kill()
        deadline = time.monotonic() + KILLED
        while any(_has_not_ended(each) for each in left.values()) and time.monotonic() < deadline:
            time.sleep(0.005)


def _has_not_ended(process: Any) -> bool:
    """Unlike the number, a psutil process is nobody who has come since."""
    psutil = library()
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _exact_cpu(pid: int) -> float | None:
    """A process's own CPU time to the nanosecond, where /proc has hundredths. The number is Linux's."""
    try:
        return time.clock_gettime(~pid << 3 | SCHEDULED)
    except (OSError, AttributeError):
        return None


# -- In a round ----------------------------------------------------------------------------------


class Watch:
    """Looks at a tree while the block lasts: ``cpu_seconds`` in it, and the memory as it went.

    ``memory`` has pairs of seconds since ``origin`` (time.monotonic()) and octets; ``peak`` is the most.
    """

    def __init__(self, tree: Tree | None, origin: float) -> None:
        self.memory: list[tuple[float, int]] = []
        self.cpu_seconds: float | None = None
        self._tree, self._origin = tree, origin
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._before = 0.0

    @property
    def peak(self) -> int | None:
        return max((octets for _, octets in self.memory), default=None)

    def __enter__(self) -> Watch:
        if self._tree is not None:
            self._thread.start()
            self._before = self._tree.cpu_seconds()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._tree is not None:
            self.cpu_seconds = max(self._tree.cpu_seconds() - self._before, 0.0)
            self._done.set()
            self._thread.join()
            self._sample(self._tree.processes())

    def _look(self) -> None:
        """Who is in the tree is asked now and then only: that reads of all processes there are."""
        assert self._tree is not None
        look, processes = 0, {}
        while True:
            if look % COUNTED == 0:
                processes = self._tree.processes()
            look += 1
            self._sample(processes)
            if self._done.wait(SAMPLED):
                return

    def _sample(self, processes: dict[int, Any]) -> None:
        assert self._tree is not None
        self.memory.append((round(time.monotonic() - self._origin, 3), self._tree.resident(processes)))


# -- System calls --------------------------------------------------------------------------------


class Untraced(Exception):
    """Why system calls cannot be counted; one line for a person."""


@contextlib.contextmanager
def traced(tree: Tree, output: Path) -> Iterator[None]:
    """For the block, strace counts the calls of a tree; ``output`` has its summary then.

    Raises Untraced where there is no strace, where it may not trace, or nobody is there.
    """
    program = shutil.which("strace")
    if program is None:
        raise Untraced("strace is not installed")
    pids = list(tree.processes())
    if not pids:
        raise Untraced("nobody is there any more")
    command = [program, "-c", "-f", "-q", "-o", str(output), *(f"-p{pid}" for pid in pids)]
    with contextlib.ExitStack() as stack:
        with INTERRUPTIONS.held():
            strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, start_new_session=True)
            stack.callback(_let_go, strace)
        _wait_attached(strace, pids)
        yield


def _let_go(strace: subprocess.Popen[bytes]) -> None:
    """It lets go of what it traces, and writes what it has counted."""
    strace.send_signal(signal.SIGINT)
    try:
        strace.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        strace.kill()
        strace.communicate()


def _wait_attached(strace: subprocess.Popen[bytes], pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all(_is_traced(task) for pid in pids for task in _tasks(pid)):
        if strace.poll() is not None:
            said = strace.stderr.read().decode("utf-8", "replace") if strace.stderr else ""
            raise Untraced(f"strace ended: {(said.strip().splitlines() or ['without a word'])[-1]}")
        if time.monotonic() > deadline:
            raise Untraced(f"strace did not attach within {PATIENCE:g} s")
        time.sleep(0.01)


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _is_traced(task: Path) -> bool:
    try:
        return "\nTracerPid:\t0\n" not in (task / "status").read_text()
    except OSError:
        return True  # it has ended


def counted(summary: str) -> dict[str, int]:
    """Return calls by name, of what `strace -c` writes: a table between two rules."""
    _, _, rest = summary.partition("\n---")
    rows = (line.split() for line in rest.partition("\n---")[0].splitlines()[1:])
    return {row[-1]: int(row[3]) for row in rows if len(row) > 4}
