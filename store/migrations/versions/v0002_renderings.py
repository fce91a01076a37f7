"""Facts of a part's rendering other than gaze."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go forward."""
    op.add_column("job_segments", sa.Column("rendering", sa.JSON(none_as_null=True), nullable=True))
