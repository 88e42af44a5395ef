"""A finished image of an earlier build: taken instead of making it again, and put away for the next one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from builder.disk.extents import link_or_copy
from builder.disk.vhd import VhdError, check_fixed_vhd
from builder.phases import phase
from builder.plan import step_name
from builder.stages import generalize

if TYPE_CHECKING:
    from builder.distributors.base import FinishedImage
    from builder.stages.context import BuildContext
    from builder.stages.generalize import Generalized


def reuse(context: BuildContext) -> FinishedImage | None:
    """The image the plan found in the cache, in the workspace; None when it went meanwhile."""
    layer = context.route.image
    if layer is None:
        return None
    path = context.workspace.file(generalize.IMAGE)
    try:
        with phase(context.bus, "Take the finished image", where="engine", stage="Generalize"):
            link_or_copy(layer.vhd, path)
            size = check_fixed_vhd(path).virtual_size
    except (OSError, VhdError):
        path.unlink(missing_ok=True)
        return None
    context.cache.finished.used(layer)
    with context.stage("Customize"):
        total = len(context.customizers)
        for number, step in enumerate(context.customizers, start=1):
            kind, why = str(getattr(step.model, "type", "")), context.route.reasons[0]
            context.cached_step("Customize", number, total, step_name(step.model, number), kind, why)
    with context.stage("Generalize"):
        context.cached_step("Generalize", 1, 1, "Deprovision and prove", "", layer.meta.proof)
    return generalize.finished(context, path, size, lambda: layer.meta.digest, reused=True)


def validated(context: BuildContext) -> bool:
    """Whether the image taken from the cache passed this template's validations before."""
    layer = context.route.image
    if layer is None or not context.validators or context.validation_id not in layer.meta.validated:
        return False
    with context.stage("Validate"):
        total = len(context.validators)
        for number, step in enumerate(context.validators, start=1):
            kind = str(getattr(step.model, "type", ""))
            context.cached_step(
                "Validate", number, total, step_name(step.model, number), kind, "this image passed it before"
            )
    return True


@contextmanager
def put_away(context: BuildContext, made: Generalized, frozen: tuple[float, ...]) -> Iterator[None]:
    """Keep the image for a build in which only targets or validations change, beside what happens inside.
    A full disk costs only that.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="finished") as pool:
        keeping = pool.submit(_put_away, context, made, frozen)
        yield
        keeping.result()


def _put_away(context: BuildContext, made: Generalized, frozen: tuple[float, ...]) -> None:
    route, image = context.route, made.image
    if not route.links or not context.cache.budget or not route.storable(len(route.links) - 1):
        return
    if len(frozen) != len(route.links):  # a layer is missing: nobody could tell its age
        return
    facts = {
        "template": context.template.name,
        "source": context.source.identity,
        "os_type": image.os_type,
        "generation": image.generation,
        "virtual_size": image.virtual_size,
        "digest": image.digest,
        "proof": made.proof,
        "frozen": frozen,
    }
    try:
        context.cache.finished.add(image.vhd, facts, route.image_id, context.workspace.file("finished"))
        context.cache.trim()
    except OSError as error:
        context.bus.warn(f"The finished image was not kept: {error.strerror or error}.", code="LayerNotKept")


def passed(context: BuildContext, image: FinishedImage) -> None:
    """The image passed the template's validations; the next build need not ask again. Another build may
    have put another image in its place meanwhile.
    """
    layer = context.cache.finished.find(context.route.image_id)
    if layer is not None and context.validation_id and layer.meta.digest == image.digest:
        context.cache.finished.passed(layer, context.validation_id)
