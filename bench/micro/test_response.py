"""Writing a response head: `pytest bench/micro`. The other way is the one of http.server, by %-formatting."""

import pytest

FIELDS = [
    ("Server", "fastserve/1.0 Python/3.13.0"),
    ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Length", "1024"),
    ("Last-Modified", "Sat, 05 Nov 1994 10:00:00 GMT"),
]
EXPECTED = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: fastserve/1.0 Python/3.13.0\r\n"
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Length: 1024\r\n"
    b"Last-Modified: Sat, 05 Nov 1994 10:00:00 GMT\r\n"
    b"\r\n"
)


def formatting():
    def write():
        lines = [("%s %d %s\r\n" % ("HTTP/1.1", 200, "OK")).encode("latin-1")]  # noqa: UP031
        for name, value in FIELDS:
            lines.append(("%s: %s\r\n" % (name, value)).encode("latin-1"))  # noqa: UP031
        lines.append(b"\r\n")
        return b"".join(lines)

    return write


def compiled():
    head = pytest.importorskip("fastserve._response").ResponseHead()

    def write():
        head.status_line("HTTP/1.1", 200, "OK")
        for name, value in FIELDS:
            head.header(name, value)
        head.end("GET", "HTTP/1.1", False)
        return head.take()

    return write


WRITERS = {"fastserve": compiled, "formatting": formatting}


@pytest.mark.benchmark(group="a file's response head: status line and 5 headers")
@pytest.mark.parametrize("name", WRITERS)
def test_response_head(benchmark, name):
    write = WRITERS[name]()
    assert write() == EXPECTED
    assert write() == EXPECTED, "the second response of a connection"
    benchmark(write)
