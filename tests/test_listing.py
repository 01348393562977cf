"""The compiled reader of folders: which rows, in which order, in which forms. Knows the module alone."""

import datetime
import html
import json
import os
import re
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import descriptors
from hypothesis import given
from hypothesis import strategies as st

from fastserve._listing import KINDS, Folder, human_size

any_octets = pytest.mark.skipif(sys.platform == "darwin", reason="its file systems have only UTF-8 names")

ROW = re.compile(
    r'(?s)<tr><td><a class="?([a-z ]+?)"? href="([^"]*)"><bdi>(.*?)</bdi>(/?)</a>'
    r'<td(?: title="([^"]*)")?>([^<]*)<td>(?:<time datetime=(\S+)>([^<]*)</time>)?\n')


def read(path: Any, links: bool = True, dotfiles: bool = True, details: bool = True) -> Folder:
    return Folder(os.open(path, os.O_RDONLY | os.O_DIRECTORY), links, dotfiles, details)


def rows(folder: Folder) -> list[tuple[str, ...]]:
    page = folder.table().decode()
    found = [match.groups() for match in ROW.finditer(page)]
    assert ROW.sub("", page).replace("<tbody>", "") == ""
    return found


def elements(folder: Folder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(folder.json(b"[", b"]"))
    return found


def names(folder: Folder, by: str, descending: bool = False) -> list[str]:
    folder.sort(by, descending)
    return [each["name"] for each in elements(folder)]


def old_names(folder: Folder) -> list[str]:
    lines = folder.old_lines().decode("utf-8", "surrogateescape").split("</a></li>\n")
    assert lines.pop() == ""
    return [html.unescape(line.partition(">")[2].partition(">")[2]) for line in lines]


# -- Rows --------------------------------------------------------------------------------------


def test_kinds_sizes_and_times(folder: Path) -> None:
    (folder / "file.txt").write_bytes(b"x" * 1234)
    (folder / "dir").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "to-file").symlink_to("file.txt")
    (folder / "to-dir").symlink_to("dir")
    (folder / "broken").symlink_to("nowhere")
    for name in ("file.txt", "dir"):
        os.utime(folder / name, ns=(0, 1_700_000_000_999_999_999))
    read_ = read(folder)
    read_.sort("name")
    found = {each.pop("name"): each for each in elements(read_)}
    when = "2023-11-14T22:13:20Z"
    assert found["file.txt"] == {
        "href": "file.txt", "type": "file", "link": False, "size": 1234, "modified": when}
    assert found["to-file"] == {
        "href": "to-file", "type": "file", "link": True, "size": 1234, "modified": when}
    assert found["dir"] == {
        "href": "dir/", "type": "directory", "link": False, "size": None, "modified": when}
    assert (found["to-dir"]["href"], found["to-dir"]["type"], found["to-dir"]["link"]) == (
        "to-dir/", "directory", True)
    assert (found["pipe"]["type"], found["pipe"]["size"]) == ("other", None)
    broken = found["broken"]
    assert (broken["type"], broken["link"], broken["size"]) == ("other", True, None)
    assert broken["modified"].startswith("20")
    assert (len(read_), read_.folders, read_.files, read_.octets) == (6, 2, 4, 2 * 1234)
    assert [row[0] for row in rows(read_)] == ["d", "d l", "f l n", "t", "f", "f l"]


@pytest.mark.parametrize("second", [9_999_999_999, 2**33 + 1, -1])
def test_times_that_nanoseconds_do_not_reach(second: int, folder: Path) -> None:
    """64 bits of them end in 2262."""
    (folder / "file").touch()
    os.utime(folder / "file", (second, second))
    if int((folder / "file").stat().st_mtime) != second:  # ext3, say
        pytest.skip("this file system has no such time")
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=second)
    assert elements(read(folder))[0]["modified"] == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@any_octets
def test_names_that_begin_so_are_left_out(folder: Path) -> None:
    for name in (".half-1", ".half-", ".half", "a.half-", b".half-\xff"):
        Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name)))).touch()
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    assert sorted(names(Folder(fd, True, True, True, b".half-"), "name")) == [".half", "a.half-"]


def test_an_empty_folder(folder: Path) -> None:
    nothing = read(folder)
    nothing.sort("name")
    nothing.sort("text")
    assert (len(nothing), nothing.table(b"a", b"b"), nothing.json(b"[", b"]")) == (0, b"ab", b"[]")
    assert nothing.old_lines() == b""


def test_without_details_nothing_but_links_is_asked_for(folder: Path) -> None:
    (folder / "file").write_bytes(b"x")
    (folder / "dir").mkdir()
    (folder / "link").symlink_to("dir")
    found = read(folder, details=False)
    found.sort("text")
    assert old_names(found) == ["dir/", "file", "link@"]
    assert [(each["type"], each["size"], each["modified"]) for each in elements(found)] == [
        ("directory", None, None), ("file", None, None), ("directory", None, None)]
    assert found.octets == 0


