"""Heartbeats by a clock that is not set."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go forward."""
    op.add_column("marks", sa.Column("boot", sa.Text(), nullable=True))
    op.add_column("marks", sa.Column("boot_s", sa.Float(), nullable=True))
