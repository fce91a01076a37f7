"""The API on the tests' data directory, emptied before each test: as an application, and over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient
from pydantic import SecretStr

from actors import wiring
from actors.flow import tokens
from actors.machine import Machine
from actors.recovery import upload_record
from actors.recovery.lost_found import ACCEPTED_MARK, SOURCE
from api.__main__ import PAGES
from api.app import create_app
from api.context import Context
from api.http.auth import ApiKeys
from api.server import create_server
from platforms.mock.roots import mock_hosts
from platforms.oauth import Tokens
from settings import OAuthClient
from store import accounts
from tests.store import rows
from tests.support.clock import Clock
from tests.support.machine_database import empty_machine
from tests.support.page_files import prepare_page_files_once

prepare_page_files_once()

ROOT = Path(__file__).resolve().parents[2]
KEY = "test-key-of-tests"
OTHER_KEY = "another-key-of-24-chars"
AUTH = {"Authorization": f"Bearer {KEY}"}
OWN_PAGE = {"Origin": wiring.machine.settings.root_url}  # browsers send it with each change

# Begins as an MP4 does; the API does not check more of it.
VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(range(256)) * 40


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(clock: Clock) -> Iterator[Context]:
    empty_machine()
    machine = replace(wiring.machine, now=clock, boot_time=clock.boot_time)
    yield Context(
        **vars(machine),
        keys=api_keys(machine),
        behind_fly=False,
        started_s=clock.now_s() - 3600,
        pages=PAGES,
    )
    wiring.machine.broker.flush_all()


def api_keys(machine: Machine, keys: Sequence[str] = (KEY, OTHER_KEY), key_file: Path | None = None) -> ApiKeys:
    """Return the keys as a process with these keys in its environment knows them."""
    return ApiKeys(
        keys,
        key_file=key_file,
        store=machine.store,
        sealer=machine.sealer,
        now=machine.now,
        now_s=lambda: machine.boot_time().seconds,
        root_url=machine.settings.root_url,
    )


def with_settings(context: Context, **changes: Any) -> Context:
    changed = replace(context, settings=context.settings.model_copy(update=changes))
    is_moved = changed.settings.root_url != context.settings.root_url
    return replace(changed, keys=api_keys(changed)) if is_moved else changed


@pytest.fixture
def client(context: Context) -> TestClient:
    return TestClient(create_app(context), headers=AUTH)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("mock")
    with subprocess.Popen(
        [sys.executable, "-m", "platforms.mock", "--port", "0", "--directory", str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def registered(context: Context, mock: str) -> Context:
    """Return a context in which our app is registered at all platforms."""
    client = OAuthClient(client_id="mock", client_secret=SecretStr("mock"))
    clients = {"tiktok": client, "facebook": client, "google": client}
    chosen = context.settings.model_copy(update={"oauth_clients": clients})
    return replace(context, settings=chosen, hosts=mock_hosts(mock))


@contextmanager
def serving(context: Context) -> Iterator[str]:
    """Serve on a free port and give the root address."""
    tempdir = tempfile.tempdir
    server = create_server(context, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        server.stop()
        thread.join(10)
        tempfile.tempdir = tempdir  # the server's own, where pytest would else make its directories


@pytest.fixture
def serve(context: Context) -> Iterator[Callable[..., str]]:
    """Return a function that serves the API over real HTTP, with changed settings, and returns its address."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(serving(with_settings(context, **changes)))


@pytest.fixture
def left() -> Callable[[], list[Path]]:
    """Return a function that lists the files of uploads, except the records beside complete ones."""

    def look() -> list[Path]:
        # os.walk, because a directory may go away under it.
        found = os.walk(wiring.machine.settings.uploads_dir)
        return sorted(
            Path(folder, name)
            for folder, _, names in found
            for name in names
            if not (name in {upload_record.NAME, ACCEPTED_MARK} and SOURCE in names)
        )

    return look


def connect(context: Context, *platforms: str) -> None:
    """Let there be an account on each of these platforms."""
    with context.store.writing(scope="everything") as connection:
        for platform in platforms:
            account = rows.account(f"{platform}-1", platform)
            accounts.connect(connection, replace(account, tokens=tokens.encrypt(context, Tokens("access"))))


def sign_in(context: Context, key: str = KEY) -> str:
    """Return the token of a new session."""
    known = context.keys.find(key)
    assert known is not None
    token = context.keys.create_session(known)
    assert token is not None
    return token
