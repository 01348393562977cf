"""What httpbin's endpoints say of a request: the same here, for the clients that are tested with it."""

import base64
import contextlib
import hashlib
import http.client
import json
import threading
from html.parser import HTMLParser
from typing import Any

import pytest
from helpers import Client, ask, request, running
from pairs import certificate

from fastserve.rig.origin import make_server
from fastserve.rig.origin.echo import flattened, unquoted

FORM = "Content-Type: application/x-www-form-urlencoded"


def said(address: Any, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Any:
    reply = ask(address, request(method, target, *fields, body=body))
    assert (reply.status, reply.get("Content-Type")) == (200, "application/json")
    return json.loads(reply.body)


# -- Fields, arguments, URLs -------------------------------------------------------------------


def test_get(address: Any) -> None:
    found = said(address, "/get?a=1&b=2&b=3&c=&d=%C3%A9+%26", "X-One: 1", "x-two: 2", "X-Two: 3")
    assert found == {
        "args": {"a": "1", "b": ["2", "3"], "c": "", "d": "é &"},
        "headers": {"Host": "test", "X-One": "1", "X-Two": "2,3"},
        "origin": "127.0.0.1",
        "url": "http://test/get?a=1&b=2&b=3&c=&d=%C3%A9+%26",
    }


def test_json_is_written_as_httpbin_does(address: Any) -> None:
    body = ask(address, request(target="/headers")).body
    assert body == b'{\n  "headers": {\n    "Host": "test"\n  }\n}\n'


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_with_a_body(address: Any, method: str) -> None:
    field = "Content-Type: application/json"
    found = said(address, f"/{method.lower()}", field, method=method, body=b'{"a": [1]}')
    assert (found["data"], found["json"]) == ('{"a": [1]}', {"a": [1]})
    assert (found["form"], found["files"], found["args"]) == ({}, {}, {})
    assert ask(address, request("GET", f"/{method.lower()}")).status == 405


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("target", ["/anything", "/anything/", "/anything/a/b%20c"])
def test_anything(address: Any, method: str, target: str) -> None:
    found = said(address, target, method=method, body=b"x" if method == "POST" else b"")
    assert (found["method"], found["url"]) == (method, f"http://test{target}")
    assert found["data"] == ("x" if method == "POST" else "")


def test_small_ones(address: Any) -> None:
    assert said(address, "/ip") == {"origin": "127.0.0.1"}
    assert said(address, "/ip", "X-Forwarded-For: 1.2.3.4, 5.6.7.8") == {"origin": "1.2.3.4, 5.6.7.8"}
    assert said(address, "/user-agent", "User-Agent: me/1") == {"user-agent": "me/1"}
    assert said(address, "/user-agent") == {"user-agent": None}
    assert said(address, "/get", "X-Forwarded-Proto: https")["url"] == "https://test/get"


def test_a_url_over_tls() -> None:
    import ssl

    pem = certificate()
    context = ssl.create_default_context(cafile=str(pem))
    context.check_hostname = False
    with running(make_server(certfile=pem)) as address:
        client = http.client.HTTPSConnection(address[0], address[1], timeout=10, context=context)
        with contextlib.closing(client):
            client.request("GET", "/get")
            assert json.loads(client.getresponse().read())["url"] == f"https://127.0.0.1:{address[1]}/get"
            client.request("GET", "/bytes/2000000")
            assert len(client.getresponse().read()) == 2_000_000


def test_flattened() -> None:
    assert flattened([("a", 1), ("b", 2), ("a", 3)]) == {"a": [1, 3], "b": 2}


# -- Bodies as httpbin reads them --------------------------------------------------------------


@pytest.mark.parametrize(("body", "form"), [
    (b"a=1&b=two+words&a=3", {"a": ["1", "3"], "b": "two words"}), (b"empty", {"empty": ""}),
    (b"%FF=x", {"\ufffd": "x"}),
])
def test_a_form(address: Any, body: bytes, form: Any) -> None:
    found = said(address, "/post", FORM, method="POST", body=body)
    assert (found["form"], found["data"], found["json"]) == (form, "", None)


def multipart(*parts: tuple[str, bytes]) -> tuple[str, bytes]:
    body = b"".join(b"--XX\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (head.encode(), data)
                    for head, data in parts)
    return "Content-Type: multipart/form-data; boundary=XX", body + b"--XX--\r\n"


def test_a_form_with_files(address: Any) -> None:
    field, body = multipart(
        ('name="text"', b"words"), ('name="text"', b"more"), ('name="n\xe4me"', b"\xe2\x82\xac"),
        ('name="file"; filename="a.txt"\r\nContent-Type: text/plain', b"lines\n"),
        ('name="image"; filename="a.png"\r\nContent-Type: image/png', b"\xff\x00"),
        ('name="bare"; filename="b"', b"\xfe"))
    found = said(address, "/post", field, method="POST", body=body)
    assert found["form"] == {"text": ["words", "more"], "n\xe4me": "\u20ac"}
    assert found["files"] == {
        "file": "lines\n", "image": "data:image/png;base64,/wA=",
        "bare": "data:application/octet-stream;base64,/g==",
    }


@pytest.mark.parametrize(("field", "body"), [
    ("Content-Type: multipart/form-data", b"x"),
    ("Content-Type: multipart/form-data; boundary=XX", b"--XX\r\n\r\n"),
    ("Content-Type: multipart/form-data; boundary=XX", b""),
])
def test_a_form_that_is_none(address: Any, field: str, body: bytes) -> None:
    length = () if body else ("Content-Length: 0",)
    assert ask(address, request("POST", "/post", field, *length, body=body)).status == 400


def test_a_body_in_a_coding_is_shown_as_it_came(address: Any) -> None:
    field, body = multipart(('name="a"', b"b"))
    found = said(address, "/post", field, "Content-Encoding: gzip", method="POST", body=body)
    assert (found["form"], found["files"], found["data"]) == ({}, {}, body.decode())


@pytest.mark.parametrize("body", [b"\xff\x00\x80", bytes(range(256))])
def test_octets_that_are_no_text(address: Any, body: bytes) -> None:
    found = said(address, "/post", method="POST", body=body)
    scheme, _, text = found["data"].partition(",")
    assert (scheme, base64.b64decode(text)) == ("data:application/octet-stream;base64", body)


@pytest.mark.parametrize(("body", "value"), [
    (b"[1, 2]", [1, 2]), (b"{", None), (b"NaN", None), (b'"\\ud800"', "\ud800"), (b"[" * 50_000, None),
    (b"[" * 5_000 + b"]" * 5_000, None), (b"9" * 6_000, None), (b"null", None),
    ("\u20ac".encode(), None),
])
def test_json(address: Any, body: bytes, value: Any) -> None:
    found = said(address, "/post", method="POST", body=body)
    assert found["json"] == value
    assert found["data"] == body.decode()


# -- Cookies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "cookies"), [
    ("a=1; b=2", {"a": "1", "b": "2"}), ("a=1;b=2;;", {"a": "1", "b": "2"}), ("a=1; a=2", {"a": "1"}),
    ("a=x=y", {"a": "x=y"}), ('a="q \\"x\\" \\054"', {"a": 'q "x" ,'}), ("nothing", {}), ("a=", {"a": ""}),
])
def test_cookies(address: Any, field: str, cookies: Any) -> None:
    assert said(address, "/cookies", f"Cookie: {field}") == {"cookies": cookies}


