"""Which answers may be recorded and sent again: those that say nothing but what the class and the files say.

A class is replayable when everything that shapes its answers to GET and HEAD is the library's own, and it
has set data only. What it may have of its own is what is no part of an answer, other methods and the log, and
an end_headers() of which the class says that it is pure. What is not proven is not replayed.

Or the class itself promises, by constant_target(), which targets it always answers alike.

Knows SimpleHTTPRequestHandler and FolderHandler, and no connection; it is the policy that _files.Recordings
asks. fastserve.server makes it.
"""

import contextlib
import functools
import mimetypes
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from types import FunctionType
from typing import Any, Final, TypeAlias

from fastserve._head import RequestHead
from fastserve.handlers import codings
from fastserve.handlers.base import BaseHTTPRequestHandler, UsualMessageClass
from fastserve.handlers.folder import FolderHandler
from fastserve.handlers.paths import (
    KEPT_LENGTH,
    components_beneath,
    is_hidden,
    is_one_of,
    resolve,
    resolve_known,
    split_target,
)
from fastserve.handlers.static import SimpleHTTPRequestHandler
from fastserve.log import format_date

# A file that an answer depends on: its name, whether a link at its end is followed, and whether more counts
# of it than what kind of thing it is.
Source: TypeAlias = tuple[bytes, bool, bool]

# Of the handler's own names those that a class may set to something else: data, read when an answer is made.
DATA: Final = frozenset(
    name
    for kind in (SimpleHTTPRequestHandler, BaseHTTPRequestHandler)
    for name, value in vars(kind).items()
    if not name.startswith("_") and not hasattr(value, "__get__")
) | {
    "_control_char_table", "_encodings_map_default", "timeout", "rbufsize", "wbufsize",
    "disable_nagle_algorithm", "always_headers",
}

# As that data, but that to look at it is to import it.
MESSAGES: Final = "MessageClass"

# Where the log is written, which is no part of an answer. It is called for each, or known to do nothing.
LOG: Final = frozenset({"log_request", "log_error", "log_message", "log_date_time_string", "address_string"})

# What every class has, or what says nothing of its instances.
HARMLESS: Final = frozenset({
    "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__annotate__",
    "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__static_attributes__", "__slotnames__",
    "__orig_bases__", "__parameters__", "__abstractmethods__", "__classcell__", "__type_params__",
    "_abc_impl",
})

# What is asked for pages of folders alone, which are never recorded.
OF_FOLDERS: Final = frozenset({"accepts_uploads_in", "archives", "folder_pages"})

# What classes may have of their own, and the library's may be given: data is compared each time.
FREE: Final = DATA | HARMLESS | OF_FOLDERS | {MESSAGES}

LIBRARY: Final = FolderHandler.__mro__
# As they are now, whoever patches them later.
OWN: Final = {kind: dict(vars(kind)) for kind in LIBRARY}
# What may stand before the handler: what it says in answers to GET and HEAD depends on data alone, as long as
# nobody has changed it since it was first seen. By name, as few servers import them. Those of logs change no
# answer. What they may have: _fastserve_log_opening(second), what a line has between host and message, and
# _fastserve_log_recorded(status, size), which writes the line of an answer that is sent again.
MIXINS: Final = {
    ("fastserve.handlers.sharing", "SharingMixin"), ("fastserve.handlers.upload", "UploadMixin"),
    *(("fastserve.handlers.logs", name) for name in (
        "ColouredLog", "AnswerLog", "CommonLog", "FieldsLog", "CombinedLog", "JsonLines", "JsonLog",
        "QuietLog", "QuietColouredLog", "QuietJsonLog")),
}
# What an instance has: a class that has something of that name does something with it.
OF_INSTANCES: Final = frozenset({
    "client_address", "close_connection", "command", "connection", "directory", "extra_response_headers",
    "headers", "path", "raw_requestline", "request", "request_version", "requestline", "rfile", "server",
    "wfile", "_headers_buffer",
})
SHAPING: Final = frozenset(name for kind in LIBRARY for name in vars(kind)) - FREE | OF_INSTANCES

# What is not the class's own any more once an instance has it.
SET_ASIDE: Final = frozenset(name for name in SHAPING | DATA if not name.startswith("_")) - OF_INSTANCES

