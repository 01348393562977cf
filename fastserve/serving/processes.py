"""Worker processes: a supervisor that forks them, watches them, replaces them, and ends them by signals.

The supervisor is the process that was started. It serves no request, has no thread, and waits in one place,
for signals and for workers that say they are ready. It keeps the listening sockets open for as long as it
lives, so that connections wait and none is refused while a worker is replaced: one socket for each worker
where the kernel spreads connections over several, else one that all share.

  SIGTERM, SIGINT  the workers finish what they are at, and are killed at the deadline; a second one cuts
                   that short
  SIGHUP           new workers, one by one: each is ready before its predecessor stops accepting
  SIGCHLD          a worker that nobody has asked to end is replaced; slower and slower if that is all it does

A worker is a fork that serves with the server it was given. It ends when its supervisor is gone. Knows
socketserver's server methods and no handler; the command line calls supervise(), as may any program.
"""

import contextlib
import functools
import gc
import math
import os
import selectors
import signal
import socket
import socketserver
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from fastserve import limits
from fastserve.serving import listeners

HEARD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")  # a container's: microseconds of CPU, and in how many


class GaveUp(Exception):
    """No worker stays alive."""


def supervise(
    server: socketserver.TCPServer,
    workers: int,
    *,
    grace: float = limits.DRAIN_GRACE,
    share: bool = False,
    prepare: Callable[[], object] | None = None,
    ready: Callable[[], object] | None = None,
    reload: Callable[[], object] | None = None,
    ending: Callable[[], object] | None = None,
    relay: Sequence[int] = (),
) -> None:
    """Serve with that many processes until SIGTERM or SIGINT; the signal handlers are ours meanwhile.

    ``server`` is bound and listens, ``grace`` is how long its workers may take to end, in seconds. With
    ``share`` all of them accept from its one socket, as they do anyway where it is none of TCP.

    ``prepare`` is called in each worker before it serves, ``ready`` here once all of them do, ``reload`` here
    before SIGHUP replaces them; an exception that it raises is told, and they stay. ``ending`` is called
    when a signal has begun the end. Signals of ``relay`` are sent on to each worker; they have handlers by
    now, which workers inherit.

    Raises KeyboardInterrupt when SIGINT has ended it, GaveUp if workers end as soon as they start,
    RuntimeError where threads run already: a fork has none of them, and keeps their locks.
    """
    if threading.active_count() > 1:
        raise RuntimeError("worker processes must be started before threads are")
    sockets = listeners.spread(server, workers, share)
    getattr(server, "_fastserve_forks", _nothing_to_share)(workers)
    try:
        Supervisor(server, sockets, grace, prepare, ready, reload, ending, relay).run()
    finally:
        for listener in {*sockets} - {server.socket}:
            listener.close()


def usable_cpus() -> int:
    """Return how many CPUs this process may keep busy."""
    count = getattr(os, "process_cpu_count", os.cpu_count)() or 1
    if hasattr(os, "sched_getaffinity"):  # which Python heeds from 3.13 on
        count = min(count, len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):
        quota, period = CPU_QUOTA.read_text("ascii").split()
        count = min(count, math.ceil(int(quota) / int(period)))  # "max" is no number
    return max(count, 1)


# -- Workers -----------------------------------------------------------------------------------


