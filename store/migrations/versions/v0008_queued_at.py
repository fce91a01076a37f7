"""Since when a webhook delivery waits."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Go forward."""
    op.add_column("deliveries", sa.Column("queued_at", sa.DateTime(), nullable=True))
