"""SharingMixin: fields that every answer has, and what pages of other origins are told (Fetch, CORS).

Knows a handler's methods and no file. The command line mixes it into its handler, and so may any program.
"""

from http import HTTPStatus
from typing import Any, Final

PREFLIGHT_SECONDS: Final = "86400"  # that browsers may remember the answer; they cap it (Chromium at 2 hours)

ISOLATION: Final = (
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
)


def cors_fields(origin: str) -> list[tuple[str, str]]:
    """Return what lets pages of an origin ("https://a.example", or "*" for all) read answers."""
    fields = [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "*")]
    # Caches must not give one origin what was said to another (Fetch, 3.2.5).
    return fields if origin == "*" else [*fields, ("Vary", "Origin")]


def isolation_fields(shared: bool) -> list[tuple[str, str]]:
    """Return what gives a page SharedArrayBuffer; ``shared``: other origins may use its files."""
    return [*ISOLATION, ("Cross-Origin-Resource-Policy", "cross-origin" if shared else "same-origin")]


class SharingMixin:
    """Goes before SimpleHTTPRequestHandler, or one derived from it.

    always_headers   (name, value) pairs that every answer has, those that say what went wrong too
    cors_origin      the origin whose pages may ask, "*" for any, None for none of others
    """

    always_headers: tuple[tuple[str, str], ...] = ()
    cors_origin: str | None = None

    def end_headers(self: Any) -> None:
        for name, value in self.always_headers:
            self.send_header(name, value)
        super().end_headers()  # type: ignore[misc]

    def do_OPTIONS(self: Any) -> None:
        """Say which methods there are, and to a browser that asks beforehand that they may be used."""
        methods = ", ".join(sorted(name[3:] for name in dir(self) if name.startswith("do_")))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Allow", methods)
        if self.cors_origin is not None and self.headers.get("Access-Control-Request-Method"):
            self.send_header("Access-Control-Allow-Methods", methods)
            self.send_header("Access-Control-Allow-Headers", wanted_fields(self.headers))
            self.send_header("Access-Control-Max-Age", PREFLIGHT_SECONDS)
        self.end_headers()


def wanted_fields(headers: Any) -> str:
    """Return the names that a preflight asks for, "*" for what is no list of names."""
    wanted = str(headers.get("Access-Control-Request-Headers", ""))
    names = wanted.translate({ord(mark): "" for mark in ",- _"})
    return wanted if names.isascii() and names.isalnum() else "*"
