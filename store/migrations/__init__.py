"""Alembic migrations of the store, forward only."""
