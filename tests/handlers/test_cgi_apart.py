"""CGIHTTPRequestHandler: what of the server's own a script's answer has, and what its environment has not."""

from typing import Any

import pytest
from cgi_scripts import ScriptFolder
from helpers import ask, request

from fastserve import CGIHTTPRequestHandler
from fastserve.handlers.sharing import SharingMixin, cors_fields

from .makers import get, head


@pytest.mark.parametrize(("octets", "status", "body"), [
    (get("/cgi-bin/script"), 200, b"output\n"), (head("/cgi-bin/script"), 200, b""),
    (request("POST", "/cgi-bin/script", body=b"x"), 200, b"output\n"), (get("/file"), 200, b"file"),
    (get("/cgi-bin/none"), 404, None),
])
def test_the_fields_of_every_answer(
    octets: bytes, status: int, body: bytes | None, host: Any, serve: Any, scripts: ScriptFolder
) -> None:
    """Each once, in a script's answer too."""
    scripts.add("echo output")
    (scripts.path / "file").write_text("file")
    fields = cors_fields("https://a.example")
    base = type("Sharing", (SharingMixin, CGIHTTPRequestHandler), {})
    server = scripts.serve(serve, host, base, always_headers=tuple(fields))
    reply = ask(server.server_address, octets)
    assert (reply.status, body in (reply.body, None)) == (status, True)
    assert [pair for pair in reply.headers if pair[0] in dict(fields)] == fields


def test_settings_are_not_in_the_environment_of_scripts(
    host: Any, serve: Any, scripts: ScriptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be a password in one."""
    others = {"FASTSERVER", "MY_FASTSERVE_AUTH", "fastserve_auth", "PATH"}
    for name in ("FASTSERVE_AUTH", "FASTSERVE_PORT", "FASTSERVE_", *(others - {"PATH"})):
        monkeypatch.setenv(name, "value")
    scripts.add("env")
    body = ask(scripts.serve(serve, host).server_address, get("/cgi-bin/script")).body.decode()
    told = {line.partition("=")[0] for line in body.splitlines()}
    assert not [name for name in told if name.startswith("FASTSERVE_")]
    assert others <= told
