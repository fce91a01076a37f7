"""Attempts at media work, and approval of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go forward."""
    for table in ("jobs", "job_segments"):
        op.add_column(table, sa.Column("attempts", sa.JSON(none_as_null=True), nullable=True))
        op.add_column(table, sa.Column("retry_at", sa.DateTime(), nullable=True))
    op.add_column("jobs", sa.Column("attempt", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("review_reasons", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("approved_at", sa.DateTime(), nullable=True))
