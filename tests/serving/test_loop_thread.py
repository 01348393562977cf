"""In which thread a threading server's hooks are called: the row "loop-thread" of differences.py."""

import importlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import PATIENCE, Running, request, wait_until
from serving.apps import Gate

IN_THE_LOOP = ["get_request", "verify_request", "service_actions"]
BEHIND_A_HANDLER = ["handle_error", "shutdown_request"]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.mark.parametrize("module", ["http.server", "fastserve"])
def test_in_which_thread_hooks_are_called(module: str, gate: Gate, client: Any) -> None:
    """In that of serve_forever() on http.server, and here in one that changes."""
    library: Any = importlib.import_module(module)
    waiting: list[int] = []
    threads: dict[str, list[int]] = {name: [] for name in IN_THE_LOOP + BEHIND_A_HANDLER}

    def noting(name: str) -> Any:
        def hook(server: Any, *args: Any) -> Any:
            threads[name].append(threading.get_ident())
            return None if name == "handle_error" else getattr(kind.__base__, name)(server, *args)

        return hook

    class Handler(library.BaseHTTPRequestHandler):  # type: ignore[misc]
        def do_GET(self) -> None:
            if self.path == "/wait":
                waiting.append(threading.get_ident())
                gate.wait()
            raise ValueError("for handle_error()")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    kind = type("Server", (library.ThreadingHTTPServer,), {name: noting(name) for name in threads})
    running = Running(kind(("127.0.0.1", 0), Handler))
    try:
        first = client(running.server)
        first.send(request("GET", "/wait"))
        assert gate.reached.wait(PATIENCE)
        second = client(running.server)
        second.send(request("GET", "/"))
        assert second.is_closed()
        gate.open.set()
        assert first.is_closed()
        assert wait_until(lambda: len(threads["shutdown_request"]) == 2)
        # Until its end, which is in that of serve_forever() here too.
        seen = {name: set(idents) for name, idents in threads.items()}
    finally:
        running.stop()
    serving = running.thread.ident
    assert not any(serving in seen[name] for name in BEHIND_A_HANDLER)
    if module == "http.server":
        assert all(seen[name] == {serving} for name in IN_THE_LOOP)
    else:
        assert not any(serving in seen[name] for name in IN_THE_LOOP)
        assert threads["get_request"][1] != waiting[0]  # where the loop was until then
