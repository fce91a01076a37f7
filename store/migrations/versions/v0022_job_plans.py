"""By what the cuts of a job can be moved, and the gaze intensity of single parts."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "job_plans",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("pauses", sa.JSON(), nullable=False),
        sa.Column("peaks", sa.JSON(), nullable=True),
        sa.Column("key_frames", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.add_column("job_segments", sa.Column("gaze_intensity", sa.Float(), nullable=True))