PARAMETERS: Final = frozenset({"directory", "extra_response_headers"})

# What is compared with a copy of itself, as its own methods can change it.
COPIED: Final[dict[type, Any]] = {dict: dict, list: tuple}
EFFECTIVE: Final = os.access in os.supports_effective_ids  # whose rights access() can ask for
PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None), tuple, type})


class NotReplayable(Exception):
    """Something of a class is not proven to be the same for each request."""


def is_empty(function: Any) -> bool:
    """Whether a function does nothing and returns None, whatever it is called with as a log's method."""
    if type(function) is not FunctionType:
        return False
    code = function.__code__
    import dis  # few classes have one

    does = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP")]
    names = [step.opname for step in does]
    returns = names in (["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"]) and does[0].argval is None
    return returns and code.co_kwonlyargcount == 0 and code.co_argcount >= 1 and bool(code.co_flags & 0x04)


def inner_class(maker: Any) -> tuple[type, Mapping[str, Any]]:
    """Return the handler class behind what makes handlers, and with which arguments. Raises NotReplayable."""
    kind, given = maker, {}
    if isinstance(maker, functools.partial):
        kind, given = maker.func, maker.keywords
        if type(maker) is not functools.partial or maker.args or not PARAMETERS.issuperset(given):
            raise NotReplayable
    if type(kind) is not type or not issubclass(kind, SimpleHTTPRequestHandler):
        raise NotReplayable
    return kind, given


def learn_mixins(kind: type) -> None:
    """Remember what the library's own mixins of a class have, as they are first seen."""
    for base in kind.__mro__:
        module, name = base.__module__, base.__name__
        is_ours = (module, name) in MIXINS and getattr(sys.modules.get(module), name, None) is base
        if is_ours and base not in OWN:
            OWN[base] = dict(vars(base))


def overrides(kind: type) -> Iterator[tuple[str, Any]]:
    """What has been put in the place of the library's own, and what may be anything. Raises NotReplayable."""
    for base in kind.__mro__:
        own = OWN.get(base)
        if own is None:
            for name, value in vars(base).items():
                special = name.startswith("__") and name.endswith("__")
                if name in SHAPING or (special and name not in HARMLESS):
                    yield name, value
        else:
            now = vars(base)
            for name, value in own.items():
                if name not in FREE and now.get(name) is not value:
                    raise NotReplayable


def methods_of_its_own(kind: type) -> Iterator[str]:
    """What may be called for other requests, and leave something behind."""
    for base in kind.__mro__:
        if base not in OWN:
            known = LOG | HARMLESS | {"end_headers"}
            yield from (name for name, value in vars(base).items()
                        if name not in known and hasattr(value, "__get__"))


def is_said_to_be_pure(kind: type) -> bool:
    """Whether the class that has end_headers(), or one that is derived from it, says so."""
    says, ends = (next(base for base in kind.__mro__ if name in vars(base))
                  for name in ("pure_end_headers", "end_headers"))
    return bool(vars(says)["pure_end_headers"]) and issubclass(says, ends)


def copied(value: Any) -> Any:
    """Return what can be compared with ``value`` later on. Raises NotReplayable."""
    if type(value) in COPIED:
        return COPIED[type(value)](value)
    if type(value) in PLAIN:
        return value
    raise NotReplayable


def message_class(kind: type) -> Any:
    """Return the class of the fields, None for the usual one. Raises NotReplayable."""
    found = next(vars(base)[MESSAGES] for base in kind.__mro__ if MESSAGES in vars(base))
    return None if type(found) is UsualMessageClass else copied(found)


def folder(directory: Any) -> str:
    """Return the name of what a handler serves from. Raises NotReplayable where that may change by itself."""
    if directory is None:
        return os.getcwd()
    if type(directory) is str or type(directory).__module__.partition(".")[0] == "pathlib":
        return str(os.fspath(directory))
    raise NotReplayable


def pairs(headers: Any) -> Any:
    """Return a copy of extra_response_headers. Raises NotReplayable where they can be read only once."""
    if headers is None or type(headers) in (list, tuple):
        return tuple(headers or ())
    raise NotReplayable


