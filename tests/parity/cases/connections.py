"""Which connections stay, and what is answered on one: keep-alive in all combinations, pipelines."""

from .table import (
    CLOSE,
    KEEP_ALIVE,
    SAME_DAY,
    Case,
    both,
    get,
    head,
    old,
    post,
    says,
    says_close,
    says_keep_alive,
)

# By protocol_version; the handlers are the same but for that.
HANDLERS = {"1.0": "plain", "1.1": "plain11"}
CONNECTIONS = {"no Connection": (), "close": (CLOSE,), "keep-alive": (KEEP_ALIVE,), "TE": ("Connection: TE",)}


def combination(protocol: str, version: str, word: str) -> Case:
    """One of the sixteen that two versions and a word make."""
    name = f"HTTP/{version} with {word}, protocol_version HTTP/{protocol}"
    case = Case(name, HANDLERS[protocol], get("/", *CONNECTIONS[word], version=version))
    if protocol == "1.0":
        return case  # closes without a word, as HTTP/1.0 does
    if word == "close" or (version == "1.0" and word != "keep-alive"):
        return case.says_close()
    return case.differs("keep-alive-1.0", says_keep_alive) if version == "1.0" else case


COMBINATIONS = [
    combination(protocol, version, word)
    for protocol in HANDLERS for version in ("1.0", "1.1") for word in CONNECTIONS
]


def token_close(name: str, *connection: str) -> Case:
    return Case(name, "plain11", get("/", *connection)).differs("connection-tokens", says_close)


TOKENS = [
    Case("close in any case", "plain11", get("/", "CONNECTION: CLOSE")).says_close(),
    Case("an empty Connection", "plain11", get("/", "Connection:")),
    Case("a word that begins with close", "plain11", get("/", "Connection: closed")),
    Case("close in quotes", "plain11", get("/", 'Connection: "close"')),
    Case("Keep-Alive as a field", "plain11", get("/", "Keep-Alive: timeout=5, max=10")),
    Case("Proxy-Connection", "plain11", get("/", "Proxy-Connection: close")),
    Case("an upgrade that is not taken", "plain11", get("/", "Connection: Upgrade", "Upgrade: websocket")),
    token_close("close among others", "Connection: TE, close"),
    token_close("close before others", "Connection: close, TE"),
    token_close("close without blanks", "Connection: TE,close,x"),
    token_close("close between tabs", "Connection: TE,\tclose\t,x"),
    token_close("keep-alive and close", "Connection: keep-alive, close"),
    token_close("keep-alive and close on two lines", KEEP_ALIVE, CLOSE),
    Case("close and keep-alive on two lines", "plain11", get("/", CLOSE, KEEP_ALIVE)).says_close(),
    Case("HTTP/1.0 with keep-alive among others", "plain11", old("/", "Connection: keep-alive, TE"))
    .differs("connection-tokens", says_keep_alive),
    Case("HTTP/1.0 with keep-alive in another case", "plain11", old("/", "Connection: Keep-Alive"))
    .differs("keep-alive-1.0", says_keep_alive),
    Case("two of HTTP/1.0 with keep-alive", "plain11", old("/1", KEEP_ALIVE) + old("/2"), "GET GET")
    .differs("keep-alive-1.0", both(says("keep-alive", 0), says_close)),
]

HANDLERS_SAY = [
    Case("a handler sets close_connection", "plain11", get("/", method="CLOSE")).says_close(),
    Case("a handler sets close_connection when it has answered", "plain11",
         get("/", method="CLOSELATER")),
    Case("a handler keeps what was to close", "plain11", get("/", CLOSE, method="KEEP")),
    Case("a handler says close", "plain11", get("/", method="SAYCLOSE")),
    Case("a handler says keep-alive", "plain11", get("/", method="SAYKEEP")),
    Case("a handler says keep-alive where the client said close", "plain11",
         get("/", CLOSE, method="SAYKEEP")),
    Case("a handler says close where an HTTP/1.0 client said keep-alive", "plain11",
         old("/", KEEP_ALIVE, method="SAYCLOSE")),
    Case("a handler says keep-alive to HTTP/1.0", "plain11", old("/", method="SAYKEEP")),
    Case("a handler says keep-alive with HTTP/1.0", "plain", get("/", method="SAYKEEP")),
    Case("a handler says close with HTTP/1.0", "plain", get("/", method="SAYCLOSE")),
    Case("a handler says something else", "plain11", get("/", method="SAYOTHER")),
    Case("state on the handler", "plain11", get("/", method="STATE") * 3, "GET GET GET"),
]

