"""Galleries and image definitions of a file, made without building anything, as ARM would deploy them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from builder.errors import NotFoundError
from builder.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.registry.store import Registry
    from templates import Document
    from templates.model.gallery import Gallery, ImageDefinition

R = TypeVar("R")
Outcome = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """One resource of a file and what became of it. `id` is its ARM id."""

    outcome: Outcome
    kind: Literal["gallery", "imageDefinition"]
    id: str


def deploy(document: Document, registry: Registry) -> list[Deployed]:
    """Make or update all of them, galleries first; a second time nothing changes.

    Raises TemplateError with every problem at its place; what comes before one is made all the same, so try
    it on a copy of the registry (`snapshot=True`) first, which is also what a dry run is.
    """
    problems = Problems(document, "")
    done: list[Deployed | None] = [
        problems.catch_at(document.pointer_of(one), partial(_gallery, registry, one))
        for one in document.galleries
    ]
    if None not in done:  # without its gallery a definition would only be an error that follows
        done += [
            problems.catch_at(document.pointer_of(one), partial(_definition, registry, one))
            for one in document.definitions
        ]
    problems.raise_if_any()
    return [one for one in done if one is not None]


def _gallery(registry: Registry, gallery: Gallery) -> Deployed:
    before = _found(registry.find_gallery, gallery.id)
    after = registry.create_gallery(gallery)
    return Deployed(_outcome(before, after), "gallery", after.id)


def _definition(registry: Registry, definition: ImageDefinition) -> Deployed:
    before = _found(registry.find_definition, definition.id)
    after = registry.create_definition(definition)
    return Deployed(_outcome(before, after), "imageDefinition", after.id)


def _outcome(before: R | None, after: R) -> Outcome:
    return "created" if before is None else "unchanged" if before == after else "updated"


def _found(find: Callable[[str], R], arm_id: str) -> R | None:
    try:
        return find(arm_id)
    except NotFoundError:
        return None
