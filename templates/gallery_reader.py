"""Galleries and image definitions that a deployment declares, checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from templates.checks import validate
from templates.gallery_rules import Problem, problems
from templates.model import Gallery, ImageDefinition
from templates.pointers import join

if TYPE_CHECKING:
    from templates.arm.resources import Resource
    from templates.arm.scope import DeploymentScope
    from templates.report import Report

# aib-behaviour, section 8.
_GALLERY_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.]{0,78}[A-Za-z0-9])?", re.ASCII)
_DEFINITION_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?", re.ASCII)


def read_gallery_resource(
    resource: Resource, report: Report, scope: DeploymentScope
) -> Gallery | ImageDefinition | None:
    """The checked gallery or definition, or None; every problem goes to the report."""
    names, pointer = resource.names, resource.pointer
    data = {key: value for key, value in resource.data.items() if key not in ("type", "apiVersion")}
    data.setdefault("location", scope.location)
    gallery = f"{scope.group_path}/providers/Microsoft.Compute/galleries/{names[0]}"
    at = join(pointer, "name")
    if not _GALLERY_NAME.fullmatch(names[0]):
        hint = "letters, digits, and '_' or '.' in the middle, at most 80; no '-'"
        report.error("BadName", f"'{names[0]}' cannot be the name of a gallery", at, hint=hint)
    if len(names) == 1:
        data["id"] = gallery
        found = validate(Gallery, data, pointer, report)
        return found if isinstance(found, Gallery) else None
    if not _DEFINITION_NAME.fullmatch(names[1]):
        hint = "letters, digits, and '-', '_' or '.' in the middle, at most 80"
        report.error("BadName", f"'{names[1]}' cannot be the name of an image definition", at, hint=hint)
    data["id"] = f"{gallery}/images/{names[1]}"
    if isinstance(version := resource.data.get("apiVersion"), str):
        data["apiVersion"] = version
    defined = validate(ImageDefinition, data, pointer, report)
    if not isinstance(defined, ImageDefinition):
        return None
    for problem in problems(defined):
        report.error("BadValue", problem.message, _place(pointer, problem), hint=problem.hint)
    return defined


def _place(pointer: str, problem: Problem) -> str:
    for part in ("properties", *problem.at):
        pointer = join(pointer, part)
    return pointer
