"""Decisions of a person: approval of single parts, holds, own times of publications, and publications at once."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

WANTED_NOW = sa.text("status = 'waiting' AND publish_now_at IS NOT NULL")
WITH_OWN_TIME = sa.text("publish_after IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    for table in ("jobs", "publications"):
        op.add_column(table, sa.Column("held", sa.Boolean(), nullable=False, server_default="0"))
    op.add_column("job_segments", sa.Column("approved_at", sa.DateTime(), nullable=True))
    op.add_column("publications", sa.Column("publish_after", sa.DateTime(), nullable=True))
    op.add_column("publications", sa.Column("publish_now_at", sa.DateTime(), nullable=True))
    for name, columns, where in (
        ("publications_wanted_now", ["account_id", "publish_now_at"], WANTED_NOW),
        ("publications_with_own_time", ["account_id", "job_id", "segment_number"], WITH_OWN_TIME),
    ):
        op.create_index(name, "publications", columns, sqlite_where=where, postgresql_where=where)
