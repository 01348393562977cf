"""Django: runserver, and the live servers of its test cases, in a project of one file."""

import http.client
from pathlib import Path

import pytest
import requests
from programs.process import WAIT, change, run, running

MANAGE = '''
import os, sys
%s
os.environ["DJANGO_SETTINGS_MODULE"] = "site_of_one_file"
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
'''

SITE = '''
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

SECRET_KEY = "not one"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = __name__
INSTALLED_APPS = ["django.contrib.staticfiles", "checks"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
STATIC_URL = "static/"
STATICFILES_DIRS = ["public"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

def hello(request):
    return HttpResponse("hello")

@csrf_exempt
def upload(request):
    return JsonResponse({"size": len(request.FILES["file"].read()), "name": request.POST["name"]})

def lines(request):
    return StreamingHttpResponse(f"line {n}\\n" for n in range(1000))

urlpatterns = [path("", hello), path("upload", upload), path("lines", lines)]
'''

TESTS = '''
import urllib.request
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.test import LiveServerTestCase

class Live(LiveServerTestCase):
    def test_an_answer(self):
        with urllib.request.urlopen(self.live_server_url) as reply:
            self.assertEqual(reply.read(), b"hello")

    def test_another(self):
        with urllib.request.urlopen(self.live_server_url + "/lines") as reply:
            self.assertEqual(len(reply.read().splitlines()), 1000)

class Static(StaticLiveServerTestCase):
    def test_a_file(self):
        with urllib.request.urlopen(self.live_server_url + "/static/note.txt") as reply:
            self.assertEqual(reply.read(), b"a note")
'''


@pytest.fixture
def project(folder: Path) -> Path:
    (folder / "manage.py").write_text(MANAGE % "")
    (folder / "site_of_one_file.py").write_text(SITE)
    for name in ("public", "checks"):
        (folder / name).mkdir()
    (folder / "public" / "note.txt").write_text("a note")
    (folder / "checks" / "__init__.py").touch()
    (folder / "checks" / "tests.py").write_text(TESTS)
    return folder


@pytest.mark.parametrize("mode", [[], ["--nothreading"]], ids=["threads", "no-threads"])
def test_runserver(project: Path, mode: list[str], session: requests.Session) -> None:
    with running(project, "manage.py", "runserver", "--noreload", *mode, "127.0.0.1:{port}") as program:
        assert session.get(program.url).text == "hello"
        assert session.get(program.url + "/static/note.txt").text == "a note"
        assert session.get(program.url + "/lines").text.splitlines() == [f"line {n}" for n in range(1000)]
        sent = session.post(program.url + "/upload", {"name": "me"}, files={"file": b"x" * 300000})
        assert sent.json() == {"size": 300000, "name": "me"}
        assert session.get(program.url + "/nowhere").status_code == 404
        assert '"GET /lines HTTP/1.1" 200' in program.log()


def test_many_requests_over_one_connection(project: Path) -> None:
    """Its handler class has a handle() and a handle_one_request() of its own."""
    with running(project, "manage.py", "runserver", "--noreload", "127.0.0.1:{port}") as program:
        client = http.client.HTTPConnection("127.0.0.1", program.port, timeout=WAIT)
        client.connect()
        sock = client.sock
        for _ in range(5):
            client.request("GET", "/")
            assert client.getresponse().read() == b"hello"
            assert client.sock is sock
        client.close()


def test_the_autoreloader(project: Path, session: requests.Session) -> None:
    """It starts manage.py again, and knows nothing of a -m before it: so manage.py calls install()."""
    (project / "manage.py").write_text(MANAGE % "import fastserve; fastserve.install()")
    with running(project, "manage.py", "runserver", "127.0.0.1:{port}") as program:
        assert session.get(program.url).text == "hello"
        change(project / "site_of_one_file.py", session, program.url)
        assert len(program.seen()) >= 2


def test_live_servers_of_test_cases(project: Path) -> None:
    program = run(project, "manage.py", "test", "checks")
    assert "Ran 3 tests" in program.log()
    assert len(program.seen()) == 2
