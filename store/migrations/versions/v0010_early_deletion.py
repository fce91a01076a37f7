"""Deletion of files before the end of their job."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Go forward."""
    op.add_column("jobs", sa.Column("source_deleted_at", sa.DateTime(), nullable=True))
    op.add_column("job_segments", sa.Column("files_deleted_at", sa.DateTime(), nullable=True))
