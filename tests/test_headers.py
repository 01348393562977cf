"""RequestHeaders is an http.client.HTTPMessage: whatever is asked of it, and in whatever order.

The oracle is http.client.parse_headers() on the same octets.
"""

import copy
import email.message
import http.client
import io
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fastserve._parser import RequestParser
from fastserve.headers import RequestHeaders, make_headers

BLOCK = (
    b"Host: example.test\r\n"
    b"Content-Type: text/html; charset=\"utf-8\"; boundary=xyz\r\n"
    b"Accept: text/html\r\n"
    b"ACCEPT: */*;q=0.1\r\n"
    b"X-Empty:\r\n"
    b"X-Latin: \xc4rger\r\n"
    b"X-Colon: a:b: c\r\n"
    b"\r\n"
)


def ours(block: bytes = BLOCK, message_class: Any = http.client.HTTPMessage) -> Any:
    data = b"GET / HTTP/1.1\r\n" + block
    parser = RequestParser(require_host=False)
    assert parser.feed(data) == 1
    return make_headers(parser.take(data), message_class)


def theirs(block: bytes = BLOCK, message_class: Any = http.client.HTTPMessage) -> Any:
    return http.client.parse_headers(io.BytesIO(block), _class=message_class)


def is_lazy(headers: Any) -> bool:
    return "_headers" not in headers.__dict__


def outcome(headers: Any, use: Callable[[Any], Any]) -> Any:
    """What a use gives, an exception's type where it raises."""
    try:
        return use(headers)
    except Exception as error:
        return type(error)


def changed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def use(headers: Any) -> Any:
        result = change(headers)
        return result, headers.items()

    return use


def popped(headers: Any) -> None:
    del headers["accept"]


def assigned(headers: Any) -> None:
    headers["Accept"] = "text/plain"


READS = {
    "get": lambda h: h.get("Accept"),
    "get in any case": lambda h: h.get("aCCEPT"),
    "get a missing one": lambda h: h.get("missing"),
    "get with a default": lambda h: h.get("missing", 5),
    "get a present one with a default": lambda h: h.get("host", 5),
    "get by keyword": lambda h: h.get("missing", failobj="x"),
    "get an empty one": lambda h: h.get("x-empty"),
    "get latin-1": lambda h: h.get("X-Latin"),
    "get with colons": lambda h: h.get("x-colon"),
    "get a name with a line end": lambda h: h.get("a\r\nb"),
    "get a name past latin-1": lambda h: h.get("\u20ac"),
    "get the empty name": lambda h: h.get(""),
    "get with a Kelvin sign": lambda h: h.get("to\u212aen"),
    "item": lambda h: h["HOST"],
    "a missing item": lambda h: h["missing"],
    "in": lambda h: "accept" in h,
    "not in": lambda h: "missing" in h,
    "in, an empty one": lambda h: "X-Empty" in h,
    "in, no string": lambda h: 5 in h,
    "in, None": lambda h: None in h,
    "get_all": lambda h: h.get_all("Accept"),
    "get_all of one": lambda h: h.get_all("HOST"),
    "get_all of none": lambda h: h.get_all("missing"),
    "get_all with a default": lambda h: h.get_all("missing", []),
    "get_all by keyword": lambda h: h.get_all("missing", failobj=()),
    "getallmatchingheaders": lambda h: h.getallmatchingheaders("accept"),
    "keys": lambda h: h.keys(),
    "values": lambda h: h.values(),
    "items": lambda h: h.items(),
    "raw_items": lambda h: list(h.raw_items()),
    "iter": list,
    "dict": dict,
    "len": len,
    "bool": bool,
    "str": str,
    "repr is of an object": lambda h: repr(h).startswith("<"),
    "as_string": lambda h: h.as_string(),
    "as_bytes": lambda h: h.as_bytes(),
    "bytes": bytes,
    "get_content_type": lambda h: h.get_content_type(),
    "get_content_maintype": lambda h: h.get_content_maintype(),
    "get_content_charset": lambda h: h.get_content_charset(),
    "get_boundary": lambda h: h.get_boundary(),
    "get_params": lambda h: h.get_params(),
    "get_param": lambda h: h.get_param("boundary"),
    "get_filename": lambda h: h.get_filename(),
    "get_content_disposition": lambda h: h.get_content_disposition(),
    "get_default_type": lambda h: h.get_default_type(),
    "get_charsets": lambda h: h.get_charsets(),
    "get_unixfrom": lambda h: h.get_unixfrom(),
    "is_multipart": lambda h: h.is_multipart(),
    "get_payload": lambda h: h.get_payload(),
    "get_payload decoded": lambda h: h.get_payload(decode=True),
    "preamble": lambda h: h.preamble,
    "epilogue": lambda h: h.epilogue,
    "walk": lambda h: len(list(h.walk())),
    "_headers": lambda h: h._headers,
    "_payload": lambda h: h._payload,
    "_charset": lambda h: h._charset,
    "policy": lambda h: type(h.policy),
    "equality": lambda h: h == h,
    "hash": lambda h: hash(h) == hash(h),
    "an unknown attribute": lambda h: h.unknown,
    "hasattr": lambda h: hasattr(h, "unknown"),
}

