"""What moves between a CGI script and its client, in both directions, and how a script ends.

Which script that is, and what it is told, is test_cgi.py's.
"""

import os
import select
import signal
import socket
import time
from typing import Any

import pytest
from cgi_scripts import HEAD, ScriptFolder, is_running
from helpers import PATIENCE, Client, ask, request, wait_until
from pairs import Task, client_context, receive_exactly, receive_until, reset, server_context

import fastserve
from fastserve.handlers import cgi, script

from .makers import get, head

PLAIN_POLL = select.poll
LARGE = 300_000  # more than pipes hold
BODY = bytes(range(256)) * (LARGE // 256)


class OddSocket(socket.socket):
    """Ours may not use it as a descriptor, so its streams are socketserver's."""


class OddServer(fastserve.HTTPServer):
    def get_request(self) -> Any:
        sock, address = super().get_request()
        return OddSocket(fileno=sock.detach()), address


class SecureServer(fastserve.HTTPServer):
    def server_activate(self) -> None:
        super().server_activate()
        self.socket = server_context().wrap_socket(self.socket, server_side=True)


class SecureClient(Client):
    def __init__(self, address: Any) -> None:
        super().__init__(address)
        self.sock = client_context().wrap_socket(self.sock, server_hostname="localhost")


HOSTS = {
    "loop": (fastserve.HTTPServer, Client),
    "threads": (fastserve.ThreadingHTTPServer, Client),
    "odd": (OddServer, Client),
    "tls": (SecureServer, SecureClient),
}


@pytest.fixture(params=HOSTS)
def reach(request: pytest.FixtureRequest, serve: Any, scripts: ScriptFolder) -> Any:
    """A function that serves the scripts with attributes and connects."""
    server_class, client_class = HOSTS[request.param]
    clients: list[Client] = []

    def start(**attributes: Any) -> Client:
        server = scripts.serve(serve, server_class, **attributes)
        clients.append(client_class(server.server_address))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def post(body: bytes, *fields: str) -> bytes:
    return request("POST", "/cgi-bin/script", *fields, body=body)


GET = get("/cgi-bin/script")


# -- The body ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, LARGE])
def test_a_body_of_any_size(size: int, reach: Any, scripts: ScriptFolder) -> None:
    scripts.add("cat")
    body = (BODY * 2)[:size]
    assert reach().ask(post(body)).body == body


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_script_without_a_body_reads_nothing(method: str, reach: Any, scripts: ScriptFolder) -> None:
    """It does not wait for the client, and does not get what the client sends behind the request."""
    scripts.add("note read $(wc -c); echo done")
    peer = reach(protocol_version="HTTP/1.1")
    peer.send(request(method, "/cgi-bin/script") + get("/after"))
    assert peer.reply(method).status == 200
    assert scripts.note("read") == "0"


def test_a_body_ends_at_its_length(reach: Any, scripts: ScriptFolder) -> None:
    scripts.add("cat")
    peer = reach(protocol_version="HTTP/1.1")
    peer.send(post(b"the body") + GET)
    assert peer.reply().body == b"the body"


def test_get_may_have_a_body(reach: Any, scripts: ScriptFolder) -> None:
    scripts.add("cat")
    assert reach().ask(request("GET", "/cgi-bin/script", body=b"the body")).body == b"the body"


def test_a_body_reaches_the_script_as_it_comes(reach: Any, scripts: ScriptFolder) -> None:
    scripts.add(f"note first $(head -c {LARGE // 2} | wc -c); cat")
    peer = reach()
    octets = post(BODY)
    rest = len(BODY) - LARGE // 2 - 1000
    peer.send(octets[:-rest])
    assert int(scripts.note("first")) == LARGE // 2
    peer.send(octets[-rest:])
    assert BODY.endswith(peer.reply().body)


def test_a_script_may_write_before_it_reads(reach: Any, scripts: ScriptFolder) -> None:
    scripts.add(f"head -c {LARGE} /dev/zero; wc -c")
    body = reach().ask(post(BODY)).body
    assert body[:LARGE] == bytes(LARGE)
    assert int(body[LARGE:]) == len(BODY)


def test_a_script_may_write_while_it_reads(host: Any, serve: Any, client: Any, scripts: ScriptFolder) -> None:
    """Much more than buffers hold, to a client that reads while it sends."""
    scripts.add("cat")
    peer = client(scripts.serve(serve, host))
    body = BODY * 30
    sending = Task(peer.send, post(body))
    assert peer.reply().body == body
    sending.result()


@pytest.mark.parametrize("text", [
    "exec <&-; await go; echo done", "echo done", "head -c 10 >/dev/null; echo done",
])
def test_a_script_may_leave_its_body(text: str, reach: Any, scripts: ScriptFolder) -> None:
    scripts.add(text)
    peer = reach()
    scripts.leave("go")
    peer.send(post(BODY * 2))
    assert peer.reply().body == b"done\n"


def test_expect(host: Any, serve: Any, client: Any, scripts: ScriptFolder) -> None:
    scripts.add("cat")
    server = scripts.serve(serve, host, protocol_version="HTTP/1.1")
    for body in (b"body", BODY):
        peer = client(server)
        octets = post(body, "Expect: 100-continue")
        peer.send(octets[: -len(body)])
        assert peer.reply().line == "HTTP/1.1 100 Continue"
        peer.send(body)
        assert peer.reply().body == body


def test_expect_of_a_handler_that_speaks_http_1_0(serve: Any, client: Any, scripts: ScriptFolder) -> None:
    """It sends no 100, as with http.server: the client sends its body after a while."""
    scripts.add("echo first; cat")
    peer = client(scripts.serve(serve))
    octets = post(b"body", "Expect: 100-continue")
    peer.send(octets[:-4])
    assert receive_until(peer.sock, b"first\n").endswith(b"\r\n\r\nfirst\n")
    peer.send(b"body")
    assert peer.rest() == b"body"


# -- The output --------------------------------------------------------------------------------


def test_output_is_passed_on_as_it_is(reach: Any, scripts: ScriptFolder) -> None:
    (scripts.path / "octets").write_bytes(BODY)
    scripts.add(f"cat {scripts.path}/octets", head="printf 'A: 1\\nStatus: 404 Nothing\\n\\n'\n")
    peer = reach()
    peer.send(GET)
    head, _, rest = peer.rest().partition(b"\r\nA: 1\n")
    assert head.startswith(b"HTTP/1.0 200 Script output follows\r\nServer: ")
    assert rest == b"Status: 404 Nothing\n\n" + BODY


def test_output_is_passed_on_as_it_comes(reach: Any, scripts: ScriptFolder) -> None:
    scripts.add("for n in 1 2 3; do echo line $n; await $n; done")
    peer = reach(wbufsize=-1)
    peer.send(GET)
    assert receive_until(peer.sock, b"\r\n\r\n").startswith(b"HTTP/1.0 200 ")
    for n in (1, 2, 3):
        assert receive_exactly(peer.sock, 7) == b"line %d\n" % n
        scripts.leave(str(n))
    assert peer.is_closed()


def test_all_of_a_large_output_leaves_before_more_is_awaited(
        host: Any, serve: Any, scripts: ScriptFolder) -> None:
    """Also what the socket did not take at once."""
    size = 4 << 20
    scripts.add(f"head -c {size} /dev/zero; await go; echo end")
    server = scripts.serve(serve, host)
    with Client(server.server_address) as peer:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        peer.send(GET)
        receive_until(peer.sock, b"\r\n\r\n")
        assert receive_exactly(peer.sock, size) == bytes(size)
        scripts.leave("go")
        assert peer.rest() == b"end\n"


def test_a_slow_reader_holds_the_script(serve: Any, client: Any, scripts: ScriptFolder) -> None:
    """Its output is not collected: it ends when all but what the buffers hold has been read."""
    size = 64 << 20
    scripts.add(f"head -c {size} /dev/zero; note end $?")
    peer = client(scripts.serve(serve, fastserve.ThreadingHTTPServer))
    peer.send(GET)
    receive_until(peer.sock, b"\r\n\r\n")
    assert len(receive_exactly(peer.sock, size // 2)) == size // 2
    assert not (scripts.notes / "end").exists()
    assert len(receive_exactly(peer.sock, size // 2)) == size // 2
    assert scripts.note("end") == "0"


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_the_connection_ends_with_the_output(protocol: str, reach: Any, scripts: ScriptFolder) -> None:
    scripts.add("echo output")
    peer = reach(protocol_version=protocol)
    peer.send(GET + GET)
    reply = peer.reply()
    assert reply.line == f"{protocol} 200 Script output follows"
    assert reply.get("Connection") == ("close" if protocol == "HTTP/1.1" else None)
    assert reply.body == b"output\n"


@pytest.mark.parametrize("end", ["\\r\\n\\r\\n", "\\n\\n", "\\r\\n\\n"])
def test_head_gets_the_script_s_head_alone(end: str, reach: Any, scripts: ScriptFolder) -> None:
    scripts.add("note method $REQUEST_METHOD", head=f"printf 'Content-Length: 4{end}body'\n")
    peer = reach()
    peer.send(head("/cgi-bin/script"))
    answer = peer.rest()
    assert answer.startswith(b"HTTP/1.0 200 Script output follows\r\n")
    assert answer.endswith(b"\r\nContent-Length: 4" + end.encode().decode("unicode_escape").encode())
    assert scripts.note("method") == "HEAD"


@pytest.mark.parametrize(("kept", "cut"), [
    (b"A: 1\r\n\r\n", b"body\n\n"), (b"A: 1\n\n", b"\n"), (b"A: 1\r\nB: \n\r\n", b"\n"), (b"\n", b"body"),
    (b"\r\n", b"\r\n"), (b"A: 1\r\r\nB: 2\n", b""),
])
def test_a_head_ends_with_its_first_empty_line_however_it_comes(kept: bytes, cut: bytes) -> None:
    output = kept + cut
    for size in range(1, len(output) + 1):
        part = cgi.HeadOnly()
        pieces = [part(output[at : at + size]) for at in range(0, len(output), size)]
        assert b"".join(pieces) == kept


def test_a_script_that_says_nothing(host: Any, serve: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("echo what is wrong >&2; exit 4", head="")
    server = scripts.serve(serve, host)
    message = "CGI script has no output ('/cgi-bin/script')"
    for octets in (GET, post(b"body")):
        assert ask(server.server_address, octets).line == f"HTTP/1.0 403 {message}"
    assert log.messages()[:3] == ["what is wrong", "CGI script exit code 4", f"code 403, message {message}"]


# -- The log -----------------------------------------------------------------------------------


def logged(text: str, serve: Any, scripts: ScriptFolder, log: Any) -> list[str]:
    """What is logged of a script, the request itself left out."""
    scripts.add(text)
    ask(scripts.serve(serve).server_address, GET)
    wait_until(lambda: log.messages() and not script.running)
    return [line for line in log.messages() if not line.startswith('"GET ')]


@pytest.mark.parametrize(("text", "lines"), [
    ("", []),
    ("echo one >&2; echo two >&2", ["one", "two"]),
    ("printf 'one\\n\\ntwo\\r\\nthree' >&2", ["one", "", "two", "three"]),
    ("printf '\\033[1m\\377\\\\%%s\\n' >&2", ["\\x1b[1m\ufffd\\\\%s"]),
    ("exit 3", ["CGI script exit code 3"]),
    ("echo one >&2; kill -9 $$", ["one", "CGI script exit code -9"]),
    ("exec >&- 2>&-; await go; exit 5", ["CGI script exit code 5"]),
])
def test_what_is_logged(text: str, lines: list[str], serve: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.leave("go")
    assert logged(text, serve, scripts, log) == lines


def test_lines_are_logged_as_they_come(serve: Any, client: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("echo one >&2; await go; echo two >&2")
    peer = client(scripts.serve(serve))
    peer.send(GET)
    assert wait_until(lambda: "one" in log.messages())
    assert "two" not in log.messages()
    scripts.leave("go")
    peer.rest()
    assert wait_until(lambda: "two" in log.messages())


def test_a_line_that_does_not_end_is_cut(serve: Any, scripts: ScriptFolder, log: Any) -> None:
    size = 1 << 20
    lines = logged(f"head -c {size} /dev/zero | tr '\\0' x >&2", serve, scripts, log)
    assert "".join(lines) == "x" * size
    assert max(map(len, lines)) <= 2 * script.PIECE


# -- How a script ends -------------------------------------------------------------------------

# A script that stays, and what it has started too; its first word comes when both are noted.
STAYS = "note pid $$; sleep 1000 & note pid2 $!\n"


def test_a_script_that_hangs_is_ended(reach: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("wait", head=STAYS + HEAD)
    peer = reach(cgi_timeout=0.5)
    peer.send(GET)
    assert peer.reply().status == 200
    scripts.check_nothing_runs()
    assert wait_until(lambda: "CGI script hangs: ended after 0.5 seconds" in log.messages())
    assert wait_until(lambda: f"CGI script exit code {-signal.SIGTERM}" in log.messages())


def test_a_script_that_hangs_without_a_word(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add(STAYS + "wait", head="")
    server = scripts.serve(serve, host, cgi_timeout=0.5)
    assert ask(server.server_address, GET).status == 403


def test_a_script_that_does_not_want_to_end(
        host: Any, serve: Any, scripts: ScriptFolder, log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "CGI_GRACE", 0.2)
    scripts.add("while :; do sleep 1; done", head="trap '' TERM\n" + STAYS + HEAD)
    server = scripts.serve(serve, host, cgi_timeout=0.5)
    assert ask(server.server_address, GET).status == 200
    scripts.check_nothing_runs()
    assert wait_until(lambda: f"CGI script exit code {-signal.SIGKILL}" in log.messages())


def test_a_script_that_closes_its_output_and_stays(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("exec >&- 2>&-; wait", head=STAYS + HEAD)
    server = scripts.serve(serve, host, cgi_timeout=0.5)
    assert ask(server.server_address, GET).status == 200
    scripts.check_nothing_runs()


def test_a_script_that_moves_does_not_hang(serve: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("for n in 1 2 3 4; do sleep 0.5; echo $n; done")
    server = scripts.serve(serve, cgi_timeout=1.5)
    assert ask(server.server_address, GET).body == b"1\n2\n3\n4\n"


def test_what_a_script_leaves_behind_is_not_waited_for(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    scripts.add("sleep 1000 & note left $!; echo output")
    server = scripts.serve(serve, host)
    assert ask(server.server_address, GET).body == b"output\n"
    left = int(scripts.note("left"))
    assert is_running(left)
    os.kill(left, signal.SIGKILL)


def test_a_client_that_goes_ends_the_script(host: Any, serve: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("wait", head=STAYS + HEAD)
    server = scripts.serve(serve, host)
    peer = Client(server.server_address)
    peer.send(GET)
    assert receive_until(peer.sock, b"\r\n\r\n")
    scripts.note("pid2")
    reset(peer.sock)
    scripts.check_nothing_runs()
    assert wait_until(lambda: "CGI script ended: the client is gone" in log.messages())


def test_a_script_does_not_die_alone_of_its_closed_output(
        scripts: ScriptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has started is ended with it, however fast it is."""
    file = scripts.add("while :; do echo output; done", head=STAYS)
    started = script.Script(str(file), ["script"], dict(os.environ), False)
    process = started._process
    poll = process.poll

    def poll_late() -> Any:
        assert process.stdout
        if process.stdout.closed:
            process.wait(PATIENCE)
        return poll()

    scripts.note("pid2")
    monkeypatch.setattr(process, "poll", poll_late)
    started.end()
    scripts.check_nothing_runs()


def test_a_client_that_goes_while_it_is_written_to(reach: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("while :; do echo output; done", head=STAYS + HEAD)
    peer = reach()
    peer.send(GET)
    assert receive_until(peer.sock, b"\r\n\r\noutput\n")
    scripts.note("pid2")
    peer.close()
    scripts.check_nothing_runs()
    assert wait_until(lambda: "CGI script ended: the client is gone" in log.messages())
    assert "Traceback" not in log.text()


@pytest.mark.parametrize("size", [70_000, LARGE])
def test_a_body_that_breaks_off_ends_the_script(
        size: int, reach: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("cat; wait", head=STAYS + HEAD)
    peer = reach()
    peer.send(request("POST", "/cgi-bin/script", f"Content-Length: {size + 1}") + bytes(size))
    assert receive_until(peer.sock, b"\r\n\r\n")
    scripts.note("pid2")
    peer.close()
    scripts.check_nothing_runs()
    assert "Traceback" not in log.text()


def test_a_client_that_has_no_more_to_say_gets_its_answer(
        host: Any, serve: Any, client: Any, scripts: ScriptFolder) -> None:
    scripts.add("await go; cat")
    server = scripts.serve(serve, host)
    for octets, body in [(GET, b""), (post(b"body"), b"body"), (post(BODY), BODY)]:
        peer = client(server)
        peer.send(octets)
        peer.end()
        scripts.leave("go")
        assert peer.reply().body == body


def test_a_client_that_does_not_read_is_given_up(
        serve: Any, client: Any, scripts: ScriptFolder, log: Any) -> None:
    scripts.add("while :; do echo output; done", head=STAYS + HEAD)
    peer = client(scripts.serve(serve, timeout=0.3))
    peer.send(GET)
    scripts.note("pid2")
    scripts.check_nothing_runs()
    assert wait_until(lambda: any("timed out" in line for line in log.messages()))


def test_an_error_of_the_handler_ends_the_script(serve: Any, client: Any, scripts: ScriptFolder) -> None:
    class Server(fastserve.HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    def send_response(self: Any, *args: Any) -> None:
        raise KeyError("from an override")

    scripts.add("wait", head=STAYS + HEAD)
    peer = client(scripts.serve(serve, Server, send_response=send_response))
    peer.send(GET)
    assert peer.rest() == b""
    scripts.check_nothing_runs()


def test_others_are_answered_beside_a_script(serve: Any, client: Any, scripts: ScriptFolder) -> None:
    scripts.add("await go; echo output")
    (scripts.path / "file").write_text("file")
    server = scripts.serve(serve, fastserve.ThreadingHTTPServer)
    peer = client(server)
    peer.send(GET)
    assert ask(server.server_address, get("/file")).body == b"file"
    scripts.leave("go")
    assert peer.reply().body == b"output\n"


class Blinking:
    """Looks away while a script says all that it has to say, and ends; then there was nothing."""

    def __init__(self) -> None:
        self._poller, self._blinked = PLAIN_POLL(), False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float) -> Any:
        if self._blinked or not timeout:  # then it has ended already, and this is the last look
            return self._poller.poll(timeout)
        self._blinked = True
        time.sleep(0.5)
        return []


def test_the_last_words_of_a_script_that_ends(
    serve: Any, scripts: ScriptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a look at its pipes and one at the script itself."""
    scripts.add("echo last words")
    monkeypatch.setattr(script.select, "poll", Blinking)
    server = scripts.serve(serve)
    assert ask(server.server_address, get("/cgi-bin/script")).body == b"last words\n"


def test_many_scripts_at_once(serve: Any, client: Any, scripts: ScriptFolder) -> None:
    """From many threads, each with its own body; none gets another's pipe."""
    scripts.add("await go; cat")
    server = scripts.serve(serve, fastserve.ThreadingHTTPServer)
    peers = [client(server) for _ in range(20)]
    for number, peer in enumerate(peers):
        peer.send(post(b"body %d" % number))
    scripts.leave("go")
    assert [peer.reply().body for peer in peers] == [b"body %d" % number for number in range(20)]


def test_a_script_has_three_descriptors(host: Any, serve: Any, scripts: ScriptFolder) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("this system does not tell what a process has open")
    ls = scripts.add("").with_name("ls")
    ls.symlink_to("/bin/ls")
    server = scripts.serve(serve, host)
    target = "/cgi-bin/ls?/proc/self/fd"
    for octets in (get(target), request("POST", target, body=b"body")):
        with Client(server.server_address) as peer:
            peer.send(octets)
            assert peer.rest().split(b"GMT\r\n")[1].split() == [b"0", b"1", b"2", b"3"]  # ls's own


def test_scripts_end_with_the_process(scripts: ScriptFolder) -> None:
    """What is called when Python exits, as threads that wait for scripts are not waited for."""
    program = scripts.add(STAYS + "wait", head="")
    with script.Script(str(program), ["script"], dict(os.environ), has_body=False) as running:
        scripts.note("pid2")
        script.terminate_all()
        assert running._process.wait(5) == -signal.SIGTERM
    assert not script.running
