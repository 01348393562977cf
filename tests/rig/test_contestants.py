"""Contestants: started with what they are to have, waited for, verified, ended with all their children."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from fastserve.rig.measure import asking, contestants, observe
from fastserve.rig.measure.asking import Address, Question, Seen, Wrong
from fastserve.rig.measure.contestants import Server
from fastserve.rig.measure.scenario import Contestant, Expected, File, Scenario
from fastserve.rig.origin.answers import Octets

pytest.importorskip("psutil")

HERE = Path(__file__).parent
SERVE = """if True:
    import http.server, os, sys, time
    port, says, pids = int(sys.argv[1]), sys.argv[2].encode(), open(sys.argv[3], "w")
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            ready = self.path != "/ready" or time.monotonic() > begun + 0.3
            self.send_response(200 if ready else 503)
            self.send_header("Content-Length", str(len(says)))
            self.end_headers()
            self.wfile.write(says)
    begun = time.monotonic()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    child = os.fork()
    if not child:
        time.sleep(60)
    print(os.getpid(), child, file=pids, flush=True)
    server.serve_forever()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVE


def serving(pids: Path, code: str = SERVE, says: str = "hello", **more: Any) -> Contestant:
    return Contestant("a", ("{python}", "-c", code, "{port}", says, str(pids)), **more)


def run(contestant: Contestant, tmp_path: Path, cores: Sequence[int] = ()) -> AbstractContextManager[Server]:
    site = tmp_path / "site"
    site.mkdir()
    return contestants.running(contestant, Scenario(name="s"), tmp_path / "own", site, HERE, list(cores))


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """A file that names processes, none of which is left."""
    file = tmp_path / "pids"
    yield file
    said = file.read_text() if file.exists() else ""  # who was killed at once had no time for it
    left = [int(pid) for pid in said.split() if observe.is_running(int(pid))]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


# -- Running -------------------------------------------------------------------------------------


def test_it_runs_and_answers(tmp_path: Path, pids: Path) -> None:
    with run(serving(pids), tmp_path) as server:
        seen = asking.verified(server.address, Question(server.target), Expected(), None)
        assert (seen.status, seen.octets, seen.ends) == (200, 5, False)
        assert server.command[0] == sys.executable
        assert server.url == f"http://127.0.0.1:{server.address.port}/"


@pytest.mark.parametrize("code", [SERVE, STUBBORN], ids=["polite", "stubborn"])
def test_nobody_is_left_behind(
        tmp_path: Path, pids: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "GRACE", 0.2)
    with run(serving(pids, code), tmp_path) as server:
        tree = server.tree()
        assert tree is not None
        assert len(tree.processes()) == 2


def test_nobody_is_left_behind_when_it_is_interrupted(tmp_path: Path, pids: Path) -> None:
    with pytest.raises(KeyboardInterrupt), run(serving(pids), tmp_path):
        raise KeyboardInterrupt


def test_it_is_ready_when_a_path_answers(tmp_path: Path, pids: Path) -> None:
    with run(serving(pids, ready="/ready"), tmp_path) as server:
        assert asking.ask(server.address, Question("/ready"))[0].status == 200


def test_its_files_and_its_environment(tmp_path: Path) -> None:
    code = "import os, socket, sys, time\n" \
           "print(open(sys.argv[1]).read(), os.environ['WHERE'], os.getcwd())\n" \
           "server = socket.create_server(('127.0.0.1', int(sys.argv[2]))); time.sleep(60)"
    contestant = Contestant(
        "a", ("{python}", "-uc", code, "{folder}/conf/a.conf", "{port}"), environment={"WHERE": "{site}"},
        config={"conf/a.conf": "{other} {port} {here}"})
    with run(contestant, tmp_path) as server:
        said = (tmp_path / "own" / "output.log").read_text().split()
        assert said == ["{other}", str(server.address.port), str(HERE), str(tmp_path / "site"), str(HERE)]


@pytest.mark.skipif(not observe.CAN_PIN, reason="this system pins nothing")
def test_it_runs_on_its_cores(tmp_path: Path, pids: Path) -> None:
    core = observe.usable_cores()[-1]
    with run(serving(pids), tmp_path, [core]) as server:
        assert server.process
        assert os.sched_getaffinity(server.process.pid) == {core}
        assert len(os.sched_getaffinity(0)) == len(observe.usable_cores())


