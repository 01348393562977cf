"""What a name has been, and may be now: written by who edits files, read by who asks for them.

A name has states, one after the other. Before a change its next state is announced, and afterwards it is said
that the change is done. So who notes what is done before a request, and what is announced after its answer,
knows all states of which the answer may be. The ledger is a buffer that processes may share; each name has
one writer. Knows no file and no server. editing.py writes it, reading.py reads it.
"""

import functools
import mmap
from pathlib import Path
from typing import Any, NamedTuple

from live import octets

ABSENT, BODY, LISTING, REDIRECT = range(4)

RING = 4096  # states of a name that are kept
WORDS = 5  # of a state
ROOM = 2 + RING * WORDS  # words for a name
WORD = 8
STEP = 7919


class State(NamedTuple):
    """``seed`` and ``size`` make the octets; ``stamp`` tells states apart that have the same ones.

    ``torn``: while it came about the octets may have been of both, or zeros, or fewer.
    """

    kind: int
    seed: int = 0
    size: int = 0
    stamp: int = 0
    torn: bool = False

    @property
    def body(self) -> bytes:
        return content(self.seed, self.size)

    def is_like(self, other: "State") -> bool:
        """Whether it is the same but for how it came about."""
        return self[:4] == other[:4]

    def __str__(self) -> str:
        kind = ("absent", "body", "listing", "redirect")[self.kind]
        return f"{kind} {self.seed}/{self.size}/{self.stamp}"


@functools.lru_cache(128)
def content(seed: int, size: int) -> bytes:
    return octets.body(seed * STEP, size)


class Window(NamedTuple):
    """Of which states of a name an answer may be, and the number of the first; the last ones before that."""

    name: int
    first: int
    states: tuple[State, ...]
    before: tuple[State, ...]

    @property
    def is_torn(self) -> bool:
        return any(state.torn for state in self.states[1:])

    def has_size(self, size: int) -> bool:
        """Whether it had that length; one that is written to has all between, by pages."""
        pairs = zip(self.states, self.states[1:], strict=False)
        return (any(state.kind == BODY and state.size == size for state in self.states)
                or any(after.torn and min(before.size, after.size) < size < max(before.size, after.size)
                       for before, after in pairs))

    def has(self, wanted: State) -> bool:
        return any(state.is_like(wanted) for state in self.states)


class Ledger:
    """The states of so many names, by their numbers, in a buffer of ``size()`` octets."""

    def __init__(self, buffer: Any) -> None:
        self._words = memoryview(buffer).cast("B").cast("Q")

    @staticmethod
    def size(names: int) -> int:
        return names * ROOM * WORD

    # -- Writing -------------------------------------------------------------------------------

    def announce(self, name: int, state: State) -> None:
        number = self._words[name * ROOM + 1] + 1
        at = self._at(name, number)
        for word, value in enumerate(state):
            self._words[at + word] = int(value)
        self._words[name * ROOM + 1] = number

    def done(self, name: int) -> None:
        """What has been announced last is so."""
        self._words[name * ROOM] = self._words[name * ROOM + 1]

    # -- Reading -------------------------------------------------------------------------------

    def now(self, name: int) -> int:
        """The number of the last state of which it is sure that it has come."""
        return self._words[name * ROOM]

    def last(self, name: int) -> State:
        return self._state(name, self._words[name * ROOM + 1])

    def since(self, name: int, first: int) -> Window:
        """From a number, which now() gave before, to what has been announced by now."""
        last = self._words[name * ROOM + 1]
        before = range(max(first - 40, 1), first)
        return Window(name, first, tuple(self._state(name, number) for number in range(first, last + 1)),
                      tuple(self._state(name, number) for number in before))

    def _state(self, name: int, number: int) -> State:
        at = self._at(name, number)
        kind, seed, size, stamp, torn = self._words[at : at + WORDS]
        return State(kind, seed, size, stamp, bool(torn))

    def _at(self, name: int, number: int) -> int:
        return name * ROOM + 2 + number % RING * WORDS


def shared(path: Path, names: int) -> Ledger:
    """One in a file, which is made where there is none."""
    with path.open("a+b") as file:
        if not file.tell():
            file.truncate(Ledger.size(names))
        return Ledger(mmap.mmap(file.fileno(), Ledger.size(names)))
