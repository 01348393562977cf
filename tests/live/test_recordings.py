"""The cache of recordings at its bounds: far more files than it may keep, all of them large, slow readers.

A server in a process of its own, whose memory and descriptors are counted. Without a lane nothing is kept,
and all but the assertions that say so hold as well.
"""

import contextlib
import functools
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, Running, nothing_left_behind, request, running, wait_until
from live import octets
from live.process import WAIT, Download, ends_well, finish, gives_back
from live.replaying import Replaying

import fastserve
from fastserve import limits

SETTLING = 1.2
PIPELINE = 32
IN_FOLDER = 1000
LARGE = 70_000  # octets: sent from a descriptor
MEMORY = 4 << 20  # octets that a process may have more than before, once it has answered everything once
SLOW = 2  # files that are read slowly
ROOM = 1 << 30
AGAIN = 30_000  # files that are asked for again
CHANGES = ["evicted", "replaced", "removed", "linked"]


def body(number: int) -> bytes:
    """Of a small file; no two neighbours have the same length."""
    return octets.body(number * 7919, 20 + number % 211)


def name(number: int) -> str:
    return f"/{number // IN_FOLDER}/{number}"


def make_small(folder: Path, count: int) -> None:
    for number in range(count):
        if number % IN_FOLDER == 0:
            (folder / str(number // IN_FOLDER)).mkdir()
        (folder / name(number)[1:]).write_bytes(body(number))


def make_large(folder: Path, count: int) -> None:
    """With holes, but for what they begin with."""
    for number in range(count):
        with open(folder / f"large{number}", "wb") as file:
            file.write(b"%08d" % number)
            file.truncate(LARGE)


def make_slow(folder: Path) -> None:
    """Larger than what a socket takes, and for every change that is made others."""
    for number in range(SLOW):
        for change in CHANGES:
            (folder / f"{change}{number}").write_bytes(slow(number))


@functools.cache
def slow(number: int) -> bytes:
    return octets.body(number * 7919, 1 << 20) * 8


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """In memory, where there is room: to remove 100,000 files from a disk may take minutes."""
    home = None
    with contextlib.suppress(OSError):
        home = "/dev/shm" if shutil.disk_usage("/dev/shm").free > ROOM else None
    with tempfile.TemporaryDirectory(dir=home) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    """A folder with all files but those of the slow tests; it is settled."""
    with empty_folder() as folder:
        make_small(folder, 3000)
        make_large(folder, 520)
        make_slow(folder)
        time.sleep(SETTLING)
        yield folder


@pytest.fixture
def own() -> Iterator[Path]:
    """An empty one."""
    with empty_folder() as folder:
        yield folder


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[Replaying]:
    with tempfile.TemporaryDirectory() as home, ends_well(Replaying(folder, Path(home), *options)) as server:
        yield server


def ask_all(server: Replaying, targets: Sequence[str], expected: Any, method: str = "GET") -> None:
    """In pipelines on one connection; ``expected`` gives the body of each."""
    with Client(server.address, WAIT) as client:
        for at in range(0, len(targets), PIPELINE):
            batch = targets[at : at + PIPELINE]
            client.send(b"".join(request(method, target) for target in batch))
            for target in batch:
                reply = client.reply(method)
                assert reply is not None, target
                assert (reply.status, reply.body) == (200, expected(target)), target


def small(target: str) -> bytes:
    return body(int(target.partition("?")[0].rpartition("/")[2]))


def large(target: str) -> bytes:
    return (b"%08d" % int(target.removeprefix("/large"))).ljust(LARGE, b"\0")


def length(server: Replaying) -> int:
    return server.figures().get("len", 0)


# -- Many --------------------------------------------------------------------------------------


def go_through(folder: Path, files: int, recordings: int) -> None:
    """All of them, and many again, those that are asked for often in between."""
    chance = random.Random(1)
    often = [name(number) for number in range(recordings // 5)]
    targets = [name(number) for number in range(files)]
    with served(folder, "--recordings", str(recordings)) as server:
        ask_all(server, targets, small)
        with gives_back(server, MEMORY):
            before = server.figures().get("hits", 0)
            chance.shuffle(targets)
            for at in range(0, min(files, AGAIN), recordings // 2):
                ask_all(server, often * 2 + targets[at : at + recordings // 2], small)
                assert length(server) <= recordings
        hits = server.figures().get("hits", 0) - before
        assert hits > min(files, AGAIN) / 4, "little was sent from a recording"
        assert length(server) == recordings


def test_many_files_through_a_small_cache(site: Path) -> None:
    go_through(site, 3000, 50)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_very_many_files_through_a_small_cache(own: Path) -> None:
    make_small(own, 100_000)
    time.sleep(SETTLING)
    go_through(own, 100_000, 1000)


def test_many_targets_for_a_few_files(site: Path) -> None:
    """Queries, parts, conditions, fields, and names of nothing: whatever makes an answer another one."""
    with served(site, "--recordings", "50") as server:
        ask_all(server, [f"{name(number % 10)}?{number}" for number in range(1000)], small)
        with gives_back(server, MEMORY), Client(server.address, WAIT) as client:
            for number in range(1000):
                target, octet = name(number % 10), number % 19
                fields = [f"Range: bytes={octet}-", f'If-None-Match: "{number}"', f"X-{number}: {number}",
                          f"Accept-Encoding: x{number}", f"User-Agent: {number}"][number % 5]
                reply = client.ask(request("GET", target, fields))
                assert reply.body == small(target)[octet if number % 5 == 0 else 0 :]
            for number in range(200):
                with Client(server.address, WAIT) as other:
                    assert other.ask(request(target=f"/missing/{number}")).status == 404
            assert length(server) <= 50


@pytest.mark.slow
def test_no_more_octets_than_there_may_be(own: Path) -> None:
    """Of files that are kept in memory, each as large as one may be; more than fit."""
    size = limits.MAX_COPIED_FILE
    most = getattr(limits, "MAX_RECORDED_OCTETS", 8 << 20)
    content = octets.body(1, size)
    targets = [f"/{number}" for number in range(most // size * 5 // 4)]
    for target in targets:
        (own / target[1:]).write_bytes(content)
    time.sleep(SETTLING)
    with served(own) as server:
        before = server.memory()
        for _ in range(2):
            ask_all(server, targets, lambda target: content)
        assert server.figures().get("octets", 0) <= most
        assert server.memory() - before < most * 1.25 + (16 << 20)


# -- Large -------------------------------------------------------------------------------------


def test_large_files_and_few_descriptors(site: Path) -> None:
    """More files than the process may have descriptors, and then a crowd of clients."""
    targets = [f"/large{number}" for number in range(500)]
    with served(site, "--descriptors", "256") as server, contextlib.ExitStack() as stack:
        for _ in range(2):
            ask_all(server, targets, large)
        assert server.figures().get("descriptors", 0) <= getattr(limits, "MAX_RECORDED_FILES", 256)
        assert server.all_descriptors() < 200
        clients = [stack.enter_context(Client(server.address, WAIT)) for _ in range(60)]
        pairs = list(zip(clients, targets[-60:], strict=True))
        for client, target in pairs:
            client.send(request(target=target))
        for client, target in pairs:
            reply = client.reply()
            assert reply is not None
            assert reply.body == large(target)


def test_descriptors_of_large_files_are_bounded(site: Path) -> None:
    """By the number of recordings too."""
    targets = [f"/large{number}" for number in range(200)]
    with served(site, "--recordings", "20") as server:
        ask_all(server, targets[:1], large)
        alone = server.all_descriptors()
        for _ in range(2):
            ask_all(server, targets, large)
        assert server.all_descriptors() <= alone + 20
        assert server.figures().get("descriptors") == 20, "there are none"


def test_descriptors_of_files_that_are_gone(site: Path) -> None:
    """They are closed once somebody has asked for such a file."""
    with served(site) as server:
        targets = [f"/large{number}" for number in range(500, 520)]
        ask_all(server, targets[:1], large)
        alone = server.all_descriptors()
        ask_all(server, targets * 2, large)
        for target in targets:
            (site / target[1:]).unlink()
            with Client(server.address, WAIT) as client:
                assert client.ask(request(target=target)).status == 404
        assert wait_until(lambda: server.all_descriptors() <= alone)


def slow_reader(server: Any, target: str, expected: bytes) -> Download:
    """Which keeps little between the two ends."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    sock.settimeout(WAIT)
    sock.connect(server.address)
    download = Download.__new__(Download)
    download.sock, download.received, download.fault = sock, 0, ""
    download._expected, download._head = expected, b""
    sock.sendall(request(target=target))
    return download


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_closed_under_a_send(change: str, site: Path) -> None:
    """Readers of large files, from recordings and not, while these leave the cache, and their names."""
    downloads = []
    with served(site, "--recordings", "4") as server, contextlib.ExitStack() as stack:
        for number in [*range(SLOW)] * 3:
            downloads.append(slow_reader(server, f"/{change}{number}", slow(number)))
            stack.enter_context(downloads[-1].sock)
            assert downloads[-1].more()
        for number in range(SLOW):
            change_under(site / f"{change}{number}", change)
        for _ in range(2):
            ask_all(server, [f"/large{number}" for number in range(20)], large)
        assert length(server) <= 4
        finish(downloads)
    assert [download.fault for download in downloads] == [""] * len(downloads)


def change_under(path: Path, change: str) -> None:
    if change == "replaced":
        path.with_name("next").write_bytes(b"other")
        path.with_name("next").replace(path)
    elif change == "removed":
        path.unlink()
    elif change == "linked":
        path.unlink()
        path.symlink_to("large0")


# -- In one process ----------------------------------------------------------------------------


class Files(fastserve.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass


def make_server(folder: Path) -> Any:
    return fastserve.HTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(folder)))


def test_nothing_is_left_when_serving_ends(site: Path) -> None:
    targets = [f"/large{number}" for number in range(10)]
    for _ in range(2):
        with nothing_left_behind(), running(make_server(site)) as address, Client(address) as client:
            for target in targets * 3:
                assert client.ask(request(target=target)).body == large(target)


def test_serving_again(own: Path) -> None:
    """What was recorded before may be kept, or not, but is right."""
    (own / "file").write_bytes(b"first")
    time.sleep(SETTLING)
    with nothing_left_behind(), make_server(own) as server:
        for content in (b"first", b"second", b"third"):
            (own / "file").write_bytes(content) if content != b"first" else None
            runner = Running(server)
            with Client(server.server_address) as client:
                for _ in range(3):
                    assert client.ask(request(target="/file")).body == content
            server.shutdown()
            runner.thread.join(WAIT)
            assert not runner.thread.is_alive()
