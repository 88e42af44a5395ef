"""Galleries, definitions, versions, replicas, managed images: format 1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.String(32)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "meta",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )
    op.create_table(
        "galleries",
        sa.Column("key", sa.String(), primary_key=True),
        *_required("id", "name"),
        sa.Column("name_key", sa.String(), nullable=False, unique=True),
        *_required("resource_group", "location", "description"),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_table(
        "definitions",
        sa.Column("key", sa.String(), primary_key=True),
        *_required("id", "name"),
        sa.Column("gallery_key", sa.String(), sa.ForeignKey("galleries.key"), nullable=False),
        *_required("location", "os_type", "os_state", "generation", "architecture"),
        *_required("publisher", "offer", "sku", "triple"),
        sa.Column("features", sa.JSON(), nullable=False),
        *_required("description"),
        sa.Column("end_of_life", sa.String()),
        sa.Column("plan", sa.JSON()),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.UniqueConstraint("gallery_key", "triple"),
    )
    op.create_table(
        "versions",
        sa.Column("key", sa.String(), primary_key=True),
        *_required("id"),
        sa.Column("definition_key", sa.String(), sa.ForeignKey("definitions.key"), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("major", "minor", "patch")),
        *_required("state", "owner", "run_id"),
        sa.Column("exclude_from_latest", sa.Boolean(), nullable=False),
        *_required("replication_mode"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        *_required("digest", "source", "template"),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("published_at", _TIME),
        sa.UniqueConstraint("definition_key", "major", "minor", "patch"),
    )
    op.create_index("versions_by_state", "versions", ["state"])
    op.create_table(
        "replicas",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "version_key", sa.String(), sa.ForeignKey("versions.key", ondelete="CASCADE"), nullable=False
        ),
        *_required("region", "region_key"),
        sa.Column("count", sa.Integer(), nullable=False),
        *_required("storage_account_type", "path"),
        sa.Column("size_on_disk", sa.BigInteger(), nullable=False),
        sa.Column("exclude_from_latest", sa.Boolean()),
        sa.UniqueConstraint("version_key", "region_key"),
    )
    op.create_table(
        "images",
        sa.Column("key", sa.String(), primary_key=True),
        *_required("id", "name", "resource_group", "location", "os_type", "generation", "path"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("size_on_disk", sa.BigInteger(), nullable=False),
        *_required("digest", "source", "template", "run_id"),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )


def _required(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]