class Slot:
    """One place for a worker: its socket, and who accepts from that. Two of them while one is replaced."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.worker: Worker | None = None
        self.former: Worker | None = None  # serves on until the worker is ready
        self.due = math.inf  # when a worker is to be started
        self.failures = 0  # workers in a row that ended early


class Worker:
    """A process that we have forked."""

    def __init__(self, pid: int, slot: Slot, news: int) -> None:
        self.pid = pid
        self.slot = slot
        self.news = news  # reads as a byte when it is ready
        self.is_ready = False
        self.is_asked = False  # to end
        self.is_killed = False
        self.began = time.monotonic()
        self.deadline = math.inf  # when it is killed

    def has_lasted(self) -> bool:
        return time.monotonic() - self.began >= limits.EARLY_END

    def ask_to_end(self, within: float) -> None:
        self.send(signal.SIGTERM)
        self.is_asked = True
        self.deadline = time.monotonic() + within

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.is_asked = self.is_killed = True
        self.deadline = math.inf

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # somebody else has waited for it
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Return its wait status if it has ended."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has waited for it
            return 0
        return status if pid else None


def _describe(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"was killed by signal {-code}"


def _tell(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a closed pipe, a closed file
        if sys.stderr is not None:
            sys.stderr.write(f"fastserve: {words}\n")
            sys.stderr.flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


# -- The supervisor ----------------------------------------------------------------------------


class Supervisor:
    """Keeps a worker at each of ``sockets``; the other arguments are those of supervise()."""

    def __init__(
        self,
        server: socketserver.TCPServer,
        sockets: list[socket.socket],
        grace: float,
        prepare: Callable[[], object] | None,
        ready: Callable[[], object] | None,
        reload: Callable[[], object] | None,
        ending: Callable[[], object] | None,
        relay: Sequence[int] = (),
    ) -> None:
        self._server = server
        self._grace = grace
        self._prepare = prepare
        self._ready = ready
        self._reload = reload
        self._ending = ending
        self._relay = relay
        self._slots = [Slot(listener) for listener in sockets]
        self._workers: dict[int, Worker] = {}
        self._renewing: deque[Slot] = deque()  # whose worker is to be replaced; the first one's is, just now
        self._renew_again = False
        self._proven = False  # a worker has lasted
        self._ended_by = 0  # the signal, and when it came
        self._ended_at = 0.0
        self._selector = selectors.PollSelector()  # no descriptor of its own that a fork would share
        self._waker, self._woken = socket.socketpair()
        self._pid = os.getpid()
        self._has_terminal = _has_terminal()
        # Who starts us with a signal ignored (nohup, a shell's background job) wants it ignored.
        self._heard = [number for number in HEARD if signal.getsignal(number) != signal.SIG_IGN]

    def run(self) -> None:
        """Return when a signal has ended it and no worker is left."""
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._hear)
        with contextlib.closing(self._waker), contextlib.closing(self._woken), self._signals():
            try:
                for slot in self._slots:
                    self._fill(slot)
                while self._workers or not self._ended_by:
                    self._turn()
            finally:
                self._kill_all()
        if self._ended_by == signal.SIGINT:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Have signals wake us and do no more."""
        awake = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, _nothing) for number in (*self._heard, signal.SIGCHLD)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            signal.set_wakeup_fd(awake)

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            key.data()
        now = time.monotonic()
        for slot in self._slots:
            if now >= slot.due:
                self._fill(slot)
        for worker in [worker for worker in self._workers.values() if now >= worker.deadline]:
            _tell(f"worker {worker.pid} has not ended in time and is killed")
            worker.kill()

    def _patience(self) -> float | None:
        """How long nothing has to be done, in seconds; None if for ever."""
        times = [*(slot.due for slot in self._slots), *(worker.deadline for worker in self._workers.values())]
        next_time = min(times)
        return None if next_time == math.inf else max(next_time - time.monotonic(), 0)

    def _kill_all(self) -> None:
        for worker in self._workers.values():
            worker.kill()
        for worker in list(self._workers.values()):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)
            self._forget(worker)

    # -- Signals ---------------------------------------------------------------------------------

    def _hear(self) -> None:
        numbers = set(self._woken.recv(4096))
        for number in numbers.intersection(self._relay):
            for worker in self._workers.values():
                worker.send(number)
        for number in self._heard:
            if number in numbers:
                self._obey(number)
        # Last: what was sent to all of us may have ended a worker before we came to look.
        if signal.SIGCHLD in numbers:
            self._reap()

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP and not self._hung_up():
            self._renew()
        else:
            self._end(number)

    def _hung_up(self) -> bool:
        """Whether the terminal from which we were started is gone: its end, too, is told by SIGHUP."""
        return self._has_terminal and not _has_terminal()

    def _end(self, number: int) -> None:
        """Ask every worker to end. Who is asked again ends at once, or is made to."""
        again = bool(self._ended_by)
        if again and _is_echo(self._ended_at):
            return
        if not again:
            self._ended_by, self._ended_at = number, time.monotonic()
            if self._ending:
                self._ending()
        self._renewing.clear()
        for slot in self._slots:
            slot.due = math.inf
            slot.listener.close()  # whoever comes is refused once no worker accepts any more
        for worker in self._workers.values():
            if again or not worker.is_asked:  # as one is that has been replaced
                worker.ask_to_end(limits.END_GRACE + (0 if again else self._grace))

    # -- A worker begins -------------------------------------------------------------------------

    def _fill(self, slot: Slot) -> None:
        """Start a worker."""
        slot.due = math.inf
        try:
            slot.worker = self._fork(slot)
        except OSError as error:  # no more processes, or descriptors
            self._failed(slot, f"a worker cannot be started: {error.strerror}")

    def _fork(self, slot: Slot) -> Worker:
        news, tell = os.pipe()
        _flush()  # what is buffered is written here, and not by the worker again
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)  # until the worker has handlers of its own
        try:
            pid = os.fork()
            if not pid:
                os.close(news)
                self._work(slot, tell, mask)
        except OSError:
            os.close(news)
            raise
        finally:
            os.close(tell)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        worker = self._workers[pid] = Worker(pid, slot, news)
        self._selector.register(news, selectors.EVENT_READ, functools.partial(self._greet, worker))
        return worker

    def _greet(self, worker: Worker) -> None:
        """A worker is ready, or has ended, which a signal tells."""
        if worker.news < 0:  # and has told, in this very turn
            return
        worker.is_ready = bool(os.read(worker.news, 1))
        self._stop_listening_to(worker)
        slot = worker.slot
        if not worker.is_ready or worker is not slot.worker or self._ended_by:
            return
        if slot.former is not None:
            slot.former.ask_to_end(self._grace + limits.END_GRACE)
            slot.former = None
        if self._renewing and self._renewing[0] is slot:
            self._renewing.popleft()
            self._renew_next()
        if self._ready and all(slot.worker and slot.worker.is_ready for slot in self._slots):
            ready, self._ready = self._ready, None
            ready()

    def _renew(self) -> None:
        """Replace every worker; once more, if that is what we are doing."""
        if self._ended_by:
            return
        if self._renewing:
            self._renew_again = True
            return
        try:
            if self._reload:
                self._reload()
        except Exception as error:
            _tell(f"the workers stay: {error}")
            return
        self._renewing.extend(self._slots)
        self._renew_next()

    def _renew_next(self) -> None:
        while self._renewing:
            slot = self._renewing[0]
            if slot.worker is not None:  # else the next one is new anyway
                slot.former = slot.worker
                self._fill(slot)
                return
            self._renewing.popleft()
        if self._renew_again:
            self._renew_again = False
            self._renew()

    # -- A worker ends ---------------------------------------------------------------------------

    def _reap(self) -> None:
        for worker in list(self._workers.values()):
            status = worker.poll()
            if status is not None:
                self._forget(worker)
                self._bury(worker, f"worker {worker.pid} {_describe(status)}", bool(status))

    def _bury(self, worker: Worker, words: str, unwell: bool) -> None:
        slot = worker.slot
        if worker.is_asked:
            if unwell and not worker.is_killed:
                _tell(words)
        elif worker is slot.former:
            _tell(f"{words}; its successor has been started")
            slot.former = None
        elif worker is slot.worker:
            if worker.has_lasted():
                self._proven, slot.failures = True, 0
            self._failed(slot, words)

    def _failed(self, slot: Slot, words: str) -> None:
        """A slot has no worker, or, while one is replaced, no new one."""
        slot.worker, slot.former = slot.former, None
        if slot.worker is not None:
            _tell(f"{words}; worker {slot.worker.pid} stays")
            self._renewing.clear()
            self._renew_again = False
            return
        slot.failures += 1
        delay = limits.RESTART_DELAY * 2.0 ** (slot.failures - 2) if slot.failures > 1 else 0.0
        delay = min(delay, limits.MAX_RESTART_DELAY)
        slot.due = time.monotonic() + delay
        if self._is_hopeless():
            _tell(words)
            raise GaveUp("the workers end as soon as they have started")
        _tell(f"{words}; a new one is started" + (f" in {delay:g} s" if delay else ""))

    def _is_hopeless(self) -> bool:
        """Whether no worker has ever lasted, and each slot has had its chances."""
        self._proven = self._proven or any(worker.has_lasted() for worker in self._workers.values())
        return not self._proven and all(slot.failures >= limits.START_ATTEMPTS for slot in self._slots)

    def _forget(self, worker: Worker) -> None:
        del self._workers[worker.pid]
        self._stop_listening_to(worker)

    def _stop_listening_to(self, worker: Worker) -> None:
        if worker.news >= 0:
            self._selector.unregister(worker.news)
            os.close(worker.news)
            worker.news = -1

    # -- In the worker ---------------------------------------------------------------------------

    def _work(self, slot: Slot, tell: int, mask: set[Any]) -> NoReturn:
        """Serve, and end the process: what is further up the stack is the supervisor's."""
        status = 1
        try:
            self._leave_the_supervisor(slot)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if self._prepare:
                self._prepare()
            os.write(tell, b"\0")
            os.close(tell)
            self._server.serve_forever()
            _join_threads()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):  # of a program's own server, say
                getattr(self._server, "_fastserve_ends", _nothing_to_leave)()
            _flush()
            os._exit(status)

    def _leave_the_supervisor(self, slot: Slot) -> None:
        """Keep nothing of it but the listening socket, and end when it does."""
        gc.freeze()  # what is shared is no garbage here; to look for that would make it a copy
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in self._heard:  # a terminal sends them to all of us
            signal.signal(number, _nothing)  # and not SIG_IGN, which scripts would inherit
        signal.signal(signal.SIGTERM, _EndWorker(self._server, self._grace))
        self._waker.close()
        self._woken.close()
        for worker in self._workers.values():
            if worker.news >= 0:
                os.close(worker.news)
        # Whatever wraps the server's socket stays as it is.
        if slot.listener is not self._server.socket:
            os.dup2(slot.listener.fileno(), self._server.fileno(), inheritable=False)
        for listener in {each.listener for each in self._slots} - {self._server.socket}:
            listener.close()
        _end_with(self._pid, self._server)


