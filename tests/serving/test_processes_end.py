"""How worker processes end, all of them or to be replaced one by one, and which requests survive that: all.

Every one is a real process.
"""

import contextlib
import fcntl
import os
import pty
import signal
import termios
import threading
import time
from pathlib import Path

import pytest
from helpers import Client, connect, is_gone, request, wait_until
from pairs import Task
from serving.apps import Quiet
from serving.supervised import OPEN_GATE, WAIT, Load, blocked, renew, supervised

import fastserve
from fastserve import limits
from fastserve.serving import processes

NUMBERS = [signal.SIGTERM, signal.SIGINT]
KINDS = pytest.mark.parametrize("kind", ["fastserve.HTTPServer", "fastserve.ThreadingHTTPServer"])


# -- The end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
def test_a_request_that_is_under_way_is_answered(tmp_path: Path, number: int) -> None:
    with supervised(tmp_path) as server, contextlib.ExitStack() as stack:
        gate = tmp_path / "gate"
        client = blocked(server, gate, stack)
        pids = server.workers()
        server.send(number)
        assert wait_until(lambda: any(is_gone(pid) for pid in pids), WAIT)
        gate.touch()
        reply = client.reply()
        assert reply is not None
        assert int(reply.body) in pids
        assert server.wait() == (0 if number == signal.SIGTERM else -signal.SIGINT)
        assert all(is_gone(pid) for pid in pids)


@KINDS
@pytest.mark.parametrize("number", NUMBERS)
def test_the_end_under_load_loses_no_request(tmp_path: Path, number: int, kind: str) -> None:
    """Every connection ends behind an answer."""
    lines = f"server_class = {kind}"
    with supervised(tmp_path, 2, lines=lines) as server, Load(server, 8, keep=True) as load:
        load.goes_on()
        load.is_last = True
        server.send(number)
        load.ends()
        assert server.wait() == (0 if number == signal.SIGTERM else -signal.SIGINT)
        assert load.faults == []


def test_whoever_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    lines = "limits.END_GRACE = 0.1"
    with supervised(tmp_path, 2, "grace=0.1", lines) as server, contextlib.ExitStack() as stack:
        blocked(server, tmp_path / "gate", stack)
        server.end()
        assert server.log().count("has not ended in time and is killed\n") == 1


@pytest.mark.parametrize("second", NUMBERS)
def test_a_second_signal_cuts_it_short(tmp_path: Path, second: int) -> None:
    lines = "limits.END_GRACE = 1000"   # nobody has to be killed
    with supervised(tmp_path, 2, "grace=1000", lines=lines) as server, contextlib.ExitStack() as stack:
        blocked(server, tmp_path / "gate", stack)
        pids = server.workers()
        server.send(signal.SIGTERM)
        assert wait_until(lambda: any(is_gone(pid) for pid in pids), WAIT)
        no_echo()
        server.end(second)
        assert server.log() == ""


def no_echo() -> None:
    """Wait until a signal is a second one."""
    began = time.monotonic()
    assert wait_until(lambda: time.monotonic() - began > limits.SIGNAL_ECHO)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_to_all_of_them_is_one(tmp_path: Path, number: int) -> None:
    """As systemd sends it, and a terminal; and some pass on what everybody has had already."""
    options = {"start_new_session": True}
    lines = "limits.SIGNAL_ECHO = 1000"
    with supervised(tmp_path, lines=lines, **options) as server, contextlib.ExitStack() as stack:
        gate = tmp_path / "gate"
        client = blocked(server, gate, stack)
        pids = server.workers()
        os.killpg(server.process.pid, number)
        server.send(number)
        assert wait_until(lambda: any(is_gone(pid) for pid in pids), WAIT)
        server.send(number)
        gate.touch()
        reply = client.reply()
        assert reply is not None
        assert int(reply.body) in pids
        assert server.wait() == (0 if number == signal.SIGTERM else -signal.SIGINT)


def test_ctrl_c_reaches_all_of_them(tmp_path: Path) -> None:
    with supervised(tmp_path, 3, start_new_session=True) as server:
        server.pids(3)
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.wait() == -signal.SIGINT  # KeyboardInterrupt, once
        assert server.log().count("Traceback") == 1


