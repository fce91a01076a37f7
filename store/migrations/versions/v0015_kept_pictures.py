"""Until when the small pictures of a job are kept after its files were deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Go forward."""
    op.add_column("jobs", sa.Column("pictures_until", sa.DateTime(), nullable=True))