def test_without_links(folder: Path) -> None:
    (folder / "file").touch()
    (folder / "link").symlink_to("file")
    (folder / "broken").symlink_to("nowhere")
    found = read(folder, links=False)
    assert (names(found, "name"), found.files) == (["file"], 1)


def test_without_names_that_begin_with_a_dot(folder: Path) -> None:
    for name in (".hidden", "..", "...", "a.b"):
        (folder / name).exists() or (folder / name).touch()
    assert names(read(folder), "name") == ["...", ".hidden", "a.b"]
    assert names(read(folder, dotfiles=False), "name") == ["a.b"]


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 1023, 1024, 1025, 5000])
def test_a_folder_of_any_size(count: int, folder: Path) -> None:
    """So that several threads ask, and there are several bodies of rows."""
    for number in range(count):
        (folder / f"{number}.txt").write_bytes(b"x" * (number % 7))
    found = read(folder)
    assert names(found, "name") == [f"{number}.txt" for number in range(count)]
    assert [each["size"] for each in elements(found)] == [number % 7 for number in range(count)]
    assert found.table().count(b"<tbody>") == -(-count // 200)
    assert found.octets == sum(number % 7 for number in range(count))


def test_the_descriptor_is_closed(folder: Path) -> None:
    before = descriptors()
    read(folder)
    assert descriptors() == before


def test_what_is_no_folder(folder: Path) -> None:
    (folder / "file").touch()
    before = descriptors()
    with pytest.raises(NotADirectoryError):
        Folder(os.open(folder / "file", os.O_RDONLY), True, True, True)
    assert descriptors() == before
    with pytest.raises(OSError, match="descriptor"):
        Folder(1 << 20, True, True, True)


# -- Order -------------------------------------------------------------------------------------


def test_numbers_come_in_their_order(folder: Path) -> None:
    wanted = ["a01", "a1", "1", "a", "a2", "a10", "a10b", "a10b2", "a100", "a-", "B1", "b2", "b²"]
    for name in wanted:
        (folder / name).touch()
    assert sorted(names(read(folder), "name")) == sorted(wanted)
    found = names(read(folder), "name")
    assert found == ["1", "a", "a-", "a01", "a1", "a2", "a10", "a10b", "a10b2", "a100", "B1", "b2", "b²"]
    assert names(read(folder), "name", True) == found[::-1]


def test_folders_come_first_whatever_is_asked_for(folder: Path) -> None:
    for number, name in enumerate(["z", "y"]):
        (folder / name).mkdir()
        os.utime(folder / name, (number, number))
    for number, name in enumerate(["c", "a", "b"]):
        (folder / name).write_bytes(b"x" * number)
        os.utime(folder / name, (1000 - number, -number))
    found = read(folder)
    assert names(found, "name") == ["y", "z", "a", "b", "c"]
    assert names(found, "name", True) == ["z", "y", "c", "b", "a"]
    assert names(found, "size") == ["y", "z", "c", "a", "b"]
    assert names(found, "size", True) == ["y", "z", "b", "a", "c"]
    assert names(found, "date") == ["z", "y", "b", "a", "c"]
    assert names(found, "date", True) == ["y", "z", "c", "a", "b"]


def test_there_are_no_other_orders(folder: Path) -> None:
    for by in ("Name", "kind", "d"):
        with pytest.raises(ValueError, match=by):
            read(folder).sort(by)


NAMES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.text("aA1190.Zß\u0130\uff21\U0001f600", min_size=1, max_size=12),
        st.binary(min_size=1, max_size=20).map(lambda octets: os.fsdecode(octets.translate(None, b"/\0"))),
    ).filter(lambda name: name not in ("", ".", "..") and len(os.fsencode(name)) <= 255),
    max_size=12, unique_by=os.fsencode)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New folders."""
    return (tmp_path_factory.mktemp("names") for _ in iter(int, 1))


def fill(folder: Path, names: list[str]) -> list[str]:
    """Make files, and return the names that there are."""
    for name in names:
        (folder / name).touch()
    return os.listdir(folder)


def unpaired(text: str) -> str:
    """What a page can show of a name."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@any_octets
@given(NAMES)
def test_any_names(folders: Any, some: list[str]) -> None:
    """http.server's order and links; links of ours that are the octets; and names that can be shown."""
    folder = next(folders)
    there = sorted(fill(folder, some), key=str.lower)
    found = read(folder, details=False)
    found.sort("text")
    assert old_names(found) == there
    links = re.findall(rb'<a href="([^"]*)">', found.old_lines())
    assert [link.decode() for link in links] == [
        urllib.parse.quote(name, errors="surrogatepass") for name in there]
    octets = [urllib.parse.unquote_to_bytes(each["href"]) for each in elements(found)]
    assert octets == [os.fsencode(name) for name in there]
    assert [each["name"] for each in elements(found)] == [unpaired(name) for name in there]
    assert [html.unescape(row[2].replace("\r", "&#13;")) for row in rows(found)] == [
        html.unescape(html.escape(unpaired(name))) for name in there]
    assert len(rows(found)) == len(there)


