"""The first screen: what is served, where to reach it, how to stop; and what opens it in a browser or phone.

For a person at a terminal. Knows a server by its address and the options, and no request. cli calls it.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from fastserve import console, reach
from fastserve.log import printable
from fastserve.words import Refusal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

WIDTH: Final = 11  # of what stands before
BOLD, DIM, LINK, PLAIN = "\033[1m", "\033[2m", "\033[36m", "\033[0m"


def greet(httpd: Any, options: argparse.Namespace, scheme: str) -> None:
    """Say it, show it, open it, as far as the options ask for that. Raises Refusal."""
    address = httpd.socket.getsockname()
    places = reach.places(scheme, address) if isinstance(address, tuple) else []
    if options.qr and places:
        show_qr(next((place.url for place in places if not place.near), places[0].url))
    if console.is_terminal() and not options.quiet:
        console.say("\n".join(lines(places, options, console.may_colour(sys.stdout))))
    if options.open and places:
        open_browser(places[0].url)


def lines(places: list[reach.Place], options: argparse.Namespace, coloured: bool) -> Iterator[str]:
    """What there is to say, a line each."""

    def line(name: str, text: str, style: str = "") -> str:
        label = f"{name:{WIDTH}}"
        text = printable(text)
        return f"  {DIM}{label}{PLAIN}{style}{text}{PLAIN}" if coloured else f"  {label}{text}"

    yield line("folder", os.path.abspath(options.directory), BOLD)
    named = ""
    for place in places:
        name = "here" if place.near else "network"
        yield line("" if name == named else name, place.url, LINK)
        named = name
    if options.tls_self_signed:
        yield line("certificate", f" SHA-256 {options.fingerprint}")
    if options.upload is not None:
        yield line("uploads", options.upload)
    if options.settings is not None:
        yield line("settings", options.settings)
    if options.credentials is not None and not options.secure:
        yield line("note", "passwords travel readable without TLS")
    yield line("stop", "Ctrl-C")


def need_qr() -> Any:
    """Return what makes QR codes. Raises Refusal where that is missing: before anything is served."""
    try:
        import segno
    except ImportError as exc:
        raise Refusal("--qr needs segno: pip install 'fastserve[qr]'") from exc
    return segno


def show_qr(url: str) -> None:
    picture = io.StringIO()
    need_qr().make(url, micro=False).terminal(out=picture, compact=True)
    console.say(f"{url}\n{picture.getvalue()}")


def open_browser(url: str) -> None:
    """By a process of its own, as a browser may take its time, and a supervisor has no threads."""
    command = [sys.executable, "-m", "webbrowser", url]
    nowhere = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