PIPELINES = [
    Case("two requests", "plain11", get("/1") + get("/2"), "GET GET"),
    Case("forty pipelined requests", "plain11", b"".join(get(f"/{n}") for n in range(40)), "GET " * 40),
    Case("HEAD and GET pipelined", "plain11", head("/1") + get("/2"), "HEAD GET"),
    Case("POST and GET pipelined", "plain11", post("/", b"a body") + get("/2"), "POST GET"),
    Case("bodies pipelined", "plain11",
         post("/", b"1") + post("/", b"") + post("/", b"333"), "POST POST POST"),
    Case("204, 304 and GET pipelined", "plain11",
         get("/204", method="BARE") + get("/304", method="BARE") + get("/"), "GET GET GET"),
    Case("close in the middle of a pipeline", "plain11",
         get("/1") + get("/2", CLOSE) + get("/3"), "GET GET GET")
    .says_close(),
    Case("HTTP/1.0 in the middle of a pipeline", "plain11", get("/1") + old("/2") + get("/3"), "GET GET GET")
    .says_close(),
    Case("an error ends a pipeline", "plain11", get("/1") + get("/404", method="ERROR") + get("/2"),
         "GET ERROR GET"),
    Case("an unknown method ends a pipeline", "plain11", get("/1", method="NOPE") + get("/2"), "NOPE GET"),
    Case("an exception ends a pipeline", "plain11", get("/1") + get("/", method="RAISE") + get("/2"),
         "GET GET GET"),
    Case("protocol_version HTTP/1.0 ends a pipeline", "plain", get("/1") + get("/2"), "GET GET"),
    Case("protocol_version HTTP/1.0 ends a pipeline of HTTP/1.0", "plain",
         old("/1", KEEP_ALIVE) + old("/2", KEEP_ALIVE), "GET GET"),
    Case("files pipelined", "files11", get("/hello.txt") + get("/medium.bin") + get("/empty.txt"),
         "GET GET GET"),
    Case("forty files pipelined", "files11", get("/hello.txt") * 40, "GET " * 40),
    Case("files and their heads pipelined", "files11", (head("/hello.txt") + get("/hello.txt")) * 3,
         "HEAD GET HEAD GET HEAD GET"),
    Case("a large file and another pipelined", "files11", get("/large.bin") + get("/hello.txt"), "GET GET"),
    Case("304 and a file pipelined", "files11", get("/hello.txt", SAME_DAY) + get("/hello.txt"), "GET GET"),
    Case("a redirect and a file pipelined", "files11", get("/list") + get("/hello.txt"), "GET GET"),
    Case("a missing file ends a pipeline", "files11", get("/hello.txt") + get("/nothing") + get("/hello.txt"),
         "GET GET GET"),
    Case("files on HTTP/1.0 with keep-alive", "files11", old("/hello.txt", KEEP_ALIVE))
    .differs("keep-alive-1.0", says_keep_alive),
]

EMPTY_LINES = [
    Case("an empty line in front", "plain11", b"\r\n" + get("/")).differs("empty-lines", like=get("/")),
    Case("eight empty lines in front", "plain11", b"\r\n" * 8 + get("/"))
    .differs("empty-lines", like=get("/")),
    Case("nine empty lines in front", "plain11", b"\r\n" * 9 + get("/"))
    .refused("empty-lines", 400, "Bad request syntax ('GET / HTTP/1.1')"),
    Case("an empty line between", "plain11", get("/1") + b"\r\n" + get("/2"), "GET GET")
    .differs("empty-lines", like=get("/1") + get("/2")),
    Case("an empty line after a body", "plain11", post("/", b"abc") + b"\r\n" + get("/2"), "POST GET")
    .differs("empty-lines", like=post("/", b"abc") + get("/2")),
    Case("a line of blanks in front", "plain11", b"  \r\n" + get("/"))
    .refused("malformed", 400, "Bad request syntax ('  ')", line="  "),
]

CASES = [*COMBINATIONS, *TOKENS, *HANDLERS_SAY, *PIPELINES, *EMPTY_LINES]
