"""The duration of a video as its uploader states it."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Go forward."""
    op.add_column("jobs", sa.Column("stated_duration_s", sa.Float(), nullable=True))
