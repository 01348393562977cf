"""Logins whose answer a browser brings back: MSAL, google-auth-oauthlib, azure-identity, Certbot's acme.

Each program is its own browser, in a thread.
"""

from pathlib import Path

import pytest
from programs.process import run, script

BROWSER = '''
import contextlib, threading, time, urllib.error, urllib.parse, urllib.request

def browse(url, form=None):
    """Ask as soon as somebody listens there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    data = urllib.parse.urlencode(form).encode() if form else None

    def ask():
        for _ in range(500):
            with contextlib.suppress(urllib.error.URLError):
                pages.append(opener.open(url, data, timeout=30).read().decode())
                return
            time.sleep(0.02)

    asking.append(threading.Thread(target=ask))
    asking[-1].start()

pages, asking = [], []
'''

MSAL = '''
from msal.oauth2cli.authcode import AuthCodeReceiver

with AuthCodeReceiver(port=0) as receiver:
    browse(f"http://localhost:{receiver.get_port()}/", {"code": "secret", "state": "mine"})
    answer = receiver.get_auth_response(timeout=30, state="mine", success_template="Well done")
assert answer == {"code": "secret", "state": "mine"}, answer
'''

GOOGLE = '''
import os, sys
from google_auth_oauthlib.flow import InstalledAppFlow

class Flow(InstalledAppFlow):
    def authorization_url(self, **kwargs):
        url, state = super().authorization_url(**kwargs)
        browse(f"{self.redirect_uri}?code=secret&state={state}")
        return url, state

    def fetch_token(self, authorization_response, **kwargs):
        assert "code=secret" in authorization_response

    credentials = "credentials"

secrets = {"client_id": "me", "client_secret": "x"}
uris = {"auth_uri": "https://auth.invalid/", "token_uri": "https://token.invalid/"}
flow = Flow.from_client_config({"installed": secrets | uris}, scopes=["all"])
got = flow.run_local_server(port=0, open_browser=False, timeout_seconds=30, success_message="Well done")
assert got == "credentials", got
'''

AZURE = '''
from azure.identity._internal.auth_code_redirect_handler import AuthCodeRedirectServer

server = AuthCodeRedirectServer("localhost", 0, timeout=30)
browse(f"http://localhost:{server.server_port}/?code=secret")
assert server.wait_for_redirect() == {"code": "secret"}
pages.append("Well done")
'''

ACME = '''
import josepy
from acme import challenges, standalone
from cryptography.hazmat.primitives.asymmetric import rsa

key = josepy.JWKRSA(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
challenge = challenges.HTTP01(token=b"x" * 16)
response, validation = challenge.response_and_validation(key)
kind = standalone.HTTP01RequestHandler.HTTP01Resource
resources = {kind(chall=challenge, response=response, validation=validation)}
servers = standalone.HTTP01DualNetworkedServers(("", 0), resources)
servers.serve_forever()
port = servers.getsocknames()[0][1]
assert response.simple_verify(challenge, "localhost", key.public_key(), port=port)
servers.shutdown_and_server_close()
pages.append("Well done")
'''


@pytest.mark.parametrize("source", [MSAL, GOOGLE, AZURE, ACME], ids=["msal", "google", "azure", "acme"])
def test_a_login(folder: Path, source: str) -> None:
    wait = '\nfor thread in asking:\n    thread.join(30)\nassert "Well done" in pages, pages\n'
    run(folder, *script(folder, BROWSER + source + wait))
