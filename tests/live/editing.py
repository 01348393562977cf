"""Every way to edit a file: each is a subject with a name of its own, and says in the ledger what it does.

edit() does one edit, in as many steps as there are states between. What the steps have in common stands in
Subject. Knows no server. torture.py and test_freshness.py call it.
"""

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from live.ledger import ABSENT, BODY, LISTING, REDIRECT, Ledger, State

MOST_MIXED = 4096  # octets that are written at once: one page


class Subject:
    """A name in ``root`` that is asked for by ``target`` with ``fields``."""

    size = 2000
    fields: tuple[str, ...] = ()
    needs_rights = False  # whether the server must not be allowed everything
    follows_links = False  # whether it is there only where links are followed
    may_be_missed = False  # whether it may be 404 while it changes: found, and gone when it is opened

    def __init__(self, root: Path, number: int, ledger: Ledger, seed: str = "") -> None:
        self.name = self.called()
        self.home = root / self.name
        self.aside = root.parent / "aside" / self.name  # which is not served
        self.number, self.ledger = number, ledger
        self.chance = random.Random(f"{seed}/{self.name}")
        self.after: Callable[[], object] = lambda: None
        self.seed = number * 1000
        self.home.mkdir(parents=True)
        self.aside.mkdir(parents=True)
        self.path = self.home / "file"
        self.prepare()
        ledger.done(number)

    @classmethod
    def called(cls) -> str:
        return cls.__name__.lower()

    @classmethod
    def target(cls) -> str:
        return f"/{cls.called()}/file"

    def prepare(self) -> None:
        """Make the first state."""
        self.begin(self.write(self.path))

    def edit(self) -> None:
        raise NotImplementedError

    # -- States --------------------------------------------------------------------------------

    def begin(self, state: State) -> None:
        self.ledger.announce(self.number, state)

    @property
    def state(self) -> State:
        return self.ledger.last(self.number)

    @contextlib.contextmanager
    def becomes(self, state: State, torn: bool = False) -> Iterator[None]:
        """The block is one system call, after which it is so. Then whoever wants to look may do so."""
        self.ledger.announce(self.number, state._replace(torn=torn))
        yield
        self.ledger.done(self.number)
        self.after()

    @contextlib.contextmanager
    def unseen(self) -> Iterator[None]:
        """Whoever wants to look must wait."""
        after, self.after = self.after, lambda: None
        yield
        self.after = after

    def fresh(self, size: int | None = None) -> State:
        """Octets that there have never been."""
        self.seed += 1
        return State(BODY, self.seed, self.size if size is None else size)

    def touched(self) -> State:
        """As it is, but that something has been done to the file."""
        self.seed += 1
        return self.state._replace(stamp=self.seed)

    # -- Steps ---------------------------------------------------------------------------------

    def write(self, path: Path, state: State | None = None) -> State:
        """Write a file that nobody asks for yet; what it is."""
        state = state or self.fresh()
        path.write_bytes(state.body)
        return state

    def replace(self, state: State | None = None) -> None:
        """By a file that is written aside and renamed."""
        state = self.write(self.aside / "next", state)
        with self.becomes(state):
            (self.aside / "next").replace(self.path)

    def overwrite(self, path: Path | None = None) -> None:
        """With other octets, and as many, at once."""
        state = self.fresh(self.state.size)
        with open(path or self.path, "r+b", buffering=0) as file, self.becomes(state, torn=True):
            assert os.pwrite(file.fileno(), state.body, 0) == state.size

    def resize(self, size: int) -> None:
        """Cut off, or more of what there is."""
        state = self.state._replace(size=size, torn=False)
        if size < self.state.size:
            with self.becomes(state, torn=True):
                os.truncate(self.path, size)
            return
        more = state.body[self.state.size :]
        # One write() is one for each page, and the file has the length of those that are done.
        with open(self.path, "ab", buffering=0) as file, self.becomes(state, torn=True):
            assert file.write(more) == len(more)

    def remove(self) -> None:
        with self.becomes(State(ABSENT)):
            self.path.unlink()

    def create(self) -> None:
        """Empty at first."""
        state = self.fresh()
        with self.becomes(state._replace(size=0)):
            file = open(self.path, "xb", buffering=0)  # noqa: SIM115
        with file, self.becomes(state):
            assert file.write(state.body) == state.size


# -- The file itself ---------------------------------------------------------------------------


class Still(Subject):
    """Is never edited."""

    def edit(self) -> None:
        pass


class Overwritten(Subject):
    size = MOST_MIXED

    def edit(self) -> None:
        self.overwrite()


class OverwrittenPages(Subject):
    """As large as a file may be that is kept in memory.

    The system sets its times first, and takes the octets then: whoever looks in between sees the times of the
    new ones and reads old ones. So several times, that somebody may.
    """

    size = 60_000

    def edit(self) -> None:
        for _ in range(30):
            self.overwrite()


