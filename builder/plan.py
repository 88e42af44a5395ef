"""What a build will do, step by step, with the reason. Data without side effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from builder.layers.identity import layer_id
from builder.sources.base import ResolvedSource
from templates.durations import parse_duration
from templates.model import ImageTemplate, Step

if TYPE_CHECKING:
    from builder.layers.route import Route
    from builder.routing import Routing

Action = Literal["RUN", "CACHED", "RESTORE", "SKIP"]
Stage = Literal["Source", "Boot", "Customize", "Generalize", "Gate", "Validate", "Distribute"]
# What sourceValidationOnly leaves out.
_OF_THE_IMAGE = ("Boot", "Customize", "Generalize", "Gate", "Distribute")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One line of the plan. `index` counts from 1 within the stage; `layer_id` is empty for steps
    that leave no layer behind, and where the identity of the source is not known yet. `timeout`: the
    step's own limit in seconds.
    """

    stage: Stage
    index: int
    name: str
    type: str
    action: Action
    reason: str
    layer_id: str = ""
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, in the order they run."""

    template: str
    steps: tuple[PlannedStep, ...]

    def of(self, stage: Stage) -> tuple[PlannedStep, ...]:
        """The steps of one stage."""
        return tuple(step for step in self.steps if step.stage == stage)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """What decides the outcome of a customizer: its provisioner's epoch and inputs()."""

    epoch: int
    inputs: Mapping[str, str]


def step_name(step: Step, index: int) -> str:
    """The name a person knows a step by: its own, else its type and place."""
    return step.name or f"{getattr(step, 'type', 'step')} {index}"


def make_plan(
    template: ImageTemplate,
    source: ResolvedSource,
    routing: Routing,
    targets: Sequence[str],
    gate: PlannedStep | None = None,
) -> Plan:
    """Plan a build of `template` from `source`; `targets` says what each distributor will make, `gate`
    whether the VHD gate runs.
    """
    properties = template.properties
    checks = properties.validation
    source_only = bool(checks and checks.source_validation_only)
    route = routing.route
    steps = [_source_step(properties.source.type, source)]
    steps += _boot_steps(route)
    steps += _customize_steps(properties.customize, route)
    steps.append(_generalize_step(source.os_type, route))
    steps += [gate] if gate else []
    steps += _validate_steps(checks.in_vm_validations if checks else (), routing, source_only=source_only)
    for number, (target, text) in enumerate(zip(properties.distribute, targets, strict=True), start=1):
        steps.append(PlannedStep("Distribute", number, target.run_output_name, target.type, "RUN", text))
    if source_only:
        steps = [_skipped(step) if step.stage in _OF_THE_IMAGE else step for step in steps]
    return Plan(template.name, tuple(steps))


def _source_step(kind: str, source: ResolvedSource) -> PlannedStep:
    reason = "already on this machine" if source.cached else "not on this machine yet"
    if source.cached:
        reason += f": {source.frozen}" if source.frozen else ""
    elif source.means:
        reason += f": {source.means}"
    # Without an identity nothing can be said of the layers on it.
    layer = layer_id("", "source", 1, {"identity": source.identity}) if source.identity else ""
    return PlannedStep(
        "Source", 1, source.description, kind, "CACHED" if source.cached else "RUN", reason, layer
    )


def _boot_steps(route: Route) -> list[PlannedStep]:
    """The layers that are no customizer's: the warm base, the grown disk."""
    planned = []
    for number, link in enumerate(link for link in route.links if not link.step):
        action, reason = _action(route, number)
        planned.append(PlannedStep("Boot", number + 1, link.name, link.kind, action, reason, link.id))
    return planned or [PlannedStep("Boot", 1, "first boot", "boot", "RUN", route.why_not or "no layers")]


def _customize_steps(steps: Sequence[Step], route: Route) -> list[PlannedStep]:
    planned = []
    for number, step in enumerate(steps, start=1):
        kind, name = str(getattr(step, "type", "")), step_name(step, number)
        link = route.of_step(number)
        action, reason = _action(route, link) if link >= 0 else ("RUN", route.why_not)
        layer = route.links[link].id if link >= 0 else ""
        planned.append(PlannedStep("Customize", number, name, kind, action, reason, layer, _timeout(step)))
    return planned


def _action(route: Route, number: int) -> tuple[Action, str]:
    reason = route.reasons[number]
    if route.image is not None or number < route.used - 1:
        return "CACHED", reason
    return ("RESTORE" if number == route.used - 1 else "RUN"), reason


def _generalize_step(os_type: str, route: Route) -> PlannedStep:
    name = "Deprovision and prove"
    if route.image is not None:
        return PlannedStep("Generalize", 1, name, os_type, "CACHED", route.reasons[0], route.image_id)
    why = "the build user and machine state must go"
    return PlannedStep("Generalize", 1, name, os_type, "RUN", why, route.image_id)


def _validate_steps(checks: Sequence[Step], routing: Routing, *, source_only: bool) -> list[PlannedStep]:
    where = "on the source" if source_only else "on a VM booted from the result"
    image = routing.route.image
    action: Action = "RUN"
    if image is not None and routing.validation_id in image.meta.validated:
        action, where = "CACHED", "this image passed it before"
    return [
        PlannedStep(
            "Validate", number, step_name(check, number), str(getattr(check, "type", "")), action, where,
            timeout=_timeout(check),
        )
        for number, check in enumerate(checks, start=1)
    ]  # fmt: skip


def _timeout(step: Step) -> float | None:
    own = step.extensions.timeout
    return parse_duration(own) if own else None


def _skipped(step: PlannedStep) -> PlannedStep:
    return replace(step, action="SKIP", reason="sourceValidationOnly")
