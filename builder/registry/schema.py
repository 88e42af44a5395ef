"""The tables of the registry (format 2). ARM ids are keys in lower case beside the spelling given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
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
        list[dict[str, Any]]: JSON,
    }


class MetaRow(Base):
    """Facts about the registry itself: its format."""

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
    tags: Mapped[dict[str, str]]
    created_at: Mapped[datetime]
    gallery: Mapped[GalleryRow] = relationship(back_populates="definitions", lazy="joined")


class VersionRow(Base):
    """An image version. While `state` is Creating, `owner` is the process that holds the number."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("definition_key", "major", "minor", "patch"),
        Index("versions_by_state", "state"),
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    definition_key: Mapped[str] = mapped_column(ForeignKey("definitions.key"))
    major: Mapped[int]
    minor: Mapped[int]
    patch: Mapped[int]
    state: Mapped[str]
    owner: Mapped[str]
    run_id: Mapped[str]
    exclude_from_latest: Mapped[bool] = mapped_column(default=False)
    replication_mode: Mapped[str] = mapped_column(default="Full")
    size: Mapped[int] = mapped_column(default=0)
    digest: Mapped[str] = mapped_column(default="")
    source: Mapped[str] = mapped_column(default="")
    template: Mapped[str] = mapped_column(default="")
    tags: Mapped[dict[str, str]]
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    definition: Mapped[DefinitionRow] = relationship(lazy="joined")
    replicas: Mapped[list[ReplicaRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="ReplicaRow.id"
    )


class ReplicaRow(Base):
    """A version's copy in one region."""

    __tablename__ = "replicas"
    __table_args__ = (UniqueConstraint("version_key", "region_key"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    version_key: Mapped[str] = mapped_column(ForeignKey("versions.key", ondelete="CASCADE"))
    region: Mapped[str]
    region_key: Mapped[str]
    count: Mapped[int]
    storage_account_type: Mapped[str]
    path: Mapped[str]
    size_on_disk: Mapped[int]
    exclude_from_latest: Mapped[bool | None]
    data_disks: Mapped[list[DataDiskRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="DataDiskRow.lun"
    )


class ImageRow(Base):
    """A managed image."""

    __tablename__ = "images"
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str]
    name: Mapped[str]
    resource_group: Mapped[str]
    location: Mapped[str]
    os_type: Mapped[str]
    generation: Mapped[str]
    path: Mapped[str]
    size: Mapped[int]
    size_on_disk: Mapped[int]
    digest: Mapped[str]
    source: Mapped[str]
    template: Mapped[str]
    run_id: Mapped[str]
    tags: Mapped[dict[str, str]]
    created_at: Mapped[datetime]
    data_disks: Mapped[list[DataDiskRow]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="DataDiskRow.lun"
    )


class DataDiskRow(Base):
    """A data disk of a managed image or of a version's copy (since format 2)."""

    __tablename__ = "data_disks"
    __table_args__ = (UniqueConstraint("image_key", "lun"), UniqueConstraint("replica_id", "lun"))
    id: Mapped[int] = mapped_column(primary_key=True)
    image_key: Mapped[str | None] = mapped_column(ForeignKey("images.key", ondelete="CASCADE"))
    replica_id: Mapped[int | None] = mapped_column(ForeignKey("replicas.id", ondelete="CASCADE"))
    lun: Mapped[int]
    path: Mapped[str]
    size: Mapped[int]
    size_on_disk: Mapped[int]
    digest: Mapped[str]
