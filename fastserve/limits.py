"""Every limit and timeout of fastserve, named, with the precedent it follows.

Knows nothing of sockets or HTTP objects; any module may read it. A limit is enforced in one place,
named in its comment, and tested at n-1, n and n+1. Sizes are bytes, times are seconds.
"""

import sys
from typing import Final, NamedTuple

# -- The request head (enforced by _parser) ----------------------------------------------------

# A request line or header line, CRLF included: http.server reads readline(65536 + 1).
MAX_LINE: Final = 65536
# What max_line() may at most be raised to, so that positions in a head are 32 bits.
MAX_RAISED_LINE: Final = 1 << 28
# And what max_headers() may be.
MAX_RAISED_HEADERS: Final = 1 << 20
# A whole head. http.server has no such bound (its others multiply to 6.5 MiB); nginx takes 4 x 8 KiB,
# Node.js 16 KiB, Apache 100 x 8190. Four longest lines are room for every honest client,
# also where a program has raised their length.
MAX_HEAD: Final = 4 * MAX_LINE
# Empty lines before a request line: RFC 9112 2.2 asks for at least one.
MAX_EMPTY_LINES: Final = 8


def max_line() -> int:
    """Return how many octets a header line may have: MAX_LINE, or http.client's own figure if that is more.

    It is read at each call because programs raise it there at run time (warcprox to 4 MiB). A request
    line has MAX_LINE in any case, as with http.server: the handler sees to that.
    """
    return max(_figure("_MAXLINE", 0, MAX_RAISED_LINE), MAX_LINE)


def max_headers() -> int:
    """Return how many header lines a head may have, the blank line that ends it counted.

    It is http.client's own figure (100, so 99 headers pass), read at each call because programs
    raise it there at run time.
    """
    return _figure("_MAXHEADERS", 100, MAX_RAISED_HEADERS)


def _figure(name: str, default: int, most: int) -> int:
    """Return a figure of http.client, of which programs make infinity too (HTTPie)."""
    # As long as nobody has imported it its figures are what they are then.
    return int(min(getattr(sys.modules.get("http.client"), name, default), most))


# -- The request body (enforced by _conn, _reader and _chunks) ------------------------------------------

# A body up to this size is collected before the handler runs, so a slow upload holds no handler.
MAX_COLLECTED_BODY: Final = 65536
# What a handler left unread is discarded up to here, else the connection closes (Go: 256 KiB).
MAX_DRAINED_BODY: Final = 1 << 20
# The digits of a chunk's size: all that count fit into 16, and zeros before them say nothing (Go: 16).
MAX_CHUNK_DIGITS: Final = 32
# A chunk-size line with its extensions, and a trailer section (RFC 9112 7.1 asks for bounds).
MAX_CHUNK_LINE: Final = 4096
MAX_TRAILERS: Final = 65536

# -- The response (enforced by _channel and _writer) -------------------------------------------

# Queued bytes beyond which a handler's write() waits for the client to read.
SEND_HIGH_WATER: Final = 1 << 20
# A file up to this size is read and leaves in the same call as its head; above it sendfile is
# cheaper (fasthttp saw the two cross between 64 KiB and 1 MiB).
MAX_COPIED_FILE: Final = 65536
# Ranges in one request; where there are more the whole file is sent (Apache's MaxRanges: 200).
MAX_RANGES: Final = 200
# Octets between two that are sent all the same: what stands around a part is as long (RFC 9110 15.3.7.2).
RANGE_GAP: Final = 80
# So long after a change of a file another one might leave its times as they are. The kernel's clock ticks
# every 1 to 10 ms; file systems whose times have no fractions count seconds, and FAT every other one.
CLOCK_GRAIN: Final = 0.02
COARSE_CLOCK_GRAIN: Final = 2.0
# One sendfile call: so that one fast reader cannot hold the loop (nginx: 2 MiB, darkhttpd: 1 MiB).
SENDFILE_CHUNK: Final = 1 << 21

# -- Recorded answers (enforced by _files) --------------------------------------------------------

