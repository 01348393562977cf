"""What processes use: of a whole tree, also of those who have ended or have left their parents."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastserve.rig.measure import observe
from fastserve.rig.measure.asking import Address
from fastserve.rig.measure.observe import Tree, Untraced, Watch
from fastserve.words import Refusal

pytest.importorskip("psutil")

PATIENCE = 20.0
BURNT = 0.3  # seconds of CPU time

BURN = f"""if True:
    import os, sys, time
    def burn():
        end = time.process_time() + {BURNT}
        while time.process_time() < end:
            pass
    def say(word):
        print(word, flush=True)
    sys.stdin.readline()
"""
OWN = BURN + """
    burn()
    say("done")
    sys.stdin.readline()
"""
CHILD_ENDED = BURN + """
    pid = os.fork()
    if not pid:
        burn()
        os._exit(0)
    os.waitpid(pid, 0)
    say("done")
    sys.stdin.readline()
"""
ORPHAN = BURN + """
    if not os.fork():
        if not os.fork():
            burn()
            say("done")
            time.sleep(60)
        os._exit(0)
    os.wait()
    sys.stdin.readline()
"""


class Leader:
    """A Python that leads a session, and goes on when it is told."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True, text=True)
        self.tree = Tree([self.process.pid], self.process.pid)

    def go_on(self) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@contextlib.contextmanager
def leading(code: str) -> Iterator[Leader]:
    leader = Leader(code)
    try:
        yield leader
    finally:
        leader.tree.kill({})
        leader.process.communicate()


def wait_until(condition: object, *arguments: object) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if condition(*arguments):  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


# -- CPU time and memory -------------------------------------------------------------------------


@pytest.mark.parametrize("code", [OWN, CHILD_ENDED, ORPHAN], ids=["own", "a child that ended", "an orphan"])
def test_cpu_time_of_the_whole_tree(code: str) -> None:
    if code is ORPHAN and not sys.platform.startswith("linux"):
        pytest.skip("a session's members are asked for one by one; that is tried on Linux")
    with leading(code) as leader, Watch(leader.tree, time.monotonic()) as watch:
        assert leader.go_on() == "done\n"
    assert watch.cpu_seconds is not None
    assert BURNT * 0.9 <= watch.cpu_seconds < BURNT * 20


def test_memory_is_looked_at_while_it_is_used() -> None:
    code = BURN + "    octets = bytes(50 << 20).replace(b'\\0', b'x')\n    say('done')\n    time.sleep(60)"
    with leading(code) as leader, Watch(leader.tree, time.monotonic()) as watch:
        assert leader.go_on() == "done\n"
        assert wait_until(lambda: watch.peak and watch.peak > 50 << 20)
    assert len(watch.memory) > 1
    assert watch.memory[0][0] <= watch.memory[-1][0]


def test_memory_of_children_counts() -> None:
    code = BURN + """
    pids = [os.fork() for _ in range(1)]
    if not pids[0]:
        octets = bytes(40 << 20).replace(b'\\0', b'x')
        say('done')
        time.sleep(60)
    sys.stdin.readline()
"""
    with leading(code) as leader:
        before = leader.tree.resident()
        assert leader.go_on() == "done\n"
        assert leader.tree.resident() - before > 40 << 20
        assert len(leader.tree.processes()) == 2


def test_what_is_not_known_is_none() -> None:
    with Watch(None, time.monotonic()) as watch:
        pass
    assert (watch.cpu_seconds, watch.peak, watch.memory) == (None, None, [])


def test_a_tree_whose_root_has_ended_has_used_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    tree = Tree([process.pid], process.pid)
    assert (tree.processes(), tree.cpu_seconds(), tree.resident()) == ({}, 0, 0)


def test_without_psutil_there_is_a_line_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(Refusal, match=r"pip install 'fastserve\[rig\]'"):
        observe.library()


# -- Who there is --------------------------------------------------------------------------------


def test_all_of_a_session_is_ended() -> None:
    with leading(ORPHAN) as leader:
        assert leader.go_on() == "done\n"
        members = leader.tree.processes()
        assert len(members) == 2
    assert wait_until(lambda: not any(observe.is_running(pid) for pid in members))


def test_who_has_ended_and_was_not_waited_for_does_not_run() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    assert wait_until(lambda: not observe.is_running(process.pid))
    assert process.wait() == 0


def test_who_listens_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert observe.listeners(Address("127.0.0.1", port)) == [os.getpid()]
        assert observe.listeners(Address("192.0.2.1", port)) == []
    assert observe.listeners(Address("127.0.0.1", port)) == []


def test_of_processes_that_share_a_socket_the_first_is_found() -> None:
    code = """if True:
        import os, socket, time
        server = socket.create_server(("127.0.0.1", 0))
        if os.fork():
            print(server.getsockname()[1], flush=True)
        time.sleep(60)
    """
    with leading(code) as leader:
        assert leader.process.stdout
        port = int(leader.process.stdout.readline())
        assert observe.listeners(Address("127.0.0.1", port)) == [leader.process.pid]


# -- Cores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("usable", "server", "load"), [([], [], []), ([3], [3], [3])])
def test_with_no_choice_they_share(usable: list[int], server: list[int], load: list[int]) -> None:
    assert observe.apart(usable) == (server, load)


@pytest.mark.parametrize("usable", [[0, 1], [0, 1, 2, 3], list(range(64))])
def test_servers_and_load_are_apart(usable: list[int]) -> None:
    server, load = observe.apart(usable)
    assert set(server + load) <= set(usable)
    assert not set(server) & set(load)
    assert (len(server), 1 <= len(load) <= 2) == (1, True)


@pytest.mark.skipif(not observe.CAN_PIN, reason="this system pins nothing")
def test_what_is_started_inside_is_pinned() -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    with observe.pinned([core]):
        said = subprocess.run([sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"],
                              capture_output=True, text=True, timeout=PATIENCE)
    assert said.stdout == f"{core}\n"
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(not observe.CAN_PIN, reason="this system pins nothing")
def test_a_core_that_is_not_there_is_told() -> None:
    observe.ensure_usable(observe.usable_cores())
    with pytest.raises(Refusal, match="there is no core 4095 to run on; there are "):
        observe.ensure_usable([4095])


# -- System calls --------------------------------------------------------------------------------


SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000120           1       120           sendto
 40.00    0.000080           1       100        20 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.000200           1       220        20 total
"""


@pytest.mark.parametrize(("summary", "calls"), [(SUMMARY, {"sendto": 120, "recvfrom": 100}), ("", {})])
def test_what_strace_says(summary: str, calls: dict[str, int]) -> None:
    assert observe.counted(summary) == calls


def test_system_calls_of_a_tree_are_counted(tmp_path: Path) -> None:
    code = BURN + "    [os.getppid() for _ in range(1000)]\n    say('done')\n    sys.stdin.readline()"
    output = tmp_path / "counted"
    with leading(code) as leader:
        assert wait_until(lambda: len(leader.tree.processes()) == 1)
        try:
            with observe.traced(leader.tree, output):
                assert leader.go_on() == "done\n"
        except Untraced as why:
            pytest.skip(str(why))
        assert leader.process.poll() is None
    assert observe.counted(output.read_text())["getppid"] == 1000


def test_without_strace_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (pytest.raises(Untraced, match="not installed"),
          observe.traced(Tree([os.getpid()]), tmp_path / "counted")):
        pass


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
def test_who_is_gone_cannot_be_traced(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with (pytest.raises(Untraced, match="nobody is there"),
          observe.traced(Tree([process.pid]), tmp_path / "counted")):
        pass
