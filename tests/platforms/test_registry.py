"""The steps of CONTRIBUTING.md by which a platform is added: a platform that takes them, and nothing else, publishes.

The platform "clipper" is added to a copy of the packages. A process of its own, with that copy as its program, starts
the mocks, connects an account, and publishes one part through the real actors, broker and database.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from platforms import registry
from platforms.contract import Publisher

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("actors", "broker", "media", "platforms", "store")

# Step 1: the platform's package.
HOSTS = '''
"""Clipper's hosts."""
from dataclasses import dataclass
from platforms.http import hosts

@dataclass(frozen=True)
class ClipperHosts(hosts.PlatformHosts):
    """The root of Clipper's only host."""

    clipper_api_url: str = "https://api.clipper.example"
'''
WORDING = '''
"""The words of a clip."""
from platforms.wording import TextLimit, Wording, single_text

LIMITS = (TextLimit("text", "utf16_units", 300),)

def compose(title, caption):
    """Compose the words of one post."""
    return Wording("", single_text(title, caption))
'''
API = '''
"""Clipper's API: one method a call."""
import json
from functools import partial
from platforms import error_table
from platforms.error_table import StatusMeanings, limited, reconnect
from platforms.http import client

_STATUSES = StatusMeanings(
    "Clipper", reconnect("token_expired", "The login has expired"), limited("rate_limit", "Too many calls", 60.0)
)

class ClipperApi:
    """The calls of Clipper's API."""

    def __init__(self, hosts):
        self._root = hosts.clipper_api_url

    def create(self, context, words):
        return self._call("POST", "/drafts", context, json={"text": words.text})["id"]

    def publish(self, context, draft):
        video = context.post.video.read_bytes().decode()
        return self._call("POST", f"/drafts/{draft}/publish", context, json={"video": video})["link"]

    def find(self, context, draft):
        return self._call("GET", f"/drafts/{draft}", context).get("link")

    def _call(self, method, path, context, **body):
        headers = {"Authorization": f"Bearer {context.account.access_token}"}
        response = client.request(method, self._root + path, headers=headers, **body)
        assert response.status == 200, response.status
        return json.loads(response.body)
'''
PUBLISHER = '''
"""The publisher for Clipper: create a draft, publish the draft."""
from platforms import steps
from platforms.clipper.api import ClipperApi
from platforms.clipper.hosts import ClipperHosts
from platforms.clipper.wording import compose
from platforms.contract import Advanced, Handle, Published, StepContext
from platforms.steps import check_video

class Clipper:
    """See `platforms.contract.Publisher`."""

    platform = "clipper"
    irreversible_steps = frozenset({"publish"})

    def __init__(self, roots):
        self._api = ClipperApi(ClipperHosts.at(roots))
        self._steps = {"create": self._create, "publish": self._publish}

    def begin(self, post, account):
        check_video(post, max_bytes=1_000_000, min_s=3, max_s=60)
        return Handle("create")

    def may_stop(self, handle):
        return handle.step != "publish"

    def advance(self, post, account, handle, *, interrupted):
        return steps.run(self._steps, StepContext(post, account, handle, interrupted))

    def _create(self, context):
        post = context.post
        words = compose(post.title, post.caption)
        return Advanced(context.handle.then("publish", draft=self._api.create(context, words)))

    def _publish(self, context):
        draft = context.handle.text("draft")
        link = self._api.find(context, draft) if context.interrupted else None
        return Published(context.handle, draft, link or self._api.publish(context, draft))
'''
OAUTH = '''
"""Clipper's login: any code is good for one token."""
from platforms import oauth
from platforms.clipper.hosts import ClipperHosts
from platforms.oauth import AuthorizationRequest, LoginResult, Tokens

class ClipperFlow:
    """See `platforms.oauth.OAuthFlow`."""

    variant = "clipper"

    def __init__(self, roots):
        self._hosts = ClipperHosts.at(roots)

    def authorize_url(self, client, redirect_uri, state):
        endpoint = f"{self._hosts.clipper_api_url}/login"
        return AuthorizationRequest(oauth.authorization_address(endpoint, client, redirect_uri, state, ["post"]), None)

    def exchange(self, client, redirect_uri, code, verifier):
        return LoginResult(Tokens(f"token-{code}"), "owner-1", "@clipper", self.variant)

    def refresh(self, client, tokens):
        return tokens

    def revoke(self, client, tokens):
        pass
