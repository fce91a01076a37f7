"""The API key with which a browser has subscribed to notices."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Go forward."""
    op.add_column("push_subscriptions", sa.Column("key_id", sa.Text(), nullable=True))
