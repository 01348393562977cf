"""RequestHeaders is an http.client.HTTPMessage: whatever is asked of it, and in whatever order.

The oracle is http.client.parse_headers() on the same octets.
"""

import copy
import email.generator
import email.message
import email.policy
import http.client
import inspect
import io
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers import PATIENCE

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
    """http.client's, but for the white space behind values (row ``value-blanks`` of differences.py)."""
    return http.client.parse_headers(io.BytesIO(re.sub(rb"[ \t]+\r\n", b"\r\n", block)), _class=message_class)


def test_messages_share_nothing_that_can_change():
    one, other = vars(listed(ours())), vars(listed(ours()))
    shared = [name for name, value in one.items() if isinstance(value, list) and value is other[name]]
    assert one.keys() == vars(theirs()).keys()
    assert shared == []


def listed(headers: Any) -> Any:
    headers.items()
    return headers


def is_lazy(headers: Any) -> bool:
    return "_headers" not in headers.__dict__


def outcome(headers: Any, use: Callable[[Any], Any]) -> Any:
    """What a use gives, an exception's type where it raises; messages by their text."""
    try:
        return comparable(use(headers))
    except Exception as error:
        return type(error)


def comparable(value: Any) -> Any:
    if isinstance(value, email.message.Message):
        return isinstance(value, http.client.HTTPMessage), str(value)
    if isinstance(value, email.errors.MessageDefect):
        return type(value)
    return [comparable(each) for each in value] if isinstance(value, list) else value


def changed(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def use(headers: Any) -> Any:
        result = change(headers)
        return result, headers.items()

    return use


def generated(headers: Any) -> bytes:
    out = io.BytesIO()
    email.generator.BytesGenerator(out).flatten(headers)
    return out.getvalue()


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
    "get no string": lambda h: h.get(5),
    "get None": lambda h: h.get(None),
    "get octets": lambda h: h.get(b"host"),
    "get an empty one": lambda h: h.get("x-empty"),
    "get latin-1": lambda h: h.get("X-Latin"),
    "get with colons": lambda h: h.get("x-colon"),
    "get a name with a line end": lambda h: h.get("a\r\nb"),
    "get a name past latin-1": lambda h: h.get("\u20ac"),
    "get the empty name": lambda h: h.get(""),
    "get with a Kelvin sign": lambda h: h.get("to\u212aen"),
    "item": lambda h: h["HOST"],
    "an item by number": lambda h: h[0],
    "a missing item": lambda h: h["missing"],
    "in": lambda h: "accept" in h,
    "not in": lambda h: "missing" in h,
    "in, an empty one": lambda h: "X-Empty" in h,
    "in, no string": lambda h: 5 in h,
    "in, octets": lambda h: b"host" in h,
    "in, None": lambda h: None in h,
    "get_all": lambda h: h.get_all("Accept"),
    "get_all of one": lambda h: h.get_all("HOST"),
    "get_all of no string": lambda h: h.get_all(5),
    "get_all of octets": lambda h: h.get_all(b"host"),
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
    "get_content_subtype": lambda h: h.get_content_subtype(),
    "get_charset": lambda h: h.get_charset(),
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
    "walk": lambda h: list(h.walk()),
    "defects": lambda h: h.defects,
    "_unixfrom": lambda h: h._unixfrom,
    "_default_type": lambda h: h._default_type,
    "_get_params_preserve": lambda h: h._get_params_preserve([], "content-type"),
    "vars": lambda h: (len(h), sorted(vars(h))),
    "dir": dir,
    "as_string of a policy": lambda h: h.as_string(policy=email.policy.HTTP),
    "as_bytes of a policy": lambda h: h.as_bytes(policy=email.policy.SMTP),
    "as_string with a maximum": lambda h: h.as_string(maxheaderlen=20),
    "a generator": generated,
    "_headers": lambda h: h._headers,
    "_payload": lambda h: h._payload,
    "_charset": lambda h: h._charset,
    "policy": lambda h: h.policy,
    "equality": lambda h: h == h,
    "equality of copies": lambda h: h == copy.copy(h),
    "equality of items": lambda h: h.items() == dict(h).items(),
    "sorted": sorted,
    "reversed": lambda h: list(reversed(h)),
    "unpacking": lambda h: {**h},
    "truth of none": lambda h: not h,
    "isinstance": lambda h: isinstance(h, http.client.HTTPMessage),
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
    "no preamble": lambda h: delattr(h, "preamble"),
    "no such attribute": lambda h: delattr(h, "unknown"),
    "policy": lambda h: setattr(h, "policy", email.policy.default),
    "defects": lambda h: h.defects.append(email.errors.MessageDefect()),
    "set_unixfrom": lambda h: h.set_unixfrom("From x"),
    "an attribute": lambda h: setattr(h, "own", 5),
    "the list": lambda h: h._headers.append(("X-List", "1")),
    "another list": lambda h: setattr(h, "_headers", [("Accept", "mine")]),
    "an empty list": lambda h: h._headers.clear(),
}


