"""TLS handshakes that fail, and those that somebody else has made."""

from collections.abc import Callable
from typing import Any

from helpers import request, wait_until
from serving.apps import Quiet
from serving.secure import TLSClient, Wrapping

from fastserve import limits

Serve = Callable[..., Any]
GET = request()


# -- Made by somebody else -------------------------------------------------------------------------


def test_a_handshake_that_get_request_made_is_over(serve: Serve, clock: Any) -> None:
    """What its client is given from then on is the time of an idle one."""
    turns: list[int] = []

    class Server(Wrapping):
        def service_actions(self) -> None:
            turns.append(1)

    server = serve(Quiet, Server)
    with TLSClient(server.server_address) as client:
        clock.ahead = limits.HANDSHAKE_TIMEOUT + 1
        before = len(turns)
        assert wait_until(lambda: len(turns) > before + 3)
        assert client.ask(GET).status == 200