'''
# Step 2: its definition.
DEFINITION = '''
"""Clipper: the definition of the platform."""
from platforms.clipper.hosts import ClipperHosts
from platforms.clipper.wording import LIMITS, compose
from platforms.definition import LoginDefinition, PlatformDefinition
from platforms.dry_run import STAND_IN, json_answer
from platforms.post_options import PostOptions
from platforms.step_texts import StepTexts

STEPS = {"create": "Ask for a draft", "publish": "Publish the draft"}

def _dry_answers(roots):
    return lambda request: json_answer(b'{"id": "%s"}' % STAND_IN.encode())

def _publisher(roots, options):
    from platforms.clipper.publisher import Clipper
    return Clipper(roots)

def _login(roots, options):
    from platforms.clipper.oauth import ClipperFlow
    return ClipperFlow(roots)

DEFINITION = PlatformDefinition(
    name="clipper", display_name="Clipper", hosts=ClipperHosts, logins=(LoginDefinition("clipper", "clipper", _login),),
    compose=compose, limits=LIMITS, options=PostOptions, make_publisher=_publisher, max_posts_per_day=10,
    step_texts=StepTexts(STEPS, identifiers=("draft",)), dry_answers=_dry_answers,
)
'''
# Step 3: its mock.
MOCK = '''
"""The mock of Clipper."""
from platforms.mock import roots
from platforms.mock.state import redirect_back
from platforms.mock.storage import new_id

ROOT = roots.path("clipper_api_url")

class _Login:
    def on_get(self, req, resp):
        redirect_back(resp, req.get_param("redirect_uri"), code="c", state=req.get_param("state"))

class _Drafts:
    def __init__(self, state):
        self._storage = state.storage

    def on_post(self, req, resp):
        draft = new_id("d-")
        self._storage.put("clips", draft, {"text": req.get_media()["text"], "token": req.auth})
        resp.media = {"id": draft}

    def on_post_publish(self, req, resp, draft):
        clip = self._storage.get("clips", draft) | req.get_media() | {"link": f"https://clipper.example/{draft}"}
        self._storage.put("clips", draft, clip)
        resp.media = clip

    def on_get_draft(self, req, resp, draft):
        resp.media = self._storage.get("clips", draft)

def add_routes(app, state):
    app.add_route(f"{ROOT}/login", _Login())
    app.add_route(f"{ROOT}/drafts", _Drafts(state))
    app.add_route(f"{ROOT}/drafts/{{draft}}", _Drafts(state), suffix="draft")
    app.add_route(f"{ROOT}/drafts/{{draft}}/publish", _Drafts(state), suffix="publish")

def upload_target(state, request):
    return None

def posts(state):
    return [clip for _, clip in state.storage.records("clips") if "link" in clip]
