"""Resolve, AIB's submit: everything a build needs is found and checked before anything boots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from builder import resolve, secrets
from builder.declare import declare
from builder.distributors.base import ExpectedImage, Several
from builder.errors import PreflightError, UsageError
from builder.events import EventBus
from builder.extensions import make_distributor, make_source
from builder.guest_access import require_windows, resolve_access
from builder.layers.route import Wishes
from builder.lineage import lineage_of
from builder.plan import Plan, StepInputs, make_plan
from builder.preflight import (
    check_disk_size,
    check_firmware,
    check_source_tools,
    check_space,
    check_tools,
    expected_data_disks,
)
from builder.problems import Problems
from builder.routing import Routing
from builder.routing import find as find_routing
from builder.sources.revoked import check_revoked
from builder.stages.context import PreparedStep, stage, timeouts_of
from builder.stages.gate import planned as planned_gate
from builder.stages.source import check_seeded
from builder.survey import Notes, Survey, make_survey, remark_of
from builder.usage.estimate import estimates
from builder.usage.prices import Prices, load_prices
from builder.vm.sizes import resolve_size
from builder.workspace import Workspace
from provisioners import registry as provisioner_registry
from templates.arm_id import parse_gallery_image
from templates.model.distribute import SharedImageDistributor

if TYPE_CHECKING:
    from builder.changes import Change
    from builder.disk.data_disk import DataDiskSize
    from builder.distributors.base import Distributor
    from builder.services import Services
    from builder.sources.base import ImageSource, ResolvedSource
    from builder.vm.access import BuildAccess
    from builder.vm.sizes import MachineSize
    from provisioners.base import FrozenContent
    from templates import Document
    from templates.model import ImageTemplate, Step

GIB = 1024**3
NO_WISHES = Wishes()


@dataclass(frozen=True)
class Submission:
    """A template that can be built: all inputs frozen, all targets checked and reserved.

    `disk_size` in bytes, 0 when the source's is not known yet; `declared` is what was made or updated of
    the galleries and definitions beside the template; `access` is the account that the template declares;
    `data_disks` are what the image will have beside its OS disk; `lineage` what is recorded with it.
    """

    image_source: ImageSource
    source: ResolvedSource
    customizers: tuple[PreparedStep, ...]
    validators: tuple[PreparedStep, ...]
    distributors: tuple[Distributor, ...]
    plan: Plan
    routing: Routing
    machine: MachineSize
    disk_size: int
    declared: tuple[Change, ...]
    access: BuildAccess | None = None
    data_disks: tuple[DataDiskSize, ...] = ()
    lineage: Mapping[str, Any] = field(default_factory=dict)

    def release(self) -> None:
        """Give up reservations that were not used."""
        for distributor in self.distributors:
            distributor.release()


def submit(
    document: Document, template: ImageTemplate, services: Services, wishes: Wishes = NO_WISHES
) -> Submission:
    """Resolve everything. Raises TemplateError with every problem found, EnvironmentProblem.

    When it fails, nothing it reserved or declared is left.
    """
    problems = Problems(document, document.pointer_of(template))
    with stage(services, "Resolve"), ExitStack() as undo:
        submission = _submit(document, template, services, problems, undo, wishes)
        undo.pop_all()
        return submission


def survey(
    document: Document, template: ImageTemplate, services: Services, wishes: Wishes = NO_WISHES
) -> Survey:
    """What a build of `template` would do if it began now: found as `submit` finds it, and nothing is
    written, made or reserved. Raises TemplateError with every problem found, and EnvironmentProblem
    only where without it there is nothing to tell; what else this machine lacks is a remark.
    """
    notes = Notes()
    bus = EventBus(services.redactor)
    bus.add_sink(notes)
    looking = replace(services, bus=bus, read_only=True)
    problems = Problems(document, document.pointer_of(template), forgiving=True)
    with timeouts_of(services.deadline), ExitStack() as undo:  # what is undone is in a copy of the registry
        found = _submit(document, template, looking, problems, undo, wishes)
        changes = [*found.declared, *(change for one in found.distributors for change in one.changes())]
        billed = estimates(template, found, looking, _prices(looking, problems))
    workspace = Workspace(template, looking, run_id="")
    remarks = [*notes.remarks, *(remark_of(error) for error in problems.remarks)]
    return make_survey(document, template, looking.settings, found, changes, remarks, workspace, billed)


def _prices(services: Services, problems: Problems) -> Prices | None:
    """None without any, or when their file is wrong: that keeps nobody from building."""
    try:
        return load_prices(services.home, services.settings)
    except UsageError as error:
        problems.remarks.append(error)
        return None


def _submit(
    document: Document,
    template: ImageTemplate,
    services: Services,
    problems: Problems,
    undo: ExitStack,
    wishes: Wishes,
) -> Submission:
    problems.require(partial(check_tools, services))
    if not services.read_only:  # said below with the source, where one only asks
        check_space(services)
    properties = template.properties
    image_source = problems.catch("/properties/source", lambda: make_source(properties.source, services))
    source = problems.catch("/properties/source", image_source.resolve) if image_source else None
    extensions = properties.extensions
    if source is not None and extensions.devices is not None:
        source = replace(source, devices=extensions.devices)
    access = None
    if extensions.access is not None:
        look_in = partial(resolve_access, extensions.access, services)
        place = "/properties/x-goldsmith/access"
        access = problems.catch(place, look_in)
        if source is not None:
            problems.catch(place, partial(require_windows, source.os_type))
    profile = properties.vm_profile
    look_up = partial(resolve_size, profile.vm_size, services.settings)
    machine = problems.catch("/properties/vmProfile/vmSize", look_up)
    disk_size = None
    data_disks: tuple[DataDiskSize, ...] = ()
    if source is not None:
        count = partial(expected_data_disks, properties.additional_data_disks, source)
        data_disks = problems.catch("/properties/additionalDataDisks", count) or ()
        disk_size = _check_source(problems, source, profile.os_disk_size_gb, services)
        problems.check("/properties/validate", partial(check_seeded, template, seeded=source.seeded))
    frozen = problems.catch("", partial(resolve.freeze, document, template, services))
    _check_guests(problems, "/properties/customize", properties.customize, source)
    customizers = _steps(problems, "/properties/customize", properties.customize, frozen, services)
    checks = properties.validation.in_vm_validations if properties.validation else []
    _check_guests(problems, "/properties/validate/inVMValidations", checks, source)
    validators = _steps(problems, "/properties/validate/inVMValidations", checks, frozen, services)
    # Targets ask for the definitions declared beside them, so these come first, and may go again.
    declared = declare(document, services, undo, problems.catch_at)
    targets = [] if declared is None else _targets(problems, template, services, source, data_disks, undo)
    problems.raise_if_any()
    assert image_source is not None and source is not None  # noqa: S101 - else a problem was raised
    assert machine is not None  # noqa: S101 - likewise
    facts = [_facts(step, services) for step in customizers]
    asked = [_facts(step, services) for step in validators]
    routing = find_routing(template, source, facts, asked, services, machine, wishes, source_size=source.size)
    distributors = tuple(distributor for distributor, _ in targets)
    gate = planned_gate(template, services.settings, distributors)
    plan = make_plan(template, source, routing, [line for _, line in targets], gate)
    return Submission(
        image_source,
        source,
        customizers,
        validators,
        distributors,
        plan,
        routing,
        machine,
        disk_size or 0,
        tuple(declared or ()),
        access,
        data_disks,
        lineage_of(document, template, source, routing.route, frozen or {}, services.redactor),
    )


def _check_source(
    problems: Problems, source: ResolvedSource, os_disk_size_gb: int, services: Services
) -> int | None:
    """The disk's size in bytes; None when it cannot be."""
    problems.catch("/properties/source", partial(check_revoked, source, services))
    problems.check("/properties/source", partial(check_source_tools, source))
    problems.check("/properties/source", partial(check_space, services, source))
    problems.check("/properties/source", partial(check_firmware, source.generation))
    size = partial(check_disk_size, os_disk_size_gb, source.size)
    return problems.catch("/properties/vmProfile/osDiskSizeGB", size)


