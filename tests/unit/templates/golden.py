"""A template and a deployment that are fine, and what is said of a file."""

from __future__ import annotations

import json

import templates
from templates import DeploymentScope
from templates.diagnostics import TemplateError

SCOPE = DeploymentScope("SUB", "GRP", "westus")
COMPUTE = "/subscriptions/SUB/resourceGroups/GRP/providers/Microsoft.Compute"
PLATFORM = {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"}
MANAGED = {"type": "ManagedImage", "runOutputName": "out", "imageId": f"{COMPUTE}/images/i", "location": "w"}


def bare(**properties):
    body = {"source": PLATFORM, "distribute": [{"type": "VHD", "runOutputName": "out"}], **properties}
    return {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2025-10-01",
        "name": "golden",
        "location": "westus",
        "identity": {"type": "None"},
        "properties": body,
    }


def deployment(*resources, **sections):
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        **sections,
        "resources": list(resources) or [bare()],
    }


def reader(tmp_path):
    """Reads `content` as a file."""

    def call(content, **options):
        path = tmp_path / "golden.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return templates.read(path, defaults=SCOPE, **options)

    return call


def problems_of(read):
    """(severity, code, pointer) of everything said about a file."""

    def call(content, **options):
        try:
            found = read(content, **options).diagnostics
        except TemplateError as error:
            found = error.diagnostics
        return [(d.severity, d.code, d.location.pointer) for d in found]

    return call
