"""RequestParser, RequestHead and ChunkDecoder as objects: what the corpus in wire/ does not show.

What they make of octets is told there; here is how they are used, used again, and misused.
"""

import os
import subprocess
import sys
from typing import Any

import pytest

from fastserve._chunks import ChunkDecoder
from fastserve._head import RequestHead
from fastserve._parser import RequestParser
from fastserve.errors import REJECTIONS

GET = b"GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: x\r\naccept: y\r\nA:\r\n\r\n"
REFUSED = b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: x\r\nno colon\r\n\r\n"


def parse(octets: bytes, **options: bool) -> RequestHead:
    """Return the head of octets that hold a whole one, or are refused."""
    parser = RequestParser(**options)
    assert parser.feed(octets) != 0
    return parser.take(octets)


def refusal(octets: bytes, **options: bool) -> str:
    return REJECTIONS[parse(octets, **options).rejection].name


# -- Feeding ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda octets: memoryview(bytearray(octets))])
def test_octets_may_come_in_any_buffer(kind: Any) -> None:
    parser = RequestParser()
    assert parser.feed(kind(GET)) == 1
    assert parser.take(kind(GET)).target == "/a?b"


@pytest.mark.parametrize("odd", ["GET / HTTP/1.0\r\n\r\n", None, 5, [71, 69, 84]])
def test_what_is_no_buffer_is_refused(odd: Any) -> None:
    parser = RequestParser()
    with pytest.raises(TypeError):
        parser.feed(odd)
    assert parser.feed(GET) == 1
    with pytest.raises(TypeError):
        parser.take(odd)


def test_a_view_with_gaps_is_refused() -> None:
    with pytest.raises(BufferError):
        RequestParser().feed(memoryview(GET)[::2])


def test_nothing_fed_needs_more() -> None:
    parser = RequestParser()
    assert parser.feed(b"") == 0
    assert (parser.scanned, parser.length) == (0, -1)


def test_a_buffer_is_free_again_after_each_call() -> None:
    parser, buffer = RequestParser(), bytearray(GET)
    assert parser.feed(buffer) == 1
    buffer += b"x"
    parser.take(buffer)
    buffer.clear()


def test_what_was_scanned_is_not_scanned_again() -> None:
    parser = RequestParser(require_host=False)
    assert parser.feed(GET[:25]) == 0
    scanned = parser.scanned
    assert scanned >= 24
    assert parser.feed(b"\0" * scanned + GET[scanned:]) == 1


def test_the_answer_stays_however_much_follows() -> None:
    parser = RequestParser()
    assert [parser.feed(GET), parser.feed(GET), parser.feed(GET + b"\0\n\r")] == [1, 1, 1]
    assert parser.length == parser.scanned == len(GET)


def test_a_refusal_stays_however_much_follows() -> None:
    parser = RequestParser()
    first = parser.feed(REFUSED[:45])
    assert first < 0
    assert parser.feed(REFUSED) == parser.feed(GET * 9) == first


def test_fewer_octets_than_were_scanned_are_refused() -> None:
    """They are not the same buffer any more; what stood behind them must not be read."""
    parser = RequestParser()
    assert parser.feed(b"GET / HTTP/1.1\r\nHost: a") == 0
    with pytest.raises(ValueError):
        parser.feed(b"GET /")


# -- Taking ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("octets", [b"", b"G", b"\r\n", GET[:-1]])
def test_a_head_that_is_not_complete_cannot_be_taken(octets: bytes) -> None:
    parser = RequestParser()
    assert parser.feed(octets) == 0
    with pytest.raises(ValueError):
        parser.take(octets)
    assert parser.feed(GET) in (1, -1), "and nothing is lost by asking"


def test_a_head_can_be_taken_once() -> None:
    parser = RequestParser()
    parser.feed(GET)
    parser.take(GET)
    with pytest.raises(ValueError):
        parser.take(GET)


def test_a_refused_head_can_be_taken_once() -> None:
    parser = RequestParser()
    parser.feed(REFUSED)
    parser.take(REFUSED)
    with pytest.raises(ValueError):
        parser.take(REFUSED)


@pytest.mark.parametrize("octets", [GET, REFUSED])
def test_a_head_cannot_be_taken_from_fewer_octets_than_it_has(octets: bytes) -> None:
    parser = RequestParser()
    parser.feed(octets)
    with pytest.raises(ValueError):
        parser.take(octets[:20])
    assert parser.take(octets).method == "GET"