def _check_guests(
    problems: Problems, pointer: str, steps: Sequence[Step], source: ResolvedSource | None
) -> None:
    """Note every step that the source's system cannot run: the guest would say so after a boot."""
    if source is None:
        return
    for number, step in enumerate(steps):
        kind = str(getattr(step, "type", ""))
        check = partial(provisioner_registry.require_guest, kind, source.os_type)
        problems.catch(f"{pointer}/{number}/type", check)


def _steps(
    problems: Problems,
    pointer: str,
    steps: Sequence[Step],
    frozen: dict[str, FrozenContent] | None,
    services: Services,
) -> tuple[PreparedStep, ...]:
    if frozen is None:  # said already; without content there would only be errors that follow from it
        return ()
    prepared: list[PreparedStep] = []
    for number, step in enumerate(steps):
        place = f"{pointer}/{number}"
        one = problems.catch(place, partial(_step, step, place, frozen, services))
        if one is not None:
            prepared.append(one)
    return tuple(prepared)


def _step(step: Step, place: str, frozen: dict[str, FrozenContent], services: Services) -> PreparedStep:
    provisioner = provisioner_registry.create(step, frozen.get(place))
    env, hidden = secrets.resolve_step(step, place, services)
    return PreparedStep(step, provisioner, env, hidden)


