"""Secrets planted everywhere and failures of every kind: no log, metric, status, webhook or dead letter shows one."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import sqlite3
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from store import Sealer
from tests.flows.machine import Json, TestMachine
from tests.support.push_service import TestBrowser
from tests.support.waiting import wait_for

API_KEY = "test-key-of-tests"
KEY = "planted-secret-key-5f1c/+x"
SECRETS = {
    "API key": API_KEY,
    "wrong API key": "planted-wrong-key-61ab23",
    "SECRET_KEY": KEY,
    "TikTok's client secret": "planted-tiktok-71+/=a",
    "Instagram's client secret": "planted-instagram-82bc",
    "Facebook's client secret": "planted-facebook-93cd",
    "Google's client secret": "planted-google-04de",
    "user of a notice address": "planted-user-15ef",
    "password of a notice address": "planted-pass-26f0",
    "path of a notice address": "planted-path-37a1",
    "query of a notice address": "planted-query-48b2",
    "OAuth code": "planted-code-59c3",
    "OAuth state": "planted-state-60d4",
    "path of a push address": "planted-push-71e5",
    "query of a webhook address": "planted-hook-82f6",
}
CLIENT_SECRETS = {
    "tiktok": "TikTok's client secret",
    "instagram": "Facebook's client secret",
    "youtube": "Google's client secret",
}
CLOSED_PORT = 9  # discard: nothing listens
ENVIRON = {
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "DEBUG",
    "PUBLISH_RETRIES": "0",
    "SEGMENT_SECONDS": "60",  # one part
    "SECRET_KEY": KEY,
    "TIKTOK_CLIENT_KEY": "mock",
    "TIKTOK_CLIENT_SECRET": SECRETS["TikTok's client secret"],
    "INSTAGRAM_CLIENT_ID": "mock",
    "INSTAGRAM_CLIENT_SECRET": SECRETS["Instagram's client secret"],
    "FACEBOOK_CLIENT_ID": "mock",
    "FACEBOOK_CLIENT_SECRET": SECRETS["Facebook's client secret"],
    "GOOGLE_CLIENT_ID": "mock",
    "GOOGLE_CLIENT_SECRET": SECRETS["Google's client secret"],
    "NOTICE_URLS": (
        f"json://{SECRETS['user of a notice address']}:{SECRETS['password of a notice address']}@127.0.0.1"
        f":{CLOSED_PORT}/{SECRETS['path of a notice address']}?+token={SECRETS['query of a notice address']}"
    ),
}
PLATFORM_CALLS = {
    "tiktok": ("POST .*/video/init/", "POST .*/v2/oauth/token/"),
    "instagram": ("POST .*/media(\\?|$)", "GET .*access_token"),
    "youtube": ("POST .*/upload/youtube/", "POST .*/token"),
}


def _sealed_secrets(machine: TestMachine) -> dict[str, str]:
    """Return all texts that the database holds encrypted, by their place."""
    found: dict[str, str] = {}
    sealer = Sealer(KEY)
    for table, column, value in _cells(machine):
        if isinstance(value, bytes) and value.startswith(b"gAAAAA"):
            opened = sealer.open(value)
            entries = opened.items() if isinstance(opened, dict) else [("", opened)]
            found |= {f"{table}.{column} {name} {text[:5]}": text for name, text in entries if _is_secret(name, text)}
    return found


def _is_secret(name: str, text: object) -> bool:
    harmless = {
        *("scope", "mode", "username", "privacy_level", "link"),
        *("publish_id", "post_id", "container", "media_id", "video_id"),  # shown by the history, for the support
    }
    return isinstance(text, str) and len(text) >= 12 and name not in harmless and not name.endswith("_at")


def _cells(machine: TestMachine) -> Iterator[tuple[str, str, Any]]:  # Any: whatever SQLite stores
    path = machine.data_dir / "vidprod.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 (a name of the schema)
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield from ((table, name, value) for name, value in zip(names, row, strict=True))


def _words(secrets: dict[str, str], platform: str) -> str:
    """Return an error text that quotes what the platform may know, in each form; only its beginning is shown."""
    client = SECRETS[CLIENT_SECRETS[platform]]
    token = next(text for name, text in secrets.items() if name.startswith("accounts.tokens access_token"))
    quoted = f"{client} {_base64(client)} {urllib.parse.quote(client, safe='')} Bearer {token[:30]}"
    return f"{quoted} {token} https://u:{client}@127.0.0.1/up?sig={client}"


def _refusals(secrets: dict[str, str]) -> Iterator[Json]:
    """Yield faults by which the post meets an invalid token, a broken server, or a refusal."""
    for platform, statuses in (("tiktok", (500,)), ("instagram", (400,)), ("youtube", (401, 400))):
        words = _words(secrets, platform)
        bodies: dict[str, Json] = {
            "tiktok": {"error": {"code": "invalid_params", "message": words, "log_id": "log"}},
            "instagram": {"error": {"code": 100, "type": "OAuthException", "message": words, "fbtrace_id": "trace"}},
            "youtube": {"error": {"code": 400, "message": words, "errors": [{"reason": "invalidTitle"}]}},
        }
        for status in statuses:
            times = 1 if status == 401 else 999
            yield {
                "at": PLATFORM_CALLS[platform][0], "kind": "answer", "times": times, "status": status,
                "body": bodies[platform],
            }  # fmt: skip


def _dead_logins(secrets: dict[str, str]) -> Iterator[Json]:
    """Yield faults by which tokens are invalid and cannot be refreshed."""
    for platform, (post, refresh) in PLATFORM_CALLS.items():
        words = _words(secrets, platform)
        body = {"error": {"code": 190, "type": "OAuthException", "message": words}}
        yield {"at": post, "kind": "answer", "times": 999, "status": 401, "body": body}
        oauth = {"error": "invalid_grant", "error_description": words}
        yield {"at": refresh, "kind": "answer", "times": 999, "status": 400, "body": oauth}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(text: str) -> Iterator[str]:
    """Yield a text as it is, without percent-encoding and JSON's escapes, and with everything in base64 decoded."""
    plain = urllib.parse.unquote(text)
    for form in {text, plain, plain.replace('\\"', '"').replace("\\/", "/")}:
        yield form
        for run in re.findall(r"[A-Za-z0-9+/_-]{16,}", form):
            for start in range(4):
                part = run[start:].replace("-", "+").replace("_", "/")
                yield base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1")


