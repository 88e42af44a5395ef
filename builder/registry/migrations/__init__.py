"""The registry's tables, from one format to the next (alembic). Never edit a migration that was released."""
