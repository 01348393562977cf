"""multipart/form-data: what is read of it at any split, what is refused, and every bound at n-1, n and n+1.

python-multipart reads the same forms, where it is there.
"""

import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastserve import limits
from fastserve.handlers.multipart import (
    MultipartError,
    MultipartReader,
    boundary_of,
    decode_extended,
    parse_parameters,
)

BOUNDARY = b"----WebKitFormBoundaryAbc123"
AROUND = pytest.mark.parametrize("over", [-1, 0, 1])


def reading(octets: bytes, step: int = 1 << 30) -> Callable[[int], bytes]:
    file = io.BytesIO(octets)
    return lambda size: file.read(min(size, step))


def parts_of(octets: bytes, boundary: bytes = BOUNDARY, step: int = 1 << 30) -> list[Any]:
    return [(part.name, part.filename, b"".join(part.blocks()))
            for part in MultipartReader(reading(octets, step), boundary)]


def field(name: str, content: bytes, more: str = "") -> tuple[bytes, bytes]:
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n'.encode(), content


def form(*parts: tuple[bytes, bytes], boundary: bytes = BOUNDARY) -> bytes:
    octets = b"".join(b"--%b\r\n%b\r\n%b\r\n" % (boundary, *part) for part in parts)
    return octets + b"--%b--\r\n" % boundary


BROWSER = form(field("comment", b"hello"), field("file", b"octets\r\n", '; filename="a.txt"'),
               field("none", b"", '; filename=""'))
READ = [("comment", None, b"hello"), ("file", "a.txt", b"octets\r\n"), ("none", "", b"")]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1 << 30])
def test_a_form(step: int) -> None:
    assert parts_of(BROWSER, step=step) == READ
    assert parts_of(b"a preamble\r\n" + BROWSER + b"an epilogue\r\n--" + BOUNDARY, step=step) == READ
    assert parts_of(BROWSER[:-2], step=step) == READ  # nothing need stand behind the last one
    assert parts_of(BROWSER.replace(BOUNDARY + b"\r\n", BOUNDARY + b" \t \r\n"), step=step) == READ
    assert parts_of(b"--" + BOUNDARY + b"--", step=step) == []


def test_the_whole_body_is_read() -> None:
    file = io.BytesIO(BROWSER + b"x" * 1_000_000)
    assert len(list(MultipartReader(file.read, BOUNDARY))) == 3
    assert file.read() == b""


def test_parts_that_nobody_reads_are_passed_over() -> None:
    names = [part.name for part in MultipartReader(reading(BROWSER, 5), BOUNDARY)]
    assert names == ["comment", "file", "none"]
    reader = iter(MultipartReader(reading(form(field("a", b"x" * 100), field("b", b"y")), 5), BOUNDARY))
    blocks = next(reader).blocks()
    next(blocks)
    assert b"".join(next(reader).blocks()) == b"y"
    assert list(blocks) == []


NEAR = [
    b"\r\n", b"\r", b"\n", b"\r\n-", b"\r\n--", b"--", b"--" + BOUNDARY, b"\n--" + BOUNDARY + b"\n",
    b"\r\n--" + BOUNDARY[:-1], b"\r\n--" + BOUNDARY[:-1] + b"\r\n", b"\r\n---" + BOUNDARY,
    b"\r\r\n--" + BOUNDARY[:5], b"\r\n--" + BOUNDARY.swapcase(), b"\r\n\r\n", b"\0", b"-" * 40,
]


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize("step", [1, 3, 31, 1 << 30])
def test_what_is_nearly_a_boundary(near: bytes, step: int) -> None:
    for content in (near, near + near, b"a" + near, near + b"b", b"a" + near + b"\r\nb"):
        if (b"\r\n--" + BOUNDARY) not in b"\r\n" + content:
            assert parts_of(form(field("n", content)), step=step) == [("n", None, content)]


@pytest.mark.parametrize("boundary", [b"a", b"-", b"--", b"-----", b"'()+_,-./:=?", b"a b", b"x" * 70, b"aa"])
@pytest.mark.parametrize("step", [1, 3, 1 << 30])
def test_awkward_boundaries(boundary: bytes, step: int) -> None:
    content = b"\r\n-" + boundary + b"\r\n- " + boundary + b"\r\n"
    octets = form(field("n", content), field("m", b""), boundary=boundary)
    assert parts_of(octets, boundary, step) == [("n", None, content), ("m", None, b"")]


def test_a_prefix_of_itself() -> None:
    """Where a search that starts over behind what did not match would miss it."""
    boundary = b"aab"
    content = b"\r\n--aaab\r\n--aa"
    octets = form(field("n", content), boundary=boundary)
    for step in range(1, 20):
        assert parts_of(octets, boundary, step) == [("n", None, content)]