def test_taking_leaves_the_parser_as_new() -> None:
    parser = RequestParser()
    for _ in range(3):
        assert parser.feed(GET + GET) == 1
        assert parser.take(GET + GET).raw == GET
        assert (parser.scanned, parser.length) == (0, -1)


@pytest.mark.parametrize("refused", [
    b"\n", b"\r\n" * 9, b"GET\r\n", REFUSED,
    b"GET / HTTP/1.1\r\nHost: /\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
])
def test_a_parser_works_on_after_a_refusal_was_taken(refused: bytes) -> None:
    parser = RequestParser()
    assert parser.feed(refused) < 0
    parser.take(refused)
    assert parser.feed(GET) == 1
    assert parser.take(GET).rejection == 0


@pytest.mark.parametrize("before", [
    b"\r\n\r", GET[:5], GET[:30], GET, REFUSED,
    b"POST / HTTP/1.0\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\n",
])
def test_reset_forgets_everything(before: bytes) -> None:
    parser = RequestParser()
    parser.feed(before)
    parser.reset()
    assert (parser.scanned, parser.length) == (0, -1)
    assert parser.feed(GET) == 1
    head = parser.take(GET)
    assert (head.raw, head.content_length, head.keep_alive, len(head.fields())) == (GET, -1, True, 4)


def test_limits_stay_when_a_head_is_taken_or_forgotten() -> None:
    parser = RequestParser()
    parser.max_line, parser.max_headers, parser.max_head = 80, 7, 300
    parser.feed(GET)
    parser.take(GET)
    parser.reset()
    assert (parser.max_line, parser.max_headers, parser.max_head) == (80, 7, 300)


def test_a_limit_below_nothing_harms_nobody() -> None:
    """In a process of its own: at worst, memory behind the octets is read."""
    program = ("from fastserve._parser import RequestParser\n"
               "parser = RequestParser()\n"
               "try: parser.max_line = -1\n"
               "except ValueError: raise SystemExit\n"
               "parser.feed(b'GET')\n"
               "assert parser.take(b'GET').raw in (b'', b'GET')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-300:]


# -- Host not required -----------------------------------------------------------------------------

def test_a_host_can_be_left_out_where_it_is_not_required() -> None:
    assert refusal(b"GET / HTTP/1.1\r\n\r\n") == "MISSING_HOST"
    assert refusal(b"GET / HTTP/1.1\r\n\r\n", require_host=False) == "NONE"


@pytest.mark.parametrize("hosts", [b"Host: a\r\nHost: a\r\n", b"Host: a b\r\n"])
def test_a_bad_host_is_refused_even_so(hosts: bytes) -> None:
    assert refusal(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n", require_host=False) == "BAD_HOST"


# -- The head --------------------------------------------------------------------------------------

def test_a_head_outlives_its_buffer_and_its_parser() -> None:
    parser, buffer = RequestParser(), bytearray(GET)
    parser.feed(buffer)
    head = parser.take(buffer)
    buffer[:] = b"\0" * len(GET)
    parser.feed(b"POST /other HTTP/1.0\r\nX: y\r\n\r\n")
    del parser
    assert head.raw == GET
    assert head.request() == ("GET /a?b HTTP/1.1", "GET", "/a?b", "HTTP/1.1", True, True)
    assert head.fields() == [("Host", "a"), ("Accept", "x"), ("accept", "y"), ("A", "")]


def test_a_head_answers_the_same_each_time() -> None:
    head = parse(GET)
    assert head.fields() == head.fields()
    assert head.fields() is not head.fields(), "a caller may change the list"
    assert (head.method, head.target, head.requestline) == (head.method, head.target, head.requestline)


def test_raw_is_without_the_empty_lines_and_the_body() -> None:
    parser, octets = RequestParser(), b"\r\n\r\n" + GET + b"body"
    assert parser.feed(octets) == 1
    assert parser.length == len(GET) + 4
    head = parser.take(octets)
    assert head.raw == GET
    assert head.fields()[1] == ("Accept", "x")


@pytest.mark.parametrize("name", ["Accept", "accept", "ACCEPT", "aCCept"])
def test_get_finds_the_first_in_any_case(name: str) -> None:
    head = parse(GET)
    assert head.get(name) == "x"
    assert head.get(name, "default") == "x"
    assert head.get_all(name) == ["x", "y"]


@pytest.mark.parametrize("name", ["", "Accep", "Accept-", "Accept:", "ccept", "Accept\0", "Acc\xe9pt",
                                  "\u0410ccept", "\udcff"])
def test_get_of_what_is_not_there(name: str) -> None:
    head = parse(GET)
    assert head.get(name) is None
    assert head.get(name, "default") == "default"
    assert head.get_all(name) == []


def test_an_empty_value_is_found() -> None:
    head = parse(GET)
    assert head.get("a", "default") == ""
    assert head.get_all("a") == [""]


@pytest.mark.parametrize("odd", [None, b"Accept", 5])
def test_a_name_is_a_str(odd: Any) -> None:
    head = parse(GET)
    with pytest.raises(TypeError):
        head.get(odd)
    with pytest.raises(TypeError):
        head.get_all(odd)


def test_strings_are_latin_1() -> None:
    every = bytes(octet for octet in range(0x21, 0x100) if octet != 0x7F)
    head = parse(b"GET /" + every + b" HTTP/1.0\r\nA: " + every + b"\r\n\r\n")
    assert head.target == "/" + every.decode("latin-1")
    assert head.get("a") == every.decode("latin-1")
    assert head.requestline.encode("latin-1") == b"GET /" + every + b" HTTP/1.0"


@pytest.mark.parametrize("minor", range(10))
def test_version_as_text_and_as_number(minor: int) -> None:
    head = parse(f"GET / HTTP/1.{minor}\r\nHost: a\r\n\r\n".encode())
    assert (head.version, head.version_number) == (f"HTTP/1.{minor}", (1, minor))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 32, 33, 999])
