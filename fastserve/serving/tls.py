"""TLS for the servers: contexts made from files, handshakes outside accept(), and a line for one that fails.

Knows ssl and no HTTP; serving.loop and fastserve.server call it. The module ssl is imported where TLS is
asked for, and nothing is a TLS socket before. Where Python has none the functions that need it raise
RuntimeError.
"""

import socket
import sys
from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fastserve import log
from fastserve._tls import OP_ENABLE_KTLS, ssl_socket

if TYPE_CHECKING:
    import ssl

# What Linux can put on top of TCP, `tls` among it where that module is loaded.
PROTOCOLS: Final = "/proc/sys/net/ipv4/tcp_available_ulp"

# Of a private key: itself, or what is called for it once OpenSSL needs it.
Password: TypeAlias = str | bytes | bytearray | Callable[[], str | bytes | bytearray]


def make_context(
    certfile: str | PathLike[str],
    keyfile: str | PathLike[str] | None,
    password: Password | None,
    alpn_protocols: Iterable[str],
    kernel: bool = False,
) -> "ssl.SSLContext":
    """Return a server's SSLContext for a certificate chain and key in PEM files.

    With ``kernel`` the kernel encrypts what it can, where it offers that.

    Raises RuntimeError without the ssl module, OSError (ssl.SSLError among them) where the files do not
    fit together or cannot be read.
    """
    require_ssl()
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certfile, keyfile, password)
    context.set_alpn_protocols(list(alpn_protocols))
    if kernel and kernel_offers_tls():
        context.options |= OP_ENABLE_KTLS
    return context


def kernel_offers_tls(protocols: str | PathLike[str] = PROTOCOLS) -> bool:
    """Whether this kernel has TLS, and OpenSSL can let it. Only Linux is asked."""
    import ssl

    if ssl.OPENSSL_VERSION_INFO < (3,):
        return False
    try:
        with open(protocols, encoding="ascii") as file:
            return "tls" in file.read().split()
    except (OSError, ValueError):
        return False


def require_ssl() -> None:
    """Raise RuntimeError where this Python was built without OpenSSL."""
    try:
        import ssl  # noqa: F401
    except ImportError:
        raise RuntimeError("SSL support is missing: this Python was built without the ssl module") from None


def awaits_handshake(sock: object) -> bool:
    """Whether ``sock`` is a TLS socket whose handshake is still to be made."""
    kind = ssl_socket()
    # No version has been agreed on before its end.
    return kind is not None and isinstance(sock, kind) and sock.version() is None


def defer_handshakes(listener: socket.socket) -> None:
    """Make accept() on a wrapped listening socket return before the handshake: nobody can block it then."""
    kind = ssl_socket()
    if kind is not None and isinstance(listener, kind):
        listener.do_handshake_on_connect = False  # type: ignore[attr-defined]


def shake_hands(sock: Any, client_address: Any, timeout: float) -> None:
    """Make the handshake of an accepted socket, if there is one to make; for those who have no loop.

    Raises OSError where it fails or takes more than ``timeout`` seconds; that is told, and the socket closed.
    """
    if not awaits_handshake(sock):
        return
    before = sock.gettimeout()
    try:
        sock.settimeout(timeout)
        sock.do_handshake()
        sock.settimeout(before)
    except OSError as error:
        tell(error, client_address)
        sock.close()
        raise


def tell(error: OSError, client_address: Any = None) -> None:
    """Write a line of the log, if ``error`` is a handshake's and not that of a client who left."""
    words = complaint(error)
    if words:
        log.write(client_address, f"TLS handshake failed: {words}")


def complaint(error: OSError) -> str:
    """Return in OpenSSL's words what was wrong with a handshake; '' where that is not what ``error`` is."""
    if isinstance(error, TimeoutError) and "handshake" in str(error):
        return "timed out"
    # Health checkers connect and leave, browsers think again: that is no error, whatever had been said.
    # nginx tells of it at level info only, and who watches Go's log, which has it, asks how to be rid of it.
    ssl = sys.modules.get("ssl")
    if ssl is None or not isinstance(error, ssl.SSLError) or error.errno != ssl.SSL_ERROR_SSL:
        return ""
    words = error.reason.replace("_", " ").lower() if error.reason else str(error)
    detail = getattr(error, "verify_message", None)
    return f"{words}: {detail}" if detail else words
