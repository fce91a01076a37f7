"""Health of webhook endpoints, and the sequence of events that belong to no job."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_COUNTERS = ("failures", "failing_s", "exhausted", "dropped")
_TIMES = ("attempted_at", "paused_until", "wake_at", "disabled_at")


def upgrade() -> None:
    """Go forward."""
    for name in _COUNTERS:
        op.add_column("endpoints", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    for name in _TIMES:
        op.add_column("endpoints", sa.Column(name, sa.DateTime(), nullable=True))
    op.add_column("endpoints", sa.Column("last_duration_ms", sa.Integer(), nullable=True))
    op.add_column("endpoints", sa.Column("last_error", sa.Text(), nullable=True))
    op.add_column("endpoints", sa.Column("disabled_code", sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("reason", sa.Text(), nullable=True))
    op.create_index("deliveries_by_endpoint", "deliveries", ["endpoint_id", "status", "next_at"])
    op.create_table(
        "sequences",
        sa.Column("subject", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
    )