# Answers that are kept to be sent again, by server; `max_recordings` of a server class says another number.
MAX_RECORDINGS: Final = 16384
# What they may hold in memory, and descriptors of larger files (nginx's open_file_cache keeps one for each).
MAX_RECORDED_OCTETS: Final = 1 << 26
MAX_RECORDED_FILES: Final = 128
# What stands for a request, its target and the fields that count; a longer one is not recorded.
MAX_RECORDING_KEY: Final = 2048
# For so long a file must have been left alone before an answer with it is recorded: whoever writes to it may
# be slower than the clock of its times, which the kernel sets before it takes the octets.
SETTLED: Final = 1.0

# -- Turns of the loop (enforced by serving.loop, and one of them by _conn) ---------------------

# Connections accepted in one turn, and pipelined requests answered for one connection in one turn.
ACCEPT_BATCH: Final = 64
PIPELINE_BATCH: Final = 32
# What _conn drops in one turn of a client that goes on sending after its last answer. How much that is in all
# has no bound but LINGER_TIMEOUT (nginx's lingering_time: 30 s): a close with octets in the socket resets the
# connection, and the answer is lost.
LINGER_BATCH: Final = 1 << 16
# The listen backlog; http.server's 5 loses connections under a burst. The kernel caps it at somaxconn.
BACKLOG: Final = 1024
# Clients at once that read why there is no room for them (503); those beyond are closed unanswered.
MAX_TURNED_AWAY: Final = 64
# What such a client is asked to wait, in whole seconds (Retry-After).
RETRY_AFTER: Final = 5
# How long it is not said again that there is no room, or no descriptor.
COMPLAINT_REPEAT: Final = 60.0
# How long accepting pauses when descriptors run out, unless one is closed sooner.
ACCEPT_PAUSE: Final = 1.0

# -- Threads (enforced by _lead, serving.experience, serving.leader and serving.threads) --------------------

# Between two looks at the leader: a handler that is there at both is late (Python's switch interval is 5 ms,
# and the thread that takes over may have to wait for one).
LATE: Final = 0.002
# Until a signal is acted on that came to no waiting thread (http.server's poll_interval is as long).
SIGNAL_DELAY: Final = 0.5
# How many times a request must have been late before its like goes to a thread at once.
LATE_TWICE: Final = 2
# Requests that were late are told apart up to this number; all others are judged as one.
SUSPECTS: Final = 32
# When one of them is tried in the loop again: twice as long after each time that it was late again. One that
# nobody has asked about for LAST_TRIAL beyond that makes room for another.
FIRST_TRIAL: Final = 0.1
LAST_TRIAL: Final = 10.0
# A thread without work ends after this time (Apache's and Java's pools: 60 s; here starting one is cheap).
THREAD_IDLE: Final = 10.0
# Free ones that are kept all the same (Apache's MinSpareThreads: 75): the next reserve is not to be started.
SPARE_THREADS: Final = 1

# -- Transfers of files (enforced by handlers.multipart, handlers.upload and handlers.archive) ----------

# A boundary between parts (RFC 2046 5.1.1), the head of one part, and parts in one form (Werkzeug: 1000;
# PHP: 20 files). Python's email package has no such bounds.
MAX_BOUNDARY: Final = 70
MAX_PART_HEAD: Final = 16384
MAX_PARTS: Final = 1000
# What one request may upload unless a class says another number (nginx: 1 MiB; Caddy has no bound).
MAX_UPLOAD: Final = 1 << 30
# Of how many names " (1)", " (2)", ... the first free one is looked for.
MAX_NUMBERED: Final = 10000
# Folders within folders in an archive: each of them that is open holds a descriptor.
MAX_ARCHIVE_DEPTH: Final = 200

# -- CGI scripts (enforced by handlers.script) --------------------------------------------------

# Without a byte from or to a script (Apache's TimeOut and nginx's fastcgi_read_timeout: 60 s).
CGI_TIMEOUT: Final = 60.0
# From SIGTERM to SIGKILL (Apache's mod_cgi: 3 s).
CGI_GRACE: Final = 3.0

