"""Machines on one server tell each other by their ticks which SECRET_KEY they have."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr

from actors import shared_key, wiring
from actors.flow import scheduling
from store import Sealer, Store
from tests.actors.queues import change_machine, change_settings, move_clock


def _sees_another(store: Store) -> bool:
    with store.reading() as connection:
        return shared_key.is_another_in_use(wiring.machine, connection)


def test_a_tick_tells_other_machines_the_key_for_three_minutes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(monkeypatch, database_url=SecretStr("postgresql://host/name"))
    scheduling.tick(wiring.machine)
    assert not _sees_another(store)
    change_machine(monkeypatch, sealer=Sealer("another-secret-key"))
    assert _sees_another(store)
    move_clock(monkeypatch, timedelta(minutes=3, seconds=1))
    assert not _sees_another(store)


def test_a_machine_with_a_file_records_nothing_of_its_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(monkeypatch, database_url=SecretStr(""))
    scheduling.tick(wiring.machine)
    change_machine(monkeypatch, sealer=Sealer("another-secret-key"))
    assert not _sees_another(store)
