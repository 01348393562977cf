"""Uploads by curl, and archives by curl, unzip and tar, of a server in a process of its own.

Memory stays flat whatever the size, and nothing is left of what breaks off, on either side.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Client, request, wait_until
from live.kinds import needs_curl
from live.process import WAIT, Process, run

from fastserve.handlers.paths import UNFINISHED

ON_THREADS = pytest.mark.parametrize("transfers", ["threads"], indirect=True)  # where these belong
FLAT = 24 << 20  # what a process may grow by, whatever it moves
GIB = 1 << 30
LARGE = (4 << 30) + (64 << 20)  # whose length 32 bits cannot say
MANY = 70_000  # entries, whose number 16 bits cannot say

pytestmark = needs_curl


class Transferring(Process):
    """A server of transferring.py, whose options these are."""

    def _program(self) -> list[str]:
        return [str(Path(__file__).with_name("transferring.py"))]

    def peak(self) -> int:
        """The most octets that were resident since it was asked last; 0 where the system does not tell."""
        most = 0
        with contextlib.suppress(OSError):
            for line in (self._proc / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    most = int(line.split()[1]) * 1024
            (self._proc / "clear_refs").write_text("5")
        return most

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(WAIT) == 0


@pytest.fixture(params=["threads", "loop"])
def transfers(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that starts a server with options; uploads go to ``served/up``."""
    (folder / "up").mkdir()
    started: list[Transferring] = []

    def start(*options: str) -> Transferring:
        loop = ["--loop"] * (request.param == "loop")
        log = tmp_path / f"stderr{len(started)}"
        server = Transferring(folder, log, "--upload", str(folder / "up"), *loop, *options)
        started.append(server)
        server.peak()
        return server

    try:
        yield start
        for server in started:
            if server.is_running():
                server.stop()
            assert "Traceback" not in server.log()
    finally:
        for server in started:
            server.end()


@contextlib.contextmanager
def flat(server: Transferring) -> Iterator[None]:
    """The most that it needs within the block is not much more than what it had."""
    server.peak()
    before = server.memory()
    yield
    if os.environ.get("FASTSERVE_KIND") != "sanitize":  # which keeps what is freed
        assert server.peak() - before < FLAT
    assert server.is_running()


def curl(*words: Any) -> tuple[int, str]:
    """The status that it was told, and the body."""
    told = run("curl", "-sS", "--max-time", str(WAIT), "-w", "\n%{http_code}", *words).decode()
    body, _, status = told.rpartition("\n")
    return int(status), body


def digest(path: Path) -> str:
    with path.open("rb") as file:
        told = hashlib.blake2b()
        while block := file.read(1 << 20):
            told.update(block)
    return told.hexdigest()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """5 MiB and a bit."""
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom((5 << 20) + 17))
    return path


@pytest.fixture
def huge(tmp_path: Path) -> Iterator[Path]:
    """1 GiB, no two MiB of which are the same."""
    path, block = tmp_path / "huge.bin", os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(GIB >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])
    yield path
    path.unlink()


# -- Uploads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [(), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect:"), ("--http1.0",)])
def test_put(transfers: Any, large: Path, how: tuple[str, ...]) -> None:
    server = transfers()
    assert curl(*how, "-T", large, f"{server.url}/up/") == (201, "/up/large.bin\n")
    assert (server.folder / "up" / "large.bin").read_bytes() == large.read_bytes()
    assert curl(*how, "-T", large, f"{server.url}/up/")[0] == 409
    assert curl(*how, "-T", large, f"{server.url}/large.bin")[0] == 405
    assert os.listdir(server.folder) == ["up"]


def test_overwriting(transfers: Any, large: Path, tmp_path: Path) -> None:
    server = transfers("--overwrite")
    small = tmp_path / "small"
    small.write_bytes(b"small")
    for each in (large, small):
        status, _ = curl("-T", each, f"{server.url}/up/x")
        assert status == (204 if each is small else 201)
        assert run("curl", "-sSf", f"{server.url}/up/x") == each.read_bytes()
    assert os.listdir(server.folder / "up") == ["x"]


