"""Endpoints about what answers mean: statuses, validators, redirects, authentication, negotiation (RFC 9110).

Where httpbin has an endpoint of a name it does what httpbin does, and what RFC 9110 asks beside. Knows the
table of endpoints and what digest and chance compute.
"""

import base64
import binascii
import functools
import math
import re
import time
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastserve.handlers import conditions
from fastserve.rig.origin import chance, digest, routes
from fastserve.rig.origin.answers import TEXT, Answer, as_json
from fastserve.rig.origin.echo import cookie_field, cookies_of, url_of
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.kept import of_server
from fastserve.rig.origin.routes import ANY_METHOD, Refusal

REALM: Final = "Fake Realm"  # httpbin's
WEIGHT: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
LIFETIME: Final = 300.0  # seconds that a nonce is good for
FAKE: Final = ("fake", "fake_value")  # httpbin's cookie, by which it knows who keeps them
MOST_REDIRECTS: Final = 1000

endpoint = functools.partial(routes.endpoint, group="Semantics")


# -- Statuses --------------------------------------------------------------------------------------

TEAPOT: Final = b"""\
      _..__
   .-'  |  '-.   _
  /     .     \\_/ \\
 (  I'm a teapot __/
  \\           /
   '-._____.-'
"""
# What RFC 9110 has a status say, and what makes it of use to who tests a client.
FIELDS: Final[dict[int, list[tuple[str, str]]]] = {
    **{status: [("Location", "/redirect/1")] for status in (300, 301, 302, 303, 305, 307, 308)},
    201: [("Location", "/get")],
    206: [("Content-Range", "bytes 0-5/12")],
    304: [("ETag", '"fastserve"')],
    401: [("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"')],
    405: [("Allow", "TRACE")],
    407: [("Proxy-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"')],
    413: [("Retry-After", "1")],
    416: [("Content-Range", "bytes */12")],
    426: [("Upgrade", "echo"), ("Connection", "Upgrade")],
    429: [("Retry-After", "1")],
    503: [("Retry-After", "1")],
}
BODIES: Final = {206: b"Hello,", 418: TEAPOT}


@endpoint("/status/{code:int}", "That status, with the fields that belong to it. Of 1xx: that, and behind "
          "it 200.", example="/status/418", methods=ANY_METHOD, constant=True)
def status(request: Origin, code: int) -> Answer:
    return answer_of(request, check_status(code))


@endpoint("/status/{codes}", "One of several statuses by chance, each with its weight.",
          example="/status/200:3,500:1", methods=ANY_METHOD)
def statuses(request: Origin, codes: str) -> Answer:
    """The n-th choice of a seed is ``Draw(seed, n).choose(codes, weights)``; weights not said are 1."""
    parts = [part.strip().partition(":") for part in codes.split(",")]
    values = [check_status(code) for code, _, _ in parts]
    weights = [weight_of(weight if colon else "1") for _, colon, weight in parts]
    if not sum(weights):
        raise Refusal(HTTPStatus.BAD_REQUEST, "all weights are 0")
    return answer_of(request, chance.draw(request, "status").choose(values, weights))


def check_status(code: int | str) -> int:
    return int(routes.bounded("status", code, 100, 599, int))


def weight_of(text: str) -> float:
    if not WEIGHT.fullmatch(text):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the weight {text} is no number")
    return float(text)


def answer_of(request: Origin, code: int) -> Answer:
    """Return the answer with a status, and send it already where it is an interim one."""
    request.content()
    if code == HTTPStatus.SWITCHING_PROTOCOLS:
        raise Refusal(HTTPStatus.BAD_REQUEST, "to switch protocols the client has to ask; /upgrade does it")
    if code < 200:
        request.send_response_only(code)
        request.end_headers()
        return Answer(f"Behind {code}.\n".encode())
    body = BODIES.get(code, b"")
    return Answer(body, TEXT if body else None, code, list(FIELDS.get(code, ())))


@endpoint("/unstable", "500 by chance: rate= says how often, from 0 to 1.", example="/unstable?rate=0.25",
          methods=ANY_METHOD)
def unstable(request: Origin) -> Answer:
    """The n-th answer of a seed fails where ``Draw(seed, n).numbers(1)[0] < rate``."""
    rate = request.query.number("rate", 0.5, 0, 1)
    request.content()
    fails = chance.draw(request, "unstable").numbers(1)[0] < rate
    return Answer(b"failed\n", status=HTTPStatus.INTERNAL_SERVER_ERROR) if fails else Answer(b"ok\n")


# -- Validators and caching ------------------------------------------------------------------------


@endpoint("/etag/{etag}", "An answer with that entity tag; If-None-Match and If-Match are heeded.",
          example="/etag/abc")
def etag(request: Origin, etag: str) -> Answer:
    tag = etag if TAG.fullmatch(etag) else f'"{etag}"'
    if not TAG.fullmatch(tag):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{etag!r} is no entity tag")
    fields = fields_named(request, "If-Match", "If-None-Match")
    found = conditions.evaluate(fields, conditions.Validators(tag, 0, int(time.time())))
    if found is not None:
        return Answer(status=found, content_type=None, headers=[("ETag", tag)])
    return as_json({"etag": tag}, headers=[("ETag", tag)])


def fields_named(request: Origin, *names: str) -> dict[str, str]:
    """Return those fields that a request has, by their names in lower case, lines of one name joined."""
    return {name.lower(): ", ".join(request.headers.get_all(name, ())) for name in names
            if name in request.headers}


@endpoint("/cache", "304 where the request has If-Modified-Since or If-None-Match, else 200.")
def cache(request: Origin) -> Answer:
    """Whatever these fields say, as httpbin has it; /etag compares."""
    tag = ("ETag", '"fastserve"')
    if fields_named(request, "If-Modified-Since", "If-None-Match"):
        return Answer(status=HTTPStatus.NOT_MODIFIED, content_type=None, headers=[tag])
    modified = ("Last-Modified", request.date_time_string())
    return as_json({"cached": False}, headers=[tag, modified])


@endpoint("/cache/{seconds:int}", "An answer that may be kept for so many seconds.", example="/cache/60",
          constant=True)
def cache_for(request: Origin, seconds: int) -> Answer:
    return as_json({"seconds": seconds}, headers=[("Cache-Control", f"public, max-age={seconds}")])


@endpoint("/response-headers", "The query's names and values as fields of the answer.",
          example="/response-headers?X-One=1&X-Two=2", methods=("GET", "POST"))
def response_headers(request: Origin) -> Answer:
    """Values of one name are joined by commas (RFC 9110 5.3), those of Set-Cookie are not."""
    request.content()
    joined: dict[str, str] = {}
    cookies = [("Set-Cookie", value) for name, value in request.query.pairs if name.lower() == "set-cookie"]
    for name, value in request.query.pairs:
        check_field(name, value)
        if name.lower() != "set-cookie":
            key = next((known for known in joined if known.lower() == name.lower()), name)
            joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return as_json(dict(request.query.pairs), headers=[*joined.items(), *cookies])


def check_field(name: str, value: str) -> None:
    """Raise Refusal where a field may not be sent, or says how long the body is, which it does not know."""
    if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name!r} is no field, or {value!r} no value of one")
    if name.lower() in ("content-length", "transfer-encoding", "trailer"):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{name} is the server's own; /fault/ has wrong ones")


# -- Redirects -------------------------------------------------------------------------------------


def redirect_to(location: str, code: int = HTTPStatus.FOUND) -> Answer:
    return Answer(f"To {location}\n".encode(), status=code, headers=[("Location", location)])


def check_redirects(n: int) -> int:
    return int(routes.bounded("redirects", n, 1, MOST_REDIRECTS, int))


@endpoint("/redirect/{n:int}", "So many redirects, and /get behind them.", example="/redirect/3",
          constant=True)
def redirect(request: Origin, n: int) -> Answer:
    return redirect_to(f"/redirect/{n - 1}" if check_redirects(n) > 1 else "/get")


@endpoint("/relative-redirect/{n:int}", "The same, by references that are relative to the path.",
          example="/relative-redirect/3", constant=True)
def relative_redirect(request: Origin, n: int) -> Answer:
    return redirect_to(f"{n - 1}" if check_redirects(n) > 1 else "../get")


@endpoint("/absolute-redirect/{n:int}", "The same, by whole URLs.", example="/absolute-redirect/3")
def absolute_redirect(request: Origin, n: int) -> Answer:
    path = f"/absolute-redirect/{n - 1}" if check_redirects(n) > 1 else "/get"
    return redirect_to(urllib.parse.urljoin(url_of(request), path))


@endpoint("/redirect-to", "A redirect to url=, with status_code= (302).", example="/redirect-to?url=/get",
          methods=ANY_METHOD)
def redirect_anywhere(request: Origin) -> Answer:
    request.content()
    url = request.query.text("url")
    if not url:
        raise Refusal(HTTPStatus.BAD_REQUEST, "url= is missing")
    code = request.query.integer("status_code", HTTPStatus.FOUND, 300, 399)
    return redirect_to(urllib.parse.quote(url, safe="!#$%&'()*+,/:;=?@[]~"), code)


# -- Authentication --------------------------------------------------------------------------------


def is_user(request: Origin, user: str, password: str) -> bool:
    """Whether a request has this user's name and password (RFC 7617)."""
    scheme, _, encoded = request.headers.get("Authorization", "").strip().partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and given == f"{user}:{password}".encode()


@endpoint("/basic-auth/{user}/{password}", "Asks for that user and password (RFC 7617).",
          example="/basic-auth/user/secret", methods=ANY_METHOD)
def basic_auth(request: Origin, user: str, password: str) -> Answer:
    request.content()
    if is_user(request, user, password):
        return as_json({"authenticated": True, "user": user})
    return as_json({"authenticated": False}, HTTPStatus.UNAUTHORIZED, FIELDS[HTTPStatus.UNAUTHORIZED])


@endpoint("/hidden-basic-auth/{user}/{password}", "The same, but that nobody is told: 404.",
          example="/hidden-basic-auth/user/secret", methods=ANY_METHOD)
def hidden_basic_auth(request: Origin, user: str, password: str) -> Answer:
    request.content()
    if is_user(request, user, password):
        return as_json({"authenticated": True, "user": user})
    return as_json({"authenticated": False}, HTTPStatus.NOT_FOUND)


@endpoint("/bearer", "Asks for any bearer token (RFC 6750).", methods=ANY_METHOD)
def bearer(request: Origin) -> Answer:
    request.content()
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and re.fullmatch(r"[A-Za-z0-9\-._~+/]+=*", token.strip()):
        return as_json({"authenticated": True, "token": token.strip()})
    return as_json({"authenticated": False}, HTTPStatus.UNAUTHORIZED,
                   [("WWW-Authenticate", f'Bearer realm="{REALM}"')])


@endpoint("/digest-auth/{qop}/{user}/{password}/{algorithm}/{stale_after}", "The same, and a nonce is stale "
          "behind so many accepted requests; what is no number is never.",
          example="/digest-auth/auth/user/secret/MD5/2", methods=ANY_METHOD)
@endpoint("/digest-auth/{qop}/{user}/{password}/{algorithm}", "The same by another algorithm: MD5, SHA-256, "
          "SHA-512, each of them with -sess behind it or not, or any; what is none of these is MD5. A nonce "
          "lasts for lifetime= seconds.", example="/digest-auth/auth/user/secret/SHA-256", methods=ANY_METHOD)
@endpoint("/digest-auth/{qop}/{user}/{password}", "Asks for that user and password by MD5 (RFC 7616); qop is "
          "auth or auth-int, anything else both. Sets httpbin's cookies, which require-cookie=1 wants back.",
          example="/digest-auth/auth/user/secret", methods=ANY_METHOD)
def digest_auth(
    request: Origin, qop: str, user: str, password: str, algorithm: str = "MD5", stale_after: str = "never"
) -> Answer:
    """Its cookies are httpbin's: fake, for how many requests a nonce is good, and which one is good no more.

    The server counts by itself as well, for clients that keep none; each worker does.
    """
    qops, names = digest.offered(qop, algorithm)
    asked = digest.Asked(
        REALM, user, password, qops, names, request.command or "", request.path, request.content(),
        request.query.number("lifetime", LIFETIME, 0, 1e6), uses_of(stale_after))
    given = digest.parameters(request.headers.get("Authorization", ""))
    wants_cookies = request.query.text("require-cookie").lower() in ("1", "t", "true")
    if given is None or (wants_cookies and "Cookie" not in request.headers):
        return challenge(request, asked)
    if wants_cookies and cookies_of(request).get(FAKE[0]) != FAKE[1]:
        return as_json({"errors": ["the challenge's cookie has not come back"]}, HTTPStatus.FORBIDDEN,
                       [cookie_field(request, *FAKE)])
    right = digest.is_right(given, asked)
    if right and is_good(request, asked, given):
        return welcome(request, asked, given)
    return challenge(request, asked, right, given.get("nonce", ""))


def uses_of(text: str) -> float:
    """Return a number of requests, infinity where the text is none."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else math.inf


def uses_cookie(request: Origin, uses: float) -> tuple[str, str]:
    return cookie_field(request, "stale_after", "never" if uses == math.inf else str(uses))


def nonces_of(request: Origin) -> tuple[digest.Nonces, bytes]:
    """Return the nonces of the request's server, and their key."""
    return of_server(request.server, digest.Nonces), f"nonces of {request.seed}".encode()


def is_good(request: Origin, asked: digest.Asked, given: Mapping[str, str]) -> bool:
    """Whether the nonce of right parameters is not stale. It has been used once more then."""
    nonce = given["nonce"]
    nonces, key = nonces_of(request)
    return (cookies_of(request).get("last_nonce") != nonce
            and nonces.is_fresh(key, nonce, asked.lifetime)
            and nonces.take(nonce, digest.count_of(given), asked.uses))


def challenge(request: Origin, asked: digest.Asked, stale: bool = False, last: str = "") -> Answer:
    """401 with a new nonce. The ``last`` one is good no more for a client that keeps cookies."""
    nonces, key = nonces_of(request)
    fields = [("WWW-Authenticate", value) for value in digest.challenges(asked, nonces.make(key), stale)]
    fields += [uses_cookie(request, asked.uses), cookie_field(request, *FAKE)]
    if digest.is_sealed(key, last):
        fields.append(cookie_field(request, "last_nonce", last))
    return as_json({"authenticated": False}, HTTPStatus.UNAUTHORIZED, fields)


def welcome(request: Origin, asked: digest.Asked, given: Mapping[str, str]) -> Answer:
    fields = [cookie_field(request, *FAKE), *cookies_of_use(request, asked, given["nonce"])]
    answer = as_json({"authenticated": True, "user": asked.user}, headers=fields)
    if "qop" in given:
        assert isinstance(answer.body, bytes)
        answer.headers.append(("Authentication-Info", digest.confirmation(given, asked, answer.body)))
    return answer


def cookies_of_use(request: Origin, asked: digest.Asked, nonce: str) -> list[tuple[str, str]]:
    """Count down the cookie of a client that has it.

    Where httpbin takes 0 for stale, here it is that of the nonce before: requests and httpx answer a
    challenge with the cookies that it has just replaced. The last use is told by the name of the nonce.
    """
    said = cookies_of(request).get("stale_after")
    if said is None:
        return []
    left = (uses_of(said) or asked.uses) - 1
    last = [] if left else [cookie_field(request, "last_nonce", nonce)]
    return [uses_cookie(request, left), *last]


# -- Negotiation -----------------------------------------------------------------------------------

GREETINGS: Final = {"en": "Hello", "de": "Hallo", "fr": "Bonjour", "es": "Hola"}
TYPES: Final = ("text/plain", "text/html", "application/json")


@endpoint("/vary", "A greeting: Accept says as what (text/plain, text/html, application/json), "
          "Accept-Language in which language (en, de, fr, es).")
def vary(request: Origin) -> Answer:
    """406 where Accept takes none of the types; where no language fits it is English."""
    fields = fields_named(request, "Accept", "Accept-Language")
    varies = ("Vary", "Accept, Accept-Language")
    kind = best(fields.get("accept", "*/*"), TYPES)
    if kind is None:
        return Answer(f"{', '.join(TYPES)}\n".encode(), status=HTTPStatus.NOT_ACCEPTABLE, headers=[varies])
    language = best(fields.get("accept-language", "*"), tuple(GREETINGS)) or "en"
    return greeting(kind, language, [varies, ("Content-Language", language)])


def greeting(kind: str, language: str, fields: list[tuple[str, str]]) -> Answer:
    text = GREETINGS[language]
    if kind == "application/json":
        return as_json({"greeting": text, "language": language}, headers=fields)
    if kind == "text/html":
        page = f'<!DOCTYPE html><html lang="{language}"><title>{text}</title><p>{text}</p></html>\n'
        return Answer(page.encode(), "text/html; charset=utf-8", headers=fields)
    return Answer(f"{text}\n".encode(), headers=fields)


def best(field: str, offers: tuple[str, ...]) -> str | None:
    """Return which of the offers an Accept or Accept-Language wants most, None where it takes none.

    Of those that it wants alike the first one. The weight of an offer is that of what names it most closely
    (RFC 9110 12.5.1): itself, its type with /*, or the language with a region, and then a star.
    """
    weights = weights_of(field)
    ranked = [(weight_in(weights, offer), offer) for offer in offers]
    weight, offer = max(ranked, key=lambda each: each[0])
    return offer if weight > 0 else None


def weight_in(weights: Mapping[str, float], offer: str) -> float:
    near = [weight for name, weight in weights.items() if name.startswith(f"{offer}-")]
    for name in (offer, f"{offer.partition('/')[0]}/*"):
        if name in weights:
            return weights[name]
    return max(near, default=weights.get("*/*", weights.get("*", 0.0)))


def weights_of(field: str) -> dict[str, float]:
    """Return the weights of a field's elements by their names in lower case; a wrong one says 1."""
    found = {}
    for element in field.split(","):
        name, *parameters = (part.strip() for part in element.lower().split(";"))
        weights = [part[2:] for part in parameters if re.fullmatch(r"q=[01](\.[0-9]{0,3})?", part)]
        if name:
            found[name] = float(weights[-1]) if weights else 1.0
    return found
