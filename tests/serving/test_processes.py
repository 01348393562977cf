"""Worker processes: who answers, and who takes the place of one that ends. Every one is a real process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, is_gone, request, wait_until
from serving.apps import Quiet
from serving.supervised import HOME, OPEN_GATE, WAIT, Load, blocked, renew, supervised

import fastserve
from fastserve import limits
from fastserve.serving import processes


def descriptors(pid: int) -> list[str]:
    """What a process has open, by kind."""
    folder = Path(f"/proc/{pid}/fd")
    if not folder.is_dir():
        pytest.skip("this system does not tell")
    found = []
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(entry).partition(":")[0])
    return sorted(found)


# -- Who answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_answer_and_the_supervisor_does_not(tmp_path: Path, workers: int) -> None:
    with supervised(tmp_path, workers) as server:
        pids = server.pids(workers)
        assert pids == server.workers()
        assert len(pids) == workers
        server.end()
        assert server.log() == ""


@pytest.mark.parametrize("options", ["", "share=True"])
def test_a_worker_that_is_busy_holds_up_no_other(tmp_path: Path, options: str) -> None:
    with supervised(tmp_path, 2, options) as server, contextlib.ExitStack() as stack:
        gate = tmp_path / "gate"
        client = blocked(server, gate, stack)
        if options:  # whoever comes is accepted by the other
            assert len({server.ask() for _ in range(20)}) == 1
        else:  # whose socket the kernel chooses, of two, for one of so many
            clients = [stack.enter_context(Client(server.address, WAIT)) for _ in range(40)]
            for each in clients:
                each.send(request())
            assert wait_until(lambda: any(has_answer(each) for each in clients), WAIT)
        gate.touch()
        busy = client.reply()
        assert busy is not None
        assert int(busy.body) in server.workers()


def has_answer(client: Client) -> bool:
    client.sock.setblocking(False)
    try:
        return bool(client.sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.sock.settimeout(WAIT)


@pytest.mark.parametrize("kind", [
    "fastserve.ThreadingHTTPServer", "http.server.HTTPServer", "http.server.ThreadingHTTPServer"])
def test_workers_of_other_servers(tmp_path: Path, kind: str) -> None:
    with supervised(tmp_path, 2, lines=f"import http.server\nserver_class = {kind}") as server:
        assert server.pids(2) == server.workers()
        server.end()
        assert server.log() == ""


def test_every_worker_is_prepared_before_it_serves(tmp_path: Path) -> None:
    with supervised(tmp_path, 2, lines=OPEN_GATE, cwd=tmp_path) as server:
        pids = server.pids(2)
        assert {int(line) for line in (tmp_path / "starts").read_text().split()} == pids


def test_what_workers_share_is_left_alone_by_garbage_collection(tmp_path: Path) -> None:
    lines = """
def prepare():
    import gc
    with open("left", "a") as file:
        file.write(f"{gc.get_freeze_count() > 1000} {len(gc.get_objects()) < 1000}\\n")