# How far an object has been read before a test begins.
STATES: dict[str, Callable[[Any], Any]] = {
    "unread": lambda h: None,
    "by name": lambda h: (h.get("accept"), "x" in h, h.get_all("host")),
    "filled in": lambda h: h.keys(),
}
IN_ANY_STATE = pytest.mark.parametrize("state", STATES)


def test_every_name_of_a_message_is_tried() -> None:
    tried = {key.split()[0] for key in (*READS, *CHANGES)}
    public = {name for name in dir(http.client.HTTPMessage) if not name.startswith("_")}
    attributes = {name for name in vars(http.client.HTTPMessage()) if not name.startswith("_")}
    assert public | attributes <= tried


@IN_ANY_STATE
@pytest.mark.parametrize("name", READS)
def test_reads(name: str, state: str) -> None:
    headers = ours()
    STATES[state](headers)
    assert outcome(headers, READS[name]) == outcome(theirs(), READS[name])


@IN_ANY_STATE
@pytest.mark.parametrize("name", CHANGES)
def test_changes(name: str, state: str) -> None:
    headers = ours()
    STATES[state](headers)
    assert outcome(headers, changed(CHANGES[name])) == outcome(theirs(), changed(CHANGES[name]))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("then", ["get", "keys"])
def test_reads_after_changes(change: str, then: str) -> None:
    """Whatever is read first after the change."""
    for name, read in READS.items():
        headers, oracle = ours(), theirs()
        for use in (CHANGES[change], READS[then], read):
            assert outcome(headers, use) == outcome(oracle, use), name


QUIRKS = {
    "nothing": b"\r\n",
    "one": b"A: b\r\n\r\n",
    "duplicates": b"Accept: 1\r\nX-Empty:\r\naccept: 2\r\nACCEPT: 1\r\nX-Empty: x\r\n\r\n",
    "empty values": b"Host:\r\nAccept: \r\nX-Empty:\t\r\nContent-Type:\r\n\r\n",
    "blanks around": b"Host:x\r\nAccept: \t x\r\nX-Empty: a  b \t\r\n\r\n",
    "latin-1": b"X-Latin: \xe9\r\nAccept: \x80\x85\xa0\xad\xff\r\nX-Latin: \xa0x\xa0\r\n\r\n",
    "UTF-8": "Accept: \u20ac\r\nX-Latin: \u00e4 \U0001f600\r\n\r\n".encode(),
    "encoded words": b"Subject: =?utf-8?q?=c3=a9?=\r\nFrom: =?x?b?!?=\r\n\r\n",
    "odd names": b"!#$%&'*+-.^_`|~09aZ: v\r\n1: 2\r\n-: 3\r\nFrom: a\r\n_head: b\r\npolicy: c\r\n\r\n",
    "99 fields": b"".join(b"H%d: %d\r\n" % (n, n) for n in range(99)) + b"\r\n",
    "a long value": b"Accept: " + b"v" * 60000 + b"\r\nHost: x\r\n\r\n",
    "a long name": b"N" * 60000 + b": v\r\nHost: x\r\n\r\n",
    "MIME": b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; "
            b"filename*=utf-8''%e2%82%ac.txt\r\nContent-Type: text/plain; charset*=us-ascii'en'x\r\n\r\n",
    "no type": b"Content-Type: nonsense\r\nContent-Disposition:\r\n\r\n",
    "two types": b"Content-Type: text/html\r\nContent-Type: multipart/mixed\r\n\r\n",
    "odd parameters": b'Content-Type: a/b; x="q;\\"r"; y; =z; boundary="; charset="\r\n\r\n',
    "multipart": b"Content-Type: MultiPart/form-data; boundary=x\r\nHost: x\r\n\r\n",
    "multipart without a boundary": b"Content-Type: multipart/form-data\r\n\r\n",
    "multipart in base64": b"Content-Type: multipart/x; boundary=x\r\n"
                           b"Content-Transfer-Encoding: base64\r\n\r\n",
    "a message": b"Host: x\r\nContent-Type: message/rfc822\r\n\r\n",
    "a delivery status": b"Content-Type: message/delivery-status\r\n\r\n",
    "a message behind what Python takes for white space": b"Content-Type: \xa0Message/rfc822\r\n\r\n",
    "almost a message": b"Content-Type: message/x/y\r\n\r\n",
}


