"""Data disks, which a Goldsmith that knows only format 1 would take for orphans: format 2."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "data_disks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("image_key", sa.String(), sa.ForeignKey("images.key", ondelete="CASCADE")),
        sa.Column("replica_id", sa.Integer(), sa.ForeignKey("replicas.id", ondelete="CASCADE")),
        sa.Column("lun", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("size_on_disk", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.UniqueConstraint("image_key", "lun"),
        sa.UniqueConstraint("replica_id", "lun"),
    )
