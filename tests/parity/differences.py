"""Every intended difference from http.server, with its reason. What is not in this table is a bug.

docs/reference/differences.md has the same rows, by their titles (test_differences.py sees to it). A parity
case that differs names the key of its row (test_table.py), and so does every test of CPython's own suite that
fails (test_cpython_suite.py). Knows nothing of fastserve's code.
"""

from typing import Final, NamedTuple


class Difference(NamedTuple):
    """What http.server does, what fastserve does instead, and why.

    ``tests`` are the ones of CPython's own test.test_httpservers that fail for this reason, by id, each with
    what it asks for.
    """

    title: str
    http_server: str
    fastserve: str
    reason: str
    tests: tuple[str, ...] = ()


DIFFERENCES: Final = {
    # -- Requests that are refused -------------------------------------------------------------
    "malformed": Difference(
        title="Malformed requests get 400",
        http_server="splits a request line at any white space and takes bare LF for a line end; a header "
        "line without a colon, with a space before it or with a bad name hides all later ones; NUL, bare CR "
        "and control characters pass",
        fastserve="answers 400 and closes before any handler runs: exactly one space between method, target "
        "and version, CRLF alone ends a line, a header line is name:value",
        reason="what two parsers read differently is what request smuggling lives on (RFC 9112 2.2, 3, 5.1)",
        tests=(
            # "HTTP/1.1" followed by a bare LF.
            "BaseHTTPServerTestCase.test_request_line_trimming",
        ),
    ),
    "framing": Difference(
        title="Ambiguous body lengths are refused",
        http_server="hands any Content-Length and Transfer-Encoding to the handler",
        fastserve="answers 400 to a length that is not digits only, to lengths that differ, to length with "
        "transfer-encoding, to chunked that is not last, and 501 to any other coding",
        reason="the end of the body must not be a matter of opinion (RFC 9112 6.1, 6.3)",
    ),
    "host": Difference(
        title="Host is checked",
        http_server="does not look at Host",
        fastserve="answers 400 to an HTTP/1.1 request without Host, to several Hosts and to one that is no "
        "host",
        reason="RFC 9112 3.2 requires it",
    ),
    "http09": Difference(
        title="HTTP/0.9 and requests without a version are refused",
        http_server="answers GET without a version with a bare body, and its own errors without a status "
        "line",
        fastserve="answers 400 or 505 with a status line and headers, whatever was wrong",
        reason="no client has spoken HTTP/0.9 for decades; a bare body can be made to look like a response "
        "(RFC 9112 2.3; cpython #139492)",
        tests=(
            "BaseHTTPRequestHandlerTestCase.test_http_0_9",
            # No version at all; the suite sets default_request_version and expects 501.
            "BaseHTTPServerTestCase.test_version_none_get",
        ),
    ),
    "folding": Difference(
        title="A folded header line is refused",
        http_server="keeps the line end and the white space inside the value",
        fastserve="answers 400",
        reason="RFC 9112 5.2: a server must reject it or replace the fold",
    ),
    "value-blanks": Difference(
        title="White space after a header value is dropped",
        http_server="drops it before the value and keeps it behind",
        fastserve="drops both",
        reason="it is not part of the value (RFC 9110 5.5)",
    ),
    "empty-lines": Difference(
        title="Empty lines before a request are skipped",
        http_server="closes the connection without an answer",
        fastserve="passes over up to eight",
        reason="RFC 9112 2.2: at least one should be ignored; old clients send one after a body",
    ),
    "head-size": Difference(
        title="A whole request head has a bound",
        http_server="bounds each line and their number only",
        fastserve="also answers 431 where the head as a whole passes 256 KiB",
        reason="the product of the two other bounds is 6.5 MiB for one request",
    ),
    "cut-off": Difference(
        title="A request that breaks off is not answered",
        http_server="takes the end of the connection for the end of the head, and answers half a request",
        fastserve="closes the connection. A loop does so too where a body that it collects, of up to 64 KiB, "
        "breaks off; a handler that reads its body itself is given what came",
        reason="what is missing may change what is asked for (RFC 9110 5.3)",
    ),
    # -- Connections ---------------------------------------------------------------------------
    "connection-tokens": Difference(
        title="Connection is read as a list",
        http_server="compares the whole value with close and keep-alive",
        fastserve="looks for the two among its tokens",
        reason="RFC 9110 7.6.1: `Connection: close, TE` means close",
    ),
    "keep-alive-1.0": Difference(
        title="HTTP/1.0 clients that ask for keep-alive are told so",
        http_server="keeps the connection without a word",
        fastserve="adds `Connection: keep-alive` to the answer",
        reason="such a client waits for the end of the connection otherwise (RFC 9112 C.2.2)",
    ),
    "says-close": Difference(
        title="An HTTP/1.1 answer that ends the connection says Connection: close",
        http_server="closes without a word",
        fastserve="adds the header, unless the handler sent a Connection header itself",
        reason="RFC 9112 9.6: the client must know not to send another request",
    ),
    "no-length": Difference(
        title="An HTTP/1.1 answer without a length ends the connection",
        http_server="keeps it open, and the client waits for a body that never ends",
        fastserve="adds `Connection: close` and closes after the handler has returned",
        reason="only the end of the connection can end such a body (RFC 9112 6.3)",
    ),
    "wrong-length": Difference(
        title="A response with fewer or more bytes than declared ends the connection",
        http_server="sends what it is given and keeps the connection open, out of step",
        fastserve="sends no more than was declared, nor a second answer to a request, and closes the "
        "connection, after a head that has no end too; it logs which answer it was",
        reason="what follows would be read as part of the wrong response (RFC 9112 6.3)",
    ),
    "no-body": Difference(
        title="An answer that has no body sends none",
        http_server="sends what is written behind the head of a HEAD, a 204 or a 304, and the client takes "
        "it for the next answer; sends a 204's Content-Length, and interim answers to HTTP/1.0",
        fastserve="drops all that, and goes on with the connection",
        reason="RFC 9112 6.3: the next answer begins behind that head; do_HEAD = do_GET is what people write",
    ),
    "unread-body": Difference(
        title="An unread body never becomes a request",
        http_server="takes what the handler left unread for the next request",
        fastserve="passes over up to 1 MiB of it, and closes where there is more or where it is chunked",
        reason="a body is data of whoever wrote it: request smuggling (RFC 9112 9.3)",
    ),
    "rfile-ends": Difference(
        title="rfile ends where the body ends",
        http_server="lets rfile.read() wait for the client to close, or take the next request",
        fastserve="gives b'' at the end of the body; a chunked body is given raw, or decoded where a class "
        "sets decode_chunked",
        reason="read() without a count is what people write",
    ),
    "deadlines": Difference(
        title="Slow and idle connections end",
        http_server="waits for ever unless the handler class sets timeout",
        fastserve="ends a keep-alive connection after 75 s without a request, answers 408 to a head that "
        "takes longer than 30 s, and gives up on a client that takes or sends nothing for 60 s, or "
        "on average less than 240 octets a second; a server's timeouts and a handler's timeout say otherwise",
        reason="a server that is left running must not collect dead connections",
    ),
    "idle-clients": Difference(
        title="Idle connections block nobody",
        http_server="HTTPServer serves one connection until it ends, also one that sends nothing",
        fastserve="HTTPServer answers one request at a time, from whichever connection has a whole one",
        reason="browsers open connections ahead of need; with keep-alive one client would hold the server",
    ),
    "disconnects": Difference(
        title="Disconnects print no traceback",
        http_server="reports a client that went away through handle_error(), with a traceback",
        fastserve="ends the connection quietly; every other exception still goes to handle_error()",
        reason="it is not an error of the server, and any client can fill the log with it",
    ),
    "handshakes": Difference(
        title="A failed TLS handshake is a line of the log",
        http_server="says nothing of it, and accepts nobody else while a client takes its time with one",
        fastserve="makes handshakes beside each other, in 30 s at most, and writes to sys.stderr, behind the "
        "client's address, what went wrong or that the time was up; of a client that only leaves it says "
        "nothing. A handshake that get_request() makes holds up the others as before, and where it fails the "
        "address is '-'",
        reason="plain HTTP to the TLS port and certificates that are not trusted are what people look for",
    ),
    "lifetime": Difference(
        title="A driven handler's __init__ returns before its requests come",
        http_server="answers all requests of a connection inside the handler's __init__(): what stands "
        "behind super().__init__() in a handler, or behind super().finish_request() in a server, runs when "
        "the connection is over",
        fastserve="runs it, on the loop, when the connection begins. What is to be done at the end belongs "
        "in the handler's finish() or the server's shutdown_request(), what is to be done before in setup(); "
        "a handler with a handle() of its own is as http.server's",
        reason="between two requests a connection of the loop holds no thread",
    ),
    "recorded": Difference(
        title="An answer that was given is sent again without a handler",
        http_server="makes a handler for each connection, and has it make each answer",
        fastserve="records what a class with nothing but data of its own answers to GET and HEAD, and sends "
        "it again while the files that it depends on are the same: there is a handler only where one is "
        "needed, and its setup() and finish() run for it alone. Methods that are overridden or patched, and "
        "attributes of the class that are set, count at once; tables that are edited in place "
        "(extensions_map, responses, mimetypes), another current folder, and functions or a "
        "RequestHandlerClass that are put on the server, within a tenth of a second. A file that a program "
        "changes through a memory map counts as changed when its times do",
        reason="an answer costs what the kernel's calls cost; replay = False on the class, or "
        "max_recordings = 0 on the server, turns it off",
    ),
    "threads": Difference(
        title="Threads belong to requests, not to connections",
        http_server="has, on a threading server, a thread for each connection, which ends with it",
        fastserve="runs the requests of one connection in one thread or in several, one after the other, and "
        "those of many connections in one thread, which is a daemon. Thread-locals hold for a request; "
        "daemon_threads and block_on_close keep their meaning: whether handlers under way are waited for. "
        "The threads that a handler starts are daemons as its own is, also without daemon_threads, unless "
        "they are made with daemon=False: Python does not wait for them at its end. A class with a "
        "process_request() or process_request_thread() of its own is as http.server's",
        reason="a thread for each connection costs more than most answers; with keep-alive it does nothing "
        "for most of its life",
    ),
    "loop-thread": Difference(
        title="A threading server's hooks are called in a thread that changes",
        http_server="calls get_request(), verify_request() and service_actions() in serve_forever()'s "
        "thread, handle_error() and shutdown_request() in the connection's",
        fastserve="calls them in the thread that leads just then, which is another one when a handler has "
        "waited, and serve_forever()'s only while that ends; handle_error() also in the thread of the "
        "handler that raised",
        reason="the loop moves, so that no handler can hold it up; what needs one thread, as sqlite3's "
        "check_same_thread and Tk do, is reached by a queue",
    ),
    "first-bytes": Difference(
        title="A handler is made when its client has sent something",
        http_server="makes it when the connection is accepted",
        fastserve="waits for the first bytes, also with a handler for another protocol: one that speaks "
        "first, as SMTP does, waits for its client",
        reason="browsers open connections ahead of need; an HTTP client always speaks first",
    ),
    # -- Responses -----------------------------------------------------------------------------
    "server-field": Difference(
        title="The Server header has no version number of the server",
        http_server="says BaseHTTP/0.6 or SimpleHTTP/0.6 before Python 3.15",
        fastserve="says BaseHTTP or SimpleHTTP as 3.15 does, through the same attributes",
        reason="the number has been the same for decades and says nothing",
    ),
    "one-packet": Difference(
        title="Heads and bodies leave in one packet",
        http_server="sends them apart, with Nagle's algorithm on: 40 ms late on a kept connection",
        fastserve="holds a head that declares a body for its first bytes, and sets TCP_NODELAY. To ask a "
        "handler for connection, request or wfile.fileno() sends it; who writes to a socket kept from "
        "earlier calls wfile.flush() first. Bytes that do not go through wfile are not counted, so the "
        "connection ends after them",
        reason="cpython #108736",
    ),
    "streams": Difference(
        title="rfile and wfile are compiled",
        http_server="has a BufferedReader and an object of a Python class, whose methods can be replaced one "
        "by one",
        fastserve="raises AttributeError for wfile.write = f; the whole object can be replaced, by another "
        "that calls the first one. Who replaces rfile for good is waited for until its connection ends, on "
        "HTTPServer too",
        reason="a stream whose methods may change at any time cannot be called from compiled code",
    ),
    "header-injection": Difference(
        title="send_header() refuses CR, LF and NUL",
        http_server="sends them",
        fastserve="raises ValueError, send_response() too",
        reason="a value that ends its line writes the rest of the response (CWE-113; cpython #142533)",
    ),
    "error-reason": Difference(
        title="send_error() takes any message",
        http_server="raises UnicodeEncodeError past latin-1, and sends control characters",
        fastserve="replaces what latin-1 lacks and writes control characters as \\xNN in the status line; "
        "the page has the message as it is",
        reason="a file name in an error message must not break the response (cpython #86693)",
    ),
    "pages": Difference(
        title="Error pages and listings have 3.15's structure on every Python",
        http_server="has HTML 4 until 3.10, HTML 5 from 3.11, a color-scheme style from 3.14",
        fastserve="has the newest of them",
        reason="one surface on every Python that is supported",
    ),
    "listing-title": Difference(
        title="The listing title drops query and fragment",
        http_server="shows them until 3.13",
        fastserve="shows the path, as newer versions do",
        reason="they are not part of the directory's name (cpython #133889)",
        tests=("SimpleHTTPServerTestCase.test_undecodable_parameter",),
    ),
    # -- Files ---------------------------------------------------------------------------------
    "location": Difference(
        title="Location is one slash and a path of this server",
        http_server="redirects /\\host/..%2fdir to /\\host/..%2fdir/, which browsers take for another host, "
        "and repeats the host of an absolute-form target",
        fastserve="sends the path alone, begun with one slash, a backslash as %5C; a target that is nothing "
        "but a query names the folder itself, which needs no redirect",
        reason="open redirect (CVE-2021-28861 and what its fix left open); a path keeps whatever host and "
        "scheme the client used (RFC 9110 10.2.2)",
        tests=(
            # https://pypi.org/dir: the path alone, without the host, in Location.
            "SimpleHTTPServerTestCase.test_get_dir_redirect_location_domain_injection_bug",
            # A target without a slash in front: Location has one.
            "SimpleHTTPServerTestCase.test_path_without_leading_slash",
        ),
    ),
    "encoded-slash": Difference(
        title="A directory's slash may be percent-encoded",
        http_server="redirects /dir%2F to /dir%2F/ and that one on and on, until 3.13",
        fastserve="takes %2F at the end of a path for the slash, as newer versions do",
        reason="cpython #134098",
    ),
    "absolute-form": Difference(
        title="Absolute-form targets name files",
        http_server="looks for a directory called http:",
        fastserve="drops scheme and host, also in a listing's title, and takes no path for /; self.path "
        "keeps the target as it came",
        reason="RFC 9112 3.2.2: a server must accept absolute-form",
    ),
    "nul-in-path": Difference(
        title="A NUL in a path is 404",
        http_server="raises ValueError and closes without an answer, for a lone surrogate as well",
        fastserve="answers 404 to both",
        reason="no file has such a name (cpython #103223)",
    ),
    "regular-files": Difference(
        title="Only regular files are sent",
        http_server="opens anything, and a FIFO without a writer holds the thread for ever",
        fastserve="answers 404 for FIFOs, devices and sockets",
        reason="what is not a regular file has no length",
    ),
    "file-changes": Difference(
        title="A file that grows or shrinks while it is sent never breaks framing",
        http_server="sends to the end of the file, whatever Content-Length it declared",
        fastserve="sends what it declared; where the file has become shorter, it closes the connection. On a "
        "loop a large range leaves after copyfile() has returned, from the file as it is then: who writes it "
        "anew should write another file and rename it",
        reason="the octets past the declared length would be read as the next response",
    ),
    "raw-files": Difference(
        title="Files are opened without a buffer",
        http_server="gives copyfile(), and who calls send_head(), a BufferedReader",
        fastserve="gives them an io.FileIO, which has no peek() and no read1()",
        reason="nobody reads a file that leaves by sendfile, and a buffer for it costs 3 % of a request",
    ),
    "dates": Difference(
        title="A date is one of RFC 9110's three forms",
        http_server="takes for a date whatever email.utils does, a time without a zone too, and the first of "
        "several; two digits of a year are 1969 to 2068",
        fastserve="ignores what is none of the three, and several; two digits are at most 50 years ahead",
        reason="RFC 9110 5.6.7, 13.1.3: what is no valid date must be ignored",
    ),
    "ranges": Difference(
        title="Ranges are answered",
        http_server="sends the whole file",
        fastserve="says Accept-Ranges, and sends one range, or several as multipart/byteranges, of a class "
        "that has no copyfile() of its own; 416 where there is nothing of them. Ranges that overlap or touch "
        "are one, and of more than 200 it sends the whole file",
        reason="downloads resume and videos seek by them (RFC 9110 14)",
    ),
    "validators": Difference(
        title="ETag, If-None-Match, If-Match and If-Unmodified-Since are answered",
        http_server="knows If-Modified-Since alone, and not beside If-None-Match",
        fastserve="sends an ETag with every file, of a class that has no copyfile() of its own, and 304 and "
        "412 as RFC 9110 13.2.2 orders the conditions. A 304 says the ETag and extra_response_headers",
        reason="a date does not see two changes within one second (RFC 9110 8.8)",
        tests=(
            # 200 to If-None-Match: *.
            "SimpleHTTPServerTestCase.test_browser_cache_with_If_None_Match_header",
        ),
    ),
    "future-dates": Difference(
        title="Last-Modified is never later than Date",
        http_server="sends a file's time as it is",
        fastserve="sends the time of the answer for a time to come",
        reason="RFC 9110 8.8.2.1",
    ),
    "types": Difference(
        title="The types that browsers insist on are the same everywhere",
        http_server="takes all types from the system's tables; .js is application/javascript until 3.11",
        fastserve="knows those of scripts, styles, pages, modules, fonts and images itself; extensions_map "
        "comes before these, mimetypes.add_type() does not",
        reason="a browser runs no script that a Windows registry calls text/plain (RFC 9239)",
    ),
    "octets-in-names": Difference(
        title="A name that is no UTF-8 is found by its octets",
        http_server="finds it as UTF-8 of lone surrogates alone, as its listings link it: %ED%B3%BF for %FF",
        fastserve="links it so too, and finds both",
        reason="a path is octets, and other clients encode those (RFC 3986 2.5)",
    ),
    "extra-headers": Difference(
        title="3.15's extra_response_headers and default_content_type on every Python",
        http_server="has them from 3.15 on, and index_pages from 3.12 on",
        fastserve="has them on every Python",
        reason="one surface on every Python that is supported",
    ),
    # -- CGI -----------------------------------------------------------------------------------
    "cgi-subprocess": Difference(
        title="CGI runs by subprocess on every Python version",
        http_server="forks, in whatever thread it is; warns from 3.13 on, and from 3.15 on has no CGI; a "
        "script has the client's socket for stdin and stdout, and the server's stderr",
        fastserve="has CGI on every Python, without a fork of its own; body and output go through pipes, as "
        "they come, and stderr to log_error(), line by line",
        reason="fork() beside threads can deadlock (cpython #109096); with TLS there is no such socket",
    ),
    "cgi-user": Difference(
        title="CGI scripts of root run as nobody, or not at all",
        http_server="changes the user and keeps root's groups; where that fails it runs them as root",
        fastserve="changes user and groups; where that fails the script does not run",
        reason="a file that root's group may read is not nobody's",
    ),
    "cgi-body": Difference(
        title="A CGI script reads the request's body and nothing else",
        http_server="lets it read on to the next request, or wait for the client; a chunked body comes raw",
        fastserve="ends stdin where the body ends, at once where there is none; 411 to a chunked one",
        reason="RFC 3875 4.2: a script is given as many bytes as CONTENT_LENGTH says",
    ),
    "cgi-head": Difference(
        title="HEAD gets a CGI script's head alone",
        http_server="passes on the body too, if the script writes one",
        fastserve="runs the script to its end, and drops what it writes behind the first empty line",
        reason="RFC 3875 4.3.3: the server must",
    ),
    "cgi-failures": Difference(
        title="A CGI script that cannot be run or says nothing is 403",
        http_server="has sent status 200 before it starts the script, and then half a head is all there is",
        fastserve="sends status 200 with the first output",
        reason="the manual: problems with the script will be translated to error 403",
    ),
    "cgi-limits": Difference(
        title="A CGI script that hangs is ended",
        http_server="waits for it as long as it takes, also when the client is gone",
        fastserve="ends it, and what it has started, when nothing has moved for cgi_timeout (60 s), when the "
        "client resets the connection or cannot be written to, and when its body breaks off",
        reason="a server that is left running must not collect dead scripts",
    ),
    "cgi-paths": Difference(
        title="A CGI path is decoded once",
        http_server="decodes it up to three times, and /cgi-bin/%252e%252e/x runs a program outside; has no "
        "answer to /../, and takes an absolute-form target for a file",
        fastserve="decodes it once, also in PATH_INFO; answers 400 to a path that leads out; drops the host",
        reason="what is judged must be what is run (CVE-2014-4650)",
    ),
    "cgi-environment": Difference(
        title="A CGI script is told nothing of other requests",
        http_server="passes on HTTP_* and REMOTE_USER from its own environment; has no REMOTE_USER where the "
        "password has a colon; a query that begins with - is an argument",
        fastserve="leaves them out, and FASTSERVE_*; divides at the first colon; makes no argument of such a "
        "query",
        reason="httpoxy (CVE-2016-1000110), RFC 7617 2, and options from outside (CVE-2012-1823)",
    ),
    # -- Servers and command line --------------------------------------------------------------
    "server-name": Difference(
        title="No reverse DNS at bind",
        http_server="calls socket.getfqdn() in server_bind(), which can take half a minute",
        fastserve="calls it when server_name is first read; it can be assigned",
        reason="cpython #106505",
    ),
    "backlog": Difference(
        title="The listen backlog is 1024",
        http_server="has request_queue_size 5",
        fastserve="has 1024; a subclass's own figure counts",
        reason="a burst of connections is refused or delayed by seconds otherwise",
    ),
    "hook-errors": Difference(
        title="A verify_request() or shutdown_request() that raises ends one connection",
        http_server="ends serve_forever()",
        fastserve="reports it through handle_error(), and goes on; what get_request() and "
        "service_actions() raise ends serve_forever(). So does what handle_error() itself raises, but not on "
        "a threading server: there it ends the connection, and is told by threading.excepthook, as it is "
        "where http.server's handlers raise",
        reason="one connection must not end the others; verify_request() sees what anybody can send",
    ),
    "unix-clients": Difference(
        title="Clients of a unix socket are logged as -",
        http_server="raises IndexError in address_string(), since they have no address, and answers nothing",
        fastserve="logs a dash",
        reason="address_family = socket.AF_UNIX alone is to make a server",
    ),
    "shutdown": Difference(
        title="shutdown() returns at once",
        http_server="waits for the next poll, up to half a second, and for ever where serve_forever() was "
        "not called or is on the same thread",
        fastserve="wakes the loop; returns where nothing runs, and from a handler it only asks for the end",
        reason="cpython #88932",
    ),
    "cli-protocol": Difference(
        title="The command line speaks HTTP/1.1 by default",
        http_server="speaks HTTP/1.0 unless -p says otherwise",
        fastserve="speaks HTTP/1.1 unless -p says otherwise; the classes stay at HTTP/1.0",
        reason="keep-alive; the file handler declares every length, which other handlers may not",
    ),
    "cli-page": Difference(
        title="Folders have a page of their own on the command line",
        http_server="shows a list of links, in the order of names in lower case",
        fastserve="shows a page with sizes and times that can be sorted, and JSON and archives by query; "
        "with --cgi, and in the classes, http.server's list",
        reason="programs parse the list that classes make; people look at the command's",
    ),
    "cli-not-found": Difference(
        title="A 404.html is the page for what is not there, on the command line",
        http_server="sends its own page",
        fastserve="sends the file 404.html of the served folder, with 404; the classes do where "
        "not_found_page says so",
        reason="hosts of static sites have that habit, and so have the tools that build them",
    ),
    "cli-settings": Difference(
        title="The command line reads its environment and fastserve.toml",
        http_server="reads its arguments alone",
        fastserve="reads FASTSERVE_... variables and fastserve.toml of the current folder too; arguments "
        "count first",
        reason="containers, services and projects say once what is always meant; no other name is read",
    ),
    "cli-stopping": Difference(
        title="SIGTERM and Ctrl-C let the command answer what it was asked for",
        http_server="ends at once, at Ctrl-C with status 0 and a line, at SIGTERM by the signal",
        fastserve="takes no more connections, ends with status 0 when the answers have left or --grace has "
        "passed, and at once at the second signal",
        reason="a service that is deployed anew must not break off its downloads",
    ),
    "cli-refusals": Difference(
        title="What keeps the command from starting is one line",
        http_server="ends with a traceback and status 1 where the port is taken; of a folder that is not "
        "there it serves 404s",
        fastserve="says in one line what is wrong and what to do, and ends with status 2",
        reason="it is for the person at the keyboard, who did not write the code",
    ),
}
