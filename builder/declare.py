"""Galleries and definitions declared beside a template, made as ARM would deploy them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

from builder.cancellation import deferred, shielded
from builder.errors import GoldsmithError, NotFoundError

if TYPE_CHECKING:
    from builder.registry.store import Registry
    from builder.services import Services
    from templates import Document
    from templates.model.gallery import Gallery, ImageDefinition


class CatchAt(Protocol):
    """Does something; or notes, at a JSON pointer of the document, why it could not be done: None."""

    def __call__(self, pointer: str, action: Callable[[], bool], /) -> bool | None:
        """`action()` or None."""


def declare(document: Document, services: Services, undo: ExitStack, catch_at: CatchAt) -> bool:
    """Make or update all of them; False when one could not be.

    What was not there before goes again when `undo` is unwound, unless another build uses it by then.
    """
    fine = True
    for gallery in document.galleries:
        action = partial(_gallery, gallery, services, undo)
        fine = bool(catch_at(document.pointer_of(gallery), action)) and fine
    if not fine:  # without its gallery a definition would only be an error that follows
        return False
    for definition in document.definitions:
        action = partial(_definition, definition, services, undo)
        fine = bool(catch_at(document.pointer_of(definition), action)) and fine
    return fine


def _gallery(gallery: Gallery, services: Services, undo: ExitStack) -> bool:
    registry: Registry = services.registry
    with deferred():
        new = not _there(registry.find_gallery, gallery.id)
        registry.create_gallery(gallery)
        if new:
            undo.callback(_forget, registry.delete_gallery, gallery.id)
    return True


def _definition(definition: ImageDefinition, services: Services, undo: ExitStack) -> bool:
    registry: Registry = services.registry
    with deferred():
        new = not _there(registry.find_definition, definition.id)
        registry.create_definition(definition)
        if new:
            undo.callback(_forget, registry.delete_definition, definition.id)
    return True


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
