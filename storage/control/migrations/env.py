"""Runs the migrations inside the transaction that `open_database` began."""

from alembic import context

from storage.control.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
with context.begin_transaction():
    context.run_migrations()