def test_forms(transfers: Any, large: Path, tmp_path: Path) -> None:
    server = transfers()
    (server.folder / "up" / "sub").mkdir()
    names = ["plain.txt", "with space", 'quo"te', "back\\slash", "ünïcode", "semi;colon,comma"]
    words: list[Any] = ["-F", "comment=hello"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        words += ["-F", f'file=@"{tmp_path}/{quoted}"']
    status, body = curl(*words, "-F", f"file=@{large}", "-H", "Accept: text/plain", f"{server.url}/up/sub/")
    assert (status, len(body.splitlines())) == (201, len(names) + 1)
    stored = {path.name: path.read_bytes() for path in (server.folder / "up" / "sub").iterdir()}
    # As with browsers of old, a backslash parts folders.
    kept = {name.rpartition("\\")[2]: name.encode() for name in names}
    assert stored == {**kept, "large.bin": large.read_bytes()}
    for url in body.splitlines():
        assert run("curl", "-sSf", server.url + url) == stored[url_name(url)]


def url_name(url: str) -> str:
    from urllib.parse import unquote

    return unquote(url.rpartition("/")[2])


def test_the_same_form_again(transfers: Any, large: Path) -> None:
    server = transfers()
    for name in ("large.bin", "large%20%281%29.bin", "large%20%282%29.bin"):
        assert curl("-F", f"f=@{large}", f"{server.url}/up/") == (201, f"/up/{name}\n")


def test_a_browsers_form_is_followed_to_the_folder(transfers: Any, large: Path) -> None:
    server = transfers()
    status, body = curl("-L", "-H", "Accept: text/html", "-F", f"f=@{large}", f"{server.url}/up")
    assert status == 200
    assert "large.bin" in body


def sent(*words: Any) -> tuple[int, int]:
    """The status, and how many octets of the body curl has sent."""
    done = subprocess.run(
        ["curl", "-sS", "-o", os.devnull, "--max-time", str(WAIT), "-w", "%{http_code} %{size_upload}",
         *map(str, words)], capture_output=True, timeout=2 * WAIT)
    status, size = done.stdout.split()
    return int(status), int(size)


WAITING = ("-H", "Expect: 100-continue", "--expect100-timeout", "600")


def test_what_is_refused_is_not_sent(transfers: Any, large: Path) -> None:
    server = transfers("--limit", "1000000")
    (server.folder / "up" / "there").write_bytes(b"")
    assert sent(*WAITING, "-T", large, f"{server.url}/up/x") == (413, 0)
    assert sent(*WAITING, "-T", large, f"{server.url}/x") == (405, 0)
    assert sent(*WAITING, "-F", f"f=@{large}", f"{server.url}/up/") == (413, 0)
    assert sent(*WAITING, "-H", "Origin: http://evil", "-T", large, f"{server.url}/up/x") == (403, 0)
    assert os.listdir(server.folder / "up") == ["there"]


def test_a_client_that_does_not_wait_is_told(transfers: Any, large: Path) -> None:
    """Though it is still sending when it is refused."""
    server = transfers("--limit", "100000")
    for _ in range(5):
        unasked = ("-H", "Expect:", "-T", large)
        assert sent(*unasked, f"{server.url}/up/x")[0] == 413
        assert sent(*unasked, "-H", "Transfer-Encoding: chunked", f"{server.url}/up/x")[0] == 413
        assert sent(*unasked, f"{server.url}/elsewhere")[0] == 405
    assert os.listdir(server.folder / "up") == []


@pytest.mark.slow
@ON_THREADS
def test_memory_stays_flat_while_a_gib_comes_in(transfers: Any, huge: Path) -> None:
    server = transfers("--limit", str(2 * GIB))
    expected = digest(huge)
    for words in (("-T", huge), ("-H", "Transfer-Encoding: chunked", "-T", huge), ("-F", f"f=@{huge}")):
        with flat(server):
            assert curl(*words, f"{server.url}/up/")[0] == 201
        stored, = (server.folder / "up").iterdir()
        assert digest(stored) == expected
        stored.unlink()


def is_receiving(folder: Path) -> bool:
    return any(each.name.startswith(UNFINISHED) and each.stat().st_size > 0 for each in folder.iterdir())


@contextlib.contextmanager
def slowly(server: Process, file: Path, *words: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A curl that is sending at 1 MiB a second, once something of it has been received."""
    command = ["curl", "-sS", "-o", os.devnull, "--limit-rate", "1M", *map(str, words), f"{server.url}/up/"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as client:
        try:
            assert wait_until(lambda: is_receiving(server.folder / "up"), WAIT)
            yield client
        finally:
            client.kill()


@pytest.mark.parametrize("form", [False, True])
def test_a_client_that_is_killed_leaves_nothing(transfers: Any, large: Path, form: bool) -> None:
    server = transfers()
    words = ("-F", f"a=@{large}", "-F", f"b=@{large}") if form else ("-T", large)
    with slowly(server, large, *words) as client:
        client.kill()
        assert wait_until(lambda: not os.listdir(server.folder / "up"), WAIT)
    assert curl("-T", large, f"{server.url}/up/")[0] == 201


def test_a_server_that_ends_leaves_nothing(transfers: Any, large: Path) -> None:
    server = transfers()
    with slowly(server, large, "-T", large):
        server.interrupt()
        assert os.listdir(server.folder / "up") == []


@pytest.fixture
def full_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MiB at ``served/up``, where we may mount one."""
    (folder / "up").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder / "up")]
    may = os.geteuid() == 0 and shutil.which("mount") is not None
    if not may or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    yield folder / "up"
    subprocess.run(["umount", "-l", str(folder / "up")], check=True)