# -- Worker processes (enforced by serving.processes) -------------------------------------------

# How many may be asked for (nginx: 1024).
MAX_WORKERS: Final = 1024
# A worker that ends sooner after its start has failed. The first is replaced at once, the next after
# RESTART_DELAY, each further one after twice as long; a client may have to wait for it.
EARLY_END: Final = 2.0
RESTART_DELAY: Final = 0.1
MAX_RESTART_DELAY: Final = 5.0
# Workers in a row that may fail everywhere before we give up (systemd's StartLimitBurst: 5).
START_ATTEMPTS: Final = 5
# From a worker's own deadline, or from a second signal, to SIGKILL.
END_GRACE: Final = 1.0

# -- Deadlines (enforced by _conn, and by _reader and _writer where a thread waits) ------------------------
#
# Those of Timeouts, below, are a server's defaults.

# A head, from its first byte to its last (Apache's RequestReadTimeout: 20-40 s; nginx: 60 s).
HEAD_TIMEOUT: Final = 30.0
# Between two requests (nginx: 75 s). Also before the first byte of the first one.
IDLE_TIMEOUT: Final = 75.0
# Without any progress while a body arrives or an answer leaves (nginx: 60 s between two operations).
PROGRESS_TIMEOUT: Final = 60.0
# A TLS handshake, from accept to its end (nginx: client_header_timeout, 60 s); without a loop by serving.tls.
HANDSHAKE_TIMEOUT: Final = 30.0
# After the last answer, for the client to read it and close (nginx's lingering_timeout: 5 s).
LINGER_TIMEOUT: Final = 2.0
# Octets a second that a body must come with, and an answer be taken with, on average since it began: a
# byte a minute is progress too (Kestrel's MinRequestBodyDataRate and MinResponseDataRate: 240; Apache's
# mod_reqtimeout: body=20,MinRate=500). Only seconds count in which the client keeps us waiting, so that a
# slow handler costs it nothing. What it moved early counts for later: it may pause, for PROGRESS_TIMEOUT
# at a time. What the kernel took counts as taken; how slowly it may leave from there PROGRESS_TIMEOUT says.
MIN_RATE: Final = 240.0
# So many of these seconds nobody is too slow (Kestrel: 5 s; Apache: 20 s).
RATE_GRACE: Final = 20.0
# The grain of deadlines: they are met at most this late.
TICK: Final = 0.1
# When a server is told to stop, for answers that are leaving to leave.
SHUTDOWN_GRACE: Final = 5.0
# What a time, and a rate, may at most be set to: what is added to a clock must remain a number (30 years).
LONGEST: Final = 1e9

# -- A graceful end (enforced by serving.loop and _conn) -------------------------------------------------

# For requests under way to be answered, once a server is to drain (gunicorn: 30 s, nginx: for ever). Less
# than the 10 s after which Docker kills.
DRAIN_GRACE: Final = 8.0
# While it drains, for a client that has asked for nothing yet, or for nothing more. Its request may be on
# its way: nginx, Go and Apache close such a connection at once and lose it, for which nginx now has
# keepalive_min_timeout; Go gives a connection that never sent an octet 5 s.
LAST_REQUEST_TIMEOUT: Final = 1.0
# Between a signal and its echo from a wrapper (enforced by stopping, and by serving.processes). A wrapper
# passes it on within milliseconds, or tens of them on a loaded machine; no person presses so soon again.
SIGNAL_ECHO: Final = 0.25

class Timeouts(NamedTuple):
    """How long a server waits for its clients, in seconds above 0 and up to LONGEST.

    ``min_rate`` is in octets a second; 0 asks for none. ``grace`` may be 0 too.
    """

    head: float = HEAD_TIMEOUT
    idle: float = IDLE_TIMEOUT
    progress: float = PROGRESS_TIMEOUT
    handshake: float = HANDSHAKE_TIMEOUT
    linger: float = LINGER_TIMEOUT
    grace: float = RATE_GRACE
    min_rate: float = MIN_RATE