# -- Any split, and an oracle --------------------------------------------------------------------

BLOCKS = st.lists(st.sampled_from(NEAR) | st.binary(max_size=40), max_size=8).map(b"".join)
CONTENTS = BLOCKS.filter(lambda content: b"\r\n--" + BOUNDARY not in b"\r\n" + content)


def pieces(octets: bytes, cuts: list[int]) -> Callable[[int], bytes]:
    """A read() that gives it cut there."""
    ends = sorted({cut % (len(octets) + 1) for cut in cuts} | {len(octets)})
    starts = [0, *ends[:-1]]
    given = iter([octets[start:end] for start, end in zip(starts, ends, strict=True) if start < end])
    return lambda size: next(given, b"")


@given(st.lists(CONTENTS, max_size=4), st.lists(st.integers(0, 1 << 30), max_size=12))
def test_any_split(contents: list[bytes], cuts: list[int]) -> None:
    octets = form(*(field(f"n{n}", content) for n, content in enumerate(contents)))
    read = pieces(octets, cuts)
    assert [b"".join(part.blocks()) for part in MultipartReader(read, BOUNDARY)] == contents


SOUP = st.lists(
    st.sampled_from([
        b"--" + BOUNDARY, b"\r\n--" + BOUNDARY, b"--", b"\r\n", b"\r\n\r\n", b" ", b"\r", b"\n", b"x",
        b'Content-Disposition: form-data; name="a"\r\n\r\n', b"Content-Disposition: form-data",
        b'; filename="f"', b"Content-Type: text/plain\r\n", b": ", b"\0", b'"', b"\\",
    ]) | st.binary(max_size=3), max_size=14).map(b"".join)


def outcome(octets: bytes, read: Callable[[int], bytes]) -> Any:
    try:
        return [(part.name, part.filename, b"".join(part.blocks()))
                for part in MultipartReader(read, BOUNDARY)]
    except MultipartError as error:
        return str(error)


@given(SOUP | SOUP.map(lambda soup: BROWSER[:-4] + soup), st.lists(st.integers(0, 1 << 30), max_size=8))
def test_malformed_input_is_the_same_at_any_split(octets: bytes, cuts: list[int]) -> None:
    assert outcome(octets, pieces(octets, cuts)) == outcome(octets, reading(octets))


def oracle(octets: bytes) -> list[bytes] | None:
    """The content of each part as python-multipart reads it, None where it refuses."""
    multipart = pytest.importorskip("python_multipart.multipart")
    exceptions = pytest.importorskip("python_multipart.exceptions")
    found: list[bytes] = []
    ended: list[bool] = []

    def add(data: bytes, start: int, end: int) -> None:
        found[-1] += data[start:end]

    callbacks = {"on_part_begin": lambda: found.append(b""), "on_part_data": add,
                 "on_end": lambda: ended.append(True)}
    parser = multipart.MultipartParser(BOUNDARY, callbacks)
    try:
        parser.write(octets)
        parser.finalize()
    except exceptions.MultipartParseError:
        return None
    return found if ended else None


@given(st.lists(CONTENTS, min_size=1, max_size=4))
@example([b""])
@example([b"\r\n", b"\r\n--", b"-"])
def test_well_formed_ones_as_python_multipart_reads_them(contents: list[bytes]) -> None:
    octets = form(*(field(f"n{n}", content) for n, content in enumerate(contents)))
    assert [content for _, _, content in parts_of(octets)] == contents
    assert oracle(octets) == contents


@given(SOUP.map(lambda soup: form(field("a", soup), field("b", b"last"))))
def test_what_both_take_is_the_same(octets: bytes) -> None:
    """Whatever else stands in it: nobody may be made to see another file than another reader does."""
    ours, theirs = outcome(octets, reading(octets)), oracle(octets)
    if isinstance(ours, list) and theirs is not None:
        assert [content for _, _, content in ours] == theirs