def test_few_fields_and_many(count: int) -> None:
    """The head keeps its own, whatever the parser that found it reads afterwards."""
    octets = b"GET / HTTP/1.0\r\n%b\r\n" % b"".join(b"N%d: v%d\r\n" % (i, i) for i in range(count))
    parser = RequestParser()
    parser.max_headers = 1000
    heads = []
    for _ in range(2):
        assert parser.feed(octets) == 1
        heads.append(parser.take(octets))
        assert parser.feed(GET) == 1
        parser.take(GET)
    for head in heads:
        assert head.fields() == [(f"N{i}", f"v{i}") for i in range(count)]
        assert head.get(f"n{count - 1}") == (f"v{count - 1}" if count else None)
        assert (head.content_length, head.chunked, head.keep_alive) == (-1, False, False)


@pytest.mark.parametrize(("target", "path"), [
    ("/", "/"), ("//", "/"), ("///a//b", "/a//b"), ("*", "*"), ("http://a//", "http://a//"),
    ("/\xe9", "/\xe9"),
])
def test_a_path_begins_with_one_slash(target: str, path: str) -> None:
    head = parse(f"GET {target} HTTP/1.0\r\n\r\n".encode("latin-1"))
    assert head.request() == (f"GET {target} HTTP/1.0", "GET", path, "HTTP/1.0", False, True)
    assert head.target == target