CHANGES = {
    "assign": assigned,
    "delete": popped,
    "delete a missing one": lambda h: h.__delitem__("missing"),
    "add_header": lambda h: h.add_header("X-New", "value", name="param"),
    "replace_header": lambda h: h.replace_header("Host", "other"),
    "replace a missing one": lambda h: h.replace_header("missing", "x"),
    "set_raw": lambda h: h.set_raw("X-Raw", "1"),
    "set_param": lambda h: h.set_param("boundary", "other"),
    "del_param": lambda h: h.del_param("boundary"),
    "set_type": lambda h: h.set_type("text/plain"),
    "set_boundary": lambda h: h.set_boundary("new"),
    "set_charset": lambda h: h.set_charset("utf-8"),
    "set_default_type": lambda h: h.set_default_type("message/rfc822"),
    "set_payload": lambda h: h.set_payload("body"),
    "attach": lambda h: h.attach("part"),
    "preamble": lambda h: setattr(h, "preamble", "text"),
    "set_unixfrom": lambda h: h.set_unixfrom("From x"),
    "an attribute": lambda h: setattr(h, "own", 5),
    "the list": lambda h: h._headers.append(("X-List", "1")),
}


@pytest.mark.parametrize("name", READS)
def test_reads(name: str) -> None:
    assert outcome(ours(), READS[name]) == outcome(theirs(), READS[name])


@pytest.mark.parametrize("name", READS)
def test_reads_after_it_was_filled_in(name: str) -> None:
    headers = ours()
    headers.keys()
    assert outcome(headers, READS[name]) == outcome(theirs(), READS[name])


@pytest.mark.parametrize("name", CHANGES)
def test_changes(name: str) -> None:
    assert outcome(ours(), changed(CHANGES[name])) == outcome(theirs(), changed(CHANGES[name]))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("then", ["get", "keys"])
def test_reads_after_changes(change: str, then: str) -> None:
    """Whatever is read first after the change."""
    for name, read in READS.items():
        headers, oracle = ours(), theirs()
        for use in (CHANGES[change], READS[then], read):
            assert outcome(headers, use) == outcome(oracle, use), name


@pytest.mark.parametrize("block", [b"\r\n", b"A: b\r\n\r\n", b"Content-Type: text/x\r\n\r\n"])
@pytest.mark.parametrize("name", READS)
def test_other_heads(name: str, block: bytes) -> None:
    assert outcome(ours(block), READS[name]) == outcome(theirs(block), READS[name])


def test_it_is_what_http_server_gives() -> None:
    headers = ours()
    assert isinstance(headers, http.client.HTTPMessage)
    assert isinstance(headers, email.message.Message)
    assert type(headers) is RequestHeaders
    assert headers.defects == []


def test_fields_asked_for_by_name_leave_it_unread() -> None:
    headers = ours()
    headers.get("Host")
    headers.get("missing", 1)
    assert headers["Accept"] == "text/html"
    assert "X-Empty" in headers
    headers.get_all("accept")
    assert is_lazy(headers)
    headers.keys()
    assert not is_lazy(headers)


@pytest.mark.parametrize("name", ["defects", "_headers", "_payload", "policy", "preamble"])
def test_attributes_of_a_message_fill_it_in(name: str) -> None:
    headers = ours()
    assert getattr(headers, name) == getattr(theirs(), name)


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda headers: pickle.loads(pickle.dumps(headers)),
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("filled", [True, False])
def test_copies(make: Callable[[Any], Any], filled: bool) -> None:
    headers = ours()
    if filled:
        headers.keys()
    other = make(headers)
    assert isinstance(other, http.client.HTTPMessage)
    assert other.items() == theirs().items()
    assert other["host"] == headers["host"] == "example.test"
    assert headers.items() == theirs().items()


def test_copies_are_their_own() -> None:
    headers = ours()
    other = copy.deepcopy(headers)
    del other["host"]
    assert headers["Host"] == "example.test"
    assert other["Host"] is None


def test_it_outlives_the_connection_s_buffer() -> None:
    data = bytearray(b"GET / HTTP/1.1\r\n" + BLOCK)
    parser = RequestParser(require_host=False)
    parser.feed(data)
    headers = make_headers(parser.take(data), http.client.HTTPMessage)
    data[:] = b"x" * len(data)
    assert headers["Host"] == "example.test"
    assert headers.items() == theirs().items()


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads change places as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_two_readers_at_once_see_the_same(restless: None) -> None:
    """A handler may hand its headers to other threads."""
    uses = [READS[name] for name in ("items", "get", "keys", "in", "len", "item")]
    expected = [outcome(theirs(), use) for use in uses]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(300):
            results = pool.map(outcome, [ours()] * len(uses), uses)
            assert list(results) == expected


def test_a_multipart_request_is_no_broken_message() -> None:
    """Its body is not in the head, which http.server's parser takes for a defect."""
    block = b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    headers, oracle = ours(block), theirs(block)
    assert (headers.defects, headers.get_payload(), headers.is_multipart()) == ([], "", False)
    for name in ("str", "get_boundary", "get_content_type", "items", "get_params", "walk"):
        assert outcome(headers, READS[name]) == outcome(oracle, READS[name])


class Own(http.client.HTTPMessage):
    pass


@pytest.mark.parametrize("message_class", [email.message.Message, email.message.EmailMessage, Own])
def test_another_message_class(message_class: Any) -> None:
    headers = ours(message_class=message_class)
    oracle = theirs(message_class=message_class)
    assert type(headers) is type(oracle) is message_class
    assert headers.items() == oracle.items()
    assert headers.get_content_type() == oracle.get_content_type()
    assert headers.get_payload() == oracle.get_payload()
