"""A server for tests that measure it: python small_server.py PORT [word=value...]

body=TEXT is what it answers; later=TEXT what it answers under load; dies=N: it ends after so many requests;
slow=SECONDS it takes for each; status=N; limit=N requests a second that it can answer, one at a time.
"""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOAD = 10  # requests; those that come after them are load
WORDS = dict(word.split("=", 1) for word in sys.argv[2:])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    asked = 0
    turn = threading.Lock()

    def do_GET(self) -> None:
        Handler.asked += 1
        if Handler.asked >= int(WORDS.get("dies", 1 << 60)):
            os._exit(3)
        time.sleep(float(WORDS.get("slow", 0)))
        if "limit" in WORDS:
            with Handler.turn:
                time.sleep(1 / float(WORDS["limit"]))
        body = WORDS.get("body", "hello")
        if Handler.asked > LOAD:
            body = WORDS.get("later", body)
        self.send_response(int(WORDS.get("status", 200)))
        self.send_header("Content-Length", str(len(body)))
        if self.headers["Connection"] == "close":
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_HEAD = do_GET

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