'''
FILES = {
    "platforms/clipper/hosts.py": HOSTS,
    "platforms/clipper/wording.py": WORDING,
    "platforms/clipper/api.py": API,
    "platforms/clipper/publisher.py": PUBLISHER,
    "platforms/clipper/oauth.py": OAUTH,
    "platforms/clipper/__init__.py": DEFINITION,
    "platforms/mock/clipper/__init__.py": MOCK,
}

PROGRAM = """
import json, os, sys, threading
from pathlib import Path

data_dir = Path(sys.argv[1])
from platforms.mock import server
from platforms.mock.mocks import MOCKS
from platforms.mock.state import MockOptions, MockState
from platforms.mock.storage import Storage
serving = server.serve(0, data_dir / "mock", MockOptions())
threading.Thread(target=serving.run, daemon=True).start()
root = f"http://127.0.0.1:{serving.effective_port}"
os.environ |= {
    "DATA_DIR": str(data_dir), "CLIPPER_API_URL": f"{root}/clipper-api",
    "CLIPPER_CLIENT_ID": "id", "CLIPPER_CLIENT_SECRET": "secret",
}

from dataclasses import replace
from dramatiq import Worker
from actors import worker as _
from actors.flow import tokens
from actors.wiring import machine
from platforms.mock.connect import connect
from platforms.mock.roots import mock_hosts
from store import accounts, jobs, publication_queue, publications, segments
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.store import rows
from tests.support.waiting import wait_for

assert machine.settings.platform_roots["clipper_api_url"] == os.environ["CLIPPER_API_URL"]
assert tokens.oauth_client(machine, "clipper").id == "id"
login = connect("clipper", mock_hosts(root))
machine.store.migrate()
part = replace(rows.segment(1, status=SegmentStatus.READY), size_bytes=7)
video = machine.in_data(part.file_path)
video.parent.mkdir(parents=True)
video.write_bytes(b"a video")
machine.in_data("uploads/job").mkdir(parents=True)
owner = replace(rows.account("clipper-1", "clipper"), tokens=tokens.encrypt(machine, login.tokens))
publication = rows.publication(part, owner)
with machine.store.writing(scope="everything") as connection:
    jobs.create(connection, rows.job(status=JobStatus.PUBLISHING, parts=1))
    segments.create(connection, [part])
    accounts.connect(connection, owner)
    publications.create(connection, [publication])
    publication_queue.start(connection, publication.id, machine.now())
    machine.send("publish_clipper", publication.id)

def found():
    with machine.store.reading() as connection:
        return publications.get(connection, publication.id)

worker = Worker(machine.broker, queues={"network"}, worker_timeout=50, worker_threads=2)
worker.start()
wait_for(lambda: found().status is not PublicationStatus.PUBLISHING, "the publication to end", 40)
worker.stop()
posts = MOCKS["clipper"].posts(MockState(Storage(data_dir / "mock"), MockOptions()))
print(json.dumps({"status": found().status, "code": found().code, "link": found().link, "posts": posts}))
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the packages to which the platform was added by the steps of CONTRIBUTING.md."""
    copy = tmp_path_factory.mktemp("program")
    ignored = shutil.ignore_patterns("__pycache__", "*.task")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=ignored, symlinks=True)
    shutil.copy(ROOT / "settings.py", copy)
    for name, text in FILES.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text.lstrip())
    registered = copy / "platforms" / "registry.py"
    registered.write_text(registered.read_text().replace("NAMES = (\n", 'NAMES = (\n    "clipper",\n'))
    return copy


def _published(program: Path, data_dir: Path) -> Any:  # Any: JSON
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{program}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(data_dir)],
        cwd=program,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def test_a_platform_that_was_added_by_the_steps_publishes_a_part(program: Path, tmp_path: Path) -> None:
    found = _published(program, tmp_path)
    assert (found["status"], found["code"]) == ("published", None)
    [post] = found["posts"]
    assert (found["status"], found["link"]) == ("published", post["link"])
    assert post["text"].startswith("A talk")
    assert (post["video"], post["token"]) == ("a video", "Bearer token-c")


def test_the_steps_name_every_place_that_this_test_had_to_change() -> None:
    """At most six steps."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a platform\n")[2].partition("\n## ")[0]
    assert 1 <= len(re.findall(r"^\d+\. ", section, re.MULTILINE)) <= 6
    named = {name for name in FILES if Path(name).name in section or f"`{Path(name).parent}/`" in section}
    assert named == FILES.keys()
    assert "platforms/registry.py" in section
    assert "frontend/words.js" in section


def test_the_example_has_every_member_of_a_publisher() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a platform\n")[2].partition("\n## ")[0]
    members = {name for name in vars(Publisher) if not name.startswith("_")}
    assert {name for name in members if re.search(rf"^       (def )?{name}\b", section, re.MULTILINE)} == members


def test_every_platform_has_a_name_on_the_page() -> None:
    words = (ROOT / "frontend" / "words.js").read_text()
    [listed] = re.findall(r"^const PLATFORMS = \{(.*)\};$", words, re.MULTILINE)
    expected = {name: platform.display_name for name, platform in registry.PLATFORMS.items()}
    assert dict(re.findall(r"(\w+): '([^']+)'", listed)) == expected
