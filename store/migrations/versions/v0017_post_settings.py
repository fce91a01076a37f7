"""Words and options of posts by part, platform and publication, and the accounts that an upload names."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "post_settings",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("segment_number", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("options", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "segment_number", "target"),
    )
    op.add_column("jobs", sa.Column("accounts", sa.JSON(), nullable=True))
    op.add_column("jobs", sa.Column("post_options", sa.JSON(), nullable=True))
    op.add_column("publications", sa.Column("words", sa.JSON(), nullable=True))
