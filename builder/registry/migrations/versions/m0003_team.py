"""What a team shares: replicas one by one, channels, ancestry, roles, the audit; all properties of a
definition and a version: format 3.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TIME = sa.String(32)


def upgrade() -> None:
    """Add columns and tables."""
    _add("galleries", _text("created_by"))
    _add("definitions", *map(_text, ("eula", "privacy_statement_uri", "release_note_uri", "created_by")))
    _add("definitions", sa.Column("recommended", sa.JSON()), sa.Column("disallowed", sa.JSON()))
    _add("versions", *map(_text, ("host", "parent_key", "revoked_by", "revoked_reason", "created_by")))
    _add(
        "versions",
        sa.Column("end_of_life", sa.String()),
        sa.Column(
            "block_deletion_before_end_of_life", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
        sa.Column("lineage", sa.JSON()),
        sa.Column("revoked_at", _TIME),
    )
    op.create_index("versions_by_parent", "versions", ["parent_key"])
    _add("images", _text("os_state", "Generalized"), _text("parent_key"), _text("created_by"))
    _add("images", sa.Column("lineage", sa.JSON()), sa.Column("plan", sa.JSON()))
    op.create_index("images_by_parent", "images", ["parent_key"])
    _add("replicas", _text("state", "Completed"))
    _add("replicas", sa.Column("usable", sa.Boolean(), server_default=sa.true(), nullable=False))
    _copies()
    _channels()
    _access()
    op.execute("UPDATE meta SET value = '3' WHERE key = 'format'")


def _copies() -> None:
    op.create_table(
        "copies",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "replica_id", sa.Integer(), sa.ForeignKey("replicas.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        *_required("location", "state"),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("bytes_total", sa.BigInteger(), nullable=False),
        *_required("error", "owner", "host"),
        *(sa.Column(name, _TIME) for name in ("started_at", "completed_at", "verified_at")),
        sa.UniqueConstraint("replica_id", "number"),
    )
    op.create_index("copies_by_state", "copies", ["state"])
    # Until now one file served all replicas of a region: it is the first, the others are yet to be made.
    op.execute(
        "INSERT INTO copies "
        "(replica_id, number, location, state, bytes_done, bytes_total, error, owner, host) "
        "SELECT id, 1, path, 'Completed', size_on_disk, size_on_disk, '', '', '' FROM replicas"
    )
    op.execute("UPDATE replicas SET state = 'Replicating' WHERE count > 1")


def _channels() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "definition_key",
            sa.String(),
            sa.ForeignKey("definitions.key", ondelete="CASCADE"),
            nullable=False,
        ),
        *_required("name", "name_key"),
        sa.Column("version_key", sa.String(), sa.ForeignKey("versions.key"), nullable=False),
        sa.Column("moved_at", _TIME, nullable=False),
        *_required("moved_by"),
        sa.UniqueConstraint("definition_key", "name_key"),
    )
    op.create_table(
        "channel_moves",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "definition_key",
            sa.String(),
            sa.ForeignKey("definitions.key", ondelete="CASCADE"),
            nullable=False,
        ),
        *_required("name_key", "deed", "before", "after"),
        sa.Column("forced", sa.Boolean(), nullable=False),
        *_required("run_id"),
        sa.Column("at", _TIME, nullable=False),
        *_required("by"),
    )
    op.create_index("channel_moves_by_channel", "channel_moves", ["definition_key", "name_key"])


def _access() -> None:
    op.create_table(
        "role_assignments",
        sa.Column("id", sa.String(), primary_key=True),
        *_required("scope", "scope_key", "principal_type", "principal", "principal_key", "role"),
        sa.Column("created_at", _TIME, nullable=False),
        *_required("created_by"),
        sa.UniqueConstraint("scope_key", "principal_type", "principal_key", "role"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        *_required("caller", "action", "scope", "scope_key", "outcome", "details"),
    )
    op.create_index("audit_by_time", "audit", ["at"])


def _add(table: str, *columns: sa.Column[str]) -> None:
    for column in columns:
        op.add_column(table, column)


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(), server_default=default, nullable=False)


def _required(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(), nullable=False) for name in names]
