"""The types of resources that mean something here."""

from __future__ import annotations

from templates.arm.syntax import Json
from templates.arm_id import DEFINITION_TYPE, GALLERY_TYPE, VERSION_TYPE

IMAGE_TEMPLATE_TYPE = "Microsoft.VirtualMachineImages/imageTemplates"
TRIGGER_TYPE = f"{IMAGE_TEMPLATE_TYPE}/triggers"
SHORT_TYPE = "Microsoft.VirtualMachineImages"
DEPLOYMENT_TYPE = "Microsoft.Resources/deployments"
GROUP_TYPE = "Microsoft.Resources/resourceGroups"
IDENTITY_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"

# What is made here, in one spelling.
MADE = {kind.casefold(): kind for kind in (IMAGE_TEMPLATE_TYPE, TRIGGER_TYPE, GALLERY_TYPE, DEFINITION_TYPE)}
_KNOWN = {**MADE, **{kind.casefold(): kind for kind in (DEPLOYMENT_TYPE, GROUP_TYPE, IDENTITY_TYPE)}}
# What belongs to a template in Azure and has no counterpart here; the text says what happens instead.
_NOTED = {
    IDENTITY_TYPE.casefold(): "no identity is created: builds run as you",
    "microsoft.authorization/roleassignments": "no role is assigned: builds run with your rights",
    "microsoft.authorization/roledefinitions": "no role is defined: builds run with your rights",
    "microsoft.resources/deploymentscripts": "no script is run: a build starts when you run it",
    VERSION_TYPE.casefold(): "no version is made from a declaration: a SharedImage target makes versions",
    GROUP_TYPE.casefold(): "no resource group is created: it is part of ids only",
}
_EXTENSION = "/providers/"


def canonical(kind: str) -> str:
    """The type in the spelling that this package uses for it; others stay as they are."""
    folded = kind.casefold()
    if folded == SHORT_TYPE.casefold():
        return IMAGE_TEMPLATE_TYPE
    return _KNOWN.get(folded, kind)


def note_for(kind: str) -> str | None:
    """What is to be told about a resource that is noted only; None for all others."""
    folded = kind.casefold()
    if _EXTENSION in folded:  # `…/virtualNetworks/providers/roleAssignments`, older than `scope`
        folded = f"microsoft.authorization/{folded.rpartition(_EXTENSION)[2]}"
    return _NOTED.get(folded)


def matters(resource: Json, level: int = 0) -> bool:
    """Whether a resource as written is, or holds, one that is made here.

    What does not matter must not make a template unreadable, however wrong it is.
    """
    if not isinstance(resource, dict) or level > 100:
        return False
    kind = resource.get("type")
    if isinstance(kind, str) and (canonical(kind).casefold() in MADE or kind.startswith("[")):
        return True
    properties = resource.get("properties")
    template = properties.get("template") if isinstance(properties, dict) else None
    inner = template.get("resources") if isinstance(template, dict) else None
    return any(
        matters(item, level + 1) or _is_child(item, kind)
        for group in (inner, resource.get("resources"))
        for item in _items(group)
    )


def _is_child(resource: Json, parent: Json) -> bool:
    kind = resource.get("type") if isinstance(resource, dict) else None
    return isinstance(kind, str) and f"{parent}/{kind}".casefold() in MADE


def _items(resources: Json) -> list[Json]:
    if isinstance(resources, dict):
        return list(resources.values())
    return resources if isinstance(resources, list) else []
