"""CGIHTTPRequestHandler: files, and what the scripts in some of the folders write (RFC 3875).

Scripts run by subprocess, so no Python code runs in a forked process and threads do no harm. A request path
is decoded once, and judged in the form in which files are looked for: no spelling of a script's name gets its
source, and none that leads out of its folder gets to run anything.

Knows SimpleHTTPRequestHandler, and Script, which runs one. fastserve.server re-exports it.
"""

import binascii
import contextlib
import os
import posixpath
import re
import select
import stat
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastserve._reader import RequestReader
from fastserve._writer import ResponseWriter
from fastserve.handlers.base import BaseHTTPRequestHandler
from fastserve.handlers.paths import is_hidden, split_target, unquote_path
from fastserve.handlers.static import SimpleHTTPRequestHandler
from fastserve.limits import CGI_TIMEOUT

if TYPE_CHECKING:
    from email.message import Message

    from fastserve.handlers.script import Script

# What a path may hold that is decoded and must not be taken for something else.
ENCODED: Final = str.maketrans({"%": "%25", "?": "%3F", "#": "%23"})

# Variables of a request that are not set for every one, so that the server's own are taken away.
MAYBE_SET: Final = ("AUTH_TYPE", "REMOTE_IDENT", "REMOTE_USER")

END_OF_HEAD: Final = re.compile(rb"\n\r?\n")

nobody: int | None = None


def nobody_uid() -> int:
    """Return the uid of the user nobody, -1 where the system knows no users."""
    global nobody  # noqa: PLW0603  (http.server's name for it)
    if nobody is None:
        try:
            import pwd
        except ImportError:
            return -1
        try:
            nobody = pwd.getpwnam("nobody").pw_uid
        except KeyError:
            nobody = 1 + max(user.pw_uid for user in pwd.getpwall())
    return nobody


def owner_of_scripts() -> dict[str, Any]:
    """As whom scripts run, in the words of subprocess.Popen: as nobody where we are root, else as we do."""
    uid = nobody_uid()
    if uid < 0 or os.geteuid() != 0:
        return {}
    import pwd

    try:
        gid = pwd.getpwuid(uid).pw_gid
    except KeyError:
        gid = uid
    return {"user": uid, "group": gid, "extra_groups": [gid]}


def executable(path: str) -> bool:
    """Whether this process may execute the file."""
    return os.access(path, os.X_OK)


def _url_collapse_path(path: str) -> str:
    """Return a request path decoded and without dots and empty parts, its query left as it is.

    There are always two slashes: before the folders, and before the last part. Raises IndexError for more
    ``..`` than there are folders before them.
    """
    path, _, query = path.partition("?")
    *folders, last = unquote_path(path).split("/")
    if last in (os.curdir, os.pardir):
        folders.append(last)
        last = ""
    kept: list[str] = []
    for part in folders:
        if part == os.pardir:
            kept.pop()
        elif part not in ("", os.curdir):
            kept.append(part)
    return f"/{'/'.join(kept)}/{last}" + (f"?{query}" if query else "")


def words_of(query: str) -> list[str]:
    """Return what a query is as command-line arguments: one, unless it has a ``=``, as with http.server.

    Nor what a program could take for an option (CVE-2012-1823).
    """
    word = query.replace("+", " ")
    return [] if "=" in word or word.lstrip().startswith("-") else [word]


def variables_of(headers: "Message") -> dict[str, str]:
    """Return what a script is told of the header fields: http.server's choice.

    Among the others could be Proxy, whose name as a variable, HTTP_PROXY, has another meaning
    (CVE-2016-1000110).
    """
    return {
        "CONTENT_TYPE": str(headers.get("Content-Type", headers.get_content_type())),
        "CONTENT_LENGTH": headers.get("Content-Length", ""),
        "HTTP_ACCEPT": ",".join(headers.get_all("Accept", [])),
        "HTTP_COOKIE": ", ".join(filter(None, headers.get_all("Cookie", []))),
        "HTTP_REFERER": headers.get("Referer", ""),
        "HTTP_USER_AGENT": headers.get("User-Agent", ""),
        **user_of(headers.get("Authorization", "")),
    }


def user_of(authorization: str) -> dict[str, str]:
    """Return the variables for an Authorization field. Nobody has looked at the password."""
    words = authorization.split()
    if len(words) != 2:
        return {}
    told = {"AUTH_TYPE": words[0]}
    if words[0].lower() == "basic":
        with contextlib.suppress(ValueError):  # neither base64 nor ASCII
            user, colon, _ = binascii.a2b_base64(words[1]).decode("ascii").partition(":")
            if colon:
                told["REMOTE_USER"] = user
    return told


class HeadOnly:
    """Of the pieces that it is called with, what comes before the first empty line: the answer to HEAD."""

    def __init__(self) -> None:
        self._last = b"\n"  # the end of what was before, which is the status line's at first
        self._ended = False

    def __call__(self, piece: bytes) -> bytes:
        if self._ended:
            return b""
        seen = self._last + piece
        end = END_OF_HEAD.search(seen)
        self._ended = end is not None
        before, self._last = len(self._last), seen[-2:]
        return seen[before : end.end() if end else None]


