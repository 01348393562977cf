"""The headers of a request as an http.client.HTTPMessage that stays unread until it is needed.

Asking for a field by name, which is all most handlers do, is answered from the parsed head. Whatever else
is done with the object makes it an http.client.HTTPMessage first, once, by its type too.

Knows RequestHead and the email package; handlers.base calls it.
"""

import email.parser
from collections.abc import Iterable
from email.message import Message
from http.client import HTTPMessage
from typing import Any, Final

from fastserve._head import RequestHead

# What email's parser takes for a message with others in it. It looks for them where no body is, and says so
# in the message's payload and defects; http.server's handlers have it that way.
COMPOSITE: Final = ("multipart/", "message/")


class RequestHeaders(HTTPMessage):
    """Header fields by name in any case, in the order received, duplicates kept (RFC 9110 section 5).

    ``_head`` in the instance's dictionary is all there is of it. Another thread may fill it in at any time,
    and its class is another then: so no method of this one can use super().
    """

    def __getattr__(self, name: str) -> Any:
        fill_in(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        fill_in(self)
        setattr(self, name, value)

    def __delattr__(self, name: str) -> None:
        fill_in(self)
        delattr(self, name)

    def __dir__(self) -> Iterable[str]:
        fill_in(self)
        return self.__dir__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        fill_in(self)
        return self.__reduce_ex__(protocol)

    def get(self, name: str, failobj: Any = None) -> Any:
        """Return the value (str) of the first field of that name, or ``failobj``."""
        head = self.__dict__.get("_head")
        if head is None or not isinstance(name, str):
            return HTTPMessage.get(self, name, failobj)
        return head.get(name, failobj)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        head = self.__dict__.get("_head")
        if head is None or not isinstance(name, str):
            return HTTPMessage.__contains__(self, name)  # type: ignore[operator]
        return head.get(name) is not None

    def get_all(self, name: str, failobj: Any = None) -> Any:
        """Return the values (list of str) of all fields of that name, or ``failobj`` where there is none."""
        head = self.__dict__.get("_head")
        if head is None or not isinstance(name, str):
            return HTTPMessage.get_all(self, name, failobj)
        return head.get_all(name) or failobj


def fill_in(headers: RequestHeaders) -> None:
    """Make ``headers`` an HTTPMessage. Several threads may do so at once: the first one's is that of all."""
    own = headers.__dict__
    head = own.get("_head")
    if head is not None:
        # Whole before anybody sees it; and who comes late puts back the same one, with all its changes.
        full = own.setdefault("_full", attributes(head))
        object.__setattr__(headers, "__dict__", full)
    object.__setattr__(headers, "__class__", HTTPMessage)


def blank() -> dict[str, Any]:
    message = HTTPMessage()
    message.set_payload("")
    return vars(message)


BLANK: Final = blank()  # what an HTTPMessage with nothing in it has


def attributes(head: RequestHead) -> dict[str, Any]:
    """Return those of the HTTPMessage that http.server has for that head."""
    if (head.get("content-type") or "").strip().lower().startswith(COMPOSITE):
        return {**vars(parsed(head, HTTPMessage))}
    return {**BLANK, "_headers": head.fields(), "defects": []}


def parsed(head: RequestHead, message_class: type[Message]) -> Message:
    """Return the fields as email's parser reads them, in as many lines as our own has found."""
    lines = [f"{name}: {value}\r\n" for name, value in head.fields()]
    return email.parser.Parser(_class=message_class).parsestr("".join([*lines, "\r\n"]))


def make_headers(head: RequestHead, message_class: type[Message]) -> Message:
    """Return the fields of ``head`` as ``message_class`` (a handler's ``MessageClass``).

    http.client.HTTPMessage, the default, is given lazily; any other class is built by email's parser,
    as http.server does.
    """
    if message_class is not HTTPMessage:
        return parsed(head, message_class)
    headers = RequestHeaders.__new__(RequestHeaders)
    headers.__dict__["_head"] = head
    return headers


def no_headers(message_class: type[Message]) -> Message:
    """Return an empty message of that class, for a request whose fields are nobody's to read."""
    return email.parser.Parser(_class=message_class).parsestr("")
