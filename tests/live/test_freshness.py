"""An edit is visible at the next request, whatever was recorded: torture.py for seconds, and each edit alone.

Without a lane nothing is recorded, and all but the tests that say so hold as well.
"""

import contextlib
import email.utils
import functools
import mimetypes
import mmap
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import PATIENCE, Client, ask, nothing_left_behind, request, running, wait_until
from live import editing, torture
from live.editing import Subject
from live.ledger import Ledger
from live.reading import Peer, Reader

import fastserve

SETTLING = 1.2  # seconds until a file is recorded, with some to spare
SETTLED = 1.0  # and until which it is not
EDITS = 6

linux = pytest.mark.skipif(sys.platform != "linux", reason="drops a privilege of Linux")


# -- While others read -------------------------------------------------------------------------


@functools.cache
def tortured(*words: str) -> torture.Torture:
    return torture.torture(torture.options(["--seed", "1", *words]))


SHORT = ("--seconds", "3")
LONGER = [("--server", "loop"), ("--server", "threads"), ("--strict",), ("--driven",),
          ("--only", "overwrittenpages")]


@linux
def test_torture() -> None:
    done = tortured(*SHORT)
    assert done.faults == []
    assert {status for status in done.tally if status.isdigit()} >= {"200", "206", "304"}
    assert done.tally["while it changed"]


@linux
def test_torture_of_recordings() -> None:
    done = tortured(*SHORT)
    assert done.figures.get("hits", 0) > done.answers / 10


@linux
@pytest.mark.slow
@pytest.mark.parametrize("words", LONGER, ids=" ".join)
def test_longer_torture(words: tuple[str, ...]) -> None:
    done = tortured("--seconds", "7", *words)
    assert done.faults == []
    assert len(done.edits) == len(torture.kinds_for(torture.options(list(words))))


@linux
@pytest.mark.slow
@pytest.mark.parametrize(("lie", "said"), [
    ("stale", "stale by"), ("mixed", "mixed, or of none"), ("unmodified", "304, and it was"),
    ("short", "octets are missing"),
])
def test_what_is_wrong_is_seen(lie: str, said: str) -> None:
    done = tortured("--seconds", "5", "--lie", lie)
    assert any(fault.startswith(said) for fault in done.faults), done.faults


# -- Each by itself ----------------------------------------------------------------------------


class Files(fastserve.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    precompressed = True

    def log_message(self, *args: Any) -> None:
        pass


def hits(server: Any) -> int:
    recordings = getattr(server, "recordings", None)
    return recordings.hits if recordings is not None else 0


# Those that need a server with fewer rights than the test has: torture.py has one.
ALONE = [kind for kind in editing.KINDS if not (kind.needs_rights and os.geteuid() == 0)]


class Scene:
    """A server of all subjects, each of which was asked for three times when it was settled."""

    def __init__(self, home: Path, strict: bool) -> None:
        self.strict = strict
        self.kinds = [kind for kind in ALONE if not (strict and kind.follows_links)]
        editing.ParentLinked.is_followed = not strict
        (home / "served").mkdir()
        ledger = Ledger(bytearray(Ledger.size(len(self.kinds))))
        self.subjects = editing.make_subjects(home / "served", ledger, self.kinds)
        self.reader = Reader(ledger, torture.things(self.kinds), "")
        handler = type("Handler", (Files,), {"follow_symlinks": not strict})
        self.server = fastserve.HTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(home / "served")))
        self.replayed: dict[str, int] = {}

    def warm_up(self) -> None:
        mimetypes.init()  # which changes what every answer depends on
        time.sleep(SETTLING)
        self.peer = Peer(self.server.server_address)
        for subject, thing in zip(self.subjects, self.reader.things, strict=True):
            subject.after = functools.partial(self.look, thing)
            for _ in range(2):
                self.reader.ask(self.peer, thing)
            before = hits(self.server)
            self.look(thing)
            self.replayed[subject.name] = hits(self.server) - before

    def look(self, thing: Any) -> None:
        """With and without a condition."""
        tag = self.reader.last_tag(thing)
        self.reader.ask(self.peer, thing)
        self.reader.ask(self.peer, thing, f"If-None-Match: {tag}", tag=tag)