@pytest.mark.parametrize(("fields", "stays", "plain"), [
    ("", True, True),
    ("Connection: close\r\n", False, True),
    ("Transfer-Encoding: chunked\r\n", True, False),
    ("Content-Length: 1\r\nExpect: 100-continue\r\n", True, False),
])
def test_a_request_says_what_follows_it(fields: str, stays: bool, plain: bool) -> None:
    head = parse(f"POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    assert head.request() == ("POST /a HTTP/1.1", "POST", "/a", "HTTP/1.1", stays, plain)


# -- Refused heads: what an error page and a log line need ------------------------------------------

@pytest.mark.parametrize(("octets", "requestline", "method", "target", "version"), [
    (b"GET\r\n", "GET", None, None, ""),
    (b"GET /\r\n", "GET /", "GET", None, ""),
    (b"GET  /\r\nmore", "GET  /", "GET", None, ""),
    (b"GET / HTTP/1.x\r\nHost: a\r\n\r\n", "GET / HTTP/1.x", "GET", "/", "HTTP/1.x"),
    (b"GET / HTTP/2.0\r\n\r\n", "GET / HTTP/2.0", "GET", "/", "HTTP/2.0"),
    (b"GET / HTTP/1.1\n\r\n", "GET / HTTP/1.1", "GET", "/", ""),
    (b"GET / HTTP/1.1\r\r\r\nHost", "GET / HTTP/1.1", "GET", "/", "HTTP/1.1"),
    (b"G\xe9T /\xff\r\n", "G\xe9T /\xff", None, None, ""),
    (b"\x16\x03\x01\0", "\x16\x03\x01\0", None, None, ""),
    (b"\r\n\r\nGET\r\n", "GET", None, None, ""),
    (b"\n", "", None, None, ""),
    (b"GET /a HTTP/1.1\r\n: b\r\n\r\n", "GET /a HTTP/1.1", "GET", "/a", "HTTP/1.1"),
])
def test_what_is_known_of_a_refused_head(octets: bytes, requestline: str, method: str | None,
                                         target: str | None, version: str) -> None:
    head = parse(octets)
    assert head.rejection > 0
    assert (head.requestline, head.method, head.target) == (requestline, method, target)
    assert head.version == version
    assert head.request() is None


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.x", b"nonsense"])
def test_a_refused_version_has_no_number(version: bytes) -> None:
    assert parse(b"GET / " + version + b"\r\n\r\n").version_number == (0, 0)


def test_a_refused_head_keeps_the_fields_before_the_fault() -> None:
    head = parse(REFUSED)
    assert head.fields() == [("Host", "a"), ("Accept", "x")]
    assert head.get("accept") == "x"
    assert REFUSED.startswith(head.raw)


def test_the_line_of_a_refused_head_is_bounded() -> None:
    parser, octets = RequestParser(), b"A" * 500
    parser.max_line = 100
    assert REJECTIONS[-parser.feed(octets)].name == "REQUEST_LINE_TOO_LONG"
    assert parser.take(octets).requestline == "A" * 100


# -- Every octet at every place --------------------------------------------------------------------
# Octets are looked at four, eight or sixteen at a time, so each place in such a group is tried.

PLACES = range(40)
TCHARS = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
VISIBLE = frozenset(range(0x21, 0x100)) - {0x7F}


def placed(octet: int, place: int, filler: bytes) -> bytes:
    """Return octets of the filler, longer than any group, with another octet among them."""
    return filler * place + bytes([octet]) + filler * (len(PLACES) - place)


@pytest.mark.parametrize("place", PLACES)
def test_an_octet_in_a_value(place: int) -> None:
    for octet in range(256):
        text = placed(octet, place, b"\xe9")
        head = parse(b"GET / HTTP/1.0\r\nA: " + text + b"\r\n\r\n")
        assert (head.rejection == 0) == (octet in VISIBLE | {0x20, 0x09})
        assert head.rejection or head.get("a") == text.strip(b" \t").decode("latin-1")


@pytest.mark.parametrize("place", PLACES)
def test_an_octet_in_a_target(place: int) -> None:
    for octet in range(256):
        text = placed(octet, place, b"/")
        head = parse(b"GET " + text + b" HTTP/1.0\r\n\r\n")
        assert (head.rejection == 0) == (octet in VISIBLE)
        assert head.rejection or head.target == text.decode("latin-1")


@pytest.mark.parametrize("place", PLACES)
def test_an_octet_in_a_name_or_method(place: int) -> None:
    for octet in range(256):
        text = placed(octet, place, b"n")
        assert (refusal(text + b" / HTTP/1.0\r\n\r\n") == "NONE") == (octet in TCHARS)
        if octet != ord(":"):
            assert (refusal(b"GET / HTTP/1.0\r\n" + text + b":\r\n\r\n") == "NONE") == (octet in TCHARS)


@pytest.mark.parametrize("length", PLACES)
def test_an_octet_that_is_not_ascii_anywhere_in_a_text(length: int) -> None:
    for place in range(length):
        text = b"a" * place + b"\xe9" + b"b" * (length - place - 1)
        head = parse(b"GET " + text + b" HTTP/1.0\r\nA:" + text + b"\r\n\r\n")
        assert head.target == head.get("a") == text.decode("latin-1")
    plain = "c" * length
    assert parse(f"GET / HTTP/1.0\r\nA:{plain}\r\n\r\n".encode()).get("a") == plain


# -- Lines that come whole -------------------------------------------------------------------------
# They are passed in one go; those that do not are passed in parts. Both must find the same.

FIELDS = b"Host: a.example:80\r\nsec-ch-ua-platform: b c\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.7\r\n"


def found(octets: bytes, piece: int, limits: dict[str, int]) -> tuple[Any, ...]:
    """What a parser says of octets that come `piece` at a time."""
    parser = RequestParser()
    for name, limit in limits.items():
        setattr(parser, name, limit)
    verdict = 0
    for end in range(piece, len(octets) + piece, piece):
        verdict = parser.feed(octets[:end])
        if verdict:
            break
    head = parser.take(octets[:end])
    return (verdict, head.requestline, head.fields(), head.content_length, head.chunked,
            head.keep_alive, head.upgrade)


@pytest.mark.parametrize("limits", [
    {}, {"max_line": 40}, {"max_head": 70}, {"max_headers": 3},
], ids=str)
@pytest.mark.parametrize("more", [
    b"", b"Connection: close\r\n", b"CONTENT-LENGTH: 12\r\n", b"A:\t b\t c \t\r\n",
])
def test_a_line_says_the_same_whole_and_in_pieces(more: bytes, limits: dict[str, int]) -> None:
    start = b"GET / HTTP/1.1\r\n"
    plain = start + more + FIELDS + b"\r\n"
    for place in range(len(start), len(plain)):
        for octet in b"\0\t\n\r :@[_\x7f\xe9":
            odd = plain[:place] + bytes([octet]) + plain[place + 1:] + b"GET /\r\n\r\n"
            assert found(odd, len(odd), limits) == found(odd, 7, limits), odd


# -- Names that are kept ---------------------------------------------------------------------------

def test_methods_and_names_are_kept() -> None:
    one, other = parse(GET), parse(b"GET /other HTTP/1.0\r\nAccept: z\r\n\r\n")
    assert one.method is other.method
    assert one.fields()[1][0] is other.fields()[0][0]


@pytest.mark.parametrize("names", [
    ("Abcde", "Axcye", "A-c-e"),                  # the same first, middle and last octet
    ("x", "X"), ("If-Match", "If-MaTch", "iF-MATCh"),
    ("N" * 31 + "n", "N" * 30 + "Mn", "N" * 32 + "n"),     # 32 octets are kept, 33 are not
])
def test_names_that_share_a_place_are_not_mistaken(names: tuple[str, ...]) -> None:
    for name in names * 3:
        head = parse(f"{name} / HTTP/1.0\r\n{name}: v\r\n\r\n".encode())
        assert head.method == name
        assert head.fields() == [(name, "v")]


def test_a_thousand_names_in_turn() -> None:
    for name in [f"{letter}-{number}" for number in range(200) for letter in "aAbB~"] * 2:
        assert parse(f"{name} / HTTP/1.0\r\n\r\n".encode()).method == name


# -- Chunks ----------------------------------------------------------------------------------------

def test_a_decoder_begins_undone() -> None:
    decoder = ChunkDecoder()
    assert not decoder.done
    assert decoder.feed(b"") == (b"", 0)
    assert not decoder.done


def test_a_decoder_that_is_done_takes_nothing() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"2\r\nhi\r\n0\r\n\r\n0\r\n\r\n") == (b"hi", 12)
    assert decoder.done
    assert decoder.feed(b"2\r\nhi\r\n0\r\n\r\n") == (b"", 0)
    assert decoder.feed(b"\0") == (b"", 0)


