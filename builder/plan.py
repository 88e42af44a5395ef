"""What a build will do, step by step, with the reason. Data without side effects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from builder.sources.base import ResolvedSource
from templates.model import ImageTemplate, Step

Action = Literal["RUN", "CACHED", "RESTORE", "SKIP"]
Stage = Literal["Source", "Customize", "Generalize", "Validate", "Distribute"]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One line of the plan. `index` counts from 1 within the stage; `layer_id` is empty for steps
    that leave no layer behind.
    """

    stage: Stage
    index: int
    name: str
    type: str
    action: Action
    reason: str
    layer_id: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps, in the order they run."""

    template: str
    steps: tuple[PlannedStep, ...]

    def of(self, stage: Stage) -> tuple[PlannedStep, ...]:
        """The steps of one stage."""
        return tuple(step for step in self.steps if step.stage == stage)

    def to_json(self) -> dict[str, Any]:
        """For `build plan --json`."""
        return {"template": self.template, "steps": [asdict(step) for step in self.steps]}


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
    validation = properties.validation
    source_only = bool(validation and validation.source_validation_only)
    parent = layer_id("", "source", 1, {"identity": source.identity})
    steps = [
        PlannedStep(
            stage="Source",
            index=1,
            name=source.description,
            type=properties.source.type,
            action="CACHED" if source.cached else "RUN",
            reason="already on this machine" if source.cached else "not on this machine yet",
            layer_id=parent,
        )
    ]
    for number, (step, facts) in enumerate(zip(properties.customize, customizers, strict=True), start=1):
        parent = layer_id(parent, step.type, facts.epoch, facts.inputs)
        steps.append(
            PlannedStep(
                stage="Customize",
                index=number,
                name=step_name(step, number),
                type=step.type,
                action="SKIP" if source_only else "RUN",
                reason="sourceValidationOnly" if source_only else "no layer of it yet",
                layer_id=parent,
            )
        )
    steps.append(
        PlannedStep(
            stage="Generalize",
            index=1,
            name="Deprovision and prove",
            type=source.os_type,
            action="SKIP" if source_only else "RUN",
            reason="sourceValidationOnly" if source_only else "the build user and machine state must go",
        )
    )
    for number, check in enumerate(validation.in_vm_validations if validation else (), start=1):
        where = "the source" if source_only else "a VM booted from the result"
        steps.append(
            PlannedStep("Validate", number, step_name(check, number), check.type, "RUN", f"on {where}")
        )
    for number, (target, text) in enumerate(zip(properties.distribute, targets, strict=True), start=1):
        steps.append(
            PlannedStep(
                stage="Distribute",
                index=number,
                name=target.run_output_name,
                type=target.type,
                action="SKIP" if source_only else "RUN",
                reason="sourceValidationOnly" if source_only else text,
            )
        )
    return Plan(template.name, tuple(steps))
