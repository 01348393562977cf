"""The headers of a request as an http.client.HTTPMessage that stays unread until it is needed.

Asking for a field by name, which is all most handlers do, is answered from the parsed head. Anything
else an email message can do makes the object a full one first, once, and it is one from then on.

Knows RequestHead and the email package; handlers.base calls it.
"""

import email.parser
import http.client
from email.message import Message
from typing import Any

from fastserve._head import RequestHead


class RequestHeaders(http.client.HTTPMessage):
    """Header fields by name in any case, in the order received, duplicates kept (RFC 9110 section 5).

    While ``_head`` is in the instance's dictionary, the attributes of a full message are missing but for
    those that somebody has set; asking for any other fills them in.
    """

    def __init__(self, head: RequestHead) -> None:
        self.__dict__["_head"] = head

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        head = own.get("_head")
        if head is not None:
            full = http.client.HTTPMessage().__dict__ | {"_headers": head.fields(), "_payload": ""}
            for key, value in full.items():
                own.setdefault(key, value)
            own.pop("_head", None)
        if name in own:  # also where another thread was faster
            return own[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getstate__(self) -> dict[str, Any]:
        self._headers  # noqa: B018  (a copy or a pickle is of a full message)
        return self.__dict__

    def get(self, name: str, failobj: Any = None) -> Any:
        """Return the value (str) of the first field of that name, or ``failobj``."""
        head = self.__dict__.get("_head")
        return super().get(name, failobj) if head is None else head.get(name, failobj)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        head = self.__dict__.get("_head")
        if head is None or not isinstance(name, str):
            return super().__contains__(name)  # type: ignore[operator]
        return head.get(name) is not None

    def get_all(self, name: str, failobj: Any = None) -> Any:
        """Return the values (list of str) of all fields of that name, or ``failobj`` where there is none."""
        head = self.__dict__.get("_head")
        return super().get_all(name, failobj) if head is None else head.get_all(name) or failobj


def make_headers(head: RequestHead, message_class: type[Message]) -> Message:
    """Return the fields of ``head`` as ``message_class`` (a handler's ``MessageClass``).

    http.client.HTTPMessage, the default, is given lazily; any other class is built by email's parser,
    as http.server does.
    """
    if message_class is http.client.HTTPMessage:
        return RequestHeaders(head)
    _, _, block = head.raw.decode("latin-1").partition("\r\n")
    return email.parser.Parser(_class=message_class).parsestr(block)


def no_headers(message_class: type[Message]) -> Message:
    """Return an empty message of that class, for a request whose fields are nobody's to read."""
    return email.parser.Parser(_class=message_class).parsestr("")
