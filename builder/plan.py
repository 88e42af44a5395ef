"""What a build will do, step by step, with the reason. Data without side effects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from builder.sources.base import ResolvedSource
from templates.durations import parse_duration
from templates.model import ImageTemplate, Step

Action = Literal["RUN", "CACHED", "RESTORE", "SKIP"]
Stage = Literal["Source", "Customize", "Generalize", "Validate", "Distribute"]
# What sourceValidationOnly leaves out.
_OF_THE_IMAGE = ("Customize", "Generalize", "Distribute")


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


def layer_id(parent: str, kind: str, epoch: int, inputs: Mapping[str, str]) -> str:
    """The identity of a layer: sha256 over its length-prefixed parts, never over names or times.

    Length prefixes keep ("ab", "c") and ("a", "bc") apart.
    """
    digest = hashlib.sha256()
    spec = json.dumps(dict(sorted(inputs.items())), separators=(",", ":"), ensure_ascii=False)
    for part in ("layer-1", parent, kind, str(epoch), spec):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


def step_name(step: Step, index: int) -> str:
    """The name a person knows a step by: its own, else its type and place."""
    return step.name or f"{getattr(step, 'type', 'step')} {index}"


def make_plan(
    template: ImageTemplate,
    source: ResolvedSource,
    customizers: Sequence[StepInputs],
    targets: Sequence[str],
) -> Plan:
    """Plan a build of `template` from `source`; `targets` says what each distributor will make."""
    properties = template.properties
    checks = properties.validation
    source_only = bool(checks and checks.source_validation_only)
    steps = [_source_step(properties.source.type, source)]
    steps += _customize_steps(properties.customize, customizers, steps[0].layer_id)
    steps.append(
        PlannedStep(
            stage="Generalize",
            index=1,
            name="Deprovision and prove",
            type=source.os_type,
            action="RUN",
            reason="the build user and machine state must go",
        )
    )
    where = "on the source" if source_only else "on a VM booted from the result"
    for number, check in enumerate(checks.in_vm_validations if checks else (), start=1):
        name = step_name(check, number)
        steps.append(PlannedStep("Validate", number, name, check.type, "RUN", where, timeout=_timeout(check)))
    for number, (target, text) in enumerate(zip(properties.distribute, targets, strict=True), start=1):
        steps.append(PlannedStep("Distribute", number, target.run_output_name, target.type, "RUN", text))
    if source_only:
        steps = [_skipped(step) if step.stage in _OF_THE_IMAGE else step for step in steps]
    return Plan(template.name, tuple(steps))


def _source_step(kind: str, source: ResolvedSource) -> PlannedStep:
    reason = "already on this machine" if source.cached else "not on this machine yet"
    if source.means and not source.cached:
        reason += f": {source.means}"
    # Without an identity nothing can be said of the layers on it.
    layer = layer_id("", "source", 1, {"identity": source.identity}) if source.identity else ""
    return PlannedStep(
        "Source", 1, source.description, kind, "CACHED" if source.cached else "RUN", reason, layer
    )


def _customize_steps(steps: Sequence[Step], inputs: Sequence[StepInputs], parent: str) -> list[PlannedStep]:
    planned = []
    for number, (step, facts) in enumerate(zip(steps, inputs, strict=True), start=1):
        kind = str(getattr(step, "type", ""))
        parent = parent and layer_id(parent, kind, facts.epoch, facts.inputs)
        reason, name = "no layer of it yet", step_name(step, number)
        planned.append(PlannedStep("Customize", number, name, kind, "RUN", reason, parent, _timeout(step)))
    return planned


def _timeout(step: Step) -> float | None:
    own = step.extensions.timeout
    return parse_duration(own) if own else None


def _skipped(step: PlannedStep) -> PlannedStep:
    return replace(step, action="SKIP", reason="sourceValidationOnly")