@IN_ANY_STATE
@pytest.mark.parametrize("block", QUIRKS.values(), ids=QUIRKS)
def test_other_heads(block: bytes, state: str) -> None:
    uses = READS | {f"change: {name}": changed(change) for name, change in CHANGES.items()}
    for name, use in uses.items():
        headers = ours(block)
        STATES[state](headers)
        assert outcome(headers, use) == outcome(theirs(block), use), name


def test_it_is_what_http_server_gives() -> None:
    headers = ours()
    assert isinstance(headers, http.client.HTTPMessage)
    assert isinstance(headers, email.message.Message)
    assert type(headers) is RequestHeaders
    assert headers.defects == []
    assert type(headers) is http.client.HTTPMessage


def test_methods_take_the_same_arguments() -> None:
    for name, method in vars(RequestHeaders).items():
        if inspect.isfunction(method) and hasattr(email.message.Message, name) and not name.startswith("__"):
            oracle = inspect.signature(getattr(http.client.HTTPMessage, name))
            parameters = inspect.signature(method).parameters.values()
            assert [(p.name, p.default) for p in parameters] == [
                (p.name, p.default) for p in oracle.parameters.values()], name


def test_another_of_the_same_type() -> None:
    """As programs make one to change it."""
    other = type(ours())()
    other["A"] = "b"
    assert (other.items(), other["a"], other.get_payload()) == ([("A", "b")], "b", None)


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
    assert "_head" not in vars(headers)


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda headers: pickle.loads(pickle.dumps(headers)),
    "an old pickle": lambda headers: pickle.loads(pickle.dumps(headers, 0)),
    "pickle in Python": lambda headers: pickle.loads(pickle._dumps(headers)),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("filled", [True, False])
def test_copies(make: Callable[[Any], Any], filled: bool) -> None:
    headers = ours()
    if filled:
        headers.keys()
    other = make(headers)
    assert type(other) is http.client.HTTPMessage
    assert vars(other).keys() == vars(theirs()).keys()
    assert other.items() == theirs().items()
    assert other["host"] == headers["host"] == "example.test"
    assert headers.items() == theirs().items()


def test_a_pickle_needs_no_fastserve() -> None:
    assert b"fastserve" not in pickle.dumps(ours())


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


FIRST = ("items", "get", "keys", "in", "len", "item", "get_all", "defects", "an unknown attribute", "hasattr")


def test_readers_at_once_see_the_same(restless: None) -> None:
    """A handler may hand its headers to other threads."""
    uses = [READS[name] for name in FIRST]
    expected = [outcome(theirs(), use) for use in uses]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(300):
            results = pool.map(outcome, [ours()] * len(uses), uses)
            assert list(results) == expected


@pytest.mark.parametrize("name", READS)
def test_readers_at_once(restless: None, name: str) -> None:
    expected = outcome(theirs(), READS[name])
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            headers, start = ours(), threading.Barrier(4)

            def read(headers: Any = headers, start: Any = start) -> Any:
                start.wait(PATIENCE)
                return outcome(headers, READS[name])

            results = [pool.submit(read) for _ in range(4)]
            assert [each.result(PATIENCE) for each in results] == [expected] * 4


def test_a_change_is_not_lost_to_a_reader(restless: None) -> None:
    """Who fills it in a moment later puts nothing back."""
    with ThreadPoolExecutor(3) as pool:
        for _ in range(300):
            headers, start = ours(), threading.Barrier(3)

            def read(headers: Any = headers, start: Any = start) -> None:
                start.wait(PATIENCE)
                headers.keys()

            reading = [pool.submit(read) for _ in range(2)]
            start.wait(PATIENCE)
            del headers["host"]
            headers["X-New"] = "1"
            for each in reading:
                each.result(PATIENCE)
            assert ("host" in headers, headers["x-new"]) == (False, "1")


class Own(http.client.HTTPMessage):
    pass


@pytest.mark.parametrize("message_class", [email.message.Message, email.message.EmailMessage, Own])
def test_another_message_class(message_class: Any) -> None:
    block = BLOCK.replace(b"*/*", b"*/* \t")
    headers, oracle = ours(block, message_class), theirs(block, message_class)
    assert type(headers) is type(oracle) is message_class
    assert headers.items() == oracle.items()
    assert headers.get_content_type() == oracle.get_content_type()
    assert headers.get_payload() == oracle.get_payload()
