"""Resolve, AIB's submit: everything a build needs is found and checked before anything boots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from builder import resolve, secrets
from builder.declare import declare
from builder.distributors.base import ExpectedImage
from builder.errors import EnvironmentProblem, ExitCode, GoldsmithError, PreflightError
from builder.extensions import make_distributor, make_source
from builder.plan import Plan, StepInputs, make_plan
from builder.preflight import (
    check_disk_size,
    check_firmware,
    check_source_tools,
    check_space,
    check_tools,
)
from builder.stages.context import PreparedStep, stage
from builder.vm.sizes import resolve_size
from provisioners import registry as provisioner_registry
from templates.arm_id import parse_gallery_image
from templates.diagnostics import Diagnostic, TemplateError
from templates.model.distribute import SharedImageDistributor

if TYPE_CHECKING:
    from builder.distributors.base import Distributor
    from builder.services import Services
    from builder.sources.base import ImageSource, ResolvedSource
    from provisioners.base import FrozenContent
    from templates import Document
    from templates.model import ImageTemplate, Step

T = TypeVar("T")
GIB = 1024**3


@dataclass(frozen=True)
class Submission:
    """A template that can be built: all inputs frozen, all targets checked and reserved."""

    image_source: ImageSource
    source: ResolvedSource
    customizers: tuple[PreparedStep, ...]
    validators: tuple[PreparedStep, ...]
    distributors: tuple[Distributor, ...]
    plan: Plan

    def release(self) -> None:
        """Give up reservations that were not used."""
        for distributor in self.distributors:
            distributor.release()


class _Problems:
    """Collects what is wrong at its place in the template, so that all of it is said at once."""

    def __init__(self, document: Document, prefix: str) -> None:
        self._document = document
        self._prefix = prefix
        self._of_this_machine: list[EnvironmentProblem] = []
        self.found: list[Diagnostic] = []

    def catch(self, pointer: str, action: Callable[[], T]) -> T | None:
        """`action()`, or None after noting why it could not be done. `pointer` is within the template."""
        return self.catch_at(self._prefix + pointer, action)

    def catch_at(self, pointer: str, action: Callable[[], T]) -> T | None:
        """The same with a pointer from the root of the document. Cancellation and timeouts go on."""
        try:
            return action()
        except TemplateError as error:
            self.found.extend(error.diagnostics)
        except GoldsmithError as error:
            if isinstance(error, EnvironmentProblem):
                self._of_this_machine.append(error)
            elif error.exit_code != ExitCode.BAD_TEMPLATE:
                raise
            text = "\n".join([error.message, *(f"    {line}" for line in error.details)])
            self.found.append(
                Diagnostic("error", error.code, text, self._document.locate(pointer), error.hint)
            )
        return None

    def raise_if_any(self) -> None:
        """Raises TemplateError; EnvironmentProblem when all there is against it is this machine."""
        errors = [one for one in self.found if one.severity == "error"]
        if errors and len(errors) == len(self._of_this_machine):
            first, *others = self._of_this_machine
            first.details = (*first.details, *(one.message for one in others))
            raise first
        if errors:
            raise TemplateError(self.found)


def submit(document: Document, template: ImageTemplate, services: Services) -> Submission:
    """Resolve everything. Raises TemplateError with every problem found, EnvironmentProblem.

    When it fails, nothing it reserved or declared is left.
    """
    with stage(services, "Resolve"), ExitStack() as undo:
        submission = _submit(document, template, services, undo)
        undo.pop_all()
        return submission


def _submit(document: Document, template: ImageTemplate, services: Services, undo: ExitStack) -> Submission:
    check_tools(services)
    check_space(services)
    problems = _Problems(document, document.pointer_of(template))
    properties = template.properties
    image_source = problems.catch("/properties/source", lambda: make_source(properties.source, services))
    source = problems.catch("/properties/source", image_source.resolve) if image_source else None
    profile = properties.vm_profile
    problems.catch("/properties/vmProfile/vmSize", partial(resolve_size, profile.vm_size, services.settings))
    if source is not None:
        problems.catch("/properties/source", partial(check_source_tools, source))
        problems.catch("/properties/source", partial(check_space, services, source))
        problems.catch("/properties/source", partial(check_firmware, source.generation))
        size = partial(check_disk_size, profile.os_disk_size_gb, source.size)
        problems.catch("/properties/vmProfile/osDiskSizeGB", size)
    frozen = problems.catch("", partial(resolve.freeze, document, template, services))
    customizers = _steps(problems, "/properties/customize", properties.customize, frozen, services)
    checks = properties.validation.in_vm_validations if properties.validation else []
    validators = _steps(problems, "/properties/validate/inVMValidations", checks, frozen, services)
    # Targets ask for the definitions declared beside them, so these come first, and may go again.
    declared = declare(document, services, undo, problems.catch_at)
    targets = _targets(problems, template, services, source, undo) if declared else []
    problems.raise_if_any()
    assert image_source is not None and source is not None  # noqa: S101 - else a problem was raised
    facts = [StepInputs(step.provisioner.epoch, step.provisioner.inputs()) for step in customizers]
    plan = make_plan(template, source, facts, [line for _, line in targets])
    distributors = tuple(distributor for distributor, _ in targets)
    return Submission(image_source, source, customizers, validators, distributors, plan)


def _steps(
    problems: _Problems,
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
    if step.extensions.retry:
        services.bus.warn(
            f"{place}: x-goldsmith.retry has no effect yet: a retry needs the layer before the step.",
            code="NoEffect",
        )
    return PreparedStep(step, provisioner, env, hidden)


def _targets(
    problems: _Problems,
    template: ImageTemplate,
    services: Services,
    source: ResolvedSource | None,
    undo: ExitStack,
) -> list[tuple[Distributor, str]]:
    """Every target with what it will make. Without a source only what does not depend on it is checked."""
    expected = None
    if source is not None:
        size = max(source.size, template.properties.vm_profile.os_disk_size_gb * GIB)
        expected = ExpectedImage(source.os_type, source.generation, size, source.version_number)
    found: list[tuple[Distributor, str]] = []
    taken: dict[str, str] = {}
    for number, model in enumerate(template.properties.distribute):
        place = f"/properties/distribute/{number}"
        distributor = problems.catch(place, partial(make_distributor, model, services))
        if distributor is None:
            continue
        undo.callback(distributor.release)
        if expected is not None:
            line = problems.catch(place, partial(distributor.preflight, expected))
            found.append((distributor, line or ""))
            if line is not None:
                problems.catch(place, partial(_claim, distributor.target(), model.run_output_name, taken))
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
