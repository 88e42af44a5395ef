"""Schedules: format 4."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TIME = sa.String(32)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "schedules",
        sa.Column("key", sa.String(), primary_key=True),
        *_required("name", "template"),
        sa.Column("arguments", sa.JSON(), nullable=False),
        *_required("kind", "spec", "zone"),
        sa.Column("jitter", sa.Integer(), nullable=False),
        sa.Column("on_change", sa.Boolean(), nullable=False),
        *_required("host"),
        sa.Column("created_at", _TIME, nullable=False),
        *_required("created_by"),
        sa.Column("handled_at", _TIME, nullable=False),
        *(sa.Column(name, _TIME) for name in ("paused_at", "deactivated_at")),
        *_required("reason"),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("not_before", _TIME),
        *_required("run_id"),
        *(sa.Column(name, _TIME) for name in ("started_at", "ended_at")),
        *_required("outcome", "message", "source", "source_version", "owner"),
    )
    op.execute("UPDATE meta SET value = '4' WHERE key = 'format'")


def _required(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]