# -- Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("parameters", "expected"), [
    ('name="a"; filename="b.txt"', ("a", "b.txt")),
    ("name=a; filename=b.txt", ("a", "b.txt")),
    ('NAME="a";FileName="b"', ("a", "b")),
    ('name="a" ; filename="b";', ("a", "b")),
    ('filename="b"; name="a"', ("a", "b")),
    ('name=""; filename=""', ("", "")),
    ('name="a;b"; filename="c; name=d"', ("a;b", "c; name=d")),
    # Quotes, as browsers write them and as others do.
    ('name="%22a%22"; filename="%22%0D%0A%25"', ('"a"', '"\r\n%25')),
    (r'name="\"a\""; filename="b\\\"c"', ('"a"', '"c')),
    (r'name="a\b"; filename="C:\dir\file.txt"', ("a\\b", "file.txt")),
    # Only the last component.
    ('name="a/b"; filename="/etc/passwd"', ("a/b", "passwd")),
    ('name="a"; filename="../../x"', ("a", "x")),
    (r'name="a"; filename="..\\..\\x"', ("a", "x")),
    ('name="a"; filename="dir/"', ("a", "")),
    # UTF-8, and what is none.
    ('name="ä"; filename="日本.txt"', ("ä", "日本.txt")),
    ("name=a; filename=\"x\"; filename*=UTF-8''%e2%82%ac.txt", ("a", "€.txt")),
    ("name=a; filename*=utf-8'en'a%20b; filename=x", ("a", "a b")),
    ("name=a; filename*=ISO-8859-1''%A4", ("a", "¤")),
    ("name=a; filename*=UTF-8''..%2F..%2Fx", ("a", "x")),
    ("name=a; filename*=UTF-8''%FF", ("a", "\udcff")),
])
def test_names(parameters: str, expected: tuple[str, str]) -> None:
    octets = form((f"Content-Disposition: form-data; {parameters}\r\n".encode(), b"content"))
    assert parts_of(octets) == [(*expected, b"content")]


def test_a_name_that_is_no_utf_8() -> None:
    octets = form((b'content-disposition:form-data;name="\xe4";filename="\xff"\r\n', b""))
    assert parts_of(octets) == [("\udce4", "\udcff", b"")]


def test_the_type_of_a_part() -> None:
    octets = form((b'CONTENT-TYPE: text/plain \r\nContent-Disposition: form-data; name="a"\r\n', b""),
                  field("b", b""))
    assert [part.content_type for part in MultipartReader(reading(octets), BOUNDARY)] == ["text/plain", None]


@pytest.mark.parametrize("value", ["UTF-8", "UTF-8''%", "UTF-8''%2", "UTF-8''%zz", "''a", "KOI8-R''a",
                                   "UTF-8''a b", "a'b", "UTF-8'", ""])
def test_extended_values_that_are_none(value: str) -> None:
    with pytest.raises(MultipartError):
        decode_extended(value)


@pytest.mark.parametrize(("value", "expected"), [
    ("a", ("a", {})), ("A/B ; c=d", ("a/b", {"c": "d"})), ("a; b=", ("a", {"b": ""})), ("", ("", {})),
    ('a; b="c\\"d"; e=f', ("a", {"b": 'c"d', "e": "f"})), ("a ;", ("a", {})),
])
def test_parameters(value: str, expected: Any) -> None:
    assert parse_parameters(value) == expected


@pytest.mark.parametrize("value", ['a; b="', 'a; b="c', "a; b", "a; =b", "a; b=c; B=d", 'a; b="c"d',
                                   "a; b=c d", 'a; b="c\\"', "a; b c=d", "a;; b=c"])
def test_parameters_that_are_none(value: str) -> None:
    with pytest.raises(MultipartError):
        parse_parameters(value)


def test_long_parameters_take_no_time_that_grows_with_their_square() -> None:
    for value in ('a; b="' + "\\" * 200_000, "a; b=" + "c" * 200_000 + "(", "a" + ";" * 200_000 + "x"):
        with pytest.raises(MultipartError):
            parse_parameters(value + '"(')


@pytest.mark.parametrize(("value", "expected"), [
    ("multipart/form-data; boundary=abc", b"abc"),
    ("Multipart/Form-Data;Boundary=abc; charset=utf-8", b"abc"),
    ('multipart/form-data; boundary="a b:c"', b"a b:c"),
    ("multipart/form-data; boundary=----WebKitFormBoundaryAbc123", BOUNDARY),
])
def test_boundary(value: str, expected: bytes) -> None:
    assert boundary_of(value) == expected


@pytest.mark.parametrize("value", [
    "", "text/plain; boundary=a", "multipart/mixed; boundary=a", "multipart/form-data",
    "multipart/form-data; boundary=", 'multipart/form-data; boundary="a "',
    'multipart/form-data; boundary="ä"',
    'multipart/form-data; boundary="a\tb"', "multipart/form-data; boundary=a; boundary=b",
    "multipart/form-data; boundary=a b",
])
def test_no_boundary(value: str) -> None:
    with pytest.raises(MultipartError):
        boundary_of(value)


# -- What is refused -----------------------------------------------------------------------------