def _nothing_to_share(workers: int) -> None:
    """Of a server that is not ours."""


def _nothing_to_leave() -> None:
    """As above."""


def _nothing(signum: int, frame: object) -> None:
    """Handle a signal that wakes, or that is for others."""


class _EndWorker:
    """The handler of SIGTERM in a worker: answer what has been asked for, and end. A second one means now."""

    def __init__(self, server: Any, grace: float) -> None:
        self._server = server
        self._grace = grace
        self._began = math.inf

    def __call__(self, signum: int, frame: object) -> None:
        if self._began == math.inf:
            self._began = time.monotonic()
            self._drain()
        elif not _is_echo(self._began):
            raise SystemExit(0)

    def _drain(self) -> None:
        if hasattr(self._server, "drain"):
            self._server.drain(self._grace)
        else:  # socketserver's own, whose shutdown() waits for what the signal has interrupted
            threading.Thread(target=self._server.shutdown, daemon=True).start()


def _is_echo(began: float) -> bool:
    """Whether it is the signal of that moment again: terminals and npm, systemd and we send it twice."""
    return time.monotonic() - began < limits.SIGNAL_ECHO


def _join_threads() -> None:
    """Wait as Python does at its end. server_close() is the supervisor's: it may remove what others need."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _end_with(parent: int, server: Any) -> None:
    """Have the server look, once a turn, whether its supervisor is still there."""
    own = server.service_actions

    def service_actions() -> None:
        own()
        if os.getppid() != parent:
            server.service_actions = own
            os.kill(os.getpid(), signal.SIGTERM)

    server.service_actions = service_actions
