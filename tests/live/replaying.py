"""A server of files in a process of its own, and what it says of its recordings.

`python tests/live/replaying.py -d FOLDER --server loop` is the program, Replaying starts it. Its log goes
nowhere, by a hook such as people write, so that stderr is for what goes wrong. torture.py and
test_recordings.py use it. Knows public names, and lies when it is told to.
"""

import argparse
import contextlib
import ctypes
import functools
import io
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from live.process import WAIT, Hosted

SERVERS = {"loop": "HTTPServer", "threads": "ThreadingHTTPServer"}
FIGURES = ("hits", "octets", "descriptors")

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


class Replaying(Hosted):
    """The server, whose options these are."""

    def __init__(self, folder: Path, home: Path, *options: str) -> None:
        self._figures = str(home / "figures")
        super().__init__(folder, home / "stderr", "--figures", self._figures, *options)

    def _program(self) -> list[str]:
        return [str(Path(__file__))]

    def all_descriptors(self) -> int:
        """Those of recordings too."""
        return sum(len(os.listdir(each / "fd")) for each in self.processes())

    def figures(self) -> dict[str, int]:
        """Of its recordings: their number as ``len``, and FIGURES; {} where there are none."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(WAIT)
            sock.connect(self._figures)
            return json.loads(b"".join(iter(lambda: sock.recv(1 << 16), b"")))  # type: ignore[no-any-return]


# -- To see that what is wrong is seen ------------------------------------------------------------


class Stale:
    """A file that was opened is good for a while."""

    kept: dict[str, tuple[float, int]] = {}

    def send_head(self: Any) -> Any:
        path = self.translate_path(self.path)
        if not os.path.isfile(path):
            return super().send_head()  # type: ignore[misc]
        when, fd = self.kept.get(path, (0, -1))
        if time.monotonic() > when + 0.5:
            try:
                fd = os.open(path, os.O_RDONLY)  # it is a short life
            except OSError:  # moved or forbidden since
                return super().send_head()  # type: ignore[misc]
            self.kept[path] = time.monotonic(), fd
        file = io.FileIO(os.dup(fd))
        file.seek(0)
        return self.send_file_head(path, file)


class Mixed:
    """The second half is what it was the last time."""

    kept: dict[str, bytes] = {}

    def copyfile(self: Any, source: Any, outputfile: Any) -> None:
        data = source.read()
        before = self.kept.get(self.path, b"")
        self.kept[self.path] = data
        half = len(data) // 2
        outputfile.write(data[:half] + before[half:] if len(before) == len(data) else data)


class Unmodified:
    """Whatever a client has, it may keep."""

    def do_GET(self: Any) -> None:
        if '"none"' in self.headers.get("If-None-Match", '"none"'):
            super().do_GET()  # type: ignore[misc]
            return
        self.send_response(304)
        self.send_header("ETag", self.headers["If-None-Match"])
        self.end_headers()


class Short:
    """One octet less than is said of large files."""

    def copyfile(self: Any, source: Any, outputfile: Any) -> None:
        data = source.read()
        outputfile.write(data[:-1] if len(data) > 50_000 else data)


LIES: dict[str, Any] = {"stale": Stale, "mixed": Mixed, "unmodified": Unmodified, "short": Short}


# -- The program -------------------------------------------------------------------------------


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("-d", dest="folder", required=True)
    parser.add_argument("--server", choices=SERVERS, default="loop")
    parser.add_argument("--figures", required=True, help="a unix socket on which they are told")
    parser.add_argument("--recordings", type=int, help="at most")
    parser.add_argument("--descriptors", type=int, help="how many the process may have")
    parser.add_argument("--set", default="{}", help="attributes of the handler's class, in JSON")
    parser.add_argument("--unprivileged", action="store_true", help="let root be told what it may not read")
    parser.add_argument("--lie", choices=LIES)
    return parser.parse_args()


def say_nothing(self: Any, format: str, *args: Any) -> None:
    pass


def make_server(args: argparse.Namespace) -> Any:
    import fastserve

    more = {} if args.recordings is None else {"max_recordings": args.recordings}
    lies = (LIES[args.lie],) if args.lie else ()
    attributes = {"protocol_version": "HTTP/1.1", "log_message": say_nothing, **json.loads(args.set)}
    handler = type("Handler", (*lies, fastserve.SimpleHTTPRequestHandler), attributes)
    server = type("Server", (getattr(fastserve, SERVERS[args.server]),), more)
    return server(("127.0.0.1", 0), functools.partial(handler, directory=args.folder))


def tell_figures(server: Any, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            with listener.accept()[0] as sock, contextlib.suppress(OSError):
                sock.sendall(json.dumps(figures(server)).encode())


def figures(server: Any) -> dict[str, int]:
    recordings = getattr(server, "recordings", None)
    if recordings is None:
        return {}
    return {"len": len(recordings), **{name: getattr(recordings, name) for name in FIGURES}}


def give_up_privileges() -> None:
    """Begin again as a process to which the modes of files apply, also where it is root's."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    os.execv(sys.executable, [sys.executable, *(word for word in sys.argv if word != "--unprivileged")])


def end(*args: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(0)


def main() -> None:
    args = options()
    if args.unprivileged and os.geteuid() == 0:
        give_up_privileges()
    if args.descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (args.descriptors, args.descriptors))
    signal.signal(signal.SIGTERM, end)
    with make_server(args) as server:
        threading.Thread(target=tell_figures, args=(server, args.figures), daemon=True).start()
        print(f"Serving HTTP on 127.0.0.1 port {server.server_port} ...", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