def test_a_full_disk(full_disk: Path, folder: Path, tmp_path: Path, large: Path) -> None:
    server = Transferring(folder, tmp_path / "stderr", "--upload", str(full_disk))
    try:
        assert sent(*WAITING, "-T", large, f"{server.url}/up/x") == (507, 0)
        assert sent("-H", "Transfer-Encoding: chunked", "-T", large, f"{server.url}/up/x")[0] == 507
        assert os.listdir(full_disk) == []
        server.stop()
    finally:
        server.end()


# -- Archives --------------------------------------------------------------------------------------


def entries(folder: Path) -> dict[str, bytes | None]:
    """What is in a folder by its names; folders have no content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")}


@pytest.fixture
def music(folder: Path, large: Path) -> Path:
    """``served/music`` with awkward names, and all sizes."""
    path = folder / "music"
    (path / "a b" / "ü" / "deep").mkdir(parents=True)
    (path / "empty").mkdir()
    for name, content in {
        "large.bin": large.read_bytes(), "zeros": bytes(3 << 20), "a b/quo'te\"": b"quote",
        "a b/ü/日本.txt": b"u", "a b/ü/deep/-rf": b"dash", "nothing": b"", "n" * 240: b"long",
        "a b/512": b"x" * 512, ".dot": b"dot",
    }.items():
        (path / name).write_bytes(content)
    return path


UNPACKERS = {
    "unzip": ("zip", ["unzip", "-q", "FILE"]),
    "bsdtar of zip": ("zip", ["bsdtar", "-xf", "FILE"]),
    "streaming bsdtar of zip": ("zip", ["sh", "-c", "cat FILE | bsdtar -xf -"]),
    "tar": ("tar", ["tar", "-xf", "FILE"]),
    "bsdtar of tar": ("tar", ["bsdtar", "-xf", "FILE"]),
}


@pytest.mark.parametrize("unpacker", UNPACKERS)
def test_what_others_unpack(transfers: Any, music: Path, tmp_path: Path, unpacker: str) -> None:
    server = transfers()
    kind, command = UNPACKERS[unpacker]
    if shutil.which(command[0]) is None or ("bsdtar" in unpacker and shutil.which("bsdtar") is None):
        pytest.skip(f"{unpacker} is not installed")
    out = tmp_path / "out"
    out.mkdir()
    run("curl", "-sSfOJ", f"{server.url}/music/?archive={kind}", cwd=out)
    file = out / f"music.{kind}"
    words = [word.replace("FILE", str(file)) for word in command]
    run(*words, cwd=out, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert entries(out / "music") == entries(music)


@pytest.mark.slow
@ON_THREADS
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_memory_stays_flat_while_gibs_leave(transfers: Any, folder: Path, tmp_path: Path, kind: str) -> None:
    """A sparse file of more than 4 GiB, and one behind it: what a zip says of both is longer than 32 bits."""
    server = transfers()
    (folder / "many").mkdir()
    with (folder / "many" / "sparse.png").open("wb") as file:
        file.truncate(LARGE)
    (folder / "many" / "then").write_bytes(os.urandom(100_000))
    command = ["curl", "-sSf", f"{server.url}/many/?archive={kind}"]
    with flat(server), subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        assert client.stdout
        count, tail = 0, b""
        while block := client.stdout.read1(1 << 20):  # type: ignore[attr-defined]
            count, tail = count + len(block), (tail + block)[-300_000:]
        assert client.wait(WAIT) == 0
    assert count > LARGE
    if kind == "tar":
        assert (folder / "many" / "then").read_bytes() in tail
    else:
        assert b"PK\6\6" in tail  # zip64


@pytest.mark.slow
@ON_THREADS
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_memory_stays_flat_with_many_entries(
        transfers: Any, folder: Path, tmp_path: Path, kind: str) -> None:
    server = transfers()
    (folder / "many").mkdir()
    for number in range(MANY):
        (folder / "many" / f"{number:06}.txt").touch()
    with flat(server):
        run("curl", "-sSf", "-o", tmp_path / "archive", f"{server.url}/many/?archive={kind}")
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "archive") as opened:
            names = opened.namelist()
    else:
        with tarfile.open(tmp_path / "archive") as tar:
            names = [member.name for member in tar]
    assert names[1:] == [f"many/{number:06}.txt" for number in range(MANY)]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_client_that_goes_away(transfers: Any, music: Path, kind: str) -> None:
    server = transfers()
    descriptors = server.descriptors()
    for _ in range(5):
        with Client(server.address) as client:
            client.send(request("GET", f"/music/?archive={kind}"))
            assert client.sock.recv(1000)
    assert wait_until(lambda: server.descriptors() <= descriptors, WAIT)
    assert curl("-o", os.devnull, f"{server.url}/music/?archive={kind}")[0] == 200