class Client:
    """The client of ``handler``'s request, as Script sees one.

    ``length`` is its body's, in bytes; ``begin`` is called before the first output.
    """

    def __init__(self, handler: BaseHTTPRequestHandler, length: int, begin: Callable[[], None]) -> None:
        self._rfile, self._wfile = handler.rfile, handler.wfile
        self._left = length
        self._begin = begin
        self.begun = False
        self._log_error = handler.log_error
        # RFC 3875 4.3.3: what a script writes behind the head goes no further.
        self._part: Callable[[bytes], bytes] = HeadOnly() if handler.command == "HEAD" else bytes

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._rfile.fileno()

    def read(self, size: int) -> bytes | None:
        """Return bytes of the body, as Script wants them. Raises ConnectionError where it breaks off."""
        if not self._left:
            return b""
        data = self._read_now(min(size, self._left))
        if data == b"":
            raise ConnectionAbortedError("the body broke off")
        self._left -= len(data or b"")
        return data

    def _read_now(self, size: int) -> bytes | None:
        if type(self._rfile) is RequestReader:
            return self._rfile.read_now(size)
        # A stream that does not read ahead: rbufsize is 0.
        poller = select.poll()
        poller.register(self._rfile, select.POLLIN)
        return self._rfile.read(size) if poller.poll(0) else None

    def write(self, data: bytes) -> None:
        """Send output at once, and before the first of it the beginning of the head."""
        if not self.begun:
            self.begun = True
            self._begin()
        self._wfile.write(self._part(data))
        if type(self._wfile) is ResponseWriter:
            self._wfile.drain()
        else:
            self._wfile.flush()

    def log(self, line: str) -> None:
        """Log a line of stderr."""
        self._log_error("%s", line)