GOOD = b'Content-Disposition: form-data; name="a"\r\n'
REFUSED = {
    "nothing": b"",
    "no boundary": b"hello\r\n",
    "another boundary": form(field("a", b""), boundary=b"other"),
    "no end": BROWSER[: -len(BOUNDARY) - 6],
    "half an end": BROWSER[:-3],
    "ends in a head": b"--" + BOUNDARY + b"\r\nContent-Dispo",
    "ends behind a boundary": b"--" + BOUNDARY + b"\r",
    "a longer boundary": b"--" + BOUNDARY + b"x\r\n" + GOOD + b"\r\n\r\n--" + BOUNDARY + b"--\r\n",
    "bare line ends": BROWSER.replace(b"\r\n", b"\n"),
    "no head": form((b"", b"content")),
    "no name": form((b"Content-Disposition: form-data\r\n", b"")),
    "no disposition": form((b"Content-Type: text/plain\r\n", b"")),
    "another disposition": form((b'Content-Disposition: attachment; name="a"\r\n', b"")),
    "no colon": form((GOOD + b"nothing\r\n", b"")),
    "blank before the colon": form((b'Content-Disposition : form-data; name="a"\r\n', b"")),
    "folded": form((b'Content-Disposition: form-data;\r\n name="a"\r\n', b"")),
    "twice": form((GOOD + GOOD, b"")),
    "a name twice": form((b"Content-Disposition: form-data; name=a; name=b\r\n", b"")),
    "not closed": form((b'Content-Disposition: form-data; name="a\r\n', b"")),
    "NUL": form((b'Content-Disposition: form-data; name="a\0"\r\n', b"")),
    "CR": form((b'Content-Disposition: form-data; name="a\rb"\r\n', b"")),
    "encoded": form((GOOD + b"Content-Transfer-Encoding: base64\r\n", b"")),
    "bad extended": form((b"Content-Disposition: form-data; name=a; filename*=x\r\n", b"")),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("step", [1, 5, 1 << 30])
def test_refused(case: str, step: int) -> None:
    with pytest.raises(MultipartError) as caught:
        parts_of(REFUSED[case], step=step)
    assert str(caught.value).isprintable()


@AROUND
@pytest.mark.parametrize("step", [1, 1000, 1 << 30])
def test_the_head_of_a_part(over: int, step: int) -> None:
    more = limits.MAX_PART_HEAD + over - len(GOOD) - len(b"A: ")
    octets = form((GOOD + b"A: " + b"b" * more + b"\r\n", b"content"))
    if over > 0:
        with pytest.raises(MultipartError, match="16384 octets"):
            parts_of(octets, step=step)
    else:
        assert parts_of(octets, step=step) == [("a", None, b"content")]


BLANKS = r"""
import resource
from fastserve.handlers.multipart import MultipartError, parse_head

resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
for blanks in (b" " * 200_000, b"\t" * 200_000):
    assert parse_head(b"A:" + blanks + b"b" + blanks) == {"a": "b"}
    try:
        parse_head(b"A:" + blanks + b"\0")
    except MultipartError:
        print("refused")
"""


def test_blanks_in_a_head_take_no_time_that_grows_with_their_square() -> None:
    """There are more than a head may have, so that it shows; the system ends what takes too long."""
    done = subprocess.run([sys.executable, "-c", BLANKS], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused\nrefused\n"), done.stderr


@AROUND
def test_the_number_of_parts(over: int) -> None:
    octets = form(*[field("a", b"")] * (limits.MAX_PARTS + over))
    if over > 0:
        with pytest.raises(MultipartError, match="1000 parts"):
            parts_of(octets)
    else:
        assert len(parts_of(octets)) == limits.MAX_PARTS + over


@AROUND
def test_the_length_of_a_boundary(over: int) -> None:
    value = "multipart/form-data; boundary=" + "b" * (limits.MAX_BOUNDARY + over)
    if over > 0:
        with pytest.raises(MultipartError, match="70 characters"):
            boundary_of(value)
    else:
        assert len(boundary_of(value)) == limits.MAX_BOUNDARY + over


@AROUND
@pytest.mark.parametrize("step", [1000, 1 << 30])
def test_blanks_behind_a_boundary(over: int, step: int) -> None:
    blanks = b" " * (limits.MAX_PART_HEAD + over)
    octets = BROWSER.replace(BOUNDARY + b"\r\n", BOUNDARY + blanks + b"\r\n", 1)
    if over > 0:
        with pytest.raises(MultipartError):
            parts_of(octets, step=step)
    else:
        assert parts_of(octets, step=step) == READ


@pytest.mark.parametrize("filler", [b"x" * 4096, b"\r\n--" * 1024, (b"\r\n--" + BOUNDARY[:-1]) * 128])
def test_memory_does_not_grow_with_a_file(filler: bytes) -> None:
    def octets() -> Iterator[bytes]:
        yield form(field("a", b"", '; filename="a"'))[: -len(BOUNDARY) - 8]
        for _ in range(16384):  # 64 MiB
            yield filler
        yield b"\r\n--" + BOUNDARY + b"--"

    given = octets()
    size = 0
    tracemalloc.start()
    try:
        for part in MultipartReader(lambda size: next(given, b""), BOUNDARY):
            size += sum(map(len, part.blocks()))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
    assert size == len(filler) * 16384
