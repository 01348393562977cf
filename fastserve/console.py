"""stdout and stderr of the command line: who reads them slowly, or not any more, holds up no server.

Knows streams and pipes, and nothing of what is said. cli calls it.
"""

import contextlib
import io
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from fastserve.log import printable

# What a pipe that is ready takes without waiting (POSIX: at least 512 bytes).
PIPE_BUF: Final = getattr(select, "PIPE_BUF", 512)
# Between two looks at whether we are leaving, in seconds.
SLICE: Final = 0.1
# For a reader who does not empty a full pipe, in seconds, and only once.
READER_PATIENCE: Final = 1.0


def takes_more(file: Any, within: float = 0) -> bool:
    """Whether it takes PIPE_BUF bytes within so many seconds; True also of what has no descriptor."""
    try:
        return bool(select.select((), (file,), (), within)[1])
    except (OSError, TypeError, ValueError):
        return True


def say(line: str) -> None:
    """Print a line, if anybody reads."""
    try:
        if not Log.leaving or takes_more(sys.stdout):
            print(line, flush=True)
            return
    except OSError:
        pass
    # Nobody reads. What print has buffered must still go somewhere when the interpreter exits.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def is_terminal() -> bool:
    """Whether a person reads what we say."""
    return sys.stdout is not None and sys.stdout.isatty()


def may_colour(file: Any) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody wants none (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return bool(not plain and file is not None and file.isatty())


def say_at_once(line: str) -> None:
    """As say(), in a signal's handler: that may have interrupted a print(), which cannot be begun again."""
    try:
        if takes_more(sys.stdout):
            os.write(sys.stdout.fileno(), f"{line}\n".encode())
    except io.UnsupportedOperation:  # a program that calls main() has put something of its own there
        say(line)
    except (OSError, ValueError, AttributeError):
        pass


def complain(message: str) -> None:
    """Write one line, whatever the words of the command line had in them."""
    print(f"fastserve: error: {printable(message)}", file=sys.stderr, flush=True)


class Unheard(BaseException):
    """Out of a write to the log that would wait for ever."""


class Log(io.FileIO):
    """stderr of a process that lives longer than the reader of its log: what nobody takes is lost.

    Once we are leaving also what would have to wait, and what is waiting: nothing else would end it, neither
    here nor when the interpreter flushes its streams.
    """

    leaving = False
    patience = READER_PATIENCE
    turns: Any = None  # a file to lock, so that of several processes one writes at a time
    waiting = False  # a write of the main thread, which is the one that signals interrupt

    @classmethod
    def begin(cls) -> None:
        """Wait for readers, as a process does that serves."""
        cls.leaving, cls.patience = False, READER_PATIENCE

    @classmethod
    def give_up(cls) -> None:
        """In a signal's handler: end a write that it has interrupted, where nobody reads."""
        if cls.waiting and not takes_more(sys.stderr, cls.patience):
            cls.patience = 0.0
            raise Unheard

    def write(self, data: Any) -> int:
        try:
            Log.waiting = threading.current_thread() is threading.main_thread()
            with contextlib.suppress(OSError, Unheard), self._turn() as mine:
                rest = data if mine else b""
                whole = Log.waiting or self._takes_all()
                while rest and self._has_room(whole):  # a pipe may take part of what is longer than PIPE_BUF
                    piece = rest if whole and not self.leaving else rest[:PIPE_BUF]
                    rest = rest[super().write(piece) or len(rest) :]
        finally:
            Log.waiting = False
        return len(data)

    def _takes_all(self) -> bool:
        """Whether it never waits for a reader."""
        return stat.S_ISREG(os.fstat(self.fileno()).st_mode)

    def _has_room(self, whole: bool) -> bool:
        """Whether to write: while leaving only if somebody reads. Other threads wait in slices until then.

        No signal gets them out of a write.
        """
        while not (whole or self.leaving or takes_more(self, SLICE)):
            pass
        if self.leaving and not takes_more(self, self.patience):
            Log.patience = 0.0
            return False
        return True

    @contextlib.contextmanager
    def _turn(self) -> Iterator[bool]:
        """Keep other processes from writing: what is longer than PIPE_BUF enters a pipe in pieces."""
        if self.turns is None:
            yield True
            return
        mine = self._take_turn()
        try:
            yield mine
        finally:
            if mine:
                import fcntl

                fcntl.lockf(self.turns, fcntl.LOCK_UN)

    def _take_turn(self) -> bool:
        """Wait for our turn; while leaving not for long, as whoever has it may wait for ever."""
        import fcntl

        if not self.leaving:
            fcntl.lockf(self.turns, fcntl.LOCK_EX)
            return True
        end = time.monotonic() + self.patience
        while True:
            with contextlib.suppress(OSError):
                fcntl.lockf(self.turns, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= end:
                Log.patience = 0.0
                return False
            time.sleep(0.01)


def open_log() -> None:
    """Make sys.stderr a Log, unless a program has put something else there."""
    own = sys.__stderr__
    if sys.stderr is None:  # started with a closed stderr
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (open as long as the process)
    elif own is not None and sys.stderr is own:  # not what a program that calls main() put there
        file = io.BufferedWriter(Log(own.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(file, own.encoding, own.errors, line_buffering=True)


def share_log() -> None:
    """Let the processes that are forked from this one write in turns, where the system sees to less."""
    if sys.stderr is None or not isinstance(getattr(sys.stderr.buffer, "raw", None), Log):
        return
    if not stat.S_ISREG(os.fstat(sys.stderr.fileno()).st_mode):  # a file takes lines of any length whole
        import tempfile

        with contextlib.suppress(OSError):
            Log.turns = tempfile.TemporaryFile()  # noqa: SIM115  (open as long as the process)
