"""SharedImageVersion: start from a gallery version that an earlier build distributed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from builder.errors import NotFoundError, PreflightError
from builder.registry.fits import needs_guest_state, security_type
from builder.services import Services
from builder.sources.base import ResolvedSource, SourceDisk, usual_devices
from builder.sources.registered import (
    identity_of,
    open_vhd,
    sizes_of,
    with_data_disks,
    with_known,
)
from builder.sources.replica import ReplicaFiles, bring, choose
from templates.arm_id import parse_image_version
from templates.model.source import SharedImageVersionSource

if TYPE_CHECKING:
    from builder.registry.records import DefinitionRecord, VersionRecord


class GalleryVersionSource:
    """Starts from `source.imageVersionId` in the local registry; `latest`, or the channel that
    `x-goldsmith` names, is resolved here, once.
    """

    def __init__(self, model: SharedImageVersionSource, services: Services) -> None:
        self._model = model
        self._services = services

    def resolve(self) -> ResolvedSource:
        """Find the exact version and its file. Raises NotFoundError, PreflightError."""
        record = self._record
        return ResolvedSource(
            identity=self._identity,
            description=record.id,
            os_type=record.os_type,
            generation=record.generation,
            exact_version=record.id,
            version_number=record.version,
            size=record.size,
            cached=self._files.is_here,
            means="" if self._files.is_here else f"download from {self._files.location}",
            devices=usual_devices(record.os_type),
            data_disks=sizes_of(self._files.data_disks),
            plan=self._definition.plan,
            parent=record.id,
            origin=self._origin(record),
        )

    def prepare(self) -> SourceDisk:
        """Open the version's VHD. Raises NotFoundError, VhdError."""
        files = bring(self._files, self._record, self._identity, self._services)
        disk = open_vhd(files.path, self._what, self._identity, self._services)
        return with_data_disks(disk, files.data_disks, self._what, self._services)

    @property
    def _identity(self) -> str:
        record = self._record
        return identity_of(record.digest, record.id, record.created_at.isoformat())

    def _origin(self, record: VersionRecord) -> dict[str, str]:
        channel = self._model.extensions.channel
        found = {"id": record.id, "version": record.version, "digest": self._identity}
        return {"type": self._model.type, **found, **({"channel": channel} if channel else {})}

    @property
    def _what(self) -> str:
        return f"the gallery version {self._record.id}"

    @cached_property
    def _files(self) -> ReplicaFiles:
        return choose(self._record, self._services)

    @cached_property
    def _record(self) -> VersionRecord:
        definition_id = str(parse_image_version(self._model.image_version_id).definition)
        try:
            definition = self._definition
            record = self._find(definition_id)
        except NotFoundError as error:
            raise with_known(error, *self._known(definition_id)) from error
        if record.os_state != "Generalized":
            raise PreflightError(
                f"{record.id} is {record.os_state.lower()}; only generalized images can be a source.",
                hint="Distribute to a definition whose osState is Generalized.",
            )
        if needs_guest_state(definition):
            raise PreflightError(
                f"{record.id} is of a machine with a virtual TPM (SecurityType {security_type(definition)}); "
                "none is built here.",
                hint="Start from an image whose definition has SecurityType TrustedLaunchSupported or none.",
            )
        if definition.architecture.casefold() != "x64":
            raise PreflightError(
                f"{record.id} is an {definition.architecture} image; only x64 can be built here."
            )
        return record

    @cached_property
    def _definition(self) -> DefinitionRecord:
        named = parse_image_version(self._model.image_version_id).definition
        return self._services.registry.find_definition(str(named))

    def _find(self, definition_id: str) -> VersionRecord:
        channel = self._model.extensions.channel
        if channel is None:
            return self._services.registry.find_version(self._model.image_version_id)
        return self._services.registry.channel_version(definition_id, channel)

    def _known(self, definition_id: str) -> tuple[str, list[str]]:
        registry = self._services.registry
        versions = [version.version for version in registry.list_versions(definition_id)]
        if versions:
            return "version", versions
        return "definition", [definition.label for definition in registry.list_definitions()]
