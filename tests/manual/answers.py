"""do_* methods for the manual's tests, and requests to them."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers import request

# For what http.server of an older Python does not have, or has otherwise by a row of differences.py.
OURS = pytest.mark.parametrize("library", ["loop", "threads"], indirect=True)

GET = request()
CLOSING = request("GET", "/", "Connection: close")


def answer(self: Any, text: str = "answer") -> None:
    """A whole answer with that text."""
    body = text.encode()
    self.send_response(200)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)


def telling(name: str) -> Callable[[Any], None]:
    """A method that answers with the repr() of an attribute."""

    def do(self: Any) -> None:
        answer(self, repr(getattr(self, name)))

    return do


def refusing(*args: Any, **options: Any) -> Callable[[Any], None]:
    """A method that answers with an error."""

    def do(self: Any) -> None:
        self.send_error(*args, **options)

    return do