class Replay:
    """The policy of a ``maker`` of handlers: a class, or a functools.partial of one."""

    def __init__(self, maker: Any) -> None:
        self.maker = maker
        self.kind: Any = None
        self.negotiates = False
        self.lines = False  # whether answers that are sent again are to be logged here
        self.hooked = False  # ... by log_request() of a handler
        self.stateless = True  # whether a handler keeps nothing from one request to the next
        self._directory = ""
        self._headers: Any = ()
        self._follows = self._hides = False
        self._lists = True
        self._pages: tuple[str, ...] = ()
        self._instead: tuple[str, ...] = ()  # of what is not there
        self._months: Any = ()
        self._opening: Any = None

    def may_replay(self) -> bool:
        """Whether there is a class that may be replayable, now or later on; it is ``kind`` then."""
        try:
            self.kind, _ = inner_class(self.maker)
        except NotReplayable:
            return False
        return bool(self.kind.replay)

    def fingerprint(self) -> Any:
        """Return what answers depend on beside files, to be compared; None where nothing may be replayed."""
        try:
            return self._look()
        except NotReplayable:
            return None

    def _look(self) -> Any:
        kind, given = inner_class(self.maker)
        if kind is not self.kind or not kind.replay:
            raise NotReplayable
        self._judge(kind)
        data = [message_class(kind), *(copied(getattr(kind, name, None)) for name in sorted(DATA))]
        self._directory, here = folder(given.get("directory")), os.getcwd()
        headers = self._headers = pairs(given.get("extra_response_headers"))
        self.negotiates = bool(kind.precompressed)
        self._follows, self._hides = kind.follow_symlinks, kind.hide_dotfiles
        self._lists, self._pages = kind.list_directories, tuple(kind.index_pages)
        instead = filter(None, (kind.fallback_page, kind.not_found_page))
        self._instead = tuple(os.path.join(self._directory, page) for page in instead)
        self._months = kind.monthname
        types = dict(mimetypes.types_map), dict(mimetypes.suffix_map), dict(mimetypes.encodings_map)
        return data, self._directory, here, headers, types

    def _judge(self, kind: type) -> None:
        """Raises NotReplayable for any override but those of which something is known."""
        first: dict[str, Any] = {}
        learn_mixins(kind)
        for name, value in overrides(kind):
            if name not in LOG and not (name == "end_headers" and is_said_to_be_pure(kind)):
                raise NotReplayable
            first.setdefault(name, value)  # the one that is called
        self._opening = getattr(kind, "_fastserve_log_opening", None)
        self.hooked = hasattr(kind, "_fastserve_log_recorded") or any(
            name in LOG and not is_empty(value) for name, value in first.items())
        self.lines = not self.hooked and "log_message" not in first
        self.stateless = not self.hooked and not any(methods_of_its_own(kind))

    def sources(self, target: str) -> list[Source] | None:
        """Return what the answer to a GET or HEAD of ``target`` depends on; None: do not record it."""
        path = "/" + target.lstrip("/") if target.startswith("//") else target
        if self._hides and is_hidden(path):
            return self._files(self._instead)
        find = resolve_known if len(path) <= KEPT_LENGTH else resolve
        name = find(self._directory, path, os.path)
        try:
            return self._sources(name, split_target(path)[0])
        except (OSError, ValueError):  # what cannot be a name
            return None

    def _sources(self, name: str, target: str) -> list[Source] | None:
        kind = self._kind_of(name)
        if not stat.S_ISDIR(kind):
            instead = () if self._is_sent(name) else self._instead
            return [*self._way_to(name), *self._file(name), *self._files(instead)]
        found = [*self._way_to(name), (os.fsencode(name), self._follows, False)]
        if target and not target.endswith(("/", "%2f", "%2F")):
            return found
        for page in self._pages:
            index = os.path.join(name, page)
            found += self._file(index)
            if stat.S_ISREG(self._kind_of(index)):
                return found if self._is_sent(index) else found + self._files(self._instead)
        return None if self._lists else found + self._files(self._instead)

    def _is_sent(self, name: str) -> bool:
        """Whether it is a file that clients get."""
        return (stat.S_ISREG(self._kind_of(name)) and os.access(name, os.R_OK, effective_ids=EFFECTIVE)
                and not is_one_of(name, os.stat(name), self.kind.withheld))

    def _kind_of(self, name: str) -> int:
        try:
            return (os.stat if self._follows else os.lstat)(name).st_mode
        except OSError:
            return 0

    def _file(self, name: str) -> list[Source]:
        """A file, and what may be sent in its place."""
        names = [name]
        if self.negotiates:
            names += [name + suffix for suffix in codings.SIBLINGS.values()]
        return [(os.fsencode(each), self._follows, True) for each in names]

    def _files(self, names: Iterable[str]) -> list[Source]:
        return [source for name in names for source in (*self._way_to(name), *self._file(name))]

    def _way_to(self, name: str) -> list[Source]:
        """Where links are not followed: the folders that lead to it, which may become links."""
        if self._follows:
            return []
        found, at = [], self._directory
        for part in components_beneath(self._directory, name)[:-1]:
            at = os.path.join(at, part)
            found.append((os.fsencode(at), False, False))
        return found

    # -- The log ---------------------------------------------------------------------------------

    def log_opening(self, second: int) -> str:
        """Return what a line of the class's log has between the client's address and the message."""
        if self._opening is not None:
            return str(self._opening(second))
        return f" - - [{format_date(second, self._months)}] "

    def write(self, text: str) -> None:
        """Write lines where log_message() does. The answers do not depend on it."""
        if sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):  # a closed pipe, a closed file
                sys.stderr.write(text)

    def tell(self, handler: Any, head: RequestHead, status: int, size: int) -> bool:
        """Have a handler log a request that it is not to answer, as if it did; ``size`` is that of the body.

        Returns whether it need not: what a hook has set on the handler counts for the answer, which is not
        logged again then.
        """
        if not self.is_plain(handler):
            return False
        handler._fastserve_begin(head)
        closes = handler.close_connection
        recorded = getattr(handler, "_fastserve_log_recorded", None)
        if recorded is not None:
            recorded(status, size)
            return True
        handler.log_request(HTTPStatus(status))
        said = handler.close_connection
        if said == closes and self._answers_alike(handler):
            return True

        def log_request(*args: Any) -> None:
            del handler.log_request
            handler.close_connection = said if said != closes else handler.close_connection

        handler.log_request = log_request
        return False

    def is_plain(self, handler: Any) -> bool:
        """Whether a handler has nothing of its own that would make its answers others than its class's."""
        return bool(vars(handler).get("directory") == self._directory) and self._answers_alike(handler)

    def _answers_alike(self, handler: Any) -> bool:
        """The same, once it is known which file it is about."""
        own = vars(handler)
        return SET_ASIDE.isdisjoint(own) and bool(pairs(own.get("extra_response_headers")) == self._headers)


