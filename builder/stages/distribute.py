"""Distribute: hand the one flattened image to every target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import BuildError, CancelledError, GoldsmithError, PartialDistributionError
from builder.events import ArtifactProduced

if TYPE_CHECKING:
    from builder.distributors.base import Artifact, Distributor, FinishedImage
    from builder.stages.context import BuildContext
    from templates.model import Distributor as DistributorModel


def run(context: BuildContext, image: FinishedImage) -> list[Artifact]:
    """Serve every target, also after one failed.

    Raises BuildError when none succeeded, PartialDistributionError when some did (AIB's
    PartiallySucceeded; the message has AIB's form, aib-behaviour section 1).
    """
    artifacts: list[Artifact] = []
    failures: list[tuple[int, GoldsmithError]] = []
    pairs = list(zip(context.template.properties.distribute, context.distributors, strict=True))
    with context.stage("Distribute"):
        for number, (model, distributor) in enumerate(pairs, start=1):
            try:
                artifacts.append(_one(context, number, model, distributor, image))
            except CancelledError:
                raise
            except GoldsmithError as error:
                failures.append((number - 1, error))
        if failures:
            raise _failure(failures, len(pairs))
    return artifacts


def _one(
    context: BuildContext,
    number: int,
    model: DistributorModel,
    distributor: Distributor,
    image: FinishedImage,
) -> Artifact:
    kind = str(getattr(model, "type", ""))
    total = len(context.distributors)
    with context.step("Distribute", number, total, model.run_output_name, kind) as step:
        artifact = distributor.distribute(image)
        step.detail = artifact.artifact_id or str(artifact.path)
    context.bus.emit(
        ArtifactProduced(
            run_output=artifact.run_output,
            type=artifact.type,
            path=str(artifact.path),
            id=artifact.artifact_id,
            version=artifact.version,
            size=artifact.size,
            size_on_disk=artifact.size_on_disk,
        )
    )
    return artifact


def _failure(failures: list[tuple[int, GoldsmithError]], total: int) -> GoldsmithError:
    listed = " ".join(
        f"[Error {i}] [Distribute {number}] {error.message}" for i, (number, error) in enumerate(failures)
    )
    message = f"Failed in distributing {len(failures)} images out of total {total}: {{{listed}}}"
    kind = PartialDistributionError if len(failures) < total else BuildError
    details = tuple(line for _, error in failures for line in error.details)
    return kind(message, details=details, hint=failures[0][1].hint)
