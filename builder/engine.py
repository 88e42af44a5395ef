"""Executes a build: owns the deadline, cancellation and the order of the stages."""

from __future__ import annotations

import errno
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from builder.cancellation import Interrupted, cancel_on_signals
from builder.errors import CancelledError, EnvironmentProblem, PartialDistributionError
from builder.events import RunFinished, RunStarted
from builder.layers.route import Wishes
from builder.preflight import check_disk_size
from builder.routing import step_number
from builder.stages import customize, distribute, finished, gate, generalize, source, validate
from builder.stages.context import BuildContext, OnError, outcome_of, timeouts_of
from builder.stages.failure import collected
from builder.stages.workpiece import Workpiece
from builder.submit import submit
from builder.ui.failure import error_to_dict
from builder.workspace import Workspace
from templates.errors import ExitCode, GoldsmithError

if TYPE_CHECKING:
    from builder.distributors.base import FinishedImage
    from builder.runs import RunDirectory
    from builder.services import Services
    from builder.sources.base import ImageSource, SourceDisk
    from builder.stages.generalize import Generalized
    from templates import Document
    from templates.model import ImageTemplate

RunState = Literal["Succeeded", "PartiallySucceeded", "Failed", "Canceled"]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What the command line adds to the template."""

    on_error: OnError | None = None
    wait: bool = False
    no_cache: bool = False
    from_step: str | None = None
    wait_for_replicas: bool = True


@dataclass(frozen=True, slots=True)
class BuildResult:
    """How a build ended. `error` is None when it succeeded."""

    run_id: str
    state: RunState
    exit_code: ExitCode
    error: GoldsmithError | None = None


def build(
    document: Document, template: ImageTemplate, services: Services, run: RunDirectory, options: BuildOptions
) -> BuildResult:
    """Build one template from start to end; every outcome is recorded, none is raised.

    An unexpected exception (our bug) is recorded and raised again.
    """
    start = time.monotonic()
    error: GoldsmithError | None = None
    try:
        with cancel_on_signals():
            _guarded(document, template, services, run, options)
    except GoldsmithError as problem:
        error = problem
    except (Interrupted, KeyboardInterrupt) as problem:
        error = CancelledError(f"Cancelled by {getattr(problem, 'signal_name', 'SIGINT')}.")
    except OSError as problem:
        error = _of_this_machine(problem)
    except BaseException as problem:
        _finish(services, run, start, GoldsmithError(f"Internal error: {problem!r}"))
        raise
    return _finish(services, run, start, error)


def _guarded(
    document: Document, template: ImageTemplate, services: Services, run: RunDirectory, options: BuildOptions
) -> None:
    workspace = Workspace(template, services, run_id=run.run_id, wait=options.wait)
    services.bus.emit(
        RunStarted(run_id=run.run_id, template=template.name, workspace=workspace.name, log_dir=str(run.path))
    )
    with timeouts_of(services.deadline), ExitStack() as stack:
        stack.enter_context(workspace)
        wishes = Wishes(options.no_cache, step_number(template, options.from_step))
        resolved = submit(document, template, services, wishes)
        stack.callback(resolved.release)
        for step in resolved.plan.of("Distribute"):
            services.bus.note(f"{step.name}: {step.reason}")
        run.set_source(
            description=resolved.source.description,
            identity=resolved.source.identity,
            exact_version=resolved.source.exact_version,
        )
        run.set_plan(resolved.plan, services.redactor)
        run.set_lineage(resolved.lineage)
        context = BuildContext(
            template=template,
            services=services,
            workspace=workspace,
            run=run,
            source=resolved.source,
            customizers=resolved.customizers,
            validators=resolved.validators,
            distributors=resolved.distributors,
            route=resolved.routing.route,
            cache=resolved.routing.cache,
            machine_key=resolved.routing.machine_key,
            validation_id=resolved.routing.validation_id,
            on_error=options.on_error,
            access=resolved.access,
            data_disks=resolved.data_disks,
            lineage=resolved.lineage,
        )
        _execute(context, resolved.image_source)


def _execute(context: BuildContext, image_source: ImageSource) -> None:
    checks = context.template.properties.validation
    if checks and checks.source_validation_only:
        disk = source.prepare(context, image_source)
        failed = validate.run(context, disk.graph, _size(context, disk), disk.access, disk.data_disks)
        if failed:
            raise failed
        return
    image = finished.reuse(context)
    if image is not None:
        _hand_out(context, image, nullcontext(), validated=finished.validated(context))
        return
    made, frozen = _made(context, source.prepare(context, image_source))
    _hand_out(context, made.image, finished.put_away(context, made, frozen), validated=False)


def _hand_out(
    context: BuildContext, image: FinishedImage, keeping: AbstractContextManager[None], *, validated: bool
) -> None:
    """Validate and distribute; `keeping` goes on meanwhile, also when the gate or a
    validation refuses the image, and when it is over the cache knows the image."""
    checks = context.template.properties.validation
    failed: GoldsmithError | None = None
    passed = False
    try:
        with keeping:
            gate.run(context, image)
            if not validated:
                data_disks = generalize.data_disks_of(image)
                failed = validate.run(
                    context, generalize.graph_of(image), image.virtual_size, data_disks=data_disks
                )
                passed = failed is None
            if failed and not (checks and checks.continue_distribute_on_failure):
                raise failed
            distribute.run(context, image)
    finally:
        if passed:
            finished.passed(context, image)
    if failed:
        raise failed


def _made(context: BuildContext, disk: SourceDisk) -> tuple[Generalized, tuple[float, ...]]:
    """The finished image, and when each layer below it was made."""
    size = _size(context, disk)
    with ExitStack() as stack:
        with context.stage("Boot"):
            work = stack.enter_context(Workpiece(context, disk, size))
        with context.stage("Customize"):
            customize.run(context, work)
        with context.stage("Generalize"), collected(context, work.session, "Generalize"):
            made = generalize.run(context, work.session, work.session.disk, size)
        return made, work.frozen_times


def _size(context: BuildContext, disk: SourceDisk) -> int:
    return check_disk_size(context.template.properties.vm_profile.os_disk_size_gb, disk.size)


def _finish(services: Services, run: RunDirectory, start: float, error: GoldsmithError | None) -> BuildResult:
    state: RunState = "Succeeded"
    if error is not None:
        outcome = outcome_of(error)
        state = "Canceled" if outcome == "cancelled" else "Failed"
        if isinstance(error, PartialDistributionError):
            state = "PartiallySucceeded"
    code = error.exit_code if error else ExitCode.OK
    services.bus.emit(
        RunFinished(
            run_id=run.run_id,
            state=state,
            seconds=round(time.monotonic() - start, 3),
            exit_code=int(code),
            error=None if error is None else _as_data(error),
        )
    )
    return BuildResult(run.run_id, state, code, error)


def _as_data(error: GoldsmithError) -> dict[str, object]:
    data = error_to_dict(error)
    return data | {"bundle": error.bundle} if error.bundle else data


def _of_this_machine(problem: OSError) -> EnvironmentProblem:
    """What the operating system refused: a full disk, a permission, a file that went away."""
    where = f": {problem.filename}" if problem.filename else ""
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    return EnvironmentProblem(
        f"{problem.strerror or problem}{where}.",
        hint="Free some space ('build gc'), or set GOLDSMITH_HOME to a larger disk." if full else None,
    )
