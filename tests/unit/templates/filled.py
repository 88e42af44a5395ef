"""Values for what real templates leave open: placeholders, and parameters without a default."""

from __future__ import annotations

import re
from typing import Any

GROUP = "/subscriptions/SUB/resourceGroups/GRP/providers"
IDENTITY = f"{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/me"

# What the quickstarts' readers fill in by sed; a placeholder that is not named here becomes its name.
PLACEHOLDERS = {
    "imgBuilderId": IDENTITY,
    "imageVersion": "1.0.0",
    "sigDefImgVersionId": f"{GROUP}/Microsoft.Compute/galleries/g/images/d/versions/1.0.0",
    "scriptUrl": "https://example.com/s.sh",
}
# Values of parameters without a default, by name; others are made from their type.
PLATFORM = {"type": "PlatformImage", "publisher": "p", "offer": "o", "sku": "s", "version": "latest"}
ARGUMENTS: dict[str, Any] = {
    "api-version": "2020-02-14",  # what the survey took for it
    "imageSource": PLATFORM,
    "buildDefinition": {**PLATFORM, "imageName": "image", "name": "image", "version": "latest"},
    "managedIdentityId": IDENTITY,
    "imageId": f"{GROUP}/Microsoft.Compute/galleries/g/images/d",
    "managedImageResGroupId": f"{GROUP}/Microsoft.Compute/images/",
    "managedIdentities": {"userAssignedResourceIds": [IDENTITY]},
    "validationProcess": {
        "continueDistributeOnFailure": True,
        "inVMValidations": [],
        "sourceValidationOnly": False,
    },
    "distributions": [{"type": "VHD", "imageName": "image", "runOutputName": "out"}],
    "customizationSteps": [{"type": "Shell", "name": "n", "inline": ["true"]}],
}
_PLACEHOLDER = re.compile(r"<([A-Za-z][\w .-]*)>")


def variables_for(text: str) -> dict[str, str]:
    """A value for each `<placeholder>` of a file."""
    return {name: PLACEHOLDERS.get(name, re.sub(r"\W", "", name)) for name in _PLACEHOLDER.findall(text)}


def arguments_for(document: dict[str, Any]) -> dict[str, Any]:
    """Values for the parameters of a deployment that have none."""
    if "$schema" not in document:
        return {}
    samples = {"string": "x", "securestring": "x", "int": 1, "bool": False, "array": [], "object": {}}
    found = {}
    for name, written in (document.get("parameters") or {}).items():
        shared = str(written.get("$ref", "")).rpartition("/")[2]
        definition = {**(document.get("definitions") or {}).get(shared, {}), **written}
        if (
            isinstance(definition, dict)
            and "defaultValue" not in definition
            and not definition.get("nullable")
        ):
            allowed = definition.get("allowedValues")
            kind = str(definition.get("type")).casefold()
            found[name] = ARGUMENTS.get(name, allowed[0] if allowed else samples.get(kind, "x"))
    return found
