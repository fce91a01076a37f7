"""Numbers of rows by status, kept by triggers, and histograms of the durations of stages."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

COUNTED = {
    "jobs": "''",
    "job_segments": "''",
    "publications": "platform",
    "deliveries": "''",
    "notice_deliveries": "''",
}  # table: SQL of its platform


def upgrade() -> None:
    """Go forward."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "row_counts",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("row_count", BIG, nullable=False),
        *([] if is_postgresql else [sa.PrimaryKeyConstraint("table_name", "platform", "status")]),
    )
    op.create_table(
        "stage_durations",
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("le_s", sa.Float(), nullable=False),
        sa.Column("observations", BIG, nullable=False),
        sa.Column("sum_s", sa.Float(), nullable=False),
        *([] if is_postgresql else [sa.PrimaryKeyConstraint("stage", "le_s")]),
    )
    for table, platform in COUNTED.items():
        op.execute(
            f"INSERT INTO row_counts SELECT '{table}', {platform}, status, count(*) FROM {table} GROUP BY 2, 3"  # noqa: S608 (constants)
        )
        for statement in (_triggers_of_postgresql if is_postgresql else _triggers)(table, platform):
            op.execute(statement)


def _triggers(table: str, platform: str) -> tuple[str, ...]:
    """Return the statements that make the triggers of a table.

    A missing row is not decremented, so that rows of both tables can be deleted in either order.
    """
    new, old = ("NEW." + platform, "OLD." + platform) if platform.isidentifier() else (platform, platform)
    add = f"""
        INSERT INTO row_counts VALUES ('{table}', {new}, NEW.status, 1)
        ON CONFLICT (table_name, platform, status) DO UPDATE SET row_count = row_count + 1;
    """  # noqa: S608 (constants)
    subtract = f"""
        UPDATE row_counts SET row_count = row_count - 1
        WHERE table_name = '{table}' AND platform = {old} AND status = OLD.status;
    """  # noqa: S608 (constants)
    return (
        f"CREATE TRIGGER {table}_counted_on_insert AFTER INSERT ON {table} BEGIN {add} END",
        f"CREATE TRIGGER {table}_counted_on_delete AFTER DELETE ON {table} BEGIN {subtract} END",
        f"""
        CREATE TRIGGER {table}_counted_on_update AFTER UPDATE OF status ON {table} WHEN OLD.status <> NEW.status
        BEGIN {subtract} {add} END
        """,
    )


def _triggers_of_postgresql(table: str, platform: str) -> tuple[str, ...]:
    """Return the statements for an engine with concurrent writers, where the number is a sum of rows.

    Each change adds a row: transactions that count one row up and down would wait for each other, in any order.
    `store.row_counts.compact` adds the rows up.
    """
    new, old = ("NEW." + platform, "OLD." + platform) if platform.isidentifier() else (platform, platform)
    add = f"INSERT INTO row_counts VALUES ('{table}', {new}, NEW.status, 1);"  # noqa: S608 (constants)
    subtract = f"INSERT INTO row_counts VALUES ('{table}', {old}, OLD.status, -1);"  # noqa: S608 (constants)
    statements = []
    for event, change, when in (
        ("insert", add, ""),
        ("delete", subtract, ""),
        ("update", subtract + add, "WHEN (OLD.status <> NEW.status)"),
    ):
        name = f"{table}_counted_on_{event}"
        of = " OF status" if event == "update" else ""
        statements.append(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change} RETURN NULL; END $$"
        )
        statements.append(
            f"CREATE TRIGGER {name} AFTER {event}{of} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
        )
    return tuple(statements)
