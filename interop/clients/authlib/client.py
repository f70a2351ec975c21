"""A program that keeps its login in a JSON file beside others that use the same one."""
import json
import os
import time

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

TOKEN_FILE = os.environ["TOKEN_FILE"]
TOKEN_URL = os.environ["TOKEN_URL"]


def save(token, refresh_token=None, access_token=None):
    beside = f"{TOKEN_FILE}.{os.getpid()}"
    with open(beside, "w") as file:
        json.dump(token, file)
    os.replace(beside, TOKEN_FILE)


def current(session):
    """The token of the file, or another one where it has ended. Refreshing saves it, by `update_token`."""
    with open(TOKEN_FILE) as file:
        session.token = json.load(file)
    if time.time() >= session.token["expires_at"]:
        session.refresh_token(TOKEN_URL, refresh_token=session.token["refresh_token"])
    return session.token


def live():
    granted = bad = 0
    last = None
    # No margin: its own default of a minute is more than the life of the tokens here.
    session = OAuth2Session(
        os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"], token_endpoint=TOKEN_URL, update_token=save, leeway=0
    )
    while granted < int(os.environ["EXPIRIES"]):
        token = lost = None
        for tries in range(3):
            # Another process may have written a new login meanwhile.
            if tries > 0:
                time.sleep(1)
            try:
                token = current(session)
                break
            except OAuthError as error:
                lost = error.error
        if token is None:
            return {"granted": granted, "bad": bad, "lost": lost}
        # Another process may have written the same one again.
        granted += token["access_token"] != last
        last = token["access_token"]
        try:
            status = session.get(os.environ["API_URL"]).status_code
        except OAuthError:
            status = 401
        if status != 200 and time.time() < token["expires_at"]:
            bad += 1
        time.sleep(max(0.0, token["expires_at"] - time.time()))
    return {"granted": granted, "bad": bad, "lost": None}


print(json.dumps(live()))