@pytest.mark.parametrize(("target", "fields"), [
    ("/cookies/set?a=1&b=2", ["a=1; Path=/", "b=2; Path=/"]), ("/cookies/set/a/1", ["a=1; Path=/"]),
    ("/cookies/set/a/x%20y", ['a="x y"; Path=/']), ("/cookies/set", []),
    ("/cookies/delete?a", ['a=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/']),
])
def test_setting_cookies(address: Any, target: str, fields: list[str]) -> None:
    reply = ask(address, request(target=target))
    assert (reply.status, reply.get("Location")) == (302, "/cookies")
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == fields


@pytest.mark.parametrize("value", ["plain", "two words", 'quo"ted\\', "\u20ac", "a;b,c", ""])
def test_a_cookie_comes_back_as_it_was_set(address: Any, value: str) -> None:
    from urllib.parse import urlencode

    reply = ask(address, request(target=f"/cookies/set?{urlencode({'c': value})}"))
    cookie = str(reply.get("Set-Cookie")).partition("; Path")[0]
    assert said(address, "/cookies", f"Cookie: {cookie}") == {"cookies": {"c": value}}


@pytest.mark.parametrize("target", ["/cookies/set?a%20b=1", "/cookies/set/%C3%A9/1", "/cookies/set?=1"])
def test_what_no_cookie_is_called(address: Any, target: str) -> None:
    assert ask(address, request(target=target)).status == 400


