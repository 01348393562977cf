"""`python -m fastserve.rig origin` as people start it: a process of its own, its lines, its end."""

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, ask, children, listening, request, wait_until
from pairs import certificate
from test_cli import GOODBYE, PACKAGE_HOME, WAIT, Server, needs_ipv6, serving

RIG = ("-m", "fastserve.rig")


@contextlib.contextmanager
def origin(*words: str) -> Iterator[Server]:
    with serving("origin", *words, "0", program=RIG) as server:
        yield server


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """What Python does with these words, to its end."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_HOME)}
    return subprocess.run([sys.executable, *words], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=WAIT)


def refused(*words: str) -> str:
    """What is said, in one line, to who starts it wrongly."""
    done = run(*RIG, *words)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fastserve: error: ")
    return done.stderr.removeprefix("fastserve: error: ").rstrip()


def test_it_serves_this_machine_alone() -> None:
    with origin() as server:
        port = server.port
        assert server.banner == f"Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...\n"
        assert server.get("/plaintext")[1] == b"Hello, World!"
        assert json.loads(server.get("/config")[1])["seed"] == 0
        status, out, err = server.signal(signal.SIGTERM)
        assert (status, out, err) == (0, "", "")


def test_ctrl_c() -> None:
    with origin("--log") as server:
        server.get("/bytes/3")
        status, out, err = server.signal(signal.SIGINT)
        assert (status, out) == (0, GOODBYE)
        assert re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "GET /bytes/3 HTTP/1\.1" 200 -\n', err)


def test_a_seed() -> None:
    from fastserve.rig.origin.answers import Octets

    with origin("--seed", "31") as server:
        assert server.get("/bytes/500")[1] == bytes(Octets(500, 31))


@needs_ipv6
def test_another_address() -> None:
    with origin("--bind", "::1") as server:
        assert server.get("/plaintext", host="::1")[1] == b"Hello, World!"


def test_tls() -> None:
    pem = certificate()
    context = ssl.create_default_context(cafile=str(pem))
    context.check_hostname = False
    with origin("--tls-cert", str(pem)) as server:
        assert server.banner.startswith("Serving HTTPS on 127.0.0.1 port ")
        assert json.loads(server.get("/get", context=context)[1])["url"] == f"https://127.0.0.1:{server.port}/get"


def test_an_answer_under_way_is_finished() -> None:
    with origin() as server, Client(("127.0.0.1", server.port), WAIT) as client:
        client.send(request(target="/range/10?duration=1&chunk_size=1"))
        assert client.sock.recv(1)
        server.process.send_signal(signal.SIGTERM)
        assert client.rest().endswith(b"\r\n\r\nabcdefghij")
        assert server.process.wait(WAIT) == 0


LARGE = 400 << 20


def peak(pid: int) -> int:
    """The most octets of memory that a process has ever had."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) << 10


def send_zeros(client: Client, octets: int) -> None:
    for _ in range(octets >> 20):
        client.send(bytes(1 << 20))


def read(client: Client, octets: int) -> None:
    buffer = bytearray(1 << 20)
    while octets > 0 and (count := client.sock.recv_into(buffer)):
        octets -= count
    assert octets <= 0


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("target", "sent", "received"), [
    ("/upload", LARGE, 1), ("/echo", LARGE, LARGE), (f"/bytes/{1 << 40}", 0, LARGE),
    (f"/stream-bytes/{1 << 40}", 0, LARGE), (f"/range/{LARGE}?chunk_size=100000", 0, LARGE),
])
def test_memory_stays_the_same(target: str, sent: int, received: int) -> None:
    with origin() as server, Client(("127.0.0.1", server.port), WAIT) as client:
        server.get("/bytes/10000000")  # it has its block and its file by now
        before = peak(server.process.pid)
        fields = [f"Content-Length: {sent}"] if sent else []
        client.send(request("POST" if sent else "GET", target, *fields))
        sender = threading.Thread(target=send_zeros, args=(client, sent))
        sender.start()
        read(client, received)
        sender.join(WAIT)
        assert peak(server.process.pid) - before < 40 << 20


# -- Workers -----------------------------------------------------------------------------------