@any_octets
@given(NAMES)
def test_orders_turn_round(folders: Any, some: list[str]) -> None:
    folder = next(folders)
    fill(folder, some)
    for by in ("name", "size", "date"):
        assert sorted(names(read(folder), by)) == sorted(names(read(folder), by, True))
    assert names(read(folder), "name") == names(read(folder), "name", True)[::-1]


# -- Forms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "human", "exact"), [
    (0, "0 B", "0 bytes"), (1, "1 B", "1 byte"), (999, "999 B", "999 bytes"), (1000, "1.0 kB", "1,000 bytes"),
    (1049, "1.0 kB", "1,049 bytes"), (1050, "1.1 kB", "1,050 bytes"), (9949, "9.9 kB", "9,949 bytes"),
    (9950, "10 kB", "9,950 bytes"), (10_499, "10 kB", "10,499 bytes"), (10_500, "11 kB", "10,500 bytes"),
    (999_499, "999 kB", "999,499 bytes"), (999_500, "1.0 MB", "999,500 bytes"),
    (1_234_567_890, "1.2 GB", "1,234,567,890 bytes"), (999_499_999_999, "999 GB", "999,499,999,999 bytes"),
    (1_000_000_000_000, "1.0 TB", "1,000,000,000,000 bytes"),
])
def test_sizes(size: int, human: str, exact: str, folder: Path) -> None:
    with (folder / "file").open("wb") as file:
        file.truncate(size)
    [row] = rows(read(folder))
    assert row[4:6] == (exact, human)
    assert human_size(size) == human


@pytest.mark.parametrize(("size", "human"), [
    (-1, "0 B"), (999_499_999_999_999, "999 TB"), (999_500_000_000_000, "1.0 PB"), ((1 << 63) - 1, "9.2 EB"),
])
def test_sizes_that_no_file_here_has(size: int, human: str) -> None:
    assert human_size(size) == human


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("name", "offset"), [
    ("UTC0", "+00:00"), ("XXX-5:45", "+05:45"), ("XXX3:30", "-03:30"), ("XXX0:30", "-00:30"),
    ("XXX-14", "+14:00"),
])
def test_local_times(name: str, offset: str, zone: Any, folder: Path) -> None:
    zone(name)
    seconds = [0, -1, 1, 59, 60, 61, 3599, 951_782_399, 951_782_400, 4_102_444_800, 1_700_000_000,
               1_700_000_001]
    for second in seconds:
        (folder / str(second)).touch()
        os.utime(folder / str(second), (second, second))
    for row in rows(read(folder)):
        there = time.localtime(int(row[2]))
        assert row[6] == time.strftime("%Y-%m-%dT%H:%M:%S", there) + offset
        assert row[7] == time.strftime("%Y-%m-%d %H:%M", there)


def test_summer_time(zone: Any, folder: Path) -> None:
    zone("CET-1CEST,M3.5.0,M10.5.0/3")
    for second in (1_774_745_999, 1_774_746_000, 1_792_889_999, 1_792_890_000):  # 2026-03-29 and 2026-10-25
        (folder / str(second)).touch()
        os.utime(folder / str(second), (second, second))
    assert {row[2]: row[6] for row in rows(read(folder))} == {
        "1774745999": "2026-03-29T01:59:59+01:00", "1774746000": "2026-03-29T03:00:00+02:00",
        "1792889999": "2026-10-25T02:59:59+02:00", "1792890000": "2026-10-25T02:00:00+01:00"}


@pytest.mark.parametrize(("name", "letter"), [
    ("a.PNG", "i"), ("a.tar.gz", "z"), ("a.mp3", "a"), ("a.webm", "v"), ("a.py", "c"), ("a.md", "t"),
    ("a", "f"), ("png", "f"), (".png", "f"), ("a.", "f"), ("a.unknown", "f"), ("a.jsonl", "c"),
    ("a.verylongend", "f"), ("a.p\u00f1g", "f"),
])
def test_kinds_of_files(name: str, letter: str, folder: Path) -> None:
    (folder / name).touch()
    assert [row[0] for row in rows(read(folder))] == [letter]


def test_each_end_of_a_name_is_known(folder: Path) -> None:
    wanted = {f"name.{end}": letter for letter, words in KINDS.items() for end in words.split()}
    for name in wanted:
        (folder / name).touch()
    assert {row[2]: row[0] for row in rows(read(folder))} == wanted


@pytest.mark.parametrize("by", ["text", "name"])
def test_names_that_begin_alike(by: str, folder: Path) -> None:
    """Whatever number of octets is compared at once."""
    wanted = sorted("x" * length + end for length in range(20) for end in ("a", "b", "y"))
    for name in wanted:
        (folder / name).touch()
    assert names(read(folder), by) == wanted
    assert names(read(folder), "name", True) == wanted[::-1]


def test_each_end_of_a_name_is_of_one_kind() -> None:
    ends = [end for words in KINDS.values() for end in words.split()]
    assert len(set(ends)) == len(ends)
    assert max(map(len, ends)) <= 8
