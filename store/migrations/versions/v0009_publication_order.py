"""Indexes for the order of publications."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # its order is that of the jobs' times
OPEN = sa.text("status IN ('waiting', 'publishing', 'outcome_unknown')")
NOT_PUBLISHED = sa.text("status IN ('failed', 'expired')")
FILL = (
    "UPDATE publications SET job_order = "
    "(SELECT CAST(created_at AS TEXT) || ' ' || id FROM jobs WHERE jobs.id = publications.job_id)"
)
STARTED = sa.text("started_at IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.add_column("publications", sa.Column("job_order", BYTEWISE, nullable=True))
    op.execute(FILL)
    order = ["account_id", "job_order", "segment_number"]
    op.create_index("publications_in_order", "publications", order, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index(
        "publications_not_published", "publications", ["account_id", "job_id", "segment_number"],
        sqlite_where=NOT_PUBLISHED, postgresql_where=NOT_PUBLISHED,
    )  # fmt: skip
    op.create_index(
        "publications_by_start", "publications", ["account_id", "started_at"],
        sqlite_where=STARTED, postgresql_where=STARTED,
    )  # fmt: skip
