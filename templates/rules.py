"""Rules that no single field can tell: what fits together in an image template.

Sources: aib-template section 3 (defaults and cross-field rules), aib-behaviour sections 2 and 4.
Each part of the template (step, distributor) is checked as soon as it is valid by itself, so that a
mistake in one part hides none in another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from templates import arm_id
from templates.arm.interpolation import find_placeholder
from templates.checks import parse
from templates.durations import DurationError, parse_duration
from templates.model import (
    Customizer,
    Distribute,
    FileStep,
    LinuxRestartStep,
    ManagedImageDistributor,
    PowerShellStep,
    ScriptStep,
    SharedImageDistributor,
    Source,
    StepExtensions,
    Validator,
    WindowsRestartStep,
)
from templates.pointers import join
from templates.report import Report

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLACEHOLDER_FIELDS = frozenset(
    {
        *("imageId", "galleryImageId", "imageVersionId", "location", "scriptUri", "sourceUri", "publisher"),
        *("offer", "sku", "version", "runOutputName", "name", "uri", "vmSize", "stagingResourceGroup"),
    }
)
_LEAST_TIMEOUT = 6


def check_properties(properties: dict[str, Any], pointer: str, report: Report) -> None:
    """Check everything below `properties`; what has no valid form itself is left to the model."""
    source_at = join(pointer, "source")
    _check_source(properties.get("source"), source_at, report)
    _check_steps(
        properties.get("customize"), join(pointer, "customize"), Customizer, "NoCustomizerScript", report
    )
    validation = properties.get("validate")
    validation = validation if isinstance(validation, dict) else {}
    steps_at = join(pointer, "validate", "inVMValidations")
    _check_steps(validation.get("inVMValidations"), steps_at, Validator, "NoValidatorScript", report)
    targets_at = join(pointer, "distribute")
    targets = properties.get("distribute")
    _check_distribute(targets, targets_at, report)
    if targets == [] and validation.get("sourceValidationOnly") is not True:
        report.error("NoDistribute", "there is no target to distribute to", targets_at)
    minutes = properties.get("buildTimeoutInMinutes")
    if isinstance(minutes, int) and 0 < minutes < _LEAST_TIMEOUT:
        message = f"a build in Azure fails with less than {_LEAST_TIMEOUT} minutes"
        report.lenient("ShortTimeout", message, join(pointer, "buildTimeoutInMinutes"))
    _check_network(properties.get("vmProfile"), join(pointer, "vmProfile", "vnetConfig"), report)


def check_placeholders(data: Any, pointer: str, report: Report, name: str = "") -> None:  # noqa: ANN401 - JSON
    """Report `<name>` left over in ids, regions and addresses; Azure's quickstarts are full of them.

    Runs before the other checks, which then keep silent about the same value.
    """
    if isinstance(data, dict):
        for key, value in data.items():
            if key not in ("inline", "x-goldsmith", "tags", "artifactTags", "identity"):
                check_placeholders(value, join(pointer, key), report, key)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            check_placeholders(value, join(pointer, index), report, name)
    elif isinstance(data, str) and "<" in data and name in {*_PLACEHOLDER_FIELDS, "replicationRegions"}:
        left = find_placeholder(data)
        if left is not None:
            quoted = f'"{left}=VALUE"' if " " in left else f"{left}=VALUE"
            hint = f"give it: --var {quoted}, or write the value into the file"
            report.fail(
                "Placeholder",
                f"'<{left}>' is still to be filled in",
                pointer,
                hint=hint,
                inside=data.index("<"),
            )


# -- source and distribution --------------------------------------------------------------------


def _check_id(parser: Callable[[str], object], text: str, pointer: str, report: Report) -> None:
    try:
        parser(text)
    except arm_id.ResourceIdError as error:
        hint = error.hint
        if text.startswith("["):
            hint = "expressions count only in an ARM deployment ($schema, contentVersion, resources)"
        report.error(error.code, error.message, pointer, hint=hint)


def _check_source(data: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    source, _ = parse(Source, data)
    if source is None:
        return
    if source.type == "ManagedImage":
        _check_id(arm_id.parse_managed_image, source.image_id, join(pointer, "imageId"), report)
    elif source.type == "SharedImageVersion":
        at = join(pointer, "imageVersionId")
        _check_id(arm_id.parse_image_version, source.image_version_id, at, report)


def _check_distribute(targets: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    seen: dict[str, str] = {}
    for index, data in enumerate(targets if isinstance(targets, list) else ()):
        at = join(pointer, index)
        name = data.get("runOutputName") if isinstance(data, dict) else None
        if isinstance(name, str) and not report.is_failed(join(at, "runOutputName")):
            if name.casefold() in seen:
                message = f"the runOutputName '{name}' is used twice"
                hint = f"its first use is {seen[name.casefold()]}"
                report.error("DuplicateRunOutput", message, join(at, "runOutputName"), hint=hint)
            seen.setdefault(name.casefold(), join(at, "runOutputName"))
        target, _ = parse(Distribute, data)
        if isinstance(target, ManagedImageDistributor):
            _check_id(arm_id.parse_managed_image, target.image_id, join(at, "imageId"), report)
            if not target.location.strip():
                report.error("BadValue", "the location is empty", join(at, "location"))
        elif isinstance(target, SharedImageDistributor):
            _check_id(arm_id.parse_gallery_image, target.gallery_image_id, join(at, "galleryImageId"), report)
            _check_regions(target, at, report)


def _check_regions(target: SharedImageDistributor, pointer: str, report: Report) -> None:
    if target.target_regions is not None and target.replication_regions is not None:
        message = "targetRegions and replicationRegions exclude each other"
        hint = "keep targetRegions; replicationRegions is deprecated"
        report.error("ExclusiveFields", message, join(pointer, "replicationRegions"), hint=hint, key=True)
    if target.storage_account_type is not None and target.replication_regions is None:
        message = "storageAccountType may only stand beside replicationRegions"
        hint = "write it into each entry of targetRegions"
        report.error("ExclusiveFields", message, join(pointer, "storageAccountType"), hint=hint, key=True)
    new, old = target.target_regions or (), target.replication_regions or ()
    places = [(region.name, join(pointer, "targetRegions", i, "name")) for i, region in enumerate(new)]
    places += [(name, join(pointer, "replicationRegions", i)) for i, name in enumerate(old)]
    seen: set[str] = set()
    for name, at in places:
        region = name.replace(" ", "").casefold()  # "West US 2" is westus2
        if not region:
            report.error("BadValue", "the name of a region is empty", at)
        elif region in seen:
            report.error("DuplicateRegion", f"the region '{name}' stands twice in this target", at)
        seen.add(region)


def _check_network(profile: Any, pointer: str, report: Report) -> None:  # noqa: ANN401 - any JSON value
    network = profile.get("vnetConfig") if isinstance(profile, dict) else None
    if not isinstance(network, dict) or not network.get("containerInstanceSubnetId"):
        return
    at = join(pointer, "containerInstanceSubnetId")
    if not network.get("subnetId"):
        report.error("ExclusiveFields", "containerInstanceSubnetId needs subnetId", at, key=True)
    if network.get("proxyVmSize"):
        message = "proxyVmSize and containerInstanceSubnetId exclude each other"
        report.error("ExclusiveFields", message, join(pointer, "proxyVmSize"), key=True)


# -- steps ----------------------------------------------------------------------------------------


def _check_steps(steps: Any, pointer: str, union: Any, no_script: str, report: Report) -> None:  # noqa: ANN401
    for index, data in enumerate(steps if isinstance(steps, list) else ()):
        at = join(pointer, index)
        step, _ = parse(union, data)
        if step is None:
            continue
        if isinstance(step, ScriptStep):
            _check_script(step, at, no_script, report)
        if isinstance(step, FileStep):
            for name, value in (("sourceUri", step.source_uri), ("destination", step.destination)):
                if not value and not report.is_failed(join(at, name)):
                    report.error("MissingField", f"a File step needs '{name}'", at)
        if isinstance(step, WindowsRestartStep | LinuxRestartStep):
            _check_duration(step.restart_timeout, join(at, "restartTimeout"), report)
        if isinstance(step, ScriptStep | FileStep):
            _check_sha256(step.sha256_checksum, join(at, "sha256Checksum"), report)
        _check_extensions(step.extensions, join(at, "x-goldsmith"), report)


def _check_script(step: ScriptStep, pointer: str, no_script: str, report: Report) -> None:
    if report.has_failures(join(pointer, "inline")) or report.has_failures(join(pointer, "scriptUri")):
        return
    if step.inline and step.script_uri:
        message = "inline and scriptUri exclude each other"
        hint = "split them into two steps"
        report.error("ExclusiveFields", message, join(pointer, "scriptUri"), hint=hint, key=True)
    elif not step.inline and not step.script_uri:
        report.error(
            no_script,
            f"the {_kind(step)} step has neither inline nor scriptUri",
            pointer,
            hint='add "inline": ["command"]',
        )
    if step.sha256_checksum and not step.script_uri:
        message = "sha256Checksum checks what scriptUri names; inline has no use for it"
        report.warn("UnusedChecksum", message, join(pointer, "sha256Checksum"), key=True)
    if isinstance(step, PowerShellStep) and step.run_as_system and not step.run_elevated:
        hint = 'add "runElevated": true'
        report.error(
            "NeedsElevation",
            "runAsSystem needs runElevated",
            join(pointer, "runAsSystem"),
            hint=hint,
            key=True,
        )


def _kind(step: ScriptStep) -> str:
    return str(getattr(step, "type", "script"))


def _check_sha256(checksum: str | None, pointer: str, report: Report) -> None:
    if not checksum or _SHA256.fullmatch(checksum):
        return
    lowered = checksum.strip().casefold()
    hint = f"write {lowered}" if _SHA256.fullmatch(lowered) else "it is what sha256sum prints"
    report.error("BadChecksum", "a sha256Checksum is 64 lower-case hex digits", pointer, hint=hint)


def _check_duration(text: str, pointer: str, report: Report) -> None:
    if not text:
        return
    try:
        parse_duration(text)
    except DurationError as error:
        report.error(error.code, error.message, pointer, hint=error.hint)


def _check_extensions(extensions: StepExtensions, pointer: str, report: Report) -> None:
    _check_duration(extensions.timeout or "", join(pointer, "timeout"), report)
    for section, names in (("env", extensions.env), ("secrets", extensions.secrets)):
        for name in names:
            if not _ENV_NAME.fullmatch(name):
                at = join(pointer, section, name)
                hint = "letters, digits and '_', not starting with a digit"
                report.error(
                    "BadEnvName", f"'{name}' cannot be the name of a variable", at, hint=hint, key=True
                )
    for name, secret in extensions.secrets.items():
        at = join(pointer, "secrets", name)
        if name in extensions.env:
            report.error("ExclusiveFields", f"'{name}' stands in env and in secrets", at, key=True)
        ways = [way for way in (secret.env, secret.file, secret.command) if way is not None]
        if len(ways) != 1:
            message = f"the secret '{name}' needs exactly one of env, file and command; it has {len(ways)}"
            report.error("BadSecret", message, at)
        elif not ways[0] or (secret.command is not None and not secret.command[0]):
            report.error("BadSecret", f"the secret '{name}' does not say where it comes from", at)
