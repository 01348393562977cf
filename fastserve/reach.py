"""Where a server can be reached: the URLs that a person may type, here and elsewhere in the network.

Knows sockets and what the system tells of its addresses, and no server. cli asks.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Any, Final, NamedTuple

# Of networks that are for examples (RFC 5737, RFC 3849): nothing is sent, the system only says from where.
ELSEWHERE: Final = ((socket.AF_INET, "203.0.113.1"), (socket.AF_INET6, "2001:db8::1"))
ROUTES: Final = "/proc/net/fib_trie"  # Linux
ADDRESSES: Final = "/proc/net/if_inet6"
MOST: Final = 6  # more addresses than that nobody reads


class Place(NamedTuple):
    """``near``: for this machine alone."""

    near: bool
    url: str


def places(scheme: str, address: Any) -> list[Place]:
    """Return the URLs of a server that listens on ``address``, (host, port) as getsockname() has it."""
    host, port = address[:2]
    listening = ipaddress.ip_address(host.partition("%")[0])
    if not listening.is_unspecified:
        return [Place(listening.is_loopback, _url(scheme, host, port))]
    version = 0 if listening.version == 6 else 4  # the one of IPv6 takes IPv4 too
    others = [each for each in _addresses() if version in (0, each.version)]
    return [Place(True, _url(scheme, "localhost", port)),
            *(Place(False, _url(scheme, str(each), port)) for each in others[:MOST])]


def addresses() -> list[str]:
    """Return what others in the network may know this machine by."""
    return [str(each) for each in _addresses()]


def _url(scheme: str, host: str, port: int) -> str:
    usual = {"http": 80, "https": 443}[scheme] == port
    name = f"[{host.replace('%', '%25')}]" if ":" in host else host  # RFC 6874
    return f"{scheme}://{name}/" if usual else f"{scheme}://{name}:{port}/"


def _addresses() -> list[Any]:
    """What others may know this machine by, IPv4 first; without those of one link alone."""
    first = {ipaddress.ip_address(text) for text in _outward()}  # what leads out is what is looked for mostly
    found = first | {ipaddress.ip_address(text) for text in (*_of_routes(), *_of_interfaces())}
    useful = [each for each in found if not (each.is_loopback or each.is_link_local or each.is_unspecified)]
    return sorted(useful, key=lambda each: (each.version, each not in first, int(each)))


def _outward() -> list[str]:
    """By which address this machine speaks to others, of each family."""
    found = []
    for family, address in ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))
            found.append(sock.getsockname()[0])
    return found


def _of_routes() -> list[str]:
    found, before = [], ""
    with contextlib.suppress(OSError), open(ROUTES, encoding="ascii") as lines:
        for line in lines:
            if "/32 host LOCAL" in line:
                found.append(before)
            before = line.rpartition(" ")[2].strip()
    return found


def _of_interfaces() -> list[str]:
    with contextlib.suppress(OSError), open(ADDRESSES, encoding="ascii") as lines:
        words = (line.split(" ", 1)[0] for line in lines)
        return [":".join(word[at : at + 4] for at in range(0, 32, 4)) for word in words]
    return []
