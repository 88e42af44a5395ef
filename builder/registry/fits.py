"""Whether an image may become a version of a definition, with Azure's messages. Pure.

Source: aib-behaviour section 8 of the references.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import PreflightError
from builder.registry.limits import AZURES, Limits, ReplicationMode

if TYPE_CHECKING:
    from builder.registry.records import DefinitionRecord, OsState
    from builder.sources.base import Generation, OsType

# Their images hold the state of a virtual TPM, which only a machine that ran with one has.
_NEEDS_GUEST_STATE = ("TrustedLaunch", "ConfidentialVM")


@dataclass(frozen=True, slots=True)
class ImageKind:
    """What an image is, as far as a definition asks. `name` is what messages call it (an ARM id, a run
    output, a file); `plan` the purchase plan it is sold under (name, publisher, product); `sizes` the
    virtual sizes of its disks in bytes, 0 for one that is not known.
    """

    name: str
    os_type: OsType
    generation: Generation
    os_state: OsState = "Generalized"
    architecture: str = "x64"
    plan: Mapping[str, str] | None = None
    sizes: tuple[int, ...] = ()


def check_fits(
    definition: DefinitionRecord,
    image: ImageKind,
    *,
    mode: ReplicationMode = "Full",
    limits: Limits = AZURES,
) -> None:
    """Raises PreflightError when `image` cannot be a version of `definition`."""
    if definition.os_state != image.os_state:
        raise PreflightError(
            f"Cannot create Gallery Image Version from: {image.name} since the OS State in the parent "
            f"gallery image ({definition.os_state}) is not {image.os_state}",
            details=(definition.id,),
            hint=f"The image is {image.os_state.lower()}, as every build's is: use a definition with osState "
            "Generalized."
            if image.os_state == "Generalized"
            else "Use a definition with osState Specialized.",
        )
    _same(
        definition, image.name, "OS type", image.os_type, "OS type generation", definition.os_type, "osType"
    )
    _same(
        definition,
        image.name,
        "Hypervisor generation",
        image.generation,
        "Hypervisor generation",
        definition.generation,
        "hyperVGeneration",
    )
    _same(
        definition,
        image.name,
        "architecture",
        image.architecture,
        "architecture",
        definition.architecture,
        "architecture",
    )
    _same_plan(definition, image)
    _without_guest_state(definition)
    for size in image.sizes:
        limits.check_size(size, mode)


def security_type(definition: DefinitionRecord) -> str:
    """The feature SecurityType; "Standard" when it is not said."""
    for feature in definition.features:
        if str(feature.get("name", "")).casefold() == "securitytype":
            return str(feature.get("value", ""))
    return "Standard"


def needs_guest_state(definition: DefinitionRecord) -> bool:
    """Whether its images are of machines with a virtual TPM only, which Goldsmith does not build."""
    return security_type(definition).casefold() in {name.casefold() for name in _NEEDS_GUEST_STATE}


def _same(
    definition: DefinitionRecord, name: str, what: str, has: str, parents: str, wanted: str, field: str
) -> None:
    if has.casefold() == wanted.casefold():
        return
    raise PreflightError(
        f"The resource with id '{name}' has a different {what} ['{has}'] than the parent gallery image "
        f"{parents} ['{wanted}']",
        details=(definition.id,),
        hint=f"Use a definition with {field} {has}"
        + (f", or a source of generation {wanted}." if field == "hyperVGeneration" else "."),
    )


def _same_plan(definition: DefinitionRecord, image: ImageKind) -> None:
    has, wanted = _plan_text(image.plan), _plan_text(definition.plan)
    if has.casefold() != wanted.casefold():
        raise PreflightError(
            f"The resource with id '{image.name}' has a different plan ['{has}'] than the parent gallery "
            f"image plan ['{wanted}']",
            details=(definition.id,),
            hint="The definition's purchasePlan (name, publisher, product) is the plan of what the image is "
            "made from, or none when that has none; it is given when the definition is created.",
        )


def _plan_text(plan: Mapping[str, str] | None) -> str:
    if not plan or not any(plan.values()):
        return "null"
    return json.dumps({part: plan.get(part, "") for part in ("name", "publisher", "product")})


def _without_guest_state(definition: DefinitionRecord) -> None:
    if needs_guest_state(definition):
        raise PreflightError(
            f"The definition {definition.label} takes images of machines with a virtual TPM only "
            f"(SecurityType {security_type(definition)}); Goldsmith builds none.",
            details=(definition.id,),
            hint="Use a definition with SecurityType TrustedLaunchSupported, or without one.",
        )
