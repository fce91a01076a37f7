"""Indexes for overdue work and for parts that are held."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

OPEN = sa.text("status IN ('waiting', 'publishing', 'outcome_unknown')")
UNDER_WAY = sa.text("status = 'publishing'")
HELD = sa.text("status = 'waiting' AND code = 'held'")
NOT_ENDED = sa.text("status IN ('pending', 'rendering')")


def upgrade() -> None:
    """Go forward."""
    for name, table, columns, where in (
        ("publications_under_way", "publications", ["next_at"], UNDER_WAY),
        ("publications_open_by_age", "publications", ["created_at"], OPEN),
        ("publications_held", "publications", ["account_id", "job_id", "segment_number"], HELD),
        ("job_segments_not_ended", "job_segments", ["status"], NOT_ENDED),
    ):
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