def test_unquoted() -> None:
    assert [unquoted(text) for text in ("x", '"', '"x"', '"\\303\\251"', '"\\377"')] == [
        "x", '"', "x", "é", "\xff"]


# -- Bodies that come back, or do not ----------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 100_000, 3_000_000])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_echo(address: Any, size: int, method: str) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    with contextlib.closing(http.client.HTTPConnection(address[0], address[1], timeout=20)) as client:
        client.request(method, "/echo", body, {"Content-Type": "text/strange"})
        answer = client.getresponse()
        assert answer.read() == body
        assert answer.headers["Content-Type"] == "text/strange"
        assert answer.headers["Content-Length"] == str(size)


def test_an_echo_comes_while_the_body_is_on_its_way(address: Any) -> None:
    with Client(address) as client:
        client.send(request("POST", "/echo", "Transfer-Encoding: chunked"))
        for piece in (b"one", b"two"):
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            got = b""
            while piece not in got:
                got += client.sock.recv(1 << 16)
        client.send(b"0\r\n\r\n")
        assert client.sock.recv(1 << 16) == b"0\r\n\r\n"


def test_an_echo_of_more_than_any_buffer_holds(address: Any) -> None:
    body = bytes(1 << 20) * 24
    with Client(address, 20) as client:
        sender = threading.Thread(target=client.send, args=(request("POST", "/echo", body=body),))
        sender.start()
        reply = client.reply("POST")
        sender.join(20)
    assert reply is not None
    assert reply.body == body


@pytest.mark.parametrize("end", [b"zz\r\n", b"3\r\nabcd\r\n"])
def test_an_echo_of_broken_chunks_is_not_whole(address: Any, end: bytes) -> None:
    with Client(address) as client:
        client.send(request("POST", "/echo", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
        got = client.sock.recv(1 << 16)
        while b"abc\r\n" not in got:
            got += client.sock.recv(1 << 16)
        client.send(end)
        assert b"0\r\n\r\n" not in client.rest()


@pytest.mark.parametrize("name", ["sha256", "sha512", "md5"])
def test_an_upload(address: Any, name: str) -> None:
    body = bytes(range(256)) * 5000
    found = said(address, f"/upload?digest={name}", method="POST", body=body)
    assert (found["octets"], found[name]) == (len(body), hashlib.new(name, body).hexdigest())
    assert found["seconds"] >= 0


def test_an_upload_that_is_only_counted(address: Any) -> None:
    found = said(address, "/upload?digest=none", method="PUT", body=b"x" * 10)
    assert set(found) == {"octets", "seconds"}
    assert ask(address, request("POST", "/upload?digest=crc")).status == 400


def test_a_request_as_it_was_received(address: Any) -> None:
    fields = b"host:test\r\nX-oDD:   a  \r\nX-oDD: b\r\nContent-Length: 3\r\n\r\n"
    data = b"POST /dump/request?x HTTP/1.1\r\n" + fields + b"abc"
    reply = ask(address, data)
    assert (reply.status, reply.body) == (200, data)


# -- The form ----------------------------------------------------------------------------------


def test_a_form_to_fill_in(address: Any) -> None:
    reply = ask(address, request(target="/forms/post"))
    names: list[Any] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: names.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(reply.body.decode())
    form = next(attributes for tag, attributes in names if tag == "form")
    assert (form["method"], form["action"]) == ("post", "/post")
    assert {attributes.get("name") for tag, attributes in names if tag in ("input", "textarea")} == {
        "custname", "custtel", "custemail", "delivery", "size", "topping", "comments"}
