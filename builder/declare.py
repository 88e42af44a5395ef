"""Galleries and definitions declared beside a template, made as ARM would deploy them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from builder.cancellation import deferred, shielded
from builder.changes import Change
from builder.errors import GoldsmithError, NotFoundError

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.services import Services
    from templates import Document
    from templates.model.gallery import Gallery, ImageDefinition


class CatchAt(Protocol):
    """Does something; or notes, at a JSON pointer of the document, why it could not be done: None."""

    def __call__(self, pointer: str, action: Callable[[], Change], /) -> Change | None:
        """`action()` or None."""


def declare(
    document: Document, services: Services, undo: ExitStack, catch_at: CatchAt
) -> list[Change] | None:
    """Make or update all of them, and say what was done; None when one could not be.

    What was not there before goes again when `undo` is unwound, unless another build uses it by then.
    """
    galleries = [
        catch_at(document.pointer_of(one), partial(_gallery, one, services, undo))
        for one in document.galleries
    ]
    if None in galleries:  # without its gallery a definition would only be an error that follows
        return None
    definitions = [
        catch_at(document.pointer_of(one), partial(_definition, one, services, undo))
        for one in document.definitions
    ]
    done = [change for change in (*galleries, *definitions) if change is not None]
    return None if None in definitions else done


def _gallery(gallery: Gallery, services: Services, undo: ExitStack) -> Change:
    registry: Registry = services.registry
    with deferred():
        new = not _there(registry.find_gallery, gallery.id)
        registry.create_gallery(gallery)
        if new:
            undo.callback(_forget, registry.delete_gallery, gallery.id)
    return Change("create" if new else "update", "gallery", gallery.id)


def _definition(definition: ImageDefinition, services: Services, undo: ExitStack) -> Change:
    registry: Registry = services.registry
    with deferred():
        new = not _there(registry.find_definition, definition.id)
        registry.create_definition(definition)
        if new:
            undo.callback(_forget, registry.delete_definition, definition.id)
    return Change("create" if new else "update", "imageDefinition", definition.id)


def _there(find: Callable[[str], object], arm_id: str) -> bool:
    try:
        find(arm_id)
    except NotFoundError:
        return False
    return True


def _forget(delete: Callable[[str], object], arm_id: str) -> None:
    """Best effort: the error under way matters more, and one that is in use stays."""
    with shielded(), suppress(GoldsmithError):
        delete(arm_id)