class CGIHTTPRequestHandler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD with files, and all three of GET, HEAD and POST with the output of CGI scripts.

    A script is an executable file anywhere below one of ``cgi_directories``. What it writes stands behind
    status 200 and ends the head; the connection ends with it. ``cgi_timeout`` is for how long, in seconds, it
    may neither read nor write.

    Beside other attributes an instance has ``cgi_info``, the folder of a script and what follows it in the
    request target, once is_cgi() has found one.
    """

    cgi_directories = ["/cgi-bin", "/htbin"]
    cgi_timeout: float = CGI_TIMEOUT
    # Whether scripts are programs of their own; where not, those of Python are given to this one.
    have_fork = hasattr(os, "fork")
    # http.server's scripts read the socket, so rfile must leave them all of the body.
    rbufsize = 0

    cgi_info: tuple[str, str]

    def _fastserve_reads_ahead(self) -> bool:
        """Ours read a pipe, whatever rbufsize is."""
        return True

    # -- Which requests --------------------------------------------------------------------------

    def do_POST(self) -> None:
        """Run a script; 501 for anything else."""
        self.__run_or(lambda: self.send_error(HTTPStatus.NOT_IMPLEMENTED, "Can only POST to CGI scripts"))

    def send_head(self) -> Any:
        """As of SimpleHTTPRequestHandler, or run a script, whose answer is complete: None."""
        return self.__run_or(super().send_head)

    def __run_or(self, answer: Callable[[], Any]) -> Any:
        if self.hide_dotfiles and is_hidden(self.path):
            self.send_error(HTTPStatus.NOT_FOUND, "File not found")
            return None
        try:
            found = self.is_cgi()
        except IndexError:
            # Never a file: to the file system it could be a script's name.
            self.send_error(HTTPStatus.BAD_REQUEST, "Path leads out of the root")
            return None
        return self.run_cgi() if found else answer()

    def is_cgi(self) -> bool:
        """Whether the request's path is below one of ``cgi_directories``, and then set ``cgi_info``.

        An override may do that by any rule. Raises IndexError for a path that leads out of the root.
        """
        path, mark, query = self.path.partition("?")
        path = _url_collapse_path(split_target(path)[0])
        found = [folder for folder in self.cgi_directories if folder and path.startswith(f"{folder}/")]
        if not found:
            return False
        folder = min(found, key=len)
        rest = path[len(folder) + 1 :]
        self.cgi_info = folder.translate(ENCODED), rest.translate(ENCODED) + mark + query
        return True

    def is_executable(self, path: str) -> bool:
        """Whether the file is executable."""
        return executable(path)

    def is_python(self, path: str) -> bool:
        """Whether the file's name is that of a Python script."""
        return os.path.splitext(path)[1].lower() in (".py", ".pyw")

    # -- One script ------------------------------------------------------------------------------

    def run_cgi(self) -> None:
        """Answer with the output of the script that ``cgi_info`` leads to.

        404 where there is none, 403 where it cannot be run or says nothing, 411 where a body has no length.
        """
        path, path_info, query = self.__find()
        name, file = unquote_path(path), self.translate_path(path)
        refusal = self.__refusal(file)
        if refusal:
            self.__refuse(name, *refusal)
            return
        length = int(self.headers.get("Content-Length", 0))
        environment = self.__environment(name, path_info, query)
        try:
            script = self.__start(name, file, query, environment, length > 0)
        except (OSError, ValueError) as error:  # ValueError: a NUL
            self.log_error("CGI script %r: %s", name, error)
            self.__refuse(name, HTTPStatus.FORBIDDEN, "CGI script cannot be run")
            return
        with script:
            answered = self.__exchange(script, length)
        if code := script.end():
            self.log_error(f"CGI script exit code {code}")
        if not answered:
            self.__refuse(name, HTTPStatus.FORBIDDEN, "CGI script has no output")

    def __refuse(self, name: str, status: HTTPStatus, message: str) -> None:
        self.send_error(status, f"{message} ({name!r})")

    def __find(self) -> tuple[str, str, str]:
        """Return the path of the script, what follows it, and the query, all three as in the request."""
        folder, rest = self.cgi_info
        rest, _, query = rest.partition("?")
        name, slash, rest = rest.partition("/")
        while slash and self._fastserve_has(self.translate_path(f"{folder}/{name}"), stat.S_ISDIR):
            folder = f"{folder}/{name}"
            name, slash, rest = rest.partition("/")
        return f"{folder}/{name}", slash + rest, query

    def __refusal(self, file: str) -> tuple[HTTPStatus, str] | None:
        if not self._fastserve_has(file, bool):  # of any kind
            return HTTPStatus.NOT_FOUND, "No such CGI script"
        if not self._fastserve_has(file, stat.S_ISREG):
            return HTTPStatus.FORBIDDEN, "CGI script is not a plain file"
        if not (self.is_executable(file) or self.__needs_python(file)):
            return HTTPStatus.FORBIDDEN, "CGI script is not executable"
        if "Transfer-Encoding" in self.headers:
            # RFC 3875 4.2: a script reads as many bytes as it is told that there are.
            return HTTPStatus.LENGTH_REQUIRED, "CGI script needs a Content-Length"
        return None

    def __needs_python(self, file: str) -> bool:
        return not self.have_fork and self.is_python(file)

    def __start(
        self, name: str, file: str, query: str, environment: dict[str, str], has_body: bool
    ) -> "Script":
        from fastserve.handlers.script import Script  # with subprocess, for those who have scripts

        program, command = file, [posixpath.basename(name)]
        if self.__needs_python(file):
            program, command = sys.executable, [sys.executable, "-u", file]
        return Script(program, command + words_of(query), environment, has_body, **owner_of_scripts())

    def __environment(self, name: str, path_info: str, query: str) -> dict[str, str]:
        """Return the server's own environment without other requests', and this request's variables."""
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("HTTP_", "FASTSERVE_")) and key not in MAYBE_SET
        }
        address = self.client_address
        return {
            **inherited,
            **self.__server_variables(),
            "GATEWAY_INTERFACE": "CGI/1.1",
            "PATH_INFO": unquote_path(path_info),
            "PATH_TRANSLATED": self.translate_path(path_info),
            "QUERY_STRING": query,
            "REMOTE_ADDR": str(address[0]) if isinstance(address, tuple) else "",
            "REMOTE_HOST": "",
            "REQUEST_METHOD": str(self.command),
            "SCRIPT_NAME": name,
            **variables_of(self.headers),
        }

    def __server_variables(self) -> dict[str, str]:
        """Servers other than HTTPServer have no name and port, only an address."""
        server: Any = self.server
        address = server.server_address if isinstance(server.server_address, tuple) else ("", "")
        return {
            "SERVER_NAME": str(getattr(server, "server_name", address[0])),
            "SERVER_PORT": str(getattr(server, "server_port", address[1]) or ""),
            "SERVER_PROTOCOL": self.protocol_version,
            "SERVER_SOFTWARE": self.version_string(),
        }

    def __exchange(self, script: "Script", length: int) -> bool:
        """Return whether there was an answer, or nobody to have one."""
        client = Client(self, length, self.__begin_answer)
        try:
            if not script.exchange(client, self.cgi_timeout):
                self.log_error("CGI script hangs: ended after %g seconds", self.cgi_timeout)
        except ConnectionError:
            self.log_error("CGI script ended: the client is gone")
            return True
        return client.begun

    def __begin_answer(self) -> None:
        """The script writes the rest of the head, and nobody looks at its length."""
        self.send_response(HTTPStatus.OK, "Script output follows")
        if self.protocol_version >= "HTTP/1.1":
            self.send_header("Connection", "close")
        for name, value in getattr(self, "always_headers", ()):  # it is the script that ends the head
            self.send_header(name, value)
        self.flush_headers()
        self.close_connection = True
