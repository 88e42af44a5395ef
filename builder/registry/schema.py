"""The tables of the registry. ARM ids are keys in lower case beside the spelling given.

A change here needs a migration (`migrations/versions/`); a test compares what both of them make.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, UniqueConstraint, false, true
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC times as ISO 8601 text: SQLite itself forgets the zone."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To the database."""
        return value.astimezone(UTC).isoformat(timespec="microseconds") if value else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        """From the database."""
        return datetime.fromisoformat(value) if value else None


class Base(DeclarativeBase):
    """Common ground of the tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        datetime: UtcDateTime,
        dict[str, str]: JSON,
        dict[str, Any]: JSON,
        list[dict[str, Any]]: JSON,
    }


class MetaRow(Base):
    """Facts about the registry itself. `format` is for a Goldsmith from before migrations, which refuses
    what is newer than itself by it.
    """

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class GalleryRow(Base):
    """A gallery."""

    __tablename__ = "galleries"
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    name: Mapped[str]
    # Azure: unique in a subscription. Here in the home, since it names folders.
    name_key: Mapped[str] = mapped_column(unique=True)
    resource_group: Mapped[str]
    location: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(default="", server_default="")
    definitions: Mapped[list[DefinitionRow]] = relationship(back_populates="gallery")


class DefinitionRow(Base):
    """An image definition; the identifier triple is unique in its gallery."""

    __tablename__ = "definitions"
    __table_args__ = (UniqueConstraint("gallery_key", "triple"),)
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    name: Mapped[str]
    gallery_key: Mapped[str] = mapped_column(ForeignKey("galleries.key"))
    location: Mapped[str]
    os_type: Mapped[str]
    os_state: Mapped[str]
    generation: Mapped[str]
    architecture: Mapped[str]
    publisher: Mapped[str]
    offer: Mapped[str]
    sku: Mapped[str]
    triple: Mapped[str]
    features: Mapped[list[dict[str, Any]]]
    description: Mapped[str] = mapped_column(default="")
    end_of_life: Mapped[str | None]
    plan: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    eula: Mapped[str] = mapped_column(default="", server_default="")
    privacy_statement_uri: Mapped[str] = mapped_column(default="", server_default="")
    release_note_uri: Mapped[str] = mapped_column(default="", server_default="")
    # ARM's own objects: {"vCPUs": {"min": 1, "max": 4}, "memory": {...}} and {"diskTypes": [...]}.
    recommended: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    disallowed: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    tags: Mapped[dict[str, str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(default="", server_default="")
    gallery: Mapped[GalleryRow] = relationship(back_populates="definitions", lazy="joined")


class VersionRow(Base):
    """An image version. While `state` is Creating, `owner` is the process that holds the number, on the
    machine `host`.
    """

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("definition_key", "major", "minor", "patch"),
        Index("versions_by_state", "state"),
        Index("versions_by_parent", "parent_key"),
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    definition_key: Mapped[str] = mapped_column(ForeignKey("definitions.key"))
    major: Mapped[int]
    minor: Mapped[int]
    patch: Mapped[int]
    state: Mapped[str]
    owner: Mapped[str]
    host: Mapped[str] = mapped_column(default="", server_default="")
    run_id: Mapped[str]
    exclude_from_latest: Mapped[bool] = mapped_column(default=False)
    replication_mode: Mapped[str] = mapped_column(default="Full")
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    digest: Mapped[str] = mapped_column(default="")
    source: Mapped[str] = mapped_column(default="")
    template: Mapped[str] = mapped_column(default="")
    end_of_life: Mapped[str | None]
    block_deletion_before_end_of_life: Mapped[bool] = mapped_column(default=False, server_default=false())
    # What it was made from: the key of a gallery version or managed image, "" for anything else.
    parent_key: Mapped[str] = mapped_column(default="", server_default="")
    # What `builder/lineage.py` makes: source, template, templateDigest, layers, inputs, goldsmith.
    lineage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str] = mapped_column(default="", server_default="")
    revoked_reason: Mapped[str] = mapped_column(default="", server_default="")
    tags: Mapped[dict[str, str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(default="", server_default="")
    published_at: Mapped[datetime | None]
    definition: Mapped[DefinitionRow] = relationship(lazy="joined")
    replicas: Mapped[list[ReplicaRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="ReplicaRow.id"
    )


class ReplicaRow(Base):
    """A version in one of its regions. It is `usable` there as soon as its first copy is complete."""

    __tablename__ = "replicas"
    __table_args__ = (UniqueConstraint("version_key", "region_key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    version_key: Mapped[str] = mapped_column(ForeignKey("versions.key", ondelete="CASCADE"))
    region: Mapped[str]
    region_key: Mapped[str]
    count: Mapped[int]
    storage_account_type: Mapped[str]
    path: Mapped[str]
    size_on_disk: Mapped[int] = mapped_column(BigInteger)
    exclude_from_latest: Mapped[bool | None]
    # Azure's replicationStatus: Unknown, Replicating, Completed, Failed.
    state: Mapped[str] = mapped_column(default="Completed", server_default="Completed")
    usable: Mapped[bool] = mapped_column(default=True, server_default=true())
    data_disks: Mapped[list[DataDiskRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="DataDiskRow.lun"
    )
    copies: Mapped[list[CopyRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="CopyRow.number"
    )


class CopyRow(Base):
    """One replica of a version in a region, numbered from 1. `ReplicaRow.path` is a complete one's."""

    __tablename__ = "copies"
    __table_args__ = (UniqueConstraint("replica_id", "number"), Index("copies_by_state", "state"))
    id: Mapped[int] = mapped_column(primary_key=True)
    replica_id: Mapped[int] = mapped_column(ForeignKey("replicas.id", ondelete="CASCADE"))
    number: Mapped[int]
    # Where its OS disk is: a path (in the home relative to it) or a URL; data disks lie beside it.
    location: Mapped[str]
    # Pending, Replicating, Completed, Failed.
    state: Mapped[str]
    # Bytes of data of all its disks.
    bytes_done: Mapped[int] = mapped_column(BigInteger)
    bytes_total: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(default="")
    # While Replicating: the process that copies.
    owner: Mapped[str] = mapped_column(default="")
    host: Mapped[str] = mapped_column(default="")
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    verified_at: Mapped[datetime | None]