def _shown(text: str, secrets: dict[str, str]) -> set[str]:
    everything = "\n".join(_decoded(text))
    return {name for name, secret in secrets.items() if secret in everything}


@dataclass(frozen=True)
class Failures:
    """The job whose publications were refused, and all secrets that were in use."""

    job: Json
    secrets: dict[str, str]


@pytest.fixture(scope="module")
def failed(shared_machine: TestMachine, talk: Path, tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """Let everything fail that uses a secret."""
    machine, secrets = shared_machine, dict(SECRETS)
    _fail_notices(machine)
    _fail_requests(machine)
    _fail_logins(machine)
    broken = tmp_path_factory.mktemp("broken") / "cut.mp4"
    broken.write_bytes(talk.read_bytes()[:30_000])
    machine.finished(machine.upload(broken))

    secrets |= _sealed_secrets(machine)
    _set_faults(machine, _refusals(secrets))
    job = machine.finished(machine.upload(talk, title="Refused"))

    secrets |= _sealed_secrets(machine)
    _set_faults(machine, _dead_logins(secrets))
    other = machine.upload(talk, title="Logged out")
    wait_for(lambda: _statuses(machine) == {"reconnect"}, "the logins to end", 60)
    machine.client.call("POST", f"/jobs/{other}/cancel")
    machine.finished(other)
    return Failures(job, secrets | _sealed_secrets(machine))


def _statuses(machine: TestMachine) -> set[str]:
    return {account["status"] for account in machine.client.call("GET", "/accounts")["accounts"]}


def _set_faults(machine: TestMachine, faults: Iterable[Json]) -> None:
    requests.delete(f"{machine.mock_url}/mock/faults", timeout=10)
    machine.fault_all(list(faults))


def _fail_notices(machine: TestMachine) -> None:
    """Send a webhook and notices to receivers that do not exist."""
    call = machine.client.call
    browser = TestBrowser(f"http://127.0.0.1:{CLOSED_PORT}/{SECRETS['path of a push address']}")
    key = call("GET", "/notices")["public_key"]
    call("POST", "/notices/subscriptions", json={**browser.subscription, "public_key": key})
    hook = f"{machine.mock_url}/mock/nowhere?token={SECRETS['query of a webhook address']}"
    endpoint = call("POST", "/webhooks", json={"url": hook})
    call("POST", f"/webhooks/{endpoint['id']}/ping")
    call("POST", "/notices/test")


def _fail_requests(machine: TestMachine) -> None:
    """Send a request with a wrong key."""
    headers = {"Authorization": f"Bearer {SECRETS['wrong API key']}"}
    requests.get(f"{machine.client.root_url}/jobs", headers=headers, timeout=10)


def _fail_logins(machine: TestMachine) -> None:
    """Come back from a login with a strange code and state, and log in at platforms that refuse the code."""
    query = urllib.parse.urlencode({"code": SECRETS["OAuth code"], "state": SECRETS["OAuth state"]})
    root, exchanges = machine.client.root_url, ("POST .*/v2/oauth/token/", "(GET|POST) .*access_token", "POST .*/token")
    for platform, exchange in zip(PLATFORM_CALLS, exchanges, strict=True):
        requests.get(f"{root}/connect/{platform}/callback?{query}", timeout=10)
        body = {"error": "invalid_grant", "error_description": f"code {SECRETS['OAuth code']} {ENVIRON['SECRET_KEY']}"}
        for status in (400, 500):
            machine.fault(at=exchange, kind="answer", status=status, body=body)
            requests.get(f"{root}/connect/{platform}", headers={"Authorization": f"Bearer {API_KEY}"}, timeout=10)


def _history(machine: TestMachine, publication_id: str) -> list[Json]:
    entries: list[Json] = machine.client.call("GET", f"/publications/{publication_id}/history")["entries"]
    return entries


def _mock_host(machine: TestMachine) -> str:
    return urllib.parse.urlsplit(machine.mock_url).netloc


def _logs(machine: TestMachine) -> dict[str, str]:
    paths = [machine.data_dir / "run.log", *sorted((machine.data_dir / "logs").glob("*.log"))]
    # The mock's own log is that of another machine.
    return {path.name: path.read_text(errors="replace") for path in paths if "mock" not in path.name}


def test_nothing_that_is_shown_contains_a_secret(shared_machine: TestMachine, failed: Failures) -> None:
    machine, call = shared_machine, shared_machine.client.call
    secrets = failed.secrets
    assert len(secrets) > len(SECRETS) + 8  # two tokens of most accounts, keys of push, of webhooks
    root, headers = machine.client.root_url, {"Authorization": f"Bearer {API_KEY}"}
    paths = ("/health", "/metrics", "/jobs", "/accounts", "/dead-letters", f"/status/{failed.job['job_id']}")
    shown = _logs(machine) | {
        "webhooks": json.dumps(machine.webhooks()),
        **{path: requests.get(f"{root}{path}", headers=headers, timeout=10).text for path in paths},
    }
    histories = [_history(machine, one["id"]) for part in failed.job["segments"] for one in part["publications"]]
    assert {entry["host"] for entries in histories for entry in entries if entry["method"]} == {_mock_host(machine)}
    shown["histories"] = json.dumps(histories)
    found = {name: _shown(text, secrets) for name, text in shown.items()}
    found["run.log"] -= {"API key"}  # for the person who has started it, on the terminal
    assert {name: names for name, names in found.items() if names} == {}
    assert call("GET", "/dead-letters")["dead_letters"] != []


def test_the_database_holds_no_secret_in_plain_text(shared_machine: TestMachine, failed: Failures) -> None:
    """Neither tracebacks of dead letters nor messages that wait; the address of a webhook is shown to its owner."""
    secrets = {name: text for name, text in failed.secrets.items() if name != "query of a webhook address"}
    plain = {
        f"{table}.{column}": _shown(value if isinstance(value, str) else value.decode("latin-1"), secrets)
        for table, column, value in _cells(shared_machine)
        if isinstance(value, str | bytes)
    }
    assert {place: names for place, names in plain.items() if names} == {}


def test_the_lines_of_a_publication_have_its_ids(shared_machine: TestMachine, failed: Failures) -> None:
    lines = [
        json.loads(line)
        for name, text in _logs(shared_machine).items()
        for line in text.splitlines()
        if name != "run.log" and line.startswith("{")
    ]
    mine = [line for line in lines if str(line.get("actor", "")).startswith("publish_")]
    of_job = [line for line in mine if line["job_id"] == failed.job["job_id"]]
    assert {line["platform"] for line in of_job} == {"tiktok", "instagram", "youtube"}
    assert [line for line in mine if not {"message_id", "publication_id", "part", "account_id"} <= line.keys()] == []
    requested = [line for line in lines if "request_id" in line]
    assert requested != []


def test_each_line_of_a_service_is_json(shared_machine: TestMachine, failed: Failures) -> None:
    del failed
    for name, text in _logs(shared_machine).items():
        if name != "run.log":
            assert [line for line in text.splitlines() if not line.startswith("{")] == [], name