def _facts(step: PreparedStep, services: Services) -> StepInputs:
    """What decides what the step does; of its secrets a fingerprint, so that a new one is noticed."""
    hidden = secrets.fingerprints(step.secrets, services)
    return StepInputs(step.provisioner.epoch, {**step.provisioner.inputs(), **hidden})


def _targets(
    problems: Problems,
    template: ImageTemplate,
    services: Services,
    source: ResolvedSource | None,
    data_disks: tuple[DataDiskSize, ...],
    undo: ExitStack,
) -> list[tuple[Distributor, str]]:
    """Every target with what it will make. Without a source only what does not depend on it is checked."""
    expected = None
    if source is not None:
        size = max(source.size, template.properties.vm_profile.os_disk_size_gb * GIB)
        expected = ExpectedImage(
            source.os_type, source.generation, size, source.version_number, data_disks, source.plan
        )
    found: list[tuple[Distributor, str]] = []
    taken: dict[str, str] = {}
    for number, model in enumerate(template.properties.distribute):
        place = f"/properties/distribute/{number}"
        distributor = problems.catch(place, partial(make_distributor, model, services))
        if distributor is None:
            continue
        undo.callback(distributor.release)
        if expected is not None:
            line = problems.check(place, partial(distributor.preflight, expected))
            # Without a line there is an error, or where one only asks a remark that says why.
            found.append((distributor, line or "not as things are; see the remarks"))
            if line is not None:
                more = distributor.more_targets() if isinstance(distributor, Several) else ()
                for target in (distributor.target(), *more):
                    problems.catch(place, partial(_claim, target, model.run_output_name, taken))
        elif isinstance(model, SharedImageDistributor):
            problems.catch(place, partial(_find_definition, model, services))
    return found


def _claim(target: str, name: str, taken: dict[str, str]) -> None:
    """Raises PreflightError when another target of the template is the same file or image."""
    if target and taken.setdefault(target, name) != name:
        raise PreflightError(
            f"'{taken[target]}' and '{name}' are one and the same: {target}",
            hint="Give one of them another place or name: the second would replace the first.",
        )


def _find_definition(model: SharedImageDistributor, services: Services) -> None:
    services.registry.find_definition(str(parse_gallery_image(model.gallery_image_id).definition))