class ChannelRow(Base):
    """A named pointer to a version of a definition, such as `prod`."""

    __tablename__ = "channels"
    __table_args__ = (UniqueConstraint("definition_key", "name_key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    definition_key: Mapped[str] = mapped_column(ForeignKey("definitions.key", ondelete="CASCADE"))
    name: Mapped[str]
    name_key: Mapped[str]
    version_key: Mapped[str] = mapped_column(ForeignKey("versions.key"))
    moved_at: Mapped[datetime]
    moved_by: Mapped[str]
    version: Mapped[VersionRow] = relationship(lazy="joined")


class ChannelMoveRow(Base):
    """One move of a channel: where it pointed before and afterwards, as numbers, "" for nowhere. It stays
    when the channel or a version goes.
    """

    __tablename__ = "channel_moves"
    __table_args__ = (Index("channel_moves_by_channel", "definition_key", "name_key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    definition_key: Mapped[str] = mapped_column(ForeignKey("definitions.key", ondelete="CASCADE"))
    name_key: Mapped[str]
    # set, undo, remove
    deed: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    forced: Mapped[bool]
    run_id: Mapped[str]
    at: Mapped[datetime]
    by: Mapped[str]


class ImageRow(Base):
    """A managed image."""

    __tablename__ = "images"
    __table_args__ = (Index("images_by_parent", "parent_key"),)
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    name: Mapped[str]
    resource_group: Mapped[str]
    location: Mapped[str]
    os_type: Mapped[str]
    generation: Mapped[str]
    path: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    size_on_disk: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str]
    source: Mapped[str]
    template: Mapped[str]
    run_id: Mapped[str]
    os_state: Mapped[str] = mapped_column(default="Generalized", server_default="Generalized")
    parent_key: Mapped[str] = mapped_column(default="", server_default="")
    lineage: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    plan: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    tags: Mapped[dict[str, str]]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(default="", server_default="")
    data_disks: Mapped[list[DataDiskRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="DataDiskRow.lun"
    )


class DataDiskRow(Base):
    """A data disk of a managed image or of a version in a region."""

    __tablename__ = "data_disks"
    __table_args__ = (UniqueConstraint("image_key", "lun"), UniqueConstraint("replica_id", "lun"))
    id: Mapped[int] = mapped_column(primary_key=True)
    image_key: Mapped[str | None] = mapped_column(ForeignKey("images.key", ondelete="CASCADE"))
    replica_id: Mapped[int | None] = mapped_column(ForeignKey("replicas.id", ondelete="CASCADE"))
    lun: Mapped[int]
    path: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    size_on_disk: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str]


class RoleAssignmentRow(Base):
    """A role that somebody has at a scope and below it."""

    __tablename__ = "role_assignments"
    __table_args__ = (UniqueConstraint("scope_key", "principal_type", "principal_key", "role"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    # "/" for everything, else the ARM id of a resource group, gallery, definition, version or managed image.
    scope: Mapped[str]
    scope_key: Mapped[str]
    # User, Group, ServicePrincipal.
    principal_type: Mapped[str]
    principal: Mapped[str]
    principal_key: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[str]


class AuditRow(Base):
    """What somebody did, or was not allowed to do."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_time", "at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    caller: Mapped[str]
    # As Azure names it: Microsoft.Compute/galleries/images/versions/write.
    action: Mapped[str]
    scope: Mapped[str]
    scope_key: Mapped[str]
    # Allowed or Denied.
    outcome: Mapped[str]
    details: Mapped[str] = mapped_column(default="")


class ScheduleRow(Base):
    """A template that is built by itself; see `builder.schedule.record.Schedule`."""

    __tablename__ = "schedules"
    key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    template: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    # cron, every or source, with its expression or duration; zone is of cron.
    kind: Mapped[str]
    spec: Mapped[str]
    zone: Mapped[str]
    jitter: Mapped[int]
    on_change: Mapped[bool]
    host: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    handled_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    deactivated_at: Mapped[datetime | None]
    reason: Mapped[str]
    failures: Mapped[int]
    not_before: Mapped[datetime | None]
    run_id: Mapped[str]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str]
    message: Mapped[str]
    source: Mapped[str]
    source_version: Mapped[str]
    # While it is built: the process that does it.
    owner: Mapped[str]
