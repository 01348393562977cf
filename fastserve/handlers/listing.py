"""The page of a folder, and the same as JSON: what FolderHandler sends, from what _listing has read.

The page is page/listing.html, with page/listing.css and page/listing.js inside it, so that it asks for
nothing more; a Content-Security-Policy names those two by their hashes, and lets nothing else run. Its rows
come written from _listing. Words in braces in the template are what differs from folder to folder.

Knows octets and the query, and no handler. handlers.folder imports it when a folder is listed.
"""

import base64
import functools
import hashlib
import html as markup
import json as notation
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from fastserve._listing import Folder, human_size, shown
from fastserve.handlers.paths import unquote_path

COLUMNS: Final = {"name": "Name", "size": "Size", "date": "Modified"}


class Order(NamedTuple):
    """By which column a listing is sorted, and which way."""

    by: str = "name"
    descending: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Order":
        """Return what a query says; what it does not say, or says wrongly, is as in Order()."""
        by = query.get("sort")
        return cls(by if by in COLUMNS else "name", query.get("order") == "desc")


# -- Which of the two ----------------------------------------------------------------------------


def prefers_json(accept: str) -> bool:
    """Return whether an Accept field (RFC 9110 12.5.1) would rather have application/json than text/html."""
    ranges = [weighed(each) for each in accept.lower().split(",")]
    return quality("application/json", ranges) > quality("text/html", ranges)


def weighed(element: str) -> tuple[str, float]:
    """Return a media range, and its quality: 0 where that is no number, as nothing is known of it then."""
    name, *parameters = (part.strip() for part in element.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            return name, float(parameter[2:]) if re.fullmatch(r"[01](\.\d*)?", parameter[2:]) else 0.0
    return name, 1.0


def quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return that of the range which says the most of a type; 0 where none names it."""
    for name in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        for each, value in ranges:
            if each == name:
                return value
    return 0.0


# -- The page ------------------------------------------------------------------------------------


def read(name: str) -> str:
    return Path(__file__).with_name("page").joinpath(name).read_text("utf-8")


def tightened(text: str) -> str:
    """Return a style sheet or a script without its comments and the spaces that indent it."""
    text = re.sub(r"^[ \t]*(//.*|/\*(.|\n)*?\*/)[ \t]*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def source(text: str) -> str:
    """Return how a Content-Security-Policy names a text that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def without(page: str, part: str) -> str:
    """Return the page without what stands between two comments of that name, and without those."""
    return re.sub(rf"<!-- {part} -->.*?<!-- /{part} -->", "", page, flags=re.DOTALL)


STYLE: Final = tightened(read("listing.css"))
SCRIPT: Final = tightened(read("listing.js"))
TEMPLATE: Final = read("listing.html").replace("{style}", STYLE).replace("{script}", SCRIPT)

POLICY: Final = "; ".join([
    "default-src 'none'",
    f"style-src {source(STYLE)}",
    f"script-src {source(SCRIPT)}",
    "img-src 'self' data:",  # data: is what the style sheet's icons are made of
    "media-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
])

SECURITY: Final = [("X-Content-Type-Options", "nosniff")]
JSON_HEADERS: Final = [("Content-Type", "application/json"), *SECURITY]
HTML_HEADERS: Final = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", POLICY),
    # A form that is sent must still say where it comes from: no-referrer would make its Origin null.
    ("Referrer-Policy", "same-origin"),
    *SECURITY,
]


@functools.cache
def pieces(uploads: bool, archives: bool, empty: bool) -> list[str]:
    """Return the template for such a folder, cut at its words, which are every second piece."""
    page = TEMPLATE
    for part, there in (("uploads", uploads), ("archives", archives), ("empty", empty)):
        page = re.sub(rf"<!-- /?{part} -->", "", page) if there else without(page, part)
    return re.split(r"\{(title|crumbs|summary|columns|rows)\}", page)


def html(target: str, folder: Folder, order: Order, uploads: bool, archives: bool) -> bytes:
    """Return the page of a folder that is sorted already.

    ``target`` is the request's path, as it was sent; ``uploads`` and ``archives`` say whether it offers
    those.
    """
    words = {
        "title": f"Directory listing for {escaped(unquote_path(target) or '/')}".encode(),
        "crumbs": crumbs(target).encode(),
        "summary": summary(folder).encode(),
        "columns": "".join(column(each, order) for each in COLUMNS).encode(),
    }
    page = pieces(uploads, archives, not len(folder))
    whole = [words.get(piece, b"") if i % 2 else piece.encode() for i, piece in enumerate(page)]
    rows = page.index("rows")
    return folder.table(b"".join(whole[:rows]), b"".join(whole[rows:]))


def json(target: str, folder: Folder) -> bytes:
    """Return an object of JSON in UTF-8: the path, and the entries of a folder that is sorted already."""
    path = notation.dumps(shown(unquote_path(target) or "/"), ensure_ascii=False).encode()
    return folder.json(b'{"path":%b,"entries":[\n' % path, b"\n]}\n")


def escaped(text: str) -> str:
    return markup.escape(shown(text))


def crumbs(target: str) -> str:
    """Return the list items of the folders that lead to a request's path, each with a link but the last.

    A link goes up by as many slashes as a browser sees in the path that it has asked for.
    """
    segments = target.lstrip("/").split("/")[:-1] if target.strip("/") else []
    names = ["Home", *(f"<bdi>{escaped(unquote_path(segment))}</bdi>" for segment in segments)]
    items = []
    for up, name in zip(reversed(range(len(names))), names, strict=True):
        here = f'<a href="{"../" * up}">{name}</a>' if up else f'<span aria-current="page">{name}</span>'
        items.append(f"<li>{here}" if name != "<bdi></bdi>" else "")
    return "".join(items)


def summary(folder: Folder) -> str:
    """Return what there is, in words."""
    numbers = ((folder.folders, "folder"), (folder.files, "file"))
    words = [counted(number, noun) for number, noun in numbers if number]
    return ", ".join([*words, human_size(folder.octets)] if folder.octets else words)


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def column(name: str, order: Order) -> str:
    """Return the heading of a column: a link that sorts by it, or turns the order round where it does."""
    sorts = name == order.by
    way = "asc" if not sorts or order.descending else "desc"
    state = f' aria-sort="{"descending" if order.descending else "ascending"}"' if sorts else ""
    query = urllib.parse.urlencode({"sort": name, "order": way})
    return f'<th scope="col"{state}><a href="?{markup.escape(query)}">{COLUMNS[name]}</a>'
