"""The manual's list of names as data: each is there, and has a test of its name in the file of its class.

Of the manual for Python 3.15, without CGIHTTPRequestHandler, which it no longer has.
"""

import ast
import http.server
from pathlib import Path
from typing import Any

import pytest

import fastserve

SERVERS = {
    "HTTPServer": ("server_name", "server_port"),
    "ThreadingHTTPServer": (),
    "HTTPSServer": ("certfile", "keyfile", "password", "alpn_protocols"),
    "ThreadingHTTPSServer": (),
}
BASE_HANDLER = {
    "BaseHTTPRequestHandler": (
        # Instance variables.
        "client_address", "server", "close_connection", "requestline", "command", "path", "request_version",
        "headers", "rfile", "wfile",
        # Attributes.
        "server_version", "sys_version", "error_message_format", "error_content_type", "protocol_version",
        "MessageClass", "responses",
        # Methods.
        "handle", "handle_one_request", "handle_expect_100", "send_error", "send_response", "send_header",
        "send_response_only", "end_headers", "flush_headers", "log_request", "log_error", "log_message",
        "version_string", "date_time_string", "log_date_time_string", "address_string",
    ),
}
SIMPLE_HANDLER = {
    "SimpleHTTPRequestHandler": (
        # Arguments.
        "directory", "extra_response_headers",
        # Attributes.
        "server_version", "index_pages", "default_content_type", "extensions_map",
        # Methods, the two among them that the manual names in passing.
        "do_HEAD", "do_GET", "list_directory", "guess_type",
    ),
}
FILES = {
    "test_servers.py": SERVERS,
    "test_base_handler.py": BASE_HANDLER,
    "test_simple_handler.py": SIMPLE_HANDLER,
}
NAMES = [
    (file, name) for file, kinds in FILES.items() for kind, names in kinds.items() for name in (kind, *names)]

# What http.server's classes have beside: names that the manual leaves out and programs use.
UNDOCUMENTED = {
    "HTTPServer": {"allow_reuse_address", "allow_reuse_port", "server_bind"},
    "ThreadingHTTPServer": {"daemon_threads"},
    "HTTPSServer": {"server_activate"},
    "ThreadingHTTPSServer": {"daemon_threads"},
    "BaseHTTPRequestHandler": {"default_request_version", "monthname", "parse_request", "weekdayname"},
    "SimpleHTTPRequestHandler": {"copyfile", "send_head", "translate_path"},
}


def functions(file: str) -> set[str]:
    tree = ast.parse(Path(__file__).with_name(file).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_a_name_has_a_test(file: str, name: str) -> None:
    assert f"test_{name}" in functions(file)


@pytest.mark.parametrize("kind", UNDOCUMENTED)
def test_no_other_name_is_public(kind: str) -> None:
    """A name that a newer http.server has is one that fastserve lacks."""
    documented: dict[str, Any] = SERVERS | BASE_HANDLER | SIMPLE_HANDLER
    theirs = vars(getattr(http.server, kind, object))
    public = {name for name in theirs if not name.startswith("_")}
    assert public <= set(documented[kind]) | UNDOCUMENTED[kind]
    assert [name for name in public if not hasattr(getattr(fastserve, kind), name)] == []
