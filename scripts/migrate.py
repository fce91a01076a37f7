"""Bring the store to this version and leave again: a process of its own, so that Alembic's memory goes with it."""

from __future__ import annotations

from actors.wiring import store

if __name__ == "__main__":
    store.migrate()