class OverwrittenLarge(Subject):
    """In several pages, all of which may be mixed."""

    size = 100_000

    def edit(self) -> None:
        self.overwrite()


class Renamed(Subject):
    def edit(self) -> None:
        same = self.chance.random() < 0.5
        self.replace(self.fresh(self.size if same else self.chance.randint(0, 5000)))


class RenamedLarge(Renamed):
    size = 200_000


class Rewritten(Subject):
    """As open(path, "w") does it: emptied, and written."""

    def edit(self) -> None:
        state = self.fresh()
        with self.becomes(state._replace(size=0), torn=True):
            file = open(self.path, "wb", buffering=0)  # noqa: SIM115
        with file, self.becomes(state):
            assert file.write(state.body) == state.size


class Truncated(Subject):
    size = 4000

    def edit(self) -> None:
        if self.state.size < 500:
            self.replace()
        self.resize(self.state.size - self.chance.randint(1, 400))


class Appended(Subject):
    """Beyond the length up to which files are kept in memory."""

    size = 60_000

    def edit(self) -> None:
        if self.state.size > 80_000:
            self.replace()
        self.resize(self.state.size + self.chance.randint(1, MOST_MIXED))


class Touched(Subject):
    def edit(self) -> None:
        with self.becomes(self.touched()):
            os.utime(self.path)


class Attributed(Subject):
    """Only its ctime tells."""

    def edit(self) -> None:
        with self.becomes(self.touched()):
            self.path.chmod(self.chance.choice([0o644, 0o640, 0o600]))


class Recreated(Subject):
    def edit(self) -> None:
        self.remove()
        self.create()


class Appearing(Subject):
    """Is there at times."""

    def edit(self) -> None:
        self.remove() if self.state.kind == BODY else self.replace()


class TwiceOverwritten(Subject):
    """Within the clock's grain, where nobody looks between."""

    def edit(self) -> None:
        with self.unseen():
            self.overwrite()
        self.overwrite()


class TwiceRenamed(Subject):
    def edit(self) -> None:
        with self.unseen():
            self.replace()
        self.replace()


class Restored(Subject):
    """Its mtime is what it was before the edit, and its length."""

    def edit(self) -> None:
        status = self.path.stat()
        with self.unseen():
            self.overwrite() if self.chance.random() < 0.8 else self.replace()
        with self.becomes(self.touched()):
            os.utime(self.path, ns=(status.st_atime_ns, status.st_mtime_ns))


class Backdated(Subject):
    """The next one has the same mtime and length when it comes."""

    def edit(self) -> None:
        state = self.write(self.aside / "next")
        status = self.path.stat()
        os.utime(self.aside / "next", ns=(status.st_atime_ns, status.st_mtime_ns))
        with self.becomes(state):
            (self.aside / "next").replace(self.path)


class HardLinked(Subject):
    """Edited by another name, and replaced by a link to another file."""

    def prepare(self) -> None:
        super().prepare()
        os.link(self.path, self.aside / "other")

    def edit(self) -> None:
        if self.chance.random() < 0.5:
            self.overwrite(self.aside / "other")
            return
        state = self.write(self.aside / "new")
        os.link(self.aside / "new", self.aside / "next")
        with self.becomes(state):
            (self.aside / "next").replace(self.path)
        (self.aside / "new").replace(self.aside / "other")


class Forbidden(Subject):
    needs_rights = True

    def edit(self) -> None:
        before = self.state
        with self.becomes(State(ABSENT)):
            self.path.chmod(0)
        with self.becomes(before._replace(stamp=self.touched().stamp)):
            self.path.chmod(0o644)


# -- What leads to it --------------------------------------------------------------------------


class ParentForbidden(Subject):
    """The file is what it was all the time."""

    needs_rights = True

    def edit(self) -> None:
        before = self.state
        with self.becomes(State(ABSENT)):
            self.home.chmod(0)
        with self.becomes(before):
            self.home.chmod(0o755)


class ParentSwapped(Subject):
    """Two folders with files that have never been edited change places."""

    depth = "."

    def prepare(self) -> None:
        self.states = []
        for name in (self.home / "parent", self.aside / "parent"):
            (name / self.depth).mkdir(parents=True)
            self.states.append(self.write(name / self.depth / "file"))
        self.begin(self.states[0])

    @classmethod
    def target(cls) -> str:
        return f"/{cls.called()}/{Path('parent', cls.depth, 'file')}"

    def edit(self) -> None:
        self.states.reverse()
        with self.becomes(State(ABSENT)):
            (self.home / "parent").rename(self.aside / "next")
        with self.becomes(self.states[0]):
            (self.aside / "parent").rename(self.home / "parent")
        (self.aside / "next").rename(self.aside / "parent")


class AncestorSwapped(ParentSwapped):
    depth = "a/b/c"