def test_data_is_given_out_as_it_comes() -> None:
    decoder = ChunkDecoder()
    assert decoder.feed(b"a\r\n01") == (b"01", 5)
    assert decoder.feed(b"234") == (b"234", 3)
    assert decoder.feed(b"56789\r\n1\r\nx") == (b"56789x", 11)
    assert not decoder.done


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_chunks_may_come_in_any_buffer(kind: Any) -> None:
    assert ChunkDecoder().feed(kind(b"2\r\nhi\r\n0\r\n\r\n")) == (b"hi", 12)


def test_chunks_are_no_str() -> None:
    with pytest.raises(TypeError):
        ChunkDecoder().feed("0\r\n\r\n")


def test_a_large_chunk() -> None:
    data = bytes(range(256)) * 4096
    assert ChunkDecoder().feed(b"%X\r\n%b\r\n0\r\n\r\n" % (len(data), data))[0] == data


@pytest.mark.parametrize("size", [b"7fffffffffffffff", b"100000002", b"ffffffff", b"00000000080000000"])
def test_a_large_size_does_not_wrap(size: bytes) -> None:
    """All that follows is data, whatever it looks like."""
    decoder, follows = ChunkDecoder(), b"hi\r\n0\r\n\r\n"
    assert decoder.feed(size + b"\r\n" + follows) == (follows, len(size) + 2 + len(follows))
    assert not decoder.done


@pytest.mark.parametrize("octets", [b"x", b"2\r\nhi!", b"2\n", b"0\r\n\rx", b"0\r\nA: b\n", b"f" * 17])
def test_a_refused_body_stays_refused(octets: bytes) -> None:
    decoder = ChunkDecoder()
    for more in (octets, b"\r\n\r\n", b"0\r\n\r\n", b"2\r\nhi\r\n0\r\n\r\n"):
        with pytest.raises(ValueError):
            decoder.feed(more)
    assert not decoder.done
