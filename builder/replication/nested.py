"""Deleting a gallery or an image definition with all that is in it: versions and their files first."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from builder.errors import NotFoundError
from builder.registry.publishing import refuse_blocked
from builder.replication.removal import delete_version

if TYPE_CHECKING:
    from builder.registry.records import VersionRecord
    from builder.registry.store import Registry
    from builder.replication.place import Places


class Nested:
    """What would go with a gallery or definition. It is looked at first, so that what cannot be deleted is
    said before anything is gone.
    """

    def __init__(self, registry: Registry, places: Places, arm_id: str) -> None:
        """`arm_id` is that of a gallery or of a definition. Raises NotFoundError."""
        self._registry, self._places = registry, places
        self._is_gallery = arm_id.count("/") == _GALLERY_SLASHES
        if self._is_gallery:
            self._id = registry.find_gallery(arm_id).id
            self.definitions = registry.list_definitions(self._id)
        else:
            self.definitions = [registry.find_definition(arm_id)]
            self._id = self.definitions[0].id
        self.versions = [one for each in self.definitions for one in registry.list_versions(each.id)]

    def delete(self) -> tuple[list[str], list[str]]:
        """Delete it all: the ids of what went, in that order, and files that stay because their region cannot
        be reached. Raises ConflictError for a version that is being made or kept until its end of life, and
        AuthorizationError, before anything is gone, for what the caller may not delete.

        Not one transaction: who is stopped in between, or meets another one at it, says it once more.
        """
        self._require_access()
        for version in self.versions:
            refuse_blocked(version)
        gone: list[str] = []
        left: list[str] = []
        # What is being made first: when a build does run, nothing is gone yet.
        for version in sorted(self.versions, key=_is_made):
            with suppress(NotFoundError):  # somebody else deletes it all, too
                deleted, stays = delete_version(self._registry, self._places, version.id, force=True)
                gone.append(deleted.id)
                left += stays
        for definition in self.definitions:
            with suppress(NotFoundError):
                gone.append(self._registry.delete_definition(definition.id).id)
        if self._is_gallery:
            with suppress(NotFoundError):
                gone.append(self._registry.delete_gallery(self._id).id)
        return gone, left

    def _require_access(self) -> None:
        if self._is_gallery:
            self._registry.require_access("galleries/delete", self._id)
        for definition in self.definitions:
            self._registry.require_access("galleries/images/delete", definition.id)

    def __str__(self) -> str:
        """What it is, for people: "2 image definitions and 5 versions"."""
        parts = [_count(len(self.definitions), "image definition")] if self._is_gallery else []
        return " and ".join([*parts, _count(len(self.versions), "version")])


# /subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/NAME
_GALLERY_SLASHES = 8


def _is_made(version: VersionRecord) -> bool:
    return version.state == "Succeeded"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
