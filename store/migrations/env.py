"""Alembic's entry: runs the migrations on the connection that `Store.migrate` opened under the write lock."""

from alembic import context

from store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="store_version",
    transactional_ddl=True,
)
context.run_migrations()
