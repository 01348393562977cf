"""prometheus_client: the exporter that it starts beside a program, and its handler class on its own."""

import gzip
from pathlib import Path

import pytest
import requests
from programs.process import running, script
from prometheus_client.parser import text_string_to_metric_families

EXPORTER = '''
import sys, threading
from prometheus_client import Counter, start_http_server

made = Counter("made", "What was made", ["kind"])
for n in range(1000):
    made.labels(f"kind {n}").inc(n)
server, thread = start_http_server(int(sys.argv[1]), "127.0.0.1")
try:
    thread.join()
except KeyboardInterrupt:
    server.shutdown()
    server.server_close()
'''

HANDLER = '''
import sys
from http.server import ThreadingHTTPServer
from prometheus_client import Counter, MetricsHandler

made = Counter("made", "What was made", ["kind"])
for n in range(1000):
    made.labels(f"kind {n}").inc(n)
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), MetricsHandler).serve_forever()
'''


@pytest.mark.parametrize("source", [EXPORTER, HANDLER], ids=["start_http_server", "MetricsHandler"])
def test_a_scrape(folder: Path, source: str, session: requests.Session) -> None:
    with running(folder, *script(folder, source, "{port}")) as program:
        for path in ("/metrics", "/metrics?name[]=made_total"):
            assert made(session.get(program.url + path).text) == {f"kind {n}": n for n in range(1000)}
        reply = session.get(program.url, headers={"Accept-Encoding": "gzip"}, stream=True)
        if reply.headers.get("Content-Encoding") == "gzip":  # MetricsHandler has none
            assert made(gzip.decompress(reply.raw.read()).decode())
        reply.close()


def made(text: str) -> dict[str, float]:
    """What the exporter tells of the counter, by its label."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {each.labels["kind"]: each.value for each in families["made"].samples if each.name == "made_total"}
