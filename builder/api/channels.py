"""`build gallery channel` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.api.verbs import Verbs
from builder.registry import lookup

if TYPE_CHECKING:
    from builder.registry.records import ChannelMove, ChannelRecord


class Channels(Verbs):
    """Named pointers to versions of a definition (docs/ancestry.md)."""

    def set(self, definition: str, name: str, version: str, *, force: bool = False) -> ChannelRecord:
        """Make it point to a number of the definition; backwards only with `force`. Raises NotFoundError,
        BadNameError, ConflictError.
        """
        return self._registry.set_channel(self._id(definition), name, version, force=force)

    def list(self, definition: str | None = None) -> list[ChannelRecord]:
        """Those of a definition, or all."""
        return self._registry.list_channels(None if definition is None else self._id(definition))

    def show(self, definition: str, name: str) -> ChannelRecord:
        """One of them. Raises NotFoundError."""
        return self._registry.find_channel(self._id(definition), name)

    def history(self, definition: str, name: str) -> tuple[ChannelMove, ...]:
        """Its moves, the newest first. Raises NotFoundError."""
        return tuple(self._registry.channel_history(self._id(definition), name))

    def undo(self, definition: str, name: str) -> ChannelRecord:
        """Go back to where it pointed before. Raises NotFoundError, ConflictError."""
        return self._registry.undo_channel(self._id(definition), name)

    def remove(self, definition: str, name: str) -> ChannelRecord:
        """Forget it; its version stays. Raises NotFoundError."""
        return self._registry.remove_channel(self._id(definition), name)

    def _id(self, definition: str) -> str:
        return lookup.definition_id(self._registry, definition)
