"""Owners: everything that was made before belongs to the default one.

Older processes may go on: what they insert gets the default owner, and all of their statements are still valid.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

DEFAULT = "default"
OWNED = ("jobs", "accounts", "api_keys", "push_subscriptions", "notices")


def upgrade() -> None:
    """Go forward."""
    for table in OWNED:
        op.add_column(table, sa.Column("owner_id", sa.Text(), nullable=False, server_default=DEFAULT))
    op.add_column("events", sa.Column("owner_id", sa.Text(), nullable=True, server_default=DEFAULT))
    op.create_index("jobs_of_owner", "jobs", ["owner_id", "created_at", "id"])
    if op.get_bind().dialect.name == "sqlite":
        _make_anew("schedules", sa.PrimaryKeyConstraint("owner_id", "platform"))
        _make_anew("endpoints", sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("owner_id", "url"))
        return
    for table, old, kind, columns in (
        ("schedules", "schedules_pkey", "PRIMARY KEY", "owner_id, platform"),
        ("endpoints", "endpoints_url_key", "UNIQUE", "owner_id, url"),
    ):
        op.add_column(table, sa.Column("owner_id", sa.Text(), nullable=False, server_default=DEFAULT))
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {old}, ADD {kind} ({columns})")


def _make_anew(table: str, *constraints: sa.Constraint) -> None:
    """Make a table again with an owner and other constraints, which SQLite cannot change.

    Rows of other tables refer to its rows; that is checked at the commit, when these are there again.
    """
    op.execute("PRAGMA defer_foreign_keys=ON")
    found = sa.inspect(op.get_bind()).get_columns(table)
    columns = [
        sa.Column(one["name"], one["type"], nullable=one["nullable"], server_default=_default(one["default"]))
        for one in found
    ]
    names = ", ".join(one["name"] for one in found)
    op.execute(f"CREATE TABLE {table}_before AS SELECT * FROM {table}")  # noqa: S608 (constants)
    op.drop_table(table)
    owner = sa.Column("owner_id", sa.Text(), nullable=False, server_default=DEFAULT)
    op.create_table(table, *columns, owner, *constraints)
    op.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}_before")  # noqa: S608 (constants)
    op.drop_table(f"{table}_before")


def _default(text: str | None) -> sa.TextClause | None:
    return None if text is None else sa.text(text)