options["prepare"] = prepare"""
    with supervised(tmp_path, 2, lines=lines, cwd=tmp_path) as server:
        server.pids(2)
        assert (tmp_path / "left").read_text() == "True True\n" * 2


# -- A worker that is killed -------------------------------------------------------------------


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        first, other = server.pids(2)
        os.kill(first, signal.SIGKILL)
        assert wait_until(lambda: len(server.workers() - {first}) == 2, WAIT)
        assert server.pids(2) == server.workers()
        assert other in server.workers()
        server.end()
        assert server.log() == f"fastserve: worker {first} was killed by SIGKILL; a new one is started\n"


@pytest.mark.parametrize("options", ["", "share=True"])
def test_a_killed_worker_takes_along_its_own_requests_alone(tmp_path: Path, options: str) -> None:
    with supervised(tmp_path, 2, options) as server:
        victim = server.ask()
        clients = 8
        with Load(server, clients) as load:
            load.goes_on()
            os.kill(victim, signal.SIGKILL)
            assert wait_until(lambda: len(server.workers() - {victim}) == 2, WAIT)
            load.goes_on()
            faults = len(load.faults)
            load.goes_on(1000)
        assert faults <= clients
        assert load.faults[faults:] == []
        assert not any("refused" in fault for _, fault in load.faults)
        assert victim not in server.pids(2)


def test_whoever_comes_while_a_worker_is_replaced_waits(tmp_path: Path) -> None:
    with supervised(tmp_path, 1, lines=OPEN_GATE, cwd=tmp_path) as server:
        victim = server.ask()
        (tmp_path / "closed").touch()
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: is_gone(victim), WAIT)
        with Client(server.address, WAIT) as client:
            client.send(request())
            (tmp_path / "closed").unlink()
            reply = client.reply()
        assert reply is not None
        assert int(reply.body) != victim


def test_how_a_worker_has_ended_is_told(tmp_path: Path) -> None:
    with supervised(tmp_path, 1, lines="Handler.do_EXIT = lambda self: sys.exit(3)") as server:
        victim = server.ask()
        with Client(server.address, WAIT) as client:
            client.send(request("EXIT"))
            assert client.reply() is None
        assert server.ask() != victim
        assert f"fastserve: worker {victim} ended with status 3; a new one is started\n" in server.log()


def test_a_worker_that_is_asked_to_end_by_somebody_else(tmp_path: Path) -> None:
    with supervised(tmp_path, 1) as server:
        victim = server.ask()
        os.kill(victim, signal.SIGTERM)
        assert wait_until(lambda: victim not in server.workers(), WAIT)
        assert server.ask() != victim
        assert f"worker {victim} ended with status 0; a new one is started\n" in server.log()


def test_a_process_holds_no_more_after_it_all(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        before = descriptors(server.process.pid)
        assert before.count("socket") == 4  # two listen, and two are for signals
        for _ in range(3):
            victim = server.ask()
            os.kill(victim, signal.SIGKILL)
            assert wait_until(lambda gone=victim: len(server.workers() - {gone}) == 2, WAIT)
            renew(server)
        for pid in server.pids(2):  # the listening socket, and two by which other threads wake the loop
            assert wait_until(lambda pid=pid: descriptors(pid).count("socket") == 3, WAIT), descriptors(pid)
            assert descriptors(pid).count("pipe") == before.count("pipe")
        assert descriptors(server.process.pid) == before


# -- Workers that do not get far ---------------------------------------------------------------


@pytest.mark.parametrize(("lines", "how"), [
    ("options['prepare'] = lambda: 1 / 0", "ended with status 1"),
    ("options['prepare'] = lambda: os._exit(7)", "ended with status 7"),
    ("options['prepare'] = lambda: os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
    ("server_class = type('S', (fastserve.HTTPServer,), {'service_actions': lambda self: os._exit(9)})",
     "ended with status 9"),
], ids=["raises", "exits", "is killed", "serves once"])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_that_end_at_once_are_given_up(tmp_path: Path, lines: str, how: str, workers: int) -> None:
    with supervised(tmp_path, workers, lines=lines, ready=False) as server:
        assert server.wait() == 1
        log = server.log()
        told = [line for line in log.splitlines() if line.startswith("fastserve: ")]
        assert limits.START_ATTEMPTS * workers <= len(told) <= (limits.START_ATTEMPTS + 1) * workers
        assert all(how in line for line in told)
        assert log.endswith("GaveUp: the workers end as soon as they have started\n")


def test_one_that_has_lasted_is_replaced_again_and_again(tmp_path: Path) -> None:
    """However often what comes next fails."""
    lines = """limits.EARLY_END, limits.START_ATTEMPTS, limits.MAX_RESTART_DELAY = 0.0, 1, 0.01
def prepare():
    if os.path.exists("bad"):
        os._exit(5)
options["prepare"] = prepare"""
    with supervised(tmp_path, 1, lines=lines, cwd=tmp_path) as server:
        victim = server.ask()
        (tmp_path / "bad").touch()
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: server.log().count("ended with status 5") > 5, WAIT)
        (tmp_path / "bad").unlink()
        assert server.ask() != victim


@pytest.fixture
def supervisor() -> Iterator[Callable[[int], processes.Supervisor]]:
    """A function that makes one, with so many slots, which forks nothing until it runs."""
    with contextlib.ExitStack() as stack:

        def make(slots: int) -> processes.Supervisor:
            server = stack.enter_context(fastserve.HTTPServer(("127.0.0.1", 0), Quiet))
            made = processes.Supervisor(server, [server.socket] * slots, 1.0, None, None, None, None)
            stack.callback(made._waker.close)
            stack.callback(made._woken.close)
            return made

        yield make


def test_each_failure_doubles_the_delay(
    supervisor: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes.time, "monotonic", lambda: 1000.0)
    made = supervisor(2)
    delays = []
    for _ in range(9):
        made._failed(made._slots[0], "it ended")
        delays.append(round(made._slots[0].due - 1000, 3))
    assert delays == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert capsys.readouterr().err.splitlines()[:2] == [
        "fastserve: it ended; a new one is started", "fastserve: it ended; a new one is started in 0.1 s"]
    for _ in range(limits.START_ATTEMPTS - 1):
        made._failed(made._slots[1], "it ended")
    with pytest.raises(processes.GaveUp):
        made._failed(made._slots[1], "it ended")


def test_nothing_to_do_is_nothing_to_wait_for(supervisor: Any) -> None:
    """Idle, it sleeps until a signal comes, for ever."""
    assert supervisor(3)._patience() is None


# -- CPUs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "most"), [
    ("50000 100000\n", 1), ("100000 100000\n", 1), ("150000 100000\n", 2), ("max 100000\n", None), ("", None),
])
def test_a_containers_share_of_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, most: int | None
) -> None:
    monkeypatch.setattr(processes, "CPU_QUOTA", tmp_path / "none")
    alone = processes.usable_cpus()
    monkeypatch.setattr(processes, "CPU_QUOTA", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text(text)
    assert processes.usable_cpus() == min(alone, most or alone)


def test_cpus_that_this_process_may_use() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" if hasattr(
        os, "sched_setaffinity") else ""
    code += "from fastserve.serving import processes; print(processes.usable_cpus())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=WAIT,
                          env={**os.environ, "PYTHONPATH": str(HOME)})
    count = int(done.stdout)
    assert count == 1 if hasattr(os, "sched_setaffinity") else count >= 1
