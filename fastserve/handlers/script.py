"""A CGI script while it runs: its process, and what moves between it and a client.

The body goes to its stdin, its stdout to the client, its stderr to the log: each a piece at a time, and
whichever there is, so that a script may read and write in any order, and as much as it likes.

Knows processes and descriptors, and no HTTP. handlers.cgi makes one for a request.
"""

import atexit
import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final, Protocol

from fastserve.limits import CGI_GRACE, MAX_LINE, TICK

PIECE: Final = 65536  # what is moved at a time, and what a pipe holds on Linux

running: Final[set["Script"]] = set()


class Client(Protocol):
    """What a script talks to."""

    def fileno(self) -> int:
        """Return the descriptor that tells when there is more to read."""

    def read(self, size: int) -> bytes | None:
        """Return bytes of the body, None where none have come, b'' at its end. Never waits.

        Raises TimeoutError where they come too slowly.
        """

    def write(self, data: bytes) -> None:
        """Send bytes, and wait until they have left."""

    def log(self, line: str) -> None:
        """Note a line that the script has written to stderr."""


class Script:
    """The process of ``program`` (a path), whose argv is ``arguments``, in a process group of its own.

    ``owner`` is as whom it runs, in the words of subprocess.Popen. Raises OSError or ValueError where it
    cannot be started. As a context manager it ends with the block at the latest.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        has_body: bool,
        **owner: Any,
    ) -> None:
        self._process = subprocess.Popen(
            arguments,
            executable=program,
            env=environment,
            bufsize=0,
            stdin=subprocess.PIPE if has_body else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that what it starts can be ended with it
            **owner,
        )
        running.add(self)
        self._poller = select.poll()
        self._acts: dict[int, Callable[[], None]] = {}  # by descriptor: what to do when it is ready
        self._outputs = 2  # of stdout and stderr, those that have not ended
        self._piece = b""  # of the body, what the script has not taken
        self._starves = False  # it has taken all there was
        self._line = b""  # of stderr, the beginning of a line

    def exchange(self, client: Client, patience: float) -> bool:
        """Move everything; return whether the script has ended, False when nothing moved for ``patience``.

        That is in seconds. Raises ConnectionError where the client is gone, and what its methods raise.
        """
        self._client = client
        self._watch_output(self._process.stdout, client.write)
        self._watch_output(self._process.stderr, self._log)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
        self._fetch_body()
        try:
            return self._move(patience) and self._has_ended(patience)
        finally:
            if self._line:
                self._log(b"\n")

    def _move(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while self._outputs:
            # Before we look, as it may say its last words and end while we do.
            ended = self._process.poll() is not None
            ready = self._poller.poll(0 if ended else TICK * 1000)
            for fd, _ in ready:
                if fd in self._acts:  # still, after those before it
                    self._acts[fd]()
            if self._starves:
                self._fetch_body()  # also because it tells who is too slow
            if ready:
                deadline = time.monotonic() + patience
            elif ended:
                break  # what it left behind holds its pipes, and is not waited for
            elif time.monotonic() >= deadline:
                return False
        return True

    def _has_ended(self, patience: float) -> bool:
        """It has no more to say, but may still have something to do."""
        self._end_body()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        return self._process.returncode is not None

    def _watch(self, fd: int, events: int, act: Callable[[], None]) -> None:
        self._acts[fd] = act
        self._poller.register(fd, events)

    def _ignore(self, fd: int) -> None:
        if self._acts.pop(fd, None):
            self._poller.unregister(fd)

    # -- The output ------------------------------------------------------------------------------

    def _watch_output(self, pipe: IO[bytes] | None, write: Callable[[bytes], None]) -> None:
        assert pipe is not None
        fd = pipe.fileno()

        def pass_on() -> None:
            data = os.read(fd, PIECE)
            if data:
                write(data)
            else:
                self._outputs -= 1
                self._ignore(fd)

        self._watch(fd, select.POLLIN, pass_on)

    def _log(self, data: bytes) -> None:
        """Note each line; one that does not end is cut."""
        *lines, self._line = (self._line + data).split(b"\n")
        if len(self._line) > MAX_LINE:
            lines.append(self._line)
            self._line = b""
        for line in lines:
            self._client.log(line.decode("utf-8", "replace").rstrip("\r"))

    # -- The body --------------------------------------------------------------------------------

    def _fetch_body(self) -> None:
        """Take the next piece from the client; the script has taken the last one."""
        piece = self._client.read(PIECE)
        self._starves = piece is None
        if piece is None:
            self._watch(self._client.fileno(), select.POLLIN, self._fetch_body)
            return
        # To watch for nothing is to be told when the client is gone.
        self._watch(self._client.fileno(), 0, self._lose_client)
        if piece and self._process.stdin is not None:
            self._piece = piece
            self._watch(self._process.stdin.fileno(), select.POLLOUT, self._feed)
        else:
            self._end_body()

    def _feed(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            self._piece = self._piece[os.write(stdin.fileno(), self._piece) :]
        except BrokenPipeError:  # the script wants no more of it
            self._end_body()
            return
        if not self._piece:
            self._ignore(stdin.fileno())
            self._fetch_body()

    def _end_body(self) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            self._ignore(stdin.fileno())
            stdin.close()

    def _lose_client(self) -> None:
        raise ConnectionAbortedError("the client is gone")

    # -- The end ---------------------------------------------------------------------------------

    def end(self) -> int:
        """End what still runs of it; return its exit status, that of a signal being negative."""
        runs = self._process.poll() is None
        if runs:  # before its pipes close: of that it might die alone, and leave behind what it has started
            self.terminate()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if runs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CGI_GRACE)
            self._signal(signal.SIGKILL)
        code = self._process.wait()
        running.discard(self)
        return code

    def terminate(self) -> None:
        """Ask it to end, and wait for nothing. Any thread may."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all of the group has ended
            os.killpg(self._process.pid, number)

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.end()


@atexit.register
def terminate_all() -> None:
    """Leave no script behind: threads that wait for them are not waited for."""
    for script in list(running):
        script.terminate()
