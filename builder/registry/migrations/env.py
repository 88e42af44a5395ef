"""What alembic runs: the migrations on the connection that `builder.registry.migrate` hands over."""

from __future__ import annotations

from alembic import context

from builder.registry.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # The caller holds the write lock and commits, so that all of it happens or nothing.
    transactional_ddl=False,
)
context.run_migrations()