class ParentLinked(Subject):
    """The folder becomes a link to itself, elsewhere: the same file, but behind a link."""

    is_followed = True

    def prepare(self) -> None:
        (self.home / "parent").mkdir()
        self.kept = self.write(self.home / "parent" / "file")
        self.linked = False
        self.begin(self.kept)

    @classmethod
    def target(cls) -> str:
        return f"/{cls.called()}/parent/file"

    def edit(self) -> None:
        parent, elsewhere = self.home / "parent", self.aside / "parent"
        with self.becomes(State(ABSENT)):
            parent.unlink() if self.linked else parent.rename(elsewhere)
        self.linked = not self.linked
        with self.becomes(self.kept if self.is_followed or not self.linked else State(ABSENT)):
            parent.symlink_to(elsewhere) if self.linked else elsewhere.rename(parent)


class Linked(Subject):
    """A link leads to one file and to another by turns; both are never edited."""

    follows_links = True
    tail = "."

    def prepare(self) -> None:
        self.states = []
        for name in ("one", "two"):
            path = self.aside / name / self.tail
            path.parent.mkdir(parents=True, exist_ok=True)
            self.states.append(self.write(path))
        self.link("one", self.place)
        self.begin(self.states[0])

    @property
    def place(self) -> Path:
        """Where the link is that changes."""
        return self.path

    def link(self, name: str, place: Path) -> None:
        place.symlink_to(self.aside / name)

    def edit(self) -> None:
        self.states.reverse()
        name = "one" if self.place.readlink().name == "two" else "two"
        self.link(name, self.aside / "next")
        with self.becomes(self.states[0]):
            (self.aside / "next").replace(self.place)


class FolderLinked(Linked):
    tail = "file"

    @property
    def place(self) -> Path:
        return self.home / "link"

    @classmethod
    def target(cls) -> str:
        return f"/{cls.called()}/link/file"


class ChainLinked(FolderLinked):
    """The link leads to another, which changes."""

    def prepare(self) -> None:
        (self.home / "link").symlink_to(self.aside / "middle")
        super().prepare()

    @property
    def place(self) -> Path:
        return self.aside / "middle"


# -- What is sent in its place -----------------------------------------------------------------


class Index(Subject):
    """index.html comes before index.htm, which is there all the time."""

    may_be_missed = True

    def prepare(self) -> None:
        self.plain = self.write_plain()
        self.path = self.home / "index.html"
        self.begin(self.plain)

    def write_plain(self) -> State:
        return self.write(self.home / "index.htm")

    @classmethod
    def target(cls) -> str:
        return f"/{cls.called()}/"

    def edit(self) -> None:
        if not self.path.exists():
            self.replace()
            return
        with self.becomes(self.plain):
            self.path.unlink()


class OnlyIndex(Index):
    """Without it there is a listing."""

    def write_plain(self) -> State:
        return State(LISTING)


class Sibling(Subject):
    """A file and, at times, what is beside it in a coding: that counts as long as it is not the older one."""

    suffix = ".gz"
    fields = ("Accept-Encoding: gzip",)

    def prepare(self) -> None:
        self.original = self.path
        self.path = self.home / f"file{self.suffix}"
        self.plain = self.write(self.original)
        self.begin(self.plain)

    def edit(self) -> None:
        if not self.path.exists():
            self.replace()
        elif self.state.seed != self.plain.seed and self.chance.random() < 0.5:
            self.outdate()
        else:
            with self.becomes(self.plain):
                self.path.unlink()

    def write(self, path: Path, state: State | None = None) -> State:
        """At least as new as the original, also where that was made newer than the clock."""
        state = super().write(path, state)
        if path != self.original:
            newest = max(path.stat().st_mtime_ns, self.original.stat().st_mtime_ns)
            os.utime(path, ns=(newest, newest))
        return state

    def outdate(self) -> None:
        newest = self.path.stat().st_mtime_ns + 1_000_000
        self.plain = self.plain._replace(stamp=self.touched().stamp)
        with self.becomes(self.plain):
            os.utime(self.original, ns=(newest, newest))


class BrSibling(Sibling):
    suffix = ".br"
    fields = ("Accept-Encoding: br",)


class Folder(Subject):
    """A file, nothing, a folder, nothing."""

    def edit(self) -> None:
        if self.state.kind == BODY:
            self.remove()
            with self.becomes(State(REDIRECT)):
                self.path.mkdir()
            return
        with self.becomes(State(ABSENT)):
            self.path.rmdir()
        self.replace()


# -- All of them -------------------------------------------------------------------------------


def every_kind(base: type[Subject] = Subject) -> list[type[Subject]]:
    return [kind for child in base.__subclasses__() for kind in (child, *every_kind(child))]


KINDS = every_kind()


def make_subjects(root: Path, ledger: Ledger, kinds: list[type[Subject]], seed: str = "") -> list[Subject]:
    return [kind(root, number, ledger, seed) for number, kind in enumerate(kinds)]
