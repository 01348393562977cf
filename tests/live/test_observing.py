"""The log and the figures of real processes: whole lines of many writers, files that are moved away, sums.

Counted by curl and wrk, and by what workers have told before they were replaced.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, ask, children, request, wait_until
from live.kinds import needs_curl
from live.process import HOME, WAIT, run
from serving.test_metrics import read

WORKERS = pytest.mark.parametrize("workers", [0, 1, 4])
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")

# Some of them longer than what enters a pipe in one piece.
LENGTHS = (1, 500, 3000, 5000, 9000)
CLIENTS, REQUESTS = 8, 40


class Observed:
    """The server, and all that it has written to stderr, which is a pipe, by the line."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("observed.py")), str(folder), *options]
        self.process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(HOME)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._stderr = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout
        ready = select.select([self.process.stdout], [], [], WAIT)[0]
        line = self.process.stdout.readline().decode() if ready else ""
        assert line.startswith("port "), line + self.text()
        self.address = ("127.0.0.1", int(line.split()[1]))
        self.url = f"http://127.0.0.1:{self.address[1]}"

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr as stderr:
            while data := stderr.read1():  # type: ignore[attr-defined]
                self._stderr += data

    def text(self) -> str:
        return self._stderr.decode()

    def figures(self) -> dict[str, dict[tuple[Any, ...], float]]:
        return read(ask(self.address, request(target="/metrics")).body.decode())

    def answered(self) -> float:
        return sum(self.figures().get("fastserve_requests_total", {}).values())

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        self.signal(signal.SIGTERM)
        try:
            assert self.process.wait(WAIT) == 0, self.text()
        finally:
            self.process.kill()
            self.process.wait()
        self._reader.join(WAIT)
        assert "Traceback" not in self.text()


@contextlib.contextmanager
def observed(folder: Path, *options: str) -> Iterator[Observed]:
    server = Observed(folder, *options)
    try:
        yield server
        server.stop()
    finally:
        server.process.kill()
        server.process.wait()
        server.process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture
def folder(folder: Path) -> Path:
    (folder / "file").write_bytes(b"x" * 1024)
    (folder / "large").write_bytes(b"x" * 200_000)
    time.sleep(1.2)  # until a change would be seen, so that answers are recorded
    return folder


def ask_at_once(server: Observed) -> list[str]:
    """Clients that ask at the same time; returns the User-Agent of each request."""
    agents: list[str] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for start in range(0, REQUESTS, 10):  # a connection for each ten of them
                with Client(server.address, WAIT) as peer:
                    for count in range(start, start + 10):
                        agent = f"{number}-{count}-" + "x" * LENGTHS[count % len(LENGTHS)]
                        assert peer.ask(request("GET", "/file", f"User-Agent: {agent}")).status == 200
                        agents.append(agent)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert not failures, failures
    assert len(agents) == CLIENTS * REQUESTS
    return agents


# -- The log ---------------------------------------------------------------------------------------


def agents_in(text: str) -> list[str]:
    return sorted(json.loads(line)["user_agent"] for line in text.splitlines())


@WORKERS
@pytest.mark.parametrize("kind", ["loop", "threads"])
def test_no_line_is_torn_in_a_pipe(kind: str, workers: int, folder: Path) -> None:
    with observed(folder, "--workers", str(workers), "--server", kind) as server:
        agents = ask_at_once(server)
        assert wait_until(lambda: server.text().count("\n") == len(agents), WAIT)
    assert agents_in(server.text()) == sorted(agents)


@WORKERS
def test_no_line_is_torn_in_a_file(workers: int, folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"user_agent": "before"}\n')
    with observed(folder, "--workers", str(workers), "--log-file", str(log)) as server:
        agents = ask_at_once(server)
        assert wait_until(lambda: log.read_text().count("\n") == len(agents) + 1, WAIT)
    assert agents_in(log.read_text()) == sorted([*agents, "before"])
    assert server.text() == ""


@WORKERS
def test_a_file_that_is_moved_away(workers: int, folder: Path, tmp_path: Path) -> None:
    """As logrotate does it: not a line is lost, and none goes to the old one once all have heard."""
    log, old = tmp_path / "log", tmp_path / "old"
    with observed(folder, "--workers", str(workers), "--log-file", str(log)) as server:
        assert log.stat().st_mode & 0o777 == 0o640 & ~umask()
        agents = ask_at_once(server)
        log.rename(old)
        server.signal(signal.SIGUSR1)
        pids = children(server.process.pid) | {server.process.pid}
        assert wait_until(lambda: all(stderr_of(pid) == str(log) for pid in pids), WAIT)
        size = old.stat().st_size
        agents += ask_at_once(server)
        lines = CLIENTS * REQUESTS
        assert wait_until(lambda: log.read_text().count("\n") == lines, WAIT)
        assert old.stat().st_size == size
        if workers:  # and whoever is started from now on
            [first, *_] = children(server.process.pid)
            os.kill(first, signal.SIGKILL)
            assert wait_until(lambda: has_others(server, {first}, workers), WAIT)
            assert "was killed by SIGKILL; a new one is started" in log.read_text()
    entries = [line for line in (old.read_text() + log.read_text()).splitlines() if line.startswith("{")]
    assert agents_in("\n".join(entries)) == sorted(agents)
    assert server.text() == ""


def umask() -> int:
    before = os.umask(0o22)
    os.umask(before)
    return before