def ask_both(port: int) -> set[int]:
    """The processes that answer; the kernel spreads connections over them."""
    found = set()
    for _ in range(100):
        found.add(json.loads(ask(("127.0.0.1", port), request(target="/hostname")).body)["pid"])
        if len(found) == 2:
            break
    return found


def stats(address: Any) -> Any:
    return json.loads(ask(address, request(target="/stats")).body)


def test_workers_count_together() -> None:
    with origin("--workers", "2") as server:
        address = ("127.0.0.1", server.port)
        assert ask_both(server.port) == children(server.process.pid)
        for _ in range(40):
            ask(address, request(target="/get"))
        assert wait_until(lambda: stats(address)["endpoints"]["/get"]["count"] == 40, WAIT)
        said = [stats(address) for _ in range(10)]
        assert {each["endpoints"]["/get"]["count"] for each in said} == {40}
        assert len({each["connections"]["accepted"] for each in said}) == 10  # each asked once more
        ask(address, request("POST", "/reset-stats"))
        for _ in range(10):
            assert "/get" not in stats(address)["endpoints"]
        status, _, err = server.signal(signal.SIGTERM)
        assert (status, err) == (0, "")


def test_a_worker_that_is_lost_is_replaced_and_its_counts_are_not() -> None:
    with origin("--workers", "2") as server:
        address = ("127.0.0.1", server.port)
        for _ in range(20):
            ask(address, request(target="/get"))
        assert wait_until(lambda: stats(address)["endpoints"]["/get"]["count"] == 20, WAIT)
        lost = min(children(server.process.pid))
        os.kill(lost, signal.SIGKILL)
        assert wait_until(lambda: len(children(server.process.pid) - {lost}) == 2, WAIT)

        def count() -> Any:
            with contextlib.suppress(OSError, AssertionError):  # a connection that the lost one had
                return stats(address)["endpoints"]["/get"]["count"]

        assert wait_until(lambda: count() == 20, WAIT)
        server.process.terminate()
        server.process.wait(WAIT)


# -- What is said wrongly ----------------------------------------------------------------------


@pytest.mark.parametrize(("words", "said"), [
    (["origin", "x"], "port 'x' is not a number from 0 to 65535"),
    (["origin", "70000"], "port '70000' is not a number from 0 to 65535"),
    (["origin", "1", "2"], "unrecognized arguments: 2"),
    (["origin", "--seed", "-1"], "seed '-1' is not a number"),
    (["origin", "--seed", "x"], "seed 'x' is not a number"),
    (["origin", "--seed", str(1 << 63)], "is not a number from 0"),
    (["origin", "--workers", "0"], "number of workers '0'"),
    (["origin", "--grace", "x"], "grace 'x'"),
    (["origin", "--tls-key", "x"], "need --tls-cert"),
    (["origin", "--tls-cert", "/nowhere/x.pem", "0"], "cannot read the certificate '/nowhere/x.pem'"),
    (["origin", "--bind", "999.1.1.1", "0"], "give --bind one of this machine"),
    (["origin", "--bind", "192.0.2.1", "0"], "this machine has no such address"),
    (["origin", "--nonsense"], "unrecognized arguments: --nonsense"),
    (["nonsense"], "invalid choice: 'nonsense'"),
    ([], "command"),
])
def test_one_line_says_what_is_wrong(words: list[str], said: str) -> None:
    assert said in refused(*words)


def test_a_port_that_is_in_use() -> None:
    with listening() as sock:
        assert "it is in use; choose another port" in refused("origin", str(sock.getsockname()[1]))


def test_help_names_every_command() -> None:
    done = run(*RIG, "--help")
    assert done.returncode == 0
    for name in ("origin", "measure", "report", "locust"):
        assert re.search(rf"^ +{name} ", done.stdout, re.MULTILINE)


def test_the_origin_needs_no_extra_and_none_of_the_other_commands() -> None:
    code = ("import sys; sys.argv[1:] = ['origin', '--help']\n"
            "from fastserve.rig import cli\n"
            "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
            "import fastserve.rig.origin\n"
            "wanted = ('psutil', 'hdrh', 'rich', 'plotly', 'jinja2', 'locust', 'fastserve.rig.measure',\n"
            "          'fastserve.rig.report')\n"
            "print([name for name in wanted if name in sys.modules], file=sys.stderr)")
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "[]\n"), done
