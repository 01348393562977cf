"""/: what there is, as a page or as JSON.

The page is page/index.html, with page/index.css and page/index.js inside it, so that it asks for nothing
more; a Content-Security-Policy names those two by their hashes, and lets nothing else run. It is whole
without the script: each endpoint has a link to an example.

Knows the table of endpoints and the handler.
"""

import functools
import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fastserve.handlers.listing import prefers_json, source, tightened
from fastserve.handlers.paths import split_target
from fastserve.rig.origin import routes
from fastserve.rig.origin.answers import HTML, Answer, as_json
from fastserve.rig.origin.handler import Origin
from fastserve.rig.origin.routes import ENDPOINTS, PLACE, Endpoint

endpoint = functools.partial(routes.endpoint, group="Observe")

# In which order the page has the groups, and what it says of them; those that are not here come behind them.
GROUPS: Final = {
    "Fixed": "The same each time.",
    "Sizes": "Bodies of any length, made while they are sent.",
    "Timing": "Answers that take their time.",
    "Echo": "What was asked, told again.",
    "Semantics": "Statuses, conditions, redirections, caches, credentials.",
    "Codings": "Bodies in content codings and in chunks, trailers, interim answers.",
    "Connection": "How connections end, and heads of every size.",
    "Faults": "What no server should do, on purpose.",
    "Files": "A folder of files as sites have them.",
    "Observe": "What this origin knows of itself.",
}


def read(name: str) -> str:
    return Path(__file__).with_name("page").joinpath(name).read_text("utf-8")


STYLE: Final = tightened(read("index.css"))
SCRIPT: Final = tightened(read("index.js"))
TEMPLATE: Final = read("index.html")
POLICY: Final = "; ".join([
    "default-src 'none'",
    f"style-src {source(STYLE)}",
    f"script-src {source(SCRIPT)}",
    "img-src data: blob:",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
])
SECURITY: Final = [("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff"),
                   ("Referrer-Policy", "no-referrer")]


@endpoint("/", "These lines; as JSON where Accept asks for that.")
def index(request: Origin) -> Answer:
    vary = ("Vary", "Accept")
    if prefers_json(request.headers.get("Accept") or "text/html"):
        return as_json({"endpoints": [described(each) for each in sorted_endpoints()]}, headers=[vary])
    return Answer(page(len(ENDPOINTS)), HTML, headers=[vary, *SECURITY])


def described(each: Endpoint) -> dict[str, Any]:
    return {"group": each.group, "path": each.path, "methods": each.methods, "says": each.says,
            "example": each.example, "constant": each.constant}


def rank(group: str) -> int:
    return [*GROUPS, group].index(group)


def sorted_endpoints() -> list[Endpoint]:
    """Return them by group, in the order in which they were registered."""
    return sorted(ENDPOINTS, key=lambda each: (rank(each.group), each.group))


# -- The page --------------------------------------------------------------------------------------


@functools.lru_cache(2)
def page(count: int) -> bytes:
    """Return the page of as many endpoints as there are."""
    words = {"{style}": STYLE, "{script}": SCRIPT, "{count}": str(count)}
    text = TEMPLATE
    for word, value in words.items():
        text = text.replace(word, value)
    return text.replace("{groups}", "\n".join(groups())).encode()


def groups() -> Iterator[str]:
    found: dict[str, list[Endpoint]] = {}
    for each in sorted_endpoints():
        found.setdefault(each.group, []).append(each)
    for name, endpoints in found.items():
        words, shown = html.escape(GROUPS.get(name, "")), html.escape(name)
        rows = "\n".join(map(row, endpoints))
        yield (f'<section aria-labelledby="{shown}"><h2 id="{shown}">{shown}</h2>'
               f"<p>{words}</p>\n{rows}\n</section>")


def row(each: Endpoint) -> str:
    """An endpoint: what can be opened to try it."""
    methods = " ".join(f'<span class="method">{method}</span>' for method in each.methods)
    path = "".join(path_parts(each.path))
    says = f'<span class="says">{html.escape(each.says)}</span>'
    return (f"<details><summary>{methods} <code>{path}</code> {says}</summary>\n"
            f"{link(each)}{form(each)}</details>")


def link(each: Endpoint) -> str:
    """The example, where following a link can ask for it."""
    if "GET" not in each.methods:
        return ""
    target = html.escape(each.example)
    return f'<p class="example">Example: <a href="{target}">{target}</a></p>\n'


def path_parts(path: str) -> Iterator[str]:
    """The path with its places marked."""
    literal, places = PLACE.split(path)[::3], [match[0] for match in PLACE.finditer(path)]
    for text, place in zip(literal, [*places, ""], strict=True):
        yield html.escape(text)
        if place:
            yield f"<var>{html.escape(place)}</var>"


BUTTONS: Final = (
    '<button class="button">Send</button> <button class="button stop" type="button" hidden>Stop</button>')


def form(each: Endpoint) -> str:
    """Fields for the method, the places, the query and the body; the script shows it and sends it."""
    path, query, _ = split_target(each.example)
    match = each.pattern.fullmatch(path)
    values = match.groupdict() if match else {}
    places = PLACE.findall(each.path)
    parts = [method_field(each.methods)]
    parts += [place_field(name, kind or "text", values.get(name) or "") for name, kind in places]
    parts.append('<label>Query <input name="query" placeholder="name=value&amp;…"'
                 f' value="{html.escape(query)}"></label>')
    if {*each.methods} & {"POST", "PUT", "PATCH", "DELETE"}:
        parts.append('<label class="wide">Body <textarea name="body" rows="2"></textarea></label>')
    return (f'<form hidden data-path="{html.escape(each.path)}">{"".join(parts)}{BUTTONS}</form>\n'
            '<div class="answer" aria-live="polite" hidden></div>')


def method_field(methods: Iterable[str]) -> str:
    """HEAD comes with GET."""
    names = list(methods)
    names += ["HEAD"] if "GET" in names else []
    options = "".join(f"<option>{name}</option>" for name in names)
    return f'<label>Method <select name="method">{options}</select></label>'


def place_field(name: str, kind: str, value: str) -> str:
    mode = {"int": ' inputmode="numeric"', "float": ' inputmode="decimal"'}.get(kind, "")
    return (f'<label>{name} <input name="place" data-place="{name}" data-kind="{kind}"'
            f' value="{html.escape(value)}"{mode}></label>')
