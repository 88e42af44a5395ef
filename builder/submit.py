"""Resolve, AIB's submit: everything a build needs is found and checked before anything boots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from builder import resolve, secrets
from builder.distributors.base import ExpectedImage
from builder.errors import ExitCode, GoldsmithError
from builder.extensions import make_distributor, make_source
from builder.plan import Plan, StepInputs, make_plan
from builder.preflight import check_disk_size, check_firmware, check_space, check_tools
from builder.stages.context import PreparedStep
from builder.vm.sizes import resolve_size
from provisioners import registry as provisioner_registry
from templates.diagnostics import Diagnostic, TemplateError

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
        self.found: list[Diagnostic] = []

    def catch(self, pointer: str, action: Callable[[], T]) -> T | None:
        """`action()`, or None after noting why it could not be done."""
        try:
            return action()
        except TemplateError as error:
            self.found.extend(error.diagnostics)
        except GoldsmithError as error:
            if error.exit_code != ExitCode.BAD_TEMPLATE:
                raise
            location = self._document.locate(self._prefix + pointer)
            text = "\n".join([error.message, *(f"    {line}" for line in error.details)])
            self.found.append(Diagnostic("error", error.code, text, location, error.hint))
        return None

    def raise_if_any(self) -> None:
        if any(d.severity == "error" for d in self.found):
            raise TemplateError(self.found)


def submit(document: Document, template: ImageTemplate, services: Services, run_id: str) -> Submission:
    """Resolve everything. Raises TemplateError with every problem found, EnvironmentProblem."""
    check_tools(services)
    check_space(services)
    _declare_resources(document, services)
    problems = _Problems(document, document.pointer_of(template))
    properties = template.properties
    image_source = problems.catch("/properties/source", lambda: make_source(properties.source, services))
    source = problems.catch("/properties/source", image_source.resolve) if image_source else None
    profile = properties.vm_profile
    problems.catch("/properties/vmProfile/vmSize", partial(resolve_size, profile.vm_size, services.settings))
    if source is not None:
        check_firmware(source.generation)
        size = partial(check_disk_size, profile.os_disk_size_gb, source.size)
        problems.catch("/properties/vmProfile/osDiskSizeGB", size)
    frozen = problems.catch("", partial(resolve.freeze, document, template, services))
    customizers = _steps(problems, "/properties/customize", properties.customize, frozen, services)
    checks = properties.validation.in_vm_validations if properties.validation else []
    validators = _steps(problems, "/properties/validate/inVMValidations", checks, frozen, services)
    distributors, targets = _targets(problems, template, services, source, run_id)
    try:
        problems.raise_if_any()
    except TemplateError:
        for distributor in distributors:
            distributor.release()
        raise
    assert image_source is not None and source is not None  # noqa: S101 - else a problem was raised
    facts = [StepInputs(step.provisioner.epoch, step.provisioner.inputs()) for step in customizers]
    plan = make_plan(template, source, facts, targets)
    return Submission(image_source, source, customizers, validators, tuple(distributors), plan)


def _declare_resources(document: Document, services: Services) -> None:
    """Create the galleries and definitions declared beside the template, as ARM would."""
    for gallery in document.galleries:
        services.registry.create_gallery(gallery)
    for definition in document.definitions:
        services.registry.create_definition(definition)


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
    run_id: str,
) -> tuple[list[Distributor], list[str]]:
    distributors: list[Distributor] = []
    lines: list[str] = []
    if source is None:
        return distributors, lines
    size = max(source.size, template.properties.vm_profile.os_disk_size_gb * GIB)
    expected = ExpectedImage(source.os_type, source.generation, size, source.version_number)
    for number, model in enumerate(template.properties.distribute):
        place = f"/properties/distribute/{number}"
        distributor = problems.catch(place, partial(make_distributor, model, services))
        if distributor is None:
            continue
        distributors.append(distributor)
        line = problems.catch(place, partial(distributor.preflight, expected))
        lines.append(line or "")
    return distributors, lines