def test_a_worker_that_has_ended_by_the_same_signal(tmp_path: Path) -> None:
    """It is none that has died, however late its supervisor comes to look."""
    with supervised(tmp_path, start_new_session=True) as server:
        pids = server.workers()
        server.send(signal.SIGSTOP)
        os.killpg(server.process.pid, signal.SIGTERM)
        assert wait_until(lambda: all(map(is_gone, pids)), WAIT)
        server.send(signal.SIGCONT)
        assert server.wait() == 0
        assert server.log() == ""


def test_a_signal_that_was_ignored_at_the_start_stays_so(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with supervised(tmp_path, preexec_fn=ignore) as server:
        pids = server.pids(2)
        server.send(signal.SIGINT)
        server.send(signal.SIGHUP)
        for _ in range(3):
            assert server.pids(2) == pids
        server.end()


def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        pids = server.pids(2)
        server.process.kill()
        assert wait_until(lambda: all(map(is_gone, pids)), WAIT)
        with pytest.raises(ConnectionRefusedError):
            connect(server.address).close()


def test_workers_end_with_their_terminal(tmp_path: Path) -> None:
    """That is told by SIGHUP too, to all of them."""
    ours, theirs = pty.openpty()

    def become_its_job() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    with contextlib.ExitStack() as stack:
        stack.callback(os.close, theirs)
        with supervised(tmp_path, preexec_fn=become_its_job) as server:
            pids = server.pids(2)
            renew(server)
            os.close(ours)
            assert server.wait() == 0
            assert wait_until(lambda: all(map(is_gone, pids)), WAIT)


def test_a_program_has_its_signal_handlers_back(tmp_path: Path) -> None:
    lines = """def told(number, frame):
    raise SystemExit(44)
signal.signal(signal.SIGUSR1, told)
before = [signal.signal(number, told) and told for number in processes.HEARD]
import atexit
atexit.register(lambda: print(*(signal.getsignal(number) is told for number in processes.HEARD)))"""
    with supervised(tmp_path, lines=lines) as server:
        server.pids(2)
        server.end()
        assert server.process.stdout
        assert server.process.stdout.read().split() == [b"True"] * 3  # once: a worker runs no exit functions


def test_threads_cannot_be_forked() -> None:
    with fastserve.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        gate = threading.Event()
        waiting = Task(gate.wait, WAIT)
        with pytest.raises(RuntimeError, match="before threads"):
            processes.supervise(server, 2)
        gate.set()
        waiting.result()


# -- New workers -------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "share=True"])
def test_hup_replaces_every_worker(tmp_path: Path, options: str) -> None:
    with supervised(tmp_path, 3, options) as server:
        old = server.workers()
        renew(server)
        assert {server.ask() for _ in range(20)} <= server.workers() - old
        server.end()
        assert server.log() == ""


@KINDS
@pytest.mark.parametrize("keep", [False, True], ids=["new connections", "kept connections"])
@pytest.mark.parametrize("options", ["", "share=True"])
def test_hup_under_load_loses_no_request(tmp_path: Path, options: str, keep: bool, kind: str) -> None:
    lines = f"server_class = {kind}"
    with supervised(tmp_path, 2, options, lines) as server, Load(server, 8, keep) as load:
        load.goes_on()
        for _ in range(3):
            renew(server)
            load.goes_on()
        assert load.faults == []


def test_a_request_outlives_the_hup_that_ends_its_worker(tmp_path: Path) -> None:
    with supervised(tmp_path, 1) as server, contextlib.ExitStack() as stack:
        gate = tmp_path / "gate"
        client = blocked(server, gate, stack)
        old = server.workers()
        server.send(signal.SIGHUP)
        assert server.ask() not in old
        gate.touch()
        reply = client.reply()
        assert reply is not None
        assert {int(reply.body)} == old


def test_a_request_outlives_a_hup_and_the_end(tmp_path: Path) -> None:
    """To its worker that is one signal, and not a second one."""
    with supervised(tmp_path, 1) as server, contextlib.ExitStack() as stack:
        gate = tmp_path / "gate"
        client = blocked(server, gate, stack)
        old = server.workers()
        server.send(signal.SIGHUP)
        assert server.ask() not in old
        no_echo()
        server.send(signal.SIGTERM)
        assert wait_until(lambda: server.workers() == old, WAIT)
        gate.touch()
        reply = client.reply()
        assert reply is not None
        assert {int(reply.body)} == old
        assert server.wait() == 0


def test_a_new_worker_takes_over_only_when_it_is_ready(tmp_path: Path) -> None:
    with supervised(tmp_path, 2, lines=OPEN_GATE, cwd=tmp_path) as server:
        old = server.pids(2)
        (tmp_path / "closed").touch()
        server.send(signal.SIGHUP)
        assert wait_until(lambda: len(server.workers()) == 3, WAIT)
        assert server.pids(2) == old
        (tmp_path / "closed").unlink()
        assert wait_until(lambda: not old & server.workers(), WAIT)


def test_hups_that_come_meanwhile_count_once(tmp_path: Path) -> None:
    with supervised(tmp_path, 2, lines=OPEN_GATE, cwd=tmp_path) as server:
        (tmp_path / "closed").touch()
        server.send(signal.SIGHUP)
        assert wait_until(lambda: len(server.workers()) == 3, WAIT)
        for _ in range(3):
            server.send(signal.SIGHUP)
            server.ask()  # so that they do not come as one
        (tmp_path / "closed").unlink()
        starts = tmp_path / "starts"
        assert wait_until(lambda: len(starts.read_text().split()) == 6, WAIT)
        assert wait_until(lambda: server.workers() == set(map(int, starts.read_text().split()[4:])), WAIT)
        renew(server)
        assert len(starts.read_text().split()) == 8


def test_a_new_worker_that_fails_leaves_the_old_ones(tmp_path: Path) -> None:
    lines = "options['prepare'] = lambda: os.path.exists('bad') and os._exit(5)"
    with supervised(tmp_path, 2, lines=lines, cwd=tmp_path) as server:
        old = server.pids(2)
        (tmp_path / "bad").touch()
        server.send(signal.SIGHUP)
        assert wait_until(lambda: "ended with status 5; worker" in server.log(), WAIT)
        assert server.pids(2) == old == server.workers()
        (tmp_path / "bad").unlink()
        renew(server)


def test_what_is_to_be_read_again(tmp_path: Path) -> None:
    """Before the workers are replaced, by the supervisor; if that fails, they stay."""
    lines = """words = ["old"]
options["reload"] = lambda: words.append(open("word").read())
Handler.version_string = lambda self: words[-1]"""
    with supervised(tmp_path, 2, lines=lines, cwd=tmp_path) as server:
        old = server.pids(2)
        server.send(signal.SIGHUP)
        assert wait_until(lambda: "fastserve: the workers stay: [Errno 2]" in server.log(), WAIT)
        assert server.pids(2) == old
        (tmp_path / "word").write_text("new")
        renew(server)
        with Client(server.address, WAIT) as client:
            assert client.ask(request()).get("Server") == "new"


def test_an_old_worker_that_dies_before_the_new_one_is_ready(tmp_path: Path) -> None:
    with supervised(tmp_path, 1, lines=OPEN_GATE, cwd=tmp_path) as server:
        victim = server.ask()
        (tmp_path / "closed").touch()
        server.send(signal.SIGHUP)
        assert wait_until(lambda: len(server.workers()) == 2, WAIT)
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: "its successor has been started" in server.log(), WAIT)
        (tmp_path / "closed").unlink()
        assert {server.ask()} == server.workers()
        renew(server)


def test_a_signal_to_end_in_the_middle_of_a_hup(tmp_path: Path) -> None:
    with supervised(tmp_path, 2, lines=OPEN_GATE, cwd=tmp_path) as server:
        (tmp_path / "closed").touch()
        server.send(signal.SIGHUP)
        assert wait_until(lambda: len(server.workers()) == 3, WAIT)
        server.send(signal.SIGTERM)
        (tmp_path / "closed").unlink()
        assert server.wait() == 0
        assert server.log() == ""