def stderr_of(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/fd/2")


def test_a_file_that_cannot_be_opened_anew(folder: Path, tmp_path: Path) -> None:
    """The old one stays, and says so."""
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "log"
    with observed(folder, "--log-file", str(log), "--format", "common") as server:
        (tmp_path / "logs").rename(tmp_path / "gone")
        server.signal(signal.SIGUSR1)
        old = tmp_path / "gone" / "log"
        assert wait_until(lambda: "cannot open the log file" in old.read_text(), WAIT)
        ask(server.address, request(target="/file"))
        assert wait_until(lambda: old.read_text().count("\n") == 2)
    said = f"fastserve: cannot open the log file {str(log)!r} anew: No such file or directory\n"
    assert old.read_text().startswith(said)


@pytest.mark.parametrize(("name", "why"), [
    (".", "Is a directory"), ("none/log", "No such file or directory"), ("file/log", "Not a directory"),
    ("x" * 300, "File name too long"), ("pipe", "No such device or address"),
])
def test_a_file_that_cannot_be_opened(name: str, why: str, folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    command = [sys.executable, str(Path(__file__).with_name("observed.py")), str(folder)]
    done = subprocess.run([*command, "--log-file", str(tmp_path / name)], capture_output=True, text=True,
                          timeout=WAIT, env={**os.environ, "PYTHONPATH": str(HOME)})
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"fastserve: error: cannot open the log file '.*': {why}\n", done.stderr)


@needs_curl
@pytest.mark.parametrize("form", ["http.server", "common", "combined"])
def test_the_words_of_curl(form: str, folder: Path) -> None:
    with observed(folder, "--format", form) as server:
        for target in ("file", "large", "none"):
            run("curl", "-s", "-o", os.devnull, "-A", 'a"b', "-e", "http://c/", f"{server.url}/{target}")
        assert wait_until(lambda: '/none HTTP/1.1" 404' in server.text())
        assert wait_until(lambda: server.text().endswith("\n"))
    said = [line.partition("] ")[2] for line in server.text().splitlines()]
    if form == "http.server":
        assert said == ['"GET /file HTTP/1.1" 200 -', '"GET /large HTTP/1.1" 200 -',
                        "code 404, message File not found", '"GET /none HTTP/1.1" 404 -']
        return
    fields = r' "http://c/" "a\"b"' if form == "combined" else ""
    assert said[:2] == [f'"GET /file HTTP/1.1" 200 1024{fields}', f'"GET /large HTTP/1.1" 200 200000{fields}']
    assert re.fullmatch(rf'"GET /none HTTP/1\.1" 404 \d+{re.escape(fields)}', said[2])


def test_quiet(folder: Path) -> None:
    with observed(folder, "--quiet", "--workers", "2") as server:
        for target in ("/file", "/none", "/file"):
            ask(server.address, request(target=target))
    assert server.text() == ""


# -- The figures -----------------------------------------------------------------------------------


@needs_curl
@WORKERS
def test_what_curl_has_asked_for(workers: int, folder: Path) -> None:
    with observed(folder, "--workers", str(workers), "--quiet") as server:
        urls = [f"{server.url}/file", f"{server.url}/large", f"{server.url}/none"] * 4
        for _ in range(5):
            run("curl", "-s", *[word for url in urls for word in ("-o", os.devnull, url)])
        run("curl", "-s", "-I", f"{server.url}/file")
        said = server.figures()
    assert said["fastserve_requests_total"] == {
        ("GET", "200"): 40, ("GET", "404"): 20, ("HEAD", "200"): 1}
    assert said["fastserve_response_body_bytes_total"][()] > 20 * 201_024
    assert said["fastserve_recordings_hits_total"][()] > 0


@needs_wrk
@WORKERS
def test_what_wrk_has_asked_for(workers: int, folder: Path) -> None:
    """All the lanes there are: wrk may have asked for one more on each connection than it has seen."""
    with observed(folder, "--workers", str(workers), "--quiet") as server:
        told = run("wrk", "-d", "1", "-c", "16", "-t", "1", f"{server.url}/file").decode()
        match = re.search(r"(\d+) requests in ", told)
        assert match, told
        seen = int(match[1])
        said = server.figures()
    counted = said["fastserve_requests_total"][("GET", "200")]
    assert seen <= counted <= seen + 16
    assert said["fastserve_response_body_bytes_total"] == {(): counted * 1024}
    assert said["fastserve_recordings_hits_total"][()] > counted / 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_no_figure_goes_backwards_when_workers_are_replaced(number: int, folder: Path) -> None:
    with observed(folder, "--workers", "2", "--quiet") as server, contextlib.ExitStack() as stack:
        count = 0
        for _ in range(3):
            for _ in range(20):
                ask(server.address, request(target="/file"))
            count += 20
            # Some that stay, which their worker takes with it.
            held = [stack.enter_context(Client(server.address, WAIT)) for _ in range(4)]
            for peer in held:
                peer.ask(request(target="/file"))
            count += 4
            assert server.answered() == count
            replace(server, number)
            assert server.answered() == count
            said = server.figures()
            assert said["fastserve_connections"][()] <= 5
            assert len(said["process_open_fds"]) == 2
            assert said["fastserve_connections_accepted_total"][()] >= count
            for peer in held:
                peer.close()


def replace(server: Observed, number: int) -> None:
    before = children(server.process.pid)
    if number == signal.SIGHUP:
        server.signal(number)
    else:
        for pid in before:
            os.kill(pid, number)
    assert wait_until(lambda: has_others(server, before, 2), WAIT)
    assert wait_until(lambda: answers_of_both(server), WAIT)


def has_others(server: Observed, former: set[int], count: int) -> bool:
    """Whether it has so many workers, none of which is a former one."""
    now = children(server.process.pid)
    return len(now) == count and not now & former


def answers_of_both(server: Observed) -> bool:
    """Whether both of the new ones serve by now."""
    return len(server.figures().get("process_open_fds", {})) == 2