def test_one_that_runs_already_is_left_alone(tmp_path: Path, pids: Path) -> None:
    with run(serving(pids), tmp_path) as server:
        found = Contestant("b", url=server.address.url("/x"), path="/x", version="7")
        with contextlib_running(found, tmp_path) as other:
            assert (other.address, other.target, other.version) == (server.address, "/x", "7")
            tree = other.tree()
            assert tree is not None
            assert server.process
            assert server.process.pid in tree.processes()
        server.ensure_alive()


def contextlib_running(contestant: Contestant, tmp_path: Path) -> AbstractContextManager[Server]:
    return contestants.running(contestant, Scenario(name="s"), tmp_path / "other", tmp_path, HERE, [])


# -- What goes wrong -----------------------------------------------------------------------------


WRONG: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "no such program": (("./there-is-no-such",), {}, "does not start: ./there-is-no-such: No such file"),
    "ends at once": (("{python}", "-c", "print('first'); print('no\\tgood'); raise SystemExit(3)"), {},
                     "ended by itself, saying at last: no good"),
    "ends silently": (("{python}", "-c", ""), {}, "ended by itself, without a word"),
    "never listens": (("{python}", "-c", "import time; time.sleep(60)"), {"start_within": 0.3},
                      "was not ready within 0.3 s, without a word"),
    "never ready": (("{python}", "-m", "http.server", "-b", "127.0.0.1", "-d", "{site}", "{port}"),
                    {"start_within": 1, "ready": "/none"}, "was not ready within 1 s"),
}


@pytest.mark.parametrize(("command", "more", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_goes_wrong_is_told(
        tmp_path: Path, command: tuple[str, ...], more: dict[str, Any], said: str) -> None:
    with pytest.raises(Wrong) as wrong, run(Contestant("a", command, **more), tmp_path):
        pass
    assert str(wrong.value).startswith(said)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Wrong, match=f"port {port}: Address already in use"), run(
                Contestant("a", ("{python}",), port=port), tmp_path):
            pass


def test_nobody_at_an_address_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Wrong, match=r"accepts no connection at 127\.0\.0\.1"), run(
            Contestant("a", url=f"http://127.0.0.1:{port}/"), tmp_path):
        pass