@pytest.fixture(scope="module", params=[False, True], ids=["", "strict"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with nothing_left_behind():
        scene = Scene(tmp_path_factory.mktemp("fresh"), request.param)
        with running(scene.server):
            scene.warm_up()
            yield scene
            scene.peer.close()


def subject_of(scene: Scene, kind: type[Subject]) -> Subject:
    if kind not in scene.kinds:
        pytest.skip("there is nothing behind links")
    return scene.subjects[scene.kinds.index(kind)]


each_kind = pytest.mark.parametrize("kind", ALONE, ids=lambda kind: kind.called())


@each_kind
def test_it_was_replayed(kind: type[Subject], scene: Scene) -> None:
    """Else there is nothing that could be stale. A listing is never recorded."""
    name = subject_of(scene, kind).name
    assert (scene.replayed[name] > 0) == (kind is not editing.OnlyIndex)


@each_kind
def test_an_edit(kind: type[Subject], scene: Scene) -> None:
    subject = subject_of(scene, kind)
    if scene.strict:  # all steps of the first at once, else a look after each
        with subject.unseen():
            subject.edit()
        subject.after()
    for _ in range(EDITS):
        if not scene.reader.faults:
            subject.edit()
    faults, scene.reader.faults = scene.reader.faults, []
    assert faults == []


# -- What else there is about time -------------------------------------------------------------


FUTURE = 4_000_000_000


class Halting(Files):
    """Where a request says so it waits until the test goes on, and all else that the loop has to do too."""

    here: list[threading.Event] = []
    go_on: list[threading.Event] = []

    def log_message(self, *args: Any) -> None:
        if number := self.headers["X-Wait"]:
            self.here[int(number)].set()
            assert self.go_on[int(number)].wait(PATIENCE)


class Place:
    """A folder with a file in it, and a server of the folder."""

    def __init__(self, home: Path, handler: Any = Files) -> None:
        self.home, self.folder = home, home / "served"
        self.folder.mkdir(parents=True)
        self.file = self.folder / "file"
        self.file.write_bytes(b"first")
        make = functools.partial(handler, directory=str(self.folder))
        self.server = fastserve.HTTPServer(("127.0.0.1", 0), make)

    def get(self, target: str = "/file") -> Any:
        return ask(self.server.server_address, request(target=target))

    def replace(self, body: bytes) -> None:
        (self.home / "next").write_bytes(body)
        (self.home / "next").replace(self.file)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """One for each test that needs a file of its own; all of them are settled and have been asked for."""
    home = tmp_path_factory.mktemp("places")
    with nothing_left_behind(), contextlib.ExitStack() as stack:
        places = {name: Place(home / name) for name in ("new", "future", "swapped", "memory", "kept")}
        places["turn"] = Place(home / "turn", Halting)
        for place in places.values():
            stack.enter_context(running(place.server))
        os.utime(places["future"].file, (FUTURE, FUTURE))
        with open(places["memory"].file, "r+b") as file, mmap.mmap(file.fileno(), 5) as memory:
            memory[:] = b"again"
            time.sleep(SETTLING)
            for place in [*places.values()] * 3:
                assert place.get().status == 200
            places["memory"].memory = memory  # type: ignore[attr-defined]
            yield places


def seconds(reply: Any, name: str) -> float:
    return email.utils.parsedate_to_datetime(reply.get(name)).timestamp()


def test_a_file_that_has_just_changed_is_not_recorded(places: dict[str, Place]) -> None:
    place = places["new"]
    (place.folder / "new").write_bytes(b"new")
    before = hits(place.server)
    for _ in range(3):
        assert place.get("/new").body == b"new"
    if time.time() - (place.folder / "new").stat().st_ctime < SETTLED:
        assert hits(place.server) == before


def test_a_file_from_the_future(places: dict[str, Place]) -> None:
    """What is said of it is that it changes now, whenever that is (RFC 9110 8.8.2.1)."""
    place = places["future"]
    began = seconds(place.get(), "Date")
    assert wait_until(lambda: seconds(place.get(), "Date") > began + 1)
    reply = place.get()
    assert seconds(reply, "Date") - 1 <= seconds(reply, "Last-Modified") <= seconds(reply, "Date")


def test_the_folder_itself_is_swapped(places: dict[str, Place]) -> None:
    place = places["swapped"]
    place.folder.rename(place.home / "aside")
    assert place.get().status == 404
    (place.home / "other").mkdir()
    (place.home / "other" / "file").write_bytes(b"other")
    (place.home / "other").rename(place.folder)
    assert place.get().body == b"other"


def test_a_file_that_is_written_through_memory(places: dict[str, Place]) -> None:
    """The first octet that is stored in a page changes the file's times, those that follow do not, until the
    system has written the page. Such an edit is seen with the file's times.
    """
    place: Any = places["memory"]
    assert place.get().body == b"again"
    place.memory[:] = b"third"
    os.utime(place.folder / "file")
    assert place.get().body == b"third"


def test_edits_between_the_requests_of_a_connection(places: dict[str, Place]) -> None:
    place = places["kept"]
    with Client(place.server.server_address) as client:
        assert client.ask(request(target="/file")).body == b"first"
        for number in range(100):
            place.replace(b"%05d" % number)
            assert client.ask(request(target="/file")).body == b"%05d" % number


def test_an_edit_in_the_middle_of_a_turn(places: dict[str, Place]) -> None:
    """A look at a file counts for the requests that had come by then, not for one that comes in the turn.

    While the loop is held up three connections become ready. The second holds it up again, between the
    first, which asks for the file, and the third, which asks for it before it is edited, and then again.
    """
    place = places["turn"]
    Halting.here, Halting.go_on = ([threading.Event(), threading.Event()] for _ in range(2))
    with contextlib.ExitStack() as stack:
        holder, first, second, third = (
            stack.enter_context(Client(place.server.server_address)) for _ in range(4))
        for target in ("/file", "/file?third") * 3:
            for client in (holder, first, second, third):
                assert client.ask(request(target=target)).body == b"first"
        holder.send(request("GET", "/", "X-Wait: 0"))
        assert Halting.here[0].wait(PATIENCE)
        first.send(request(target="/file"))
        second.send(request("GET", "/", "X-Wait: 1"))
        third.send(request(target="/file?third"))
        Halting.go_on[0].set()
        assert Halting.here[1].wait(PATIENCE)
        place.replace(b"other")
        third.send(request(target="/file"))
        Halting.go_on[1].set()
        assert first.reply().body in (b"first", b"other")
        assert third.reply().body in (b"first", b"other")
        assert third.reply().body == b"other"
