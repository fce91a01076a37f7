"""`scripts/keys` on the database of a machine, and beside a running API."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import requests

from actors import wiring
from scripts.machine import command, keys
from store import Store, api_keys
from store.owners import DEFAULT_OWNER
from tests.actors.conftest import engine, store
from tests.api.test_health import process
from tests.support.waiting import wait_for

__all__ = ["engine", "store"]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own_machine(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "run", lambda action: action(wiring.machine))


def created(capsys: pytest.CaptureFixture[str], name: str) -> str:
    assert keys.main(["create", name]) == 0
    return capsys.readouterr().out.strip()


@pytest.mark.usefixtures("own_machine")
def test_a_key_is_shown_once_and_listed_without_its_secret(capsys: pytest.CaptureFixture[str]) -> None:
    key = created(capsys, "phone of Mara")
    assert key.startswith("vidprod_")
    assert len(key) == 51

    assert keys.main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "phone of Mara" in shown
    assert "0 sessions" in shown
    assert key[8:] not in shown


@pytest.mark.usefixtures("own_machine")
def test_a_name_is_used_once_and_free_again_after_its_revocation(capsys: pytest.CaptureFixture[str]) -> None:
    first = created(capsys, "phone")
    assert keys.main(["create", "phone"]) == 1
    assert "revoke it first" in capsys.readouterr().err

    assert keys.main(["revoke", "phone"]) == 0
    assert keys.main(["revoke", "phone"]) == 1
    assert capsys.readouterr().err == "phone: there is no such key\n"
    assert created(capsys, "phone") != first


@pytest.mark.usefixtures("own_machine")
def test_owners_have_keys_of_the_same_name(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    created(capsys, "phone")
    assert keys.main(["create", "phone", "--owner", "ben"]) == 0
    assert capsys.readouterr().out.startswith("vidprod_")
    assert keys.main(["list"]) == 0
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert (first.split()[:2], second.split()[:4]) == (["phone", "created"], ["phone", "(owner", "ben)", "created"])

    assert keys.main(["sign-out", "phone", "--owner", "carl"]) == 1
    assert keys.main(["revoke", "phone", "--owner", "ben"]) == 0
    with store.reading() as connection:
        assert [key.owner_id for key in api_keys.list_valid(connection)] == [DEFAULT_OWNER]


@pytest.mark.parametrize("owner", ["Ben", "", "ben smith", "-ben", 33 * "b"])
@pytest.mark.usefixtures("own_machine")
def test_a_name_of_an_owner_that_cannot_be_told_apart_is_refused(
    owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.main(["create", "phone", f"--owner={owner}"]) == 1
    assert "OWNER: " in capsys.readouterr().err


@pytest.mark.usefixtures("own_machine")
def test_the_names_in_the_readme_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    names = re.findall(r'^scripts/keys create "(.+?)"', (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    for name in names:
        assert created(capsys, name).startswith("vidprod_")
        assert keys.main(["revoke", name]) == 0
        capsys.readouterr()


@pytest.mark.usefixtures("own_machine")
@pytest.mark.parametrize("name", ["", " phone", "a" * 65, "a\nb", "\x1b[2J", "api.key"])
def test_a_name_that_cannot_be_shown_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys.main(["create", name]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("NAME: ")


@pytest.mark.parametrize(
    "arguments",
    [["sign-out"], ["sign-out", "phone", "--all"], ["sign-out", "--all", "--owner", "ben"], ["create"], ["list", "x"]],
)
def test_a_command_that_is_not_clear_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        keys.main(arguments)
    assert ended.value.code == 2


def test_keys_are_created_and_revoked_beside_a_running_api(tmp_path: Path) -> None:
    """Also the generated key; and nothing has to be restarted."""
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}

    def run(*arguments: str) -> str:
        ran = subprocess.run(
            [ROOT / "scripts/keys", *arguments], env=environ, capture_output=True, text=True, check=True, timeout=60
        )
        return ran.stdout.strip()

    with process(tmp_path) as (_, root):

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return requests.get(f"{root}/jobs", headers=headers, timeout=30).status_code

        first, key = (tmp_path / "api.key").read_text(), run("create", "phone")
        assert (status(first), status(key)) == (200, 200)
        session = requests.Session()
        assert session.post(f"{root}/login", json={"key": key}, timeout=30).status_code == 204
        assert run("list").splitlines()[0].endswith("1 session")

        assert run("revoke", "phone") == "phone: revoked; 1 session ended"
        begun = time.monotonic()
        assert session.get(f"{root}/jobs", timeout=30).status_code == 401
        wait_for(lambda: status(key) != 200, "the key to be refused", 10)
        assert time.monotonic() - begun < 1.5
        session.close()

        run("revoke", "api.key")
        wait_for(lambda: status(first) != 200, "the generated key to be refused", 10)
        assert not (tmp_path / "api.key").exists()

    assert key not in (tmp_path / "vidprod.sqlite3").read_bytes().decode("latin-1")
