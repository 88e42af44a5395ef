"""Whether a template can be built again and again: rules of AIB's triggers (aib-behaviour, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from builder.errors import PreflightError, UsageError
from templates.arm_id import parse_gallery_image, parse_image_version
from templates.model.distribute import SharedImageDistributor
from templates.model.source import IsoSource, PlatformImageSource, SharedImageVersionSource

if TYPE_CHECKING:
    from builder.jobs import Job


def check_repeatable(jobs: Sequence[Job]) -> None:
    """Raises PreflightError for a target whose second version could not be made."""
    for job in jobs:
        for target in job.template.properties.distribute:
            if not isinstance(target, SharedImageDistributor):
                continue
            version = parse_gallery_image(target.gallery_image_id).version
            if version is not None:
                raise PreflightError(
                    f"The target '{target.run_output_name}' of '{job.template.name}' names version "
                    f"{version}, which can be made once only.",
                    hint="Leave /versions/... out of galleryImageId: each build gets the next number.",
                )


def check_source_trigger(jobs: Sequence[Job]) -> None:
    """Raises PreflightError for a source that never has something newer."""
    for job in jobs:
        source = job.template.properties.source
        version = ""
        if isinstance(source, PlatformImageSource):
            version = source.version
        elif isinstance(source, SharedImageVersionSource):
            version = parse_image_version(source.image_version_id).version or ""
        elif isinstance(source, IsoSource):
            version = "of the medium whose checksum it names"
        if version and version.casefold() != "latest":
            raise PreflightError(
                f"The source of '{job.template.name}' is fixed to version {version}: "
                "it never has something newer.",
                hint="Name version latest in the template, or schedule it by --cron or --every.",
            )


def check_keep_last(jobs: Sequence[Job]) -> None:
    """Raises UsageError when no target makes versions, of which some could be kept."""
    targets = [target for job in jobs for target in job.template.properties.distribute]
    if not any(isinstance(target, SharedImageDistributor) for target in targets):
        raise UsageError(
            "--keep-last is about versions of image definitions, and no target is of type SharedImage.",
            hint="Leave it out: a VHD or a managed image replaces the one of before.",
        )
