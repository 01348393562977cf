"""Programs that show a folder, or what they make of it: MkDocs, Pelican, pdoc and others."""

import re
import sys
from pathlib import Path

import requests
from programs.process import WAIT, call, running

OCTETS = bytes(range(256)) * 4096


def test_mkdocs_serve(folder: Path, session: requests.Session) -> None:
    """A server of wsgiref's with a thread for each connection."""
    (folder / "mkdocs.yml").write_text("site_name: A site\n")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text("# Before\n")
    with running(folder, "-m", "mkdocs", "serve", "--no-livereload", "-a", "127.0.0.1:{port}") as program:
        assert "Before</h1>" in session.get(program.url).text
        assert session.get(program.url + "/sitemap.xml").headers["Content-Type"].endswith("/xml")
        assert session.get(program.url + "/nowhere").status_code == 404


def test_mkdocs_livereload(folder: Path, session: requests.Session) -> None:
    """The page's script asks for an epoch, and is answered as soon as there is another one."""
    (folder / "mkdocs.yml").write_text("site_name: A site\n")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text("# Before\n")
    with running(folder, "-m", "mkdocs", "serve", "-a", "127.0.0.1:{port}") as program:
        page = session.get(program.url).text
        epoch, request_id = re.findall(r"livereload\((\d+), (\d+)\)", page)[0]
        answered = session.get(f"{program.url}/livereload/{int(epoch) - 1}/{request_id}", timeout=WAIT)
        assert answered.text == epoch


def test_pelican_listen(folder: Path, session: requests.Session) -> None:
    (folder / "content").mkdir()
    (folder / "content" / "first.md").write_text("Title: First\nDate: 2026-01-01\n\nThe text.\n")
    (folder / "pelicanconf.py").write_text("SITENAME = 'A site'\nPATH = 'content'\nTIMEZONE = 'UTC'\n")
    call(folder, sys.executable, "-m", "pelican")
    with running(folder, "-m", "pelican", "--listen", "--port", "{port}") as program:
        assert "First" in session.get(program.url).text
        assert "The text." in session.get(program.url + "/first").text  # it finds first.html
        assert session.get(program.url + "/theme/css/main.css").headers["Content-Type"] == "text/css"


def test_pdoc(folder: Path, session: requests.Session) -> None:
    (folder / "shown.py").write_text('"""About *this*."""\n\ndef answer() -> int:\n    "What it *says*."\n')
    with running(folder, "-m", "pdoc", "--no-browser", "--port", "{port}", "shown") as program:
        page = session.get(program.url + "/shown.html").text
        assert "About <em>this</em>." in page
        assert "What it <em>says</em>." in page
        assert "shown" in session.get(program.url + "/search.js").text
        assert session.head(program.url + "/shown.html").status_code == 200


def test_range_http_server(folder: Path, session: requests.Session) -> None:
    (folder / "octets").write_bytes(OCTETS)
    with running(folder, "-m", "RangeHTTPServer", "{port}", "--bind", "127.0.0.1") as program:
        assert session.get(program.url + "/octets").content == OCTETS
        for first, last in [(0, 0), (250, 259), (1000, 900000), (len(OCTETS) - 1, len(OCTETS) - 1)]:
            part = session.get(program.url + "/octets", headers={"Range": f"bytes={first}-{last}"})
            assert (part.status_code, part.content) == (206, OCTETS[first : last + 1])
            assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(OCTETS)}"
        assert "octets" in session.get(program.url).text


def test_uploadserver(folder: Path, session: requests.Session) -> None:
    with running(folder, "-m", "uploadserver", "{port}", "--bind", "127.0.0.1") as program:
        assert "File Upload" in session.get(program.url + "/upload").text
        files = [("files", ("one", OCTETS)), ("files", ("two", b"2"))]
        assert session.post(program.url + "/upload", files=files).status_code == 204
        assert session.get(program.url + "/one").content == (folder / "one").read_bytes() == OCTETS
        assert (folder / "two").read_bytes() == b"2"
