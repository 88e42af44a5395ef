"""Deployments for the tests: small ones, read from a file as users have them."""

from __future__ import annotations

import json

import templates
from templates.diagnostics import TemplateError

SCOPE = templates.DeploymentScope("SUB", "GRP", "westus")
TEMPLATE = "Microsoft.VirtualMachineImages/imageTemplates"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
ABOVE = "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#"
SOURCE = {"type": "PlatformImage", "publisher": "Debian", "offer": "debian-12", "sku": "12"}


def template(name="golden", *lines, **fields):
    """An image template whose only step runs `lines`."""
    properties = {
        "source": SOURCE,
        "customize": [{"type": "Shell", "inline": list(lines) or ["true"]}],
        "distribute": [{"type": "VHD", "runOutputName": "out"}],
    }
    head = {"type": TEMPLATE, "apiVersion": "2025-10-01", "name": name, "location": "westus"}
    return {**head, "identity": {"type": "None"}, "properties": properties, **fields}


def deployment(*resources, **sections):
    """A deployment; `resources=` gives an object of symbolic names instead of a list."""
    sections.setdefault("resources", list(resources))
    return {"$schema": SCHEMA, "contentVersion": "1.0.0.0", **sections}


def nested(name, inner, parameters=None, scope="inner", **fields):
    """A deployment as a resource of another one."""
    properties = {"mode": "Incremental", "template": inner}
    if scope:
        properties["expressionEvaluationOptions"] = {"scope": scope}
    if parameters is not None:
        properties["parameters"] = {key: {"value": value} for key, value in parameters.items()}
    kind = "Microsoft.Resources/deployments"
    return {"type": kind, "apiVersion": "2022-09-01", "name": name, "properties": properties, **fields}


def lines_of(document):
    """Template name -> the lines of its step."""
    return {t.name: list(t.properties.customize[0].inline) for t in document.templates}


class Reader:
    """Reads JSON values through a file."""

    def __init__(self, folder):
        self.path = folder / "golden.json"

    def __call__(self, content, **options):
        self.path.write_text(json.dumps(content, indent=1))
        return templates.read(self.path, defaults=SCOPE, **options)

    def problems(self, content, **options):
        """Everything said about a file, warnings included."""
        try:
            return self(content, **options).diagnostics
        except TemplateError as error:
            return error.diagnostics

    def errors(self, content, **options):
        """(code, pointer) of every error."""
        found = self.problems(content, **options)
        return [(d.code, d.location.pointer) for d in found if d.severity == "error"]

    def warnings(self, content, **options):
        """(code, pointer) of every warning of a file that reads."""
        return [(d.code, d.location.pointer) for d in self(content, **options).diagnostics]
