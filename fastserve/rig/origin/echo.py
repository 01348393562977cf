"""Endpoints that answer with what they were asked: fields, forms, bodies, cookies. JSON is in httpbin's form.

Their texts and forms are httpbin's, so that what was written for it works here. Knows the handler. What sizes
and others say of a request is made here, too.
"""

import base64
import functools
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus, cookies
from typing import Any, Final

from fastserve.handlers import multipart
from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import HTML, OCTETS, TEXT, Answer, as_json
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import ANY_METHOD, Refusal

endpoint = functools.partial(routes.endpoint, group="Echo")

WITH_BODY: Final = ("POST", "PUT", "PATCH")
URLENCODED: Final = "application/x-www-form-urlencoded"
LONG_AGO: Final = "Thu, 01 Jan 1970 00:00:00 GMT"
NOSNIFF: Final = [("X-Content-Type-Options", "nosniff")]  # what comes back is another's, and no page of ours

# -- What a request says ---------------------------------------------------------------------------


def flattened(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values by their names; a list of them where a name comes more than once."""
    found: dict[str, list[Any]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def fields_of(request: Origin) -> dict[str, str]:
    """Return the header fields, names as WSGI servers write them, several of one name joined by a comma."""
    found: dict[str, str] = {}
    for written, value in request.headers.items():
        name = written.title()
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def origin_of(request: Origin) -> str:
    """Return the client's address, or what a proxy says that it is."""
    address = request.client_address
    host = str(address[0]) if isinstance(address, tuple) else ""
    forwarded: str = request.headers.get("X-Forwarded-For") or host.removeprefix("::ffff:")
    return forwarded


def url_of(request: Origin) -> str:
    """Return what the client has asked for, scheme and host included."""
    if request.path.startswith(("http://", "https://")):
        return request.path
    host = request.headers.get("Host") or "localhost"
    scheme = request.headers.get("X-Forwarded-Proto") or request.scheme
    return f"{scheme}://{host}{request.path}"


def facts_of(request: Origin) -> dict[str, Any]:
    """Return what httpbin tells of every request."""
    return {"args": flattened(request.query.pairs), "headers": fields_of(request),
            "origin": origin_of(request), "url": url_of(request)}


def readable(octets: bytes, content_type: str = OCTETS) -> str:
    """Return text as it is, and other octets as a data: URL."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return f"data:{content_type};base64,{base64.b64encode(octets).decode()}"


def shown(text: str) -> str:
    """Return the name of a part without what UTF-8 cannot have."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# -- What its body says ----------------------------------------------------------------------------


def body_of(request: Origin) -> dict[str, Any]:
    """Return what httpbin tells of a request's body: data, files, form and json.

    One that has a content coding is shown as it came, whatever is in it.
    """
    found: dict[str, Any] = {"data": "", "files": {}, "form": {}, "json": None}
    octets = request.content()
    content_type = request.headers.get("Content-Type") or ""
    coding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    kind = content_type.partition(";")[0].strip().lower() if coding == "identity" else ""
    if kind == "multipart/form-data":
        found["form"], found["files"] = parts_of(octets, content_type)
    elif kind == URLENCODED:
        found["form"] = flattened(routes.Query(octets.decode("utf-8", "replace")).pairs)
    else:
        found["data"], found["json"] = readable(octets), parsed(octets)
    return found


def parts_of(octets: bytes, content_type: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the files of a form. Raises Refusal."""
    fields, files = [], []
    try:
        boundary = multipart.boundary_of(content_type)
        for part in multipart.MultipartReader(io.BytesIO(octets).read, boundary):
            value, name = b"".join(part.blocks()), shown(part.name)
            if part.filename is None:
                fields.append((name, readable(value)))
            else:
                files.append((name, readable(value, shown(part.content_type or OCTETS))))
    except multipart.MultipartError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
    return flattened(fields), flattened(files)


def parsed(octets: bytes) -> Any:
    """Return the value of a text of JSON, None of anything else, and of what JSON has no words for."""
    try:
        value = json.loads(octets, parse_constant=_refuse_constant)
        as_json(value)  # one that is nested too deep cannot be written either
    except (ValueError, RecursionError):
        return None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# -- httpbin's endpoints ---------------------------------------------------------------------------


@endpoint("/get", "The query, the header fields, the client's address and the URL, as JSON.",
          example="/get?a=1")
def get(request: Origin) -> Answer:
    return as_json(facts_of(request))


def with_body(request: Origin) -> Answer:
    return as_json(facts_of(request) | body_of(request))


for _method in (*WITH_BODY, "DELETE"):
    endpoint(f"/{_method.lower()}", f"The same of a {_method}, and its form, files, JSON or other data.",
             methods=(_method,))(with_body)


@endpoint("/anything/{path:path}", "The same, below any path.", methods=ANY_METHOD,
          example="/anything/a/b?c=d")
def anything_below(request: Origin, path: str) -> Answer:
    return anything(request)


@endpoint("/anything", "All that is known of a request, whatever its method is.", methods=ANY_METHOD)
def anything(request: Origin) -> Answer:
    return as_json(facts_of(request) | body_of(request) | {"method": request.command})


@endpoint("/headers", "The header fields of the request.")
def headers(request: Origin) -> Answer:
    return as_json({"headers": fields_of(request)})


@endpoint("/ip", "The client's address, or what X-Forwarded-For says.")
def ip(request: Origin) -> Answer:
    return as_json({"origin": origin_of(request)})


@endpoint("/user-agent", "The User-Agent field of the request.")
def user_agent(request: Origin) -> Answer:
    return as_json({"user-agent": request.headers.get("User-Agent")})


# -- Cookies ---------------------------------------------------------------------------------------


def cookies_of(request: Origin) -> dict[str, str]:
    """Return what Cookie fields say (RFC 6265 5.4); the first of a name counts."""
    found: dict[str, str] = {}
    for line in request.headers.get_all("Cookie", []):
        text = line.encode("latin-1", "replace").decode("utf-8", "replace")
        for pair in text.split(";"):
            name, equals, value = pair.strip(" \t").partition("=")
            if equals and name:
                found.setdefault(name, unquoted(value))
    return found


def unquoted(value: str) -> str:
    """Return the value that http.cookies has written in quotes."""
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    text = re.sub(r"\\([0-3][0-7]{2}|.)", _unescaped, value[1:-1])
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 8)) if len(match[1]) == 3 else match[1]


def cookie_field(request: Origin, name: str, value: str, expires: str | None = None) -> tuple[str, str]:
    """Return a Set-Cookie field. Raises Refusal where a cookie cannot have that name or value."""
    try:
        jar: cookies.SimpleCookie = cookies.SimpleCookie()
        jar[name] = value.encode("utf-8").decode("latin-1")
        jar[name]["path"] = "/"
        jar[name]["secure"] = request.scheme == "https"
        if expires is not None:
            jar[name]["expires"], jar[name]["max-age"] = expires, "0"
        return "Set-Cookie", jar[name].OutputString()
    except cookies.CookieError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"no cookie is called {name}: {error}") from None


def to_cookies(fields: list[tuple[str, str]]) -> Answer:
    return Answer(status=302, headers=[("Location", "/cookies"), *fields])


@endpoint("/cookies", "The cookies that the request has.")
def all_cookies(request: Origin) -> Answer:
    return as_json({"cookies": cookies_of(request)})


@endpoint("/cookies/set", "Sets a cookie for each of the query's names, and leads to /cookies.",
          example="/cookies/set?flavour=oat")
def set_cookies(request: Origin) -> Answer:
    return to_cookies([cookie_field(request, *pair) for pair in request.query.pairs])


@endpoint("/cookies/set/{name}/{value}", "Sets that cookie, and leads to /cookies.",
          example="/cookies/set/flavour/oat")
def set_cookie(request: Origin, name: str, value: str) -> Answer:
    return to_cookies([cookie_field(request, name, value)])


@endpoint("/cookies/delete", "Deletes the cookies that the query names, and leads to /cookies.",
          example="/cookies/delete?flavour")
def delete_cookies(request: Origin) -> Answer:
    return to_cookies([cookie_field(request, name, "", LONG_AGO) for name, _ in request.query.pairs])


# -- Bodies ----------------------------------------------------------------------------------------


@endpoint("/echo", "The body, octet for octet and with its Content-Type. It is sent back while it comes: a "
          "client that reads nothing before it has sent all can send a few MiB.", methods=WITH_BODY)
def echo(request: Origin) -> Answer:
    content_type = request.headers.get("Content-Type") or OCTETS
    return Answer(request.blocks(), content_type, length=request.content_length, headers=NOSNIFF)


DIGESTS: Final[dict[str, Callable[[], Any] | None]] = {
    "sha256": hashlib.sha256, "sha512": hashlib.sha512, "md5": hashlib.md5, "none": None,
}


@endpoint("/upload", "Reads a body of any size, throws it away, and says how many octets it had, their "
          "digest (?digest=sha256, sha512, md5 or none) and the seconds that it took.", methods=WITH_BODY)
def upload(request: Origin) -> Answer:
    began = time.perf_counter()
    name = request.query.choice("digest", DIGESTS, "sha256")
    make = DIGESTS[name]
    digest = make() if make is not None else None
    octets = 0
    for block in request.blocks():
        octets += len(block)
        if digest is not None:
            digest.update(block)
    said = {"octets": octets, "seconds": round(time.perf_counter() - began, 6)}
    return as_json(said if digest is None else said | {name: digest.hexdigest()})


@endpoint("/dump/request", "The request as it was received, but that chunks of its body are joined.",
          methods=ANY_METHOD)
def dump(request: Origin) -> Answer:
    return Answer(head_of(request) + request.content(), TEXT, headers=NOSNIFF)


def head_of(request: Origin) -> bytes:
    """Return the octets of the request's head."""
    head = request._fastserve_head
    assert head is not None  # it is being answered
    return head.raw


# -- A form ----------------------------------------------------------------------------------------

FORM: Final = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>A form</title>
<h1>An order</h1>
<form method="post" action="/post">
{fields}
<p><button>Order</button></p>
</form>
</html>
"""
TEXTS: Final = (
    ("Customer name", "text", "custname"), ("Telephone", "tel", "custtel"), ("E-mail", "email", "custemail"),
    ("Time of delivery", "time", "delivery"),
)
CHOICES: Final = (
    ("Size", "radio", "size", ("small", "medium", "large")),
    ("Toppings", "checkbox", "topping", ("bacon", "cheese", "onion", "mushroom")),
)


def form_fields() -> Iterator[str]:
    for label, kind, name in TEXTS:
        yield f'<p><label>{label}: <input type="{kind}" name="{name}"></label></p>'
    for label, kind, name, values in CHOICES:
        yield f"<fieldset><legend>{label}</legend>"
        for value in values:
            yield f'<p><label><input type="{kind}" name="{name}" value="{value}"> {value}</label></p>'
        yield "</fieldset>"
    yield '<p><label>Remarks: <textarea name="comments"></textarea></label></p>'


@endpoint("/forms/post", "A form that is sent to /post.", constant=True)
def form(request: Origin) -> Answer:
    return Answer(FORM.format(fields="\n".join(form_fields())).encode(), HTML)