# -- By promise ----------------------------------------------------------------------------------


def promises(maker: Any) -> bool:
    """Whether what makes handlers is a class, or a functools.partial of one, that has constant_target()."""
    kind = maker.func if isinstance(maker, functools.partial) else maker
    return (isinstance(kind, type) and issubclass(kind, BaseHTTPRequestHandler)
            and kind.constant_target is not None)


class Promised(Replay):
    """The policy of a class that says by itself which of its answers are always the same."""

    def may_replay(self) -> bool:
        self.kind = self.maker.func if isinstance(self.maker, functools.partial) else self.maker
        return True

    def fingerprint(self) -> Any:
        """Return what is the class's own where it has to do with the log; None where it promises no more."""
        promise = self.kind.constant_target
        if promise is None:
            return None
        own = {name: value for base in reversed(self.kind.__mro__) if base not in OWN
               for name, value in vars(base).items() if name in LOG}
        self._months = self.kind.monthname
        self._opening = getattr(self.kind, "_fastserve_log_opening", None)
        self.hooked = hasattr(self.kind, "_fastserve_log_recorded") or not all(map(is_empty, own.values()))
        self.lines = not self.hooked and "log_message" not in own
        return promise, own

    def sources(self, target: str) -> list[Source] | None:
        """Nothing, for what is promised."""
        return [] if self.kind.constant_target(target) else None

    def is_plain(self, handler: Any) -> bool:
        return True

    def _answers_alike(self, handler: Any) -> bool:
        return True
