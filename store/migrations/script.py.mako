"""${message}."""

from alembic import op
import sqlalchemy as sa

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Go forward. There is no way back: restore a copy of the file instead."""
    ${upgrades if upgrades else "pass"}
