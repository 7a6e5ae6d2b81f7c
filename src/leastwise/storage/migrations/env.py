"""What Alembic runs for every command: it migrates the connection that `storage.migrate` opened."""

from __future__ import annotations

from alembic import context

from leastwise.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