def test_who_ends_while_it_runs_is_noticed(tmp_path: Path, pids: Path) -> None:
    with run(serving(pids), tmp_path) as server:
        assert server.process
        os.kill(server.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while observe.is_running(server.process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(Wrong, match="ended by itself"):
            server.ensure_alive()


@pytest.mark.parametrize(("needs", "why"), [
    ((), None), (("sh", "json", "psutil"), None), (("sh", "no-such"), "needs no-such"),
    (("no.such.module",), "needs no.such.module")])
def test_what_is_needed_and_missing(needs: tuple[str, ...], why: str | None) -> None:
    found = contestants.missing(Contestant("a", ("a",), needs=needs))
    assert (found or "").startswith(why or "")
    assert bool(found) == bool(why)


# -- Files, versions -----------------------------------------------------------------------------


def test_the_site_is_what_the_file_says(tmp_path: Path) -> None:
    site = contestants.lay_out({
        "site/a/random": File(octets=(1 << 20) + 5, seed=3), "site/text": File(text="é"),
        "site/tree": File(tree=102, octets=3)}, tmp_path)
    assert (site / "a/random").read_bytes() == bytes(Octets((1 << 20) + 5, 3))
    assert (site / "text").read_text("utf-8") == "é"
    assert len(list((site / "tree").rglob("*.txt"))) == 102
    assert (site / "tree/01/01.txt").stat().st_size == 3


@pytest.mark.parametrize(("told", "found"), [
    ((), ""), ("7.1", "7.1"), (("{python}", "-c", "print(); print(' one '); print('two')"), "one"),
    (("{python}", "-c", "import sys; print('to stderr', file=sys.stderr)"), "to stderr"),
    (("./no-such",), "")])
def test_versions(tmp_path: Path, told: Any, found: str) -> None:
    place = contestants.Place(tmp_path, tmp_path, tmp_path, 1, "s")
    assert contestants.version(Contestant("a", ("a",), version=told), place) == found


# -- Answers -------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
SEEN = Seen(200, 5, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", 60, False)
ANSWERS = {
    "a length": (HEAD + b"Content-Length: 5\r\n\r\nhello", (200, 5, False)),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", (200, 5, False)),
    "until the end": (HEAD + b"\r\nhello", (200, 5, True)),
    "close": (HEAD + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello", (200, 5, True)),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, 0, False)),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n", (200, 0, False)),
}
BROKEN = {
    "nothing": (b"", "ended the connection instead of answering"),
    "cut short": (HEAD + b"Content-Length: 9\r\n\r\nhello", "before its answer was whole"),
    "a chunk cut short": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhello", "answer was whole"),
    "another protocol": (b"SSH-2.0-x\r\n", "what is no HTTP"),
}


@pytest.fixture
def answering() -> Iterator[Any]:
    """A function that returns the address of who sends some octets to each connection, and ends it."""
    processes: list[subprocess.Popen[str]] = []
    code = "import socket, sys\nserver = socket.create_server(('127.0.0.1', 0))\n" \
           "print(server.getsockname()[1], flush=True)\nwhile True:\n    sock = server.accept()[0]\n" \
           "    sock.recv(9999); sock.sendall(bytes.fromhex(sys.argv[1])); sock.shutdown(1); sock.recv(1)\n" \
           "    sock.close()"

    def start(octets: bytes) -> Address:
        process = subprocess.Popen([sys.executable, "-c", code, octets.hex()], stdout=subprocess.PIPE,
                                   text=True)
        processes.append(process)
        assert process.stdout
        return Address("127.0.0.1", int(process.stdout.readline()))

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("octets", "seen"), ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_is_read(answering: Any, octets: bytes, seen: tuple[int, int, bool]) -> None:
    found = asking.ask(answering(octets), Question("/"))[0]
    assert (found.status, found.octets, found.ends) == seen
    assert found.whole == len(octets)


@pytest.mark.parametrize(("octets", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_answer_is_told(answering: Any, octets: bytes, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        asking.ask(answering(octets), Question("/"))


def test_who_never_answers_is_told() -> None:
    with (socket.create_server(("127.0.0.1", 0)) as silent,
          pytest.raises(Wrong, match=r"no answer within 0\.2 s")):
        asking.ask(Address(*silent.getsockname()), Question("/"), patience=0.2)


@pytest.mark.parametrize(("expected", "first", "said"), [
    (Expected(), None, None), (Expected(), SEEN, None), (Expected(200, 5, SEEN.sha256.upper()), None, None),
    (Expected(octets=5), SEEN._replace(sha256="0"), None),
    (Expected(same=False), SEEN._replace(sha256="0"), None),
    (Expected(status=204), None, "answered 200 instead of 204"),
    (Expected(octets=6), None, "with 5 octets instead of 6"),
    (Expected(sha256="0"), None, "with another body: its SHA-256 is 2cf24"),
    (Expected(), SEEN._replace(sha256="0"), "another body than the first contestant"),
    (Expected(octets=5, same=True), SEEN._replace(sha256="0"), "another body than the first contestant"),
])
def test_an_answer_is_held_to_what_is_expected(
        expected: Expected, first: Seen | None, said: str | None) -> None:
    if said is None:
        asking.hold(SEEN, expected, first)
        return
    with pytest.raises(Wrong, match=said):
        asking.hold(SEEN, expected, first)


@pytest.mark.parametrize(("question", "octets"), [
    (Question("/a?b"), b"GET /a?b HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
    (Question("/", headers={"host": "x", "A": "b"}), b"GET / HTTP/1.1\r\nhost: x\r\nA: b\r\n\r\n"),
    (Question("/", "POST", body=b"abc"),
     b"POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\n\r\nabc"),
])
def test_a_question_as_it_is_sent(question: Question, octets: bytes) -> None:
    assert question.octets(Address("::1", 80)) == octets
    assert b"\r\nConnection: close\r\n" in question.octets(Address("::1", 80), close=True)
