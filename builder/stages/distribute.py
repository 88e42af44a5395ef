"""Distribute: hand the one flattened image to every target, to several of them at the same time."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from builder.background import Background
from builder.cancellation import Interrupted, deferred, shielded, stoppable
from builder.distributors.base import PublishedInPartError
from builder.errors import BuildError, CancelledError, GoldsmithError, PartialDistributionError
from builder.events import ArtifactProduced
from builder.phases import phase
from templates.arm_id import parse_gallery_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.distributors.base import Artifact, FinishedImage
    from builder.stages.context import BuildContext
    from templates.model import Distributor as DistributorModel

# How often a wait for targets looks at the build's deadline.
_LOOK_SECONDS = 1.0
# A target begins within moments; then the next may.
_BEGIN_SECONDS = 5.0


def run(context: BuildContext, image: FinishedImage) -> list[Artifact]:
    """Serve every target, also after one failed.

    Raises BuildError when none succeeded, PartialDistributionError when some did (AIB's
    PartiallySucceeded; the message has AIB's form, aib-behaviour section 1).
    """
    with context.stage("Distribute"):
        serving = _Serving(context, image)
        lanes = _lanes(context.template.properties.distribute)
        if len(lanes) > 1:
            serving.all_at_once(lanes)
        else:
            serving.lane(lanes[0] if lanes else ())
        if serving.failures:
            raise _failure(serving, len(context.distributors))
    return [artifact for _, artifact in sorted(serving.artifacts.items())]


def _lanes(models: Sequence[DistributorModel]) -> list[list[int]]:
    """Places of targets (from 0) that go one after the other; lanes go at the same time.

    Versions of one definition are numbered in the template's order, so they share a lane.
    """
    lanes: dict[str, list[int]] = {}
    for place, model in enumerate(models):
        gallery_image = getattr(model, "gallery_image_id", None)
        key = parse_gallery_image(gallery_image).definition.key if gallery_image else str(place)
        lanes.setdefault(key, []).append(place)
    return list(lanes.values())


class _Serving:
    """What became of the targets. Whatever happens at once is told in the template's order."""

    def __init__(self, context: BuildContext, image: FinishedImage) -> None:
        self.artifacts: dict[int, Artifact] = {}
        self.failures: dict[int, GoldsmithError] = {}
        self._context = context
        self._image = image
        self._lock = threading.Lock()
        self._told = 0
        self._stop = threading.Event()
        self._fatal: dict[int, BaseException] = {}

    def lane(self, places: Sequence[int], begun: threading.Event | None = None) -> None:
        """Serve these, in order. `begun` is set once the first has been announced."""
        for place in places:
            try:
                self._settle(place, self._one(place, begun or threading.Event()))
            except CancelledError:
                raise
            except PublishedInPartError as error:
                self._settle(place, error, error.artifact)
            except GoldsmithError as error:
                self._settle(place, error)

    def all_at_once(self, lanes: Sequence[Sequence[int]]) -> None:
        """Serve each lane in a thread. Raises what ended one of them other than by a failed target; the
        others stop first.
        """
        under_way: list[Background] = []
        try:
            for lane in lanes:
                begun = threading.Event()
                serving = Background(partial(self._in_thread, lane, begun), "target")
                with deferred():  # none may be under way that is not waited for
                    serving.start()
                    under_way.append(serving)
                begun.wait(_BEGIN_SECONDS)  # they are announced in the template's order
            for serving in under_way:
                while not serving.wait(self._context.deadline.remaining(_LOOK_SECONDS)):
                    pass
        except BaseException:  # a signal, or the deadline
            self._stop.set()
            with shielded():
                self._drain(under_way)
                self._tell_the_rest()
            raise
        if self._fatal:
            self._tell_the_rest()
            raise self._fatal[min(self._fatal)]

    def _in_thread(self, lane: Sequence[int], begun: threading.Event) -> None:
        try:
            with stoppable(self._stop):
                self.lane(lane, begun)
        except Interrupted:
            return  # the main thread asked for it, and says why
        except BaseException as error:  # the main thread raises it
            self._fatal[lane[0]] = error
            self._stop.set()
        finally:
            begun.set()

    def _drain(self, under_way: Sequence[Background]) -> None:
        """Each stops at its next checkpoint and takes back what it has half made."""
        end = time.monotonic() + self._context.services.settings.cleanup_timeout
        stopped = [serving.wait(max(0.0, end - time.monotonic())) for serving in under_way]
        if not all(stopped):
            self._context.bus.warn(
                "A target is still being written and was left to itself.", code="TargetLeft"
            )

    def _one(self, place: int, begun: threading.Event) -> Artifact:
        context, number = self._context, place + 1
        model = context.template.properties.distribute[place]
        name, kind = model.run_output_name, str(getattr(model, "type", ""))
        with (
            context.step("Distribute", number, len(context.distributors), name, kind) as step,
            phase(context.bus, name, where="engine", stage="Distribute", index=number),
        ):
            begun.set()
            artifact = context.distributors[place].distribute(self._image)
            step.detail = artifact.place
        return artifact

    def _settle(self, place: int, result: Artifact | GoldsmithError, in_part: Artifact | None = None) -> None:
        """Note what became of a target, and tell those artifacts that no earlier one is awaited for. A target
        that was served `in_part` is both.
        """
        with self._lock:
            if isinstance(result, GoldsmithError):
                self.failures[place] = result
                if in_part is not None:
                    self.artifacts[place] = in_part
            else:
                self.artifacts[place] = result
            while self._told in self.artifacts or self._told in self.failures:
                if self._told in self.artifacts:
                    self._context.bus.emit(_produced(self.artifacts[self._told]))
                self._told += 1

    def _tell_the_rest(self) -> None:
        """Artifacts that are there although an earlier target will never be."""
        with self._lock:
            for place in sorted(self.artifacts):
                if place >= self._told:
                    self._context.bus.emit(_produced(self.artifacts[place]))
            self._told = len(self._context.distributors)


def _produced(artifact: Artifact) -> ArtifactProduced:
    return ArtifactProduced(
        run_output=artifact.run_output,
        type=artifact.type,
        path=str(artifact.path or ""),
        uri=artifact.uri,
        id=artifact.artifact_id,
        version=artifact.version,
        size=artifact.size,
        size_on_disk=artifact.size_on_disk,
        data_disks=[str(disk) for disk in artifact.data_disks],
    )


def _failure(serving: _Serving, total: int) -> GoldsmithError:
    failures = sorted(serving.failures.items())
    listed = " ".join(
        f"[Error {i}] [Distribute {number}] {error.message}" for i, (number, error) in enumerate(failures)
    )
    message = f"Failed in distributing {len(failures)} images out of total {total}: {{{listed}}}"
    kind = PartialDistributionError if serving.artifacts else BuildError
    details = tuple(line for _, error in failures for line in error.details)
    return kind(message, details=details, hint=failures[0][1].hint)
