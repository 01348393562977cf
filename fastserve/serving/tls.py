"""TLS for the loop: contexts made from files, and handshakes that never run inside accept().

Knows ssl and no HTTP; serving.loop and fastserve.server call it. Where Python has no ssl module the
functions that need it raise RuntimeError, and nothing is a TLS socket.
"""

import socket
from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import ssl
else:
    try:
        import ssl
    except ImportError:
        ssl = None

# Of a private key: itself, or what is called for it once OpenSSL needs it.
Password: TypeAlias = str | bytes | bytearray | Callable[[], str | bytes | bytearray]


def make_context(
    certfile: str | PathLike[str],
    keyfile: str | PathLike[str] | None,
    password: Password | None,
    alpn_protocols: Iterable[str],
) -> "ssl.SSLContext":
    """Return a server's SSLContext for a certificate chain and key in PEM files.

    Raises RuntimeError without the ssl module, OSError (ssl.SSLError among them) where the files do not
    fit together or cannot be read.
    """
    require_ssl()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile, password)
    context.set_alpn_protocols(list(alpn_protocols))
    return context


def require_ssl() -> None:
    """Raise RuntimeError where this Python was built without OpenSSL."""
    if ssl is None:
        raise RuntimeError("SSL support is missing: this Python was built without the ssl module")


def awaits_handshake(sock: object) -> bool:
    """Whether ``sock`` is a TLS socket whose handshake is still to be made."""
    # No version has been agreed on before its end.
    return ssl is not None and isinstance(sock, ssl.SSLSocket) and sock.version() is None


def defer_handshakes(listener: socket.socket) -> None:
    """Make accept() on a wrapped listening socket return before the handshake: nobody can block it then."""
    if ssl is not None and isinstance(listener, ssl.SSLSocket):
        listener.do_handshake_on_connect = False  # type: ignore[attr-defined]
