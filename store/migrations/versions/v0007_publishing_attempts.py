"""Attempts at publishing, outages of platforms, and the effect of a failed part on the parts after it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Go forward."""
    op.add_column("publications", sa.Column("attempts", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("accounts", sa.Column("after_failure", sa.Text(), server_default="hold", nullable=False))
    op.create_table(
        "platform_states",
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("failures_in_a_row", sa.Integer(), server_default="0", nullable=False),
        sa.Column("since", sa.DateTime(), nullable=True),
        sa.Column("paused_until", sa.DateTime(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("platform"),
    )
